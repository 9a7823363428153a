"""Makes the machine of one process other than it is: found by the interpreter through PYTHONPATH.

`MACHINE_CLOCK_AHEAD` sets its wall clock ahead by so many seconds (behind, where it is negative);
`MACHINE_DESCRIPTORS` is how many file descriptors it may have.
"""

import os
import resource
import time

_AHEAD = int(os.environ.get("MACHINE_CLOCK_AHEAD", "0"))
_DESCRIPTORS = int(os.environ.get("MACHINE_DESCRIPTORS", "0"))


def _shift() -> None:
    true_time, true_time_ns = time.time, time.time_ns
    time.time = lambda: true_time() + _AHEAD
    time.time_ns = lambda: true_time_ns() + _AHEAD * 1_000_000_000


if _AHEAD:
    _shift()
if _DESCRIPTORS:
    resource.setrlimit(resource.RLIMIT_NOFILE, (_DESCRIPTORS, _DESCRIPTORS))
