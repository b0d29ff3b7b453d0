#!/usr/bin/env bash
# Installs the independent programs that tests use: Debian packages only, only what is missing.
# A person without root is told what to install; CI must not go on without them.
set -euo pipefail

missing=()
for pair in openssl:openssl curl:curl qpdf:qpdf pdfimages:poppler-utils faketime:faketime \
    ippeveprinter:cups-ipp-utils dbus-daemon:dbus-daemon snmpd:snmpd \
    scanimage:sane-utils airscan-discover:sane-airscan valgrind:valgrind; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
[ ${#missing[@]} -eq 0 ] && exit 0

echo "installing for the tests: ${missing[*]}"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >/dev/null
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
    echo "please install: apt-get install ${missing[*]}" >&2
    exit 1
fi
