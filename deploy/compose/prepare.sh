#!/bin/sh
# Makes what a worker needs before it starts; running it again changes nothing.
set -eu
[ -e /keys/ring.json ] || hookstream dev keys /keys/ring.json
hookstream topics apply --yes
hookstream schemas apply --yes /work/schemas
