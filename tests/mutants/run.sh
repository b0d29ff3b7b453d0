#!/bin/sh
# Plants one bug at a time into a copy of the tree and shows by which check it is caught.
#
#   tests/mutants/run.sh [NAME...]     all planted bugs, or those named
#
# Each tests/mutants/NAME.patch begins with one line of what it breaks and a line
# `caught-by: images | sim | test PACKAGE FILTER`. A bug that lives, a patch that no longer
# applies, or one that does not compile, is an error.
set -u
here=$(cd "$(dirname "$0")/../.." && pwd)
copy=${MUTANTS_DIR:-$here/target/mutants}
mkdir -p "$copy/tree"
# Fresh times: what an earlier run left planted in the target folder is built again.
(cd "$here" && git ls-files -z --cached --others --exclude-standard | tar -cf - --null -T -) |
    tar -xmf - -C "$copy/tree" || exit 1
export CARGO_TARGET_DIR="$copy/target" CARGO_INCREMENTAL=1
cd "$copy/tree" || exit 1

# build and run the check of $1; true when it is content
build() {
    case $1 in
    images | sim) cargo build --quiet --release --locked --features scantrip/sim \
        -p scantrip-tests --bin "$1" ;;
    "test "*) set -- $1 && cargo test --quiet --locked -p "$2" --lib --no-run ;;
    *) echo "caught-by: $1 is no check" && return 1 ;;
    esac
}
check() {
    case $1 in
    images) "$CARGO_TARGET_DIR/release/images" --drawn 8 ;;
    sim) RUNS=${RUNS:-20} "$CARGO_TARGET_DIR/release/sim" ;;
    "test "*) set -- $1 && cargo test --quiet --locked -p "$2" --lib "$3" ;;
    esac
}

# A check that is not content with the tree as it is catches nothing.
sound() {
    case " $sound " in *"<$1>"*) return 0 ;; esac
    build "$1" >"$copy/log" 2>&1 && check "$1" >"$copy/log" 2>&1 || return 1
    sound="$sound <$1>"
}
sound=

names=${*:-$(cd "$here/tests/mutants" && ls ./*.patch | sed 's,.*/,,; s,\.patch$,,')}
planted=0 lived=0
printf '%-32s %-40s %s\n' mutant 'caught by' in
for name in $names; do
    patch=$here/tests/mutants/$name.patch
    by=$(sed -n 's/^caught-by: //p' "$patch")
    planted=$((planted + 1))
    if ! sound "$by"; then
        echo "$by is red without a planted bug: see $copy/log"
        exit 1
    fi
    begin=$(date +%s)
    if ! GIT_CEILING_DIRECTORIES=$copy git apply "$patch" 2>"$copy/log"; then
        verdict="NOT PLANTED: the patch does not apply"
    elif ! build "$by" >"$copy/log" 2>&1; then
        verdict="NOT BUILT: see $copy/log"
    elif check "$by" >"$copy/log" 2>&1; then
        verdict="LIVED: $by saw nothing"
    else
        verdict=$by
    fi
    [ "$verdict" = "$by" ] || lived=$((lived + 1))
    printf '%-32s %-40s %s s\n' "$name" "$verdict" $(($(date +%s) - begin))
    # Back to what it was: only the files of the patch.
    sed -n 's,^+++ b/,,p' "$patch" | while read -r file; do
        cp "$here/$file" "$copy/tree/$file"
    done
done
echo "mutants $planted, caught $((planted - lived)), lived $lived"
[ "$lived" = 0 ]
