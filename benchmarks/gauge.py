"""What the kernel reports of a process: CPU time, memory, and CPU time by thread."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

_TICKS = os.sysconf("SC_CLK_TCK")
_UTIME, _STIME = 11, 12
"""Places in /proc/PID/stat after the name, which is in parentheses and may contain spaces."""

STRETCH = 2_000
"""Deliveries in the cheapest stretch that is reported: what the code costs undisturbed."""

Mark: TypeAlias = tuple[int, float]
"""Deliveries so far, and the CPU seconds that they took."""


def cheapest_us(marks: Sequence[Mark]) -> float:
    """Return the CPU time a delivery, in µs, of the cheapest stretch between two marks.

    Other guests of the host slow a core down for seconds or minutes, so the mean of two runs
    compares them; the cheapest stretches compare two programs.
    """
    found = []
    for index, (done, used) in enumerate(marks):
        end = next((m for m in marks[index + 1 :] if m[0] - done >= STRETCH), None)
        if end is not None:
            found.append((end[1] - used) / (end[0] - done))
    done, used = marks[-1][0] - marks[0][0], marks[-1][1] - marks[0][1]
    return round(min(found, default=used / max(done, 1)) * 1e6, 1)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process so far, all its threads, user and system."""
    return _cpu(Path(f"/proc/{pid}/stat"))


def cpu_by_thread(pid: int) -> dict[str, float]:
    """Return the CPU seconds of a process by the names of its threads that live now.

    Python's threads other than the event loop's main thread are listed as `python, others`.
    """
    found: dict[str, float] = {}
    for thread in Path(f"/proc/{pid}/task").iterdir():
        name = (thread / "comm").read_text().strip()
        if name.startswith("python"):
            name = "event loop" if thread.name == str(pid) else "python, others"
        found[name] = found.get(name, 0.0) + _cpu(thread / "stat")
    return dict(sorted(found.items(), key=lambda item: item[1], reverse=True))


def core_busy_seconds(core: int) -> float:
    """Return how long a core was not idle so far, whoever used it: other guests of the host, too."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, *rest = map(int, fields)
            return (user + nice + system + sum(rest[:3])) / _TICKS
    return 0.0


def peak_mib(pid: int) -> float:
    """Return the largest resident set that a process ever had, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _cpu(stat: Path) -> float:
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[_UTIME]) + int(fields[_STIME])) / _TICKS
