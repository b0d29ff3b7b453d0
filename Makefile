# Few words, each does one thing.
#   make demo    a simulated printer scans 20 pages into the cloud and a PDF comes out
#   make test    everything: checks, unit tests, end-to-end tests
#   make check   format, lints, docs, licences
#   make images  every disk that a power cut can leave, and every failing operation
#   make sim-mutants  plants known bugs into a copy and shows that the tests see them
#   make sim     agents, cloud, faults and people in one thread; RUNS=200, FRESH=50 of them drawn
#                anew, SEED=n replays one; make test has no fresh ones: a commit gets one answer
#   make bench   speed, memory and size, written to target/bench/summary.json
#   make herd    a million devices come back to half of a cloud, figures and docs/herd.svg
#   make fuzz    mutated bytes for every decoder; SECONDS=, TARGET=
#   make wild    kills and bad lines for the shipped programs; ROUNDS=, SEED=
#   make gate    instructions of the hot paths against tests/budgets.toml
#   make dist    the agent as it goes on a printer; TARGET=... for another machine than this
#   make docs    the API documentation
#   make settings-doc   docs/settings.md from the list of settings

CARGO ?= cargo
comma := ,
# One bound on everything that compiles; CI machines have two cores.
export CARGO_TERM_COLOR ?= auto
export RUNS FRESH SEED

.PHONY: demo test check sim bench gate dist docs settings-doc setup programs

demo: programs
	@target/release/demo $(if $(KEEP),--keep)

test: setup check
	$(CARGO) check --locked -p scantrip-hal --no-default-features
	$(CARGO) test --locked --workspace --features scantrip-tests/fault
	$(MAKE) --no-print-directory demo
	target/release/images
	RUNS=$(or $(RUNS),500) FRESH=$(or $(FRESH),0) target/release/sim

images: programs
	target/release/images $(if $(CASE),--case $(CASE))

sim-mutants:
	tests/mutants/run.sh $(MUTANTS)

check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets --features scantrip-tests/fault -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --quiet
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny check; \
	else echo "cargo-deny is not installed: licences and sources are checked by tests/it/tidy.rs"; fi

sim: programs
	@target/release/sim

bench: dist
	$(MAKE) --no-print-directory programs
	target/release/bench

.PHONY: fuzz
fuzz:
	SCANTRIP_FUZZ_SECONDS=$(or $(SECONDS),600) $(if $(TARGET),SCANTRIP_FUZZ_TARGET=$(TARGET)) \
		$(CARGO) test --locked -p scantrip-tests --test it -- --nocapture fuzz::

.PHONY: wild
wild:
	SCANTRIP_WILD_ROUNDS=$(or $(ROUNDS),400) SCANTRIP_SEED=$(SEED) \
		$(CARGO) test --locked -p scantrip-tests --features fault --test it -- --nocapture wild::

.PHONY: herd
herd:
	$(CARGO) run --locked -p scantrip-tests --bin herd

gate: setup
	$(CARGO) build --release --locked -p scantrip-tests --bin bench
	target/release/bench gate

# Saves 140 KB, but needs glibc 2.36 where the program runs: asked of the system that builds for
# itself; for another, RELR=1 says that it has it.
RELR ?= $(if $(TARGET),,$(shell printf '%s\n' 2.36 "$$(getconf GNU_LIBC_VERSION 2>&1 | cut -d' ' -f2)" \
	| sort -CV && echo 1))

# The agent as it goes on a printer, without tables for unwinding (musl's start files want them).
dist:
	$(CARGO) rustc --locked --profile dist -p scantrip --bin scantrip \
		$(if $(TARGET),--target $(TARGET)) \
		$(if $(findstring musl,$(TARGET)),,-- -C link-arg=-Wl$(comma)-T$(comma)$(CURDIR)/cross/no-unwind.ld \
			$(if $(RELR),-C link-arg=-Wl$(comma)-z$(comma)pack-relative-relocs))

docs:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps

settings-doc:
	$(CARGO) run --quiet --locked -p scantrip-hal --example settings-doc > target/settings.md
	mv target/settings.md docs/settings.md

# The programs as they are shipped, the agent with a simulated printer, and the demo, the bench
# and the simulation.
programs:
	$(CARGO) build --release --locked --features scantrip/sim \
		-p scantrip -p scantrip-cloud -p scantrip-tests --bin scantrip --bin scantrip-cloud \
		--bin demo --bin bench --bin images --bin sim

# Independent programs that the tests compare against. Loud when one cannot be had.
setup:
	@tests/setup.sh
