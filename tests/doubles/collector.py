"""What only the garbage collector frees: objects that refer to each other, and that nobody else refers to."""

import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def left_to_the_collector() -> Iterator[Counter[str]]:
    """Count, by type, the objects of hookstream that were left to the collector when the block ends."""
    left: Counter[str] = Counter()
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield left
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        kinds = [type(each) for each in gc.garbage]
        left.update(kind.__name__ for kind in kinds if kind.__module__.startswith("hookstream"))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        if was_enabled:
            gc.enable()
