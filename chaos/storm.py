"""The storm: workers and the broker are killed at random under a steady load, and nothing may be lost."""

import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from chaos.accounting import Account, Accounting, longest_idles, recoveries
from chaos.cast import Endpoint, ask_of, endpoints, kinds_of
from chaos.faults import Faults
from chaos.load import templates
from chaos.rig import Plan, Rig, machine, rig, say
from chaos.stage import Filed, Terms
from chaos.watch import Move, Watch

_TERMS = Terms(
    tiers="0s 1s 2s 5s 10s",
    # Longer than anything that is down: no delivery dies but of a 410.
    schedule="1s 1s 2s 2s 5s 5s 5s 5s" + " 10s" * 20,
    timeout="3s",
    # Endpoints are down a part of each 40 seconds or less: none must be met then for a minute.
    probe_every="8s",
)
_TEMPLATES = 300
_OUTSTANDING = 6_000
"""Deliveries that are owed and not accepted, at most, while more is published: about what the
workers do in a few seconds, so that every fault meets work in flight."""
_FIRST_FAULT = 4.0
_QUIET = (3.0, 9.0)
"""Seconds between everything being ready again and the next fault."""
_PATIENCE = 60.0
"""Seconds without a delivery, at the end, after which what is missing counts as lost."""
_LONGEST_WAIT = 600.0
"""Seconds for what is owed at the end, in any case."""
_LOOK = 0.2


@dataclass(slots=True, frozen=True)
class Ask:
    """The options of the command line."""

    deliveries: int
    seconds: float
    """The publishing and the faults end by then; what is owed is waited for beyond it."""
    seed: int
    workers: int
    endpoints: int
    rate: float
    """Deliveries that become owed in a second, at most."""
    faults: Sequence[str]
    """The kinds of faults: each once, then at random, worker's more often than the broker's."""
    member_session: float
    """Seconds without heartbeats until a worker loses its partitions."""
    folder: Path | None


@dataclass(slots=True)
class _Progress:
    """What the publishing thread shares with the rest."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    owed: int = 0
    """Deliveries owed to endpoints that are never disabled."""
    accepted: int = 0
    """How many of them arrived, copies aside."""
    ends: bool = False
    failed: BaseException | None = None
    unacknowledged: int = 0


class Storm:
    """One run."""

    def __init__(self, ask: Ask, on: Rig) -> None:
        self._ask = ask
        self._rig = on
        self._templates = templates(ask.seed, _TEMPLATES)
        asks = [ask_of(number) for number in range(len(on.cast))]
        self._accounting = Accounting(on.topics, on.cast, asks, self._templates)
        self._lasting = {n for n, each in enumerate(on.cast) if each.kind != "gone"}
        self._weights = {
            template.shape: len(self._lasting.intersection(self._accounting.wanting(template)))
            for template in self._templates
        }
        self._progress = _Progress()
        self._began = time.monotonic()
        dice = random.Random(ask.seed)
        self._faults = Faults(on.stage, on.broker, on.topics, dice, say, ask.faults)

    def run(self) -> dict[str, Any]:
        """Run it, and return the figures."""
        self._began = time.monotonic()
        with Watch(self._rig.topics, self._rig.stage.logs) as watch:
            with self._publishing():
                self._trouble()
                say("no more faults")
            self._wait_for_the_rest()
            took = time.monotonic() - self._began
            settled = self._until_settled()
        codes = self._rig.stage.stop_all()
        checked = self._rig.receiver.stop()
        self._rig.receiver.follow()
        say("accounting")
        self._accounting.read_log()
        account = self._accounting.account_for(
            self._rig.receiver.accepted, self._rig.receiver.all, self._faults.made, watch.moves
        )
        return self._figures(account, took, settled, codes, watch.moves, checked)

    @contextmanager
    def _publishing(self) -> Iterator[None]:
        thread = threading.Thread(target=self._publish, name="publisher")
        thread.start()
        try:
            yield
        finally:
            self._progress.ends = True
            thread.join()
        if self._progress.failed is not None:
            raise self._progress.failed
        if self._progress.unacknowledged:
            raise SystemExit(f"{self._progress.unacknowledged} events were not acknowledged")

    def _publish(self) -> None:
        """Keep enough outstanding that every fault happens under load, until enough is owed."""
        progress = self._progress
        mean = max(1, sum(self._weights.values()) // len(self._weights))
        try:
            for sent in self._rig.load.held(
                self._templates,
                lambda: min(200, self._may_publish() // mean),
                lambda: progress.ends,
            ):
                progress.owed += self._weights[sent.shape]
                if progress.owed >= self._ask.deliveries and self._enough_faults():
                    progress.ends = True
            progress.unacknowledged = self._rig.load.flush()
        except BaseException as failure:  # noqa: BLE001 - it is raised again in the main thread
            progress.failed = failure
            progress.ends = True

    def _may_publish(self) -> int:
        """Return how many deliveries more may be owed now."""
        due = self._ask.rate * (time.monotonic() - self._began)
        return int(min(_OUTSTANDING - self._outstanding(), due - self._progress.owed))

    def _enough_faults(self) -> bool:
        return len(self._faults.made) >= len(self._ask.faults)

    def _outstanding(self) -> int:
        """Return how many deliveries are owed and not accepted yet, copies aside."""
        progress = self._progress
        with progress.lock:
            receiver = self._rig.receiver
            receiver.follow()
            progress.accepted = sum(
                many for number, many in receiver.distinct.items() if number in self._lasting
            )
        return progress.owed - progress.accepted

    def _trouble(self) -> None:
        """Make faults while events are published, and each kind at least once."""
        self._calm(_FIRST_FAULT)
        dice = random.Random(self._ask.seed + 1)
        while not self._done():
            self._faults.next()
            self._calm(dice.uniform(*_QUIET))

    def _done(self) -> bool:
        if self._progress.failed is not None or time.monotonic() - self._began > self._ask.seconds:
            return True
        return self._progress.ends

    def _calm(self, seconds: float) -> None:
        """Let it run undisturbed, look at what runs, and print the progress."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self._done():
            self._look()
            time.sleep(_LOOK)
        say(
            f"{self._progress.accepted} of {self._ask.deliveries} deliveries,"
            f" {self._outstanding()} outstanding, {len(self._faults.made)} faults"
        )

    def _look(self) -> None:
        """Note memory, and start again, as a supervisor would, what ended unexpectedly."""
        self._rig.receiver.check()
        for worker in self._rig.stage.workers:
            worker.look()
        self._faults.supervise()

    def _wait_for_the_rest(self) -> None:
        """Wait for what is owed, as long as something still arrives."""
        say(f"waiting for {self._outstanding()} deliveries")
        least = self._outstanding()
        began = since = time.monotonic()
        while time.monotonic() - since < _PATIENCE and since - began < _LONGEST_WAIT:
            self._look()
            left = self._outstanding()
            if left <= 0:
                return
            if left < least:
                least, since = left, time.monotonic()
            time.sleep(_LOOK)
        self._note_what_hangs()

    def _note_what_hangs(self) -> None:
        """Print which partitions are not settled and who owns them; keep the workers' output."""
        now, owners = self._rig.topics.positions(), self._rig.topics.look_owners()
        for place, end in sorted(now.ends.items()):
            if end > (at := now.committed.get(place, 0)):
                say(f"{place[0]}/{place[1]}: {at} of {end}, owned by {owners.get(place)}")
        for worker in self._rig.stage.workers:
            (self._rig.stage.folder / f"{worker.name}.metrics").write_text(
                self._rig.stage.metrics_of(worker)
            )

    def _until_settled(self) -> bool:
        """Wait until both groups committed all there is."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self._rig.topics.lag() == 0:
                return True
            time.sleep(1)
        return False

    def _figures(
        self,
        account: Account,
        took: float,
        settled: bool,  # noqa: FBT001
        codes: dict[str, int | None],
        moves: Sequence[Move],
        checked: dict[str, int],
    ) -> dict[str, Any]:
        faults = self._faults.made
        healthy = {n for n, each in enumerate(self._rig.cast) if each.kind == "healthy"}
        idles = longest_idles(self._accounting.owed, self._rig.receiver.all(), healthy)
        again = recoveries(self._accounting.owed, self._rig.receiver.all(), healthy, faults)
        return {
            "clean": account.clean
            and not self._faults.ended_by_themselves
            and settled
            and set(codes.values()) == {0}
            and not checked["forged"]
            and not checked["strange_ids"],
            "seed": self._ask.seed,
            "machine": machine(),
            "seconds": round(took, 1),
            "per_second": round(account.received / took),
            **asdict(account),
            "requests": checked["requests"],
            "verified": checked["sampled"],
            "forged": checked["forged"],
            "strange_ids": checked["strange_ids"],
            "settled_at_the_end": settled,
            "exit_codes": codes,
            "moves": sum(len(move.before.ends) for move in moves),
            "longest_silence": {
                place: {"seconds": seconds, "ended_at": round(ended, 1)}
                for place, (seconds, ended) in idles.items()
            },
            "ended_by_themselves": self._faults.ended_by_themselves,
            "faults": [
                {
                    "kind": fault.kind,
                    "whom": fault.whom,
                    "at": round(fault.at, 1),
                    "ready_after": round(fault.back_at - fault.at, 1),
                    "delivering_after": None if took is None else round(took, 1),
                    "exit_code": fault.exit_code,
                }
                for fault, took in zip(faults, again, strict=True)
            ],
            "worker_peak_mib": {
                worker.name: [round(peak) for peak in worker.peaks]
                for worker in self._rig.stage.workers
            },
        }


def play(ask: Ask) -> dict[str, Any]:
    """Run one storm and return its figures."""
    cast: list[Endpoint] = endpoints(kinds_of(ask.endpoints), ask.seed)

    def filed(number: int) -> Filed:
        asked = ask_of(number)
        return Filed(asked.partner, asked.types, asked.more)

    plan = Plan(
        cast,
        filed,
        _TERMS,
        ask.workers,
        ask.seed,
        cycle=min(40.0, ask.seconds / 5),
        member_session=ask.member_session,
    )
    with rig(plan, ask.folder) as made:
        return Storm(ask, made).run()
