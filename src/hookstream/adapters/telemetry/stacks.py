"""Tells where every thread and every task of this process stands: places in code, never values."""

import asyncio
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Iterable
from types import FrameType

_DEEPEST = 24
"""Frames of one stack."""
_MOST_TASKS = 100
"""Different stacks of tasks: hundreds of attempts stand at the same few places."""


def stacks() -> Iterable[tuple[str, str]]:
    """Yield the name of each thread and its stack, then how many tasks stand at each place."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():  # noqa: SLF001  it is there for this
        summary = traceback.StackSummary.extract(traceback.walk_stack(frame), limit=_DEEPEST)
        yield f"thread {names.get(ident, ident)}", _text(reversed(summary))
    places = Counter(_text(_awaited(task)) for task in asyncio.all_tasks())
    for place, count in places.most_common(_MOST_TASKS):
        yield f"{count} tasks", place


def _awaited(task: "asyncio.Task[object]") -> list[traceback.FrameSummary]:
    """Follow what a task awaits, coroutine by coroutine, down to what it waits for."""
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
