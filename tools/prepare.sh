#!/bin/sh
# Makes sure of what pip cannot install: Python with venv, for the development broker Java and Maven,
# Maven for a schema registry, nginx, which is an endpoint of tests and benchmarks, Prometheus, which asks what the dashboards ask, Chromium,
# which looks at the console's pages, and axe-core, which checks that everybody can use them. As root on Debian it installs what is missing and says so; elsewhere it says what to do.
#
# Usage: tools/prepare.sh python|java|registry|nginx|prometheus|chromium
set -eu

PYTHON="${PYTHON:-python3}"
export DEBIAN_FRONTEND=noninteractive

# need COMMAND-THAT-TELLS WHAT PACKAGES...
need() {
    tells=$1 what=$2
    shift 2
    if sh -c "$tells" >/dev/null 2>&1; then
        return
    fi
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "hookstream needs $what: installing $* with apt-get"
        apt-get -q -q update
        apt-get -q -q install -y --no-install-recommends "$@" >/dev/null
    fi
    if ! sh -c "$tells" >/dev/null 2>&1; then
        echo "hookstream needs $what: install it (Debian: apt-get install $*) and try again" >&2
        exit 2
    fi
}

axe_version=4.14.1
axe_sha512=1477dafa598d8d065f273d6af302aa203c02e83131707b7fa648cd41bd3d6b734f8c22a0dab86ee6a6f64b8afbe804b214d36db85a2826965edfb3a0b9d546b5
axe=.cache/axe-core/$axe_version/axe.min.js

java_17='java -version 2>&1 | sed -n "s/.*version \"\([0-9]*\).*/\1/p" | { read v && [ "$v" -ge 17 ]; }'

case "${1:-}" in
python)
    need "$PYTHON -c 'import sys; assert sys.version_info >= (3, 11)'" \
        "Python 3.11 or newer as $PYTHON (or PYTHON=/path/of/one make ...)" python3
    need "$PYTHON -c 'import venv, ensurepip'" "Python's venv" python3-venv
    ;;
java)
    # A broker that is there already needs neither.
    [ -z "${HOOKSTREAM_KAFKA__BOOTSTRAP_SERVERS:-}" ] || exit 0
    need "$java_17" "a JDK of version 17 or newer" default-jdk-headless
    need "command -v mvn" "Maven" maven
    ;;
registry)
    # Its JDK of version 21 or newer cannot be had from every release of Debian: see tests/real_registry.py.
    need "command -v mvn" "Maven" maven
    ;;
nginx)
    # Debian has it where only root's PATH looks.
    need 'PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v nginx' "nginx" nginx-light
    ;;
prometheus)
    need "command -v prometheus && command -v promtool" "Prometheus" prometheus
    ;;
chromium)
    # Its headless shell shows the same pages in half the CPU, where Debian has it: it has no windows around them.
    if ! command -v chromium-headless-shell >/dev/null 2>&1 && [ "$(id -u)" = 0 ] \
        && command -v apt-get >/dev/null 2>&1; then
        command -v chromium >/dev/null 2>&1 || apt-get -q -q update || true
        if apt-cache show chromium-headless-shell >/dev/null 2>&1; then
            echo "hookstream looks at pages in Chromium: installing chromium-headless-shell with apt-get"
            apt-get -q -q install -y --no-install-recommends chromium-headless-shell >/dev/null || true
        fi
    fi
    need "command -v chromium-headless-shell || command -v chromium" "Chromium" chromium
    [ -s "$axe" ] && exit 0
    need "command -v npm" "npm" npm
    made=$(mktemp -d)
    trap 'rm -rf "$made"' EXIT
    (cd "$made" && npm pack --silent "axe-core@$axe_version" >/dev/null)
    if ! echo "$axe_sha512  $made/axe-core-$axe_version.tgz" | sha512sum --check --status; then
        echo "axe-core $axe_version is not what it was: its hash differs from that in tools/prepare.sh" >&2
        exit 2
    fi
    tar -xzf "$made/axe-core-$axe_version.tgz" -C "$made" package/axe.min.js
    mkdir -p "$(dirname "$axe")"
    mv "$made/package/axe.min.js" "$axe"
    ;;
*)
    echo "usage: tools/prepare.sh python|java|registry|nginx|prometheus|chromium" >&2
    exit 2
    ;;
esac
