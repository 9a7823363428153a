#!/bin/sh
# Prints the Python that `make setup` makes .venv of: that of PATH, or the system's where that is quicker.
#
# A Python that was built without profile-guided optimization, as pyenv builds it unless told otherwise, takes 7 to
# 15 % more CPU than a distribution's. The system's is taken in its place only if it is of the same version and can
# make an environment; where there is none, nothing changes.
set -eu

system="${SYSTEM_PYTHON:-/usr/bin/python3}"
optimized='import sysconfig; assert "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")'
version='import sys; print(*sys.version_info[:2])'

if command -v python3 >/dev/null 2>&1 && ! python3 -c "$optimized" >/dev/null 2>&1 \
    && [ -x "$system" ] \
    && [ "$(python3 -c "$version" 2>/dev/null)" = "$("$system" -c "$version" 2>/dev/null)" ] \
    && "$system" -c 'import venv, ensurepip' >/dev/null 2>&1; then
    echo "$system"
else
    echo python3
fi
