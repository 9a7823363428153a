"""The receiver as its run sees it: a separate process that takes commands, and the file of receipts."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Self

from benchmarks.installation import ROOT, lasting_as_long_as_we_do

from chaos.receiver import RECEIPT

_PATIENCE = 30.0
_AT_ONCE = 4096 * RECEIPT.size


class Receipt(NamedTuple):
    """One request as an endpoint saw it."""

    at: float
    """Seconds since 1970 at which it had arrived in full."""
    endpoint: int
    status: int
    """What was answered; 0 where nothing was."""
    attempt: int
    webhook_id: str

    @property
    def accepted(self) -> bool:
        """Return whether the endpoint accepted it."""
        return 200 <= self.status < 300


class Receiver:
    """The process that plays every endpoint; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "receipts"
        self._process: subprocess.Popen[bytes] | None = None
        self._read = 0
        self.accepted: Counter[str] = Counter()
        """How often each delivery was accepted, as far as `follow` has read."""
        self.distinct: Counter[int] = Counter()
        """How many deliveries each endpoint has accepted, copies aside."""

    def __enter__(self) -> Self:
        """Start it, and wait until every endpoint listens."""
        self._file.touch()
        with (self._folder / "receiver.log").open("ab") as log:
            self._process = subprocess.Popen(
                lasting_as_long_as_we_do([sys.executable, "-m", "chaos.receiver", self._folder]),
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _PATIENCE
        while not (self._folder / "listening").exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self._folder / "receiver.log").read_text()
                raise SystemExit(f"the receiver did not start: {said}")
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    def set_behaviour(self, kinds: Mapping[str, str]) -> None:
        """Change the kinds of endpoints from now on."""
        process = self._process
        if process is None or process.stdin is None:
            raise SystemExit("the receiver does not run")
        process.stdin.write(json.dumps(kinds).encode() + b"\n")
        process.stdin.flush()

    def check(self) -> None:
        """End the run where the receiver ended: nothing could be counted any more."""
        if self._process is not None and self._process.poll() is not None:
            raise SystemExit((self._folder / "receiver.log").read_text()[-3000:])

    def follow(self) -> list[Receipt]:
        """Read what came since the last call, and count what was accepted."""
        new = list(self._from(self._read))
        self._read += len(new) * RECEIPT.size
        for each in new:
            if each.accepted:
                self.accepted[each.webhook_id] += 1
                self.distinct[each.endpoint] += self.accepted[each.webhook_id] == 1
        return new

    def all(self) -> Iterator[Receipt]:
        """Yield every receipt from the first on."""
        return self._from(0)

    def _from(self, place: int) -> Iterator[Receipt]:
        whole = (self._file.stat().st_size - place) // RECEIPT.size * RECEIPT.size
        with self._file.open("rb") as file:
            file.seek(place)
            while whole and (block := file.read(min(whole, _AT_ONCE))):
                whole -= len(block)
                for at, endpoint, status, attempt, name in RECEIPT.iter_unpack(block):
                    yield Receipt(
                        at, endpoint, status, attempt, name.decode("ascii", "replace").rstrip("\0")
                    )

    def stop(self) -> dict[str, int]:
        """Stop it, and return what it verified."""
        process = self._process
        if process is not None:
            if process.stdin is not None:
                process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self._process = None
        file = self._folder / "checked.json"
        return dict(json.loads(file.read_text())) if file.exists() else {}
