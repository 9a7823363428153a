#!/bin/sh
# Makes sure of what pip cannot install: Python with venv, for the development broker Java and Maven,
# Maven for a schema registry, nginx, which is an endpoint of tests and benchmarks, and Prometheus, which asks what the dashboards ask. As root on Debian it installs what is missing and says so; elsewhere it says what to do.
#
# Usage: tools/prepare.sh python|java|registry|nginx|prometheus
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
*)
    echo "usage: tools/prepare.sh python|java|registry|nginx|prometheus" >&2
    exit 2
    ;;
esac
