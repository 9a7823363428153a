"""The process that writes an index: each console has one, and restarts it if it ends."""

import gc
import multiprocessing
import signal
import threading
from multiprocessing.context import SpawnProcess
from pathlib import Path

from hookstream.adapters.telemetry.log import StructuredLogger
from hookstream.entry.admin.index import IndexFollower
from hookstream.settings import Settings

_STOP_SECONDS = 10.0
"""The time for a last commit, which is all that a killed process loses."""


class IndexProcess:
    """The writer of one folder, in a process of its own.

    Args:
        settings: The cluster, and how the process logs.
        folder: The index's folder.
        most_bytes: The most bytes of its files.
    """

    def __init__(self, settings: Settings, folder: Path, most_bytes: int) -> None:
        self._asked = settings, folder, most_bytes
        self._process: SpawnProcess | None = None
        self._one = threading.Lock()
        """Held while the process is started or ended."""
        self._ended = False

    @property
    def pid(self) -> int | None:
        """The id of the process; None: it was not started."""
        return None if self._process is None else self._process.pid

    def ensure_running(self) -> bool:
        """Start it if it is not running and was not stopped; return whether there was nothing to start."""
        with self._one:
            if self._ended or (self._process is not None and self._process.is_alive()):
                return True
            context = multiprocessing.get_context("spawn")
            self._process = context.Process(target=_follow, args=self._asked, name="index")
            self._process.start()
            return False

    def stop(self) -> None:
        """End it for good, by force if it takes too long. Blocks."""
        with self._one:
            self._ended = True
            process, self._process = self._process, None
            if process is None:
                return
            process.terminate()
            process.join(_STOP_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()


def _follow(settings: Settings, folder: Path, most_bytes: int) -> None:
    """Follow until the process is asked to end, or the one that started it is gone.

    Args:
        settings: The cluster, and how the process logs.
        folder: The index's folder.
        most_bytes: The most bytes of its files.
    """
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    # A terminal interrupts the whole group; the console ends this process then.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log = StructuredLogger(settings.log.level, settings.log.format)
    # Known by a pipe that the console alone holds open, as it forks nothing: also where it was killed before this ran.
    console = multiprocessing.parent_process()

    def stopped() -> bool:
        return ended.is_set() or console is None or not console.is_alive()

    # Entries live for a second and form no circles: by default, looking for some takes a tenth of the CPU.
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)
    IndexFollower(settings, folder, most_bytes, log, stopped).run()
