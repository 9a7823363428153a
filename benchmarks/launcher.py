"""Runs hookstream's own command under a profiler: the product knows nothing of it.

    python -m benchmarks.launcher calls|samples FILE [hookstream's arguments]

`calls` is cProfile: every call of the event loop's thread, C functions by name, at twice the cost,
so shares are skewed towards small functions. `samples` looks at the stack every few milliseconds of
CPU time, at no noticeable cost; a C function counts for the line that called it.
"""

import cProfile
import json
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

from hookstream.entry.cli import main

_INTERVAL = 0.002


class Sampler:
    """Counts where the interpreter is, by lines and by functions on the stack."""

    def __init__(self) -> None:
        self.lines: Counter[str] = Counter()
        self.functions: Counter[str] = Counter()
        self.samples = 0

    def start(self) -> None:
        """Sample from now on."""
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, _INTERVAL, _INTERVAL)

    def write(self, file: Path) -> None:
        """Stop, and write what was counted."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        counted = {"samples": self.samples, "lines": self.lines, "functions": self.functions}
        file.write_text(json.dumps(counted))

    def _look(self, _: int, frame: FrameType | None) -> None:
        self.samples += 1
        if frame is not None:
            self.lines[f"{_where(frame)}:{frame.f_lineno}"] += 1
        seen: set[str] = set()
        while frame is not None:
            seen.add(_where(frame))
            frame = frame.f_back
        self.functions.update(seen)


def _where(frame: FrameType) -> str:
    code = frame.f_code
    return f"{'/'.join(Path(code.co_filename).parts[-2:])} {code.co_qualname}"


def run(how: str, file: Path) -> None:
    """Run the command of `sys.argv` and write the profile when it ends."""
    if how == "samples":
        sampler = Sampler()
        sampler.start()
        try:
            main()
        finally:
            sampler.write(file)
        return
    profile = cProfile.Profile()
    try:
        profile.runcall(main)
    finally:
        profile.dump_stats(file)


if __name__ == "__main__":
    _, chosen, where, *rest = sys.argv
    sys.argv = ["hookstream", *rest]
    run(chosen, Path(where))
