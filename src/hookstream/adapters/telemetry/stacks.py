"""Dumps the stacks of all threads and tasks of this process: code locations only, no values."""

import asyncio
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Iterable
from types import FrameType

_DEEPEST = 24
"""The most frames of one stack."""
_MOST_TASKS = 100
"""The most different task stacks: hundreds of attempts share a few."""


def stacks() -> Iterable[tuple[str, str]]:
    """Yield the name and stack of each thread, then the number of tasks at each stack."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():  # noqa: SLF001  it is there for this
        summary = traceback.StackSummary.extract(traceback.walk_stack(frame), limit=_DEEPEST)
        yield f"thread {names.get(ident, ident)}", _text(reversed(summary))
    places = Counter(_text(_awaited(task)) for task in asyncio.all_tasks())
    for place, count in places.most_common(_MOST_TASKS):
        yield f"{count} tasks", place


def _awaited(task: "asyncio.Task[object]") -> list[traceback.FrameSummary]:
    """Return the frames of the chain of coroutines that a task awaits."""
    found: list[traceback.FrameSummary] = []
    awaited: object = task.get_coro()
    while awaited is not None and len(found) < _DEEPEST:
        frame: FrameType | None = getattr(awaited, "cr_frame", None)
        if frame is None:
            break
        code = frame.f_code
        found.append(traceback.FrameSummary(code.co_filename, frame.f_lineno, code.co_name))
        awaited = getattr(awaited, "cr_await", None)
    return found


def _text(frames: Iterable[traceback.FrameSummary]) -> str:
    return " > ".join(
        f"{'/'.join(frame.filename.split('/')[-2:])}:{frame.lineno} {frame.name}"
        for frame in frames
    )
