"""The faults of a run: which is next, how it is made, and what was unsettled at that time.

Offsets are read before anything is started again: those of a worker that died do not move until
another takes its partitions, and those of a broker were read just before its end.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from examples.demo.log import Place

from chaos.stage import Stage, Worker
from chaos.topics import Positions, Topics
from hookstream.adapters.dev.broker import BrokerProcess

KINDS = ("kill", "broker", "restart", "kill-all", "broker-and-worker")
"""A worker is killed; the broker is killed and restarted; a worker shuts down and is restarted;
all workers are killed at once; a worker is killed while the broker is away."""

FREEZES = ("freeze", "freeze-broker", "broker-while-frozen", "freeze-in-turn")
"""A worker gets no CPU (SIGSTOP) for longer than its session lasts, and continues; so does the broker;
the broker is killed while a worker is frozen; each worker is frozen as soon as the previous
one continues, so that partitions move to the one that is frozen next. They take minutes, so they
run only when they are named."""

_STARTS = 5
_LONGEST_PAUSE = 3.0
"""Seconds that something stays dead at most, before it is started again."""
_FROZEN = (12.0, 45.0)
"""Seconds that a worker is frozen: the development broker's sessions last 6."""
_BROKER_FROZEN = (3.0, 15.0)


@dataclass(slots=True)
class Fault:
    """One fault."""

    kind: str
    whom: str
    at: float
    """Seconds since 1970."""
    crash: bool
    """Whether something was killed; only then may anything be repeated."""
    back_at: float = 0.0
    """When everything was ready again."""
    exit_code: int | None = None
    before: Positions | None = None
    """The committed offsets and the log ends at the crash."""


@dataclass
class Faults:
    """Makes one fault after another, each kind once before any comes again."""

    stage: Stage
    broker: BrokerProcess
    topics: Topics
    dice: random.Random
    say: Callable[[str], None]
    kinds: Sequence[str]
    made: list[Fault] = field(default_factory=list)
    ended_by_themselves: list[str] = field(default_factory=list)
    """Workers that ended unexpectedly, with their last output."""

    def __post_init__(self) -> None:
        """Begin with each kind once."""
        self._order = self._kinds()

    def _kinds(self) -> Iterator[str]:
        yield from self.kinds
        while True:
            # Workers die five times as often as the broker: a single broker that is killed repeatedly
            # loses its groups, and then the broker is tested, not hookstream.
            workers = [kind for kind in self.kinds if "broker" not in kind]
            kinds = [*self.kinds, *workers * 4]
            self.dice.shuffle(kinds)
            yield from kinds

    def next(self) -> None:
        """Make the next fault, and return when all is ready again."""
        kind = next(self._order)
        make = {
            "kill": self._kill,
            "broker": self._broker,
            "restart": self._restart,
            "kill-all": self._kill_all,
            "broker-and-worker": self._broker_and_worker,
            "freeze": self._freeze,
            "freeze-broker": self._freeze_broker,
            "broker-while-frozen": self._broker_while_frozen,
            "freeze-in-turn": self._freeze_in_turn,
        }[kind]
        fault = make()
        fault.back_at = time.time()
        self.made.append(fault)
        self.say(f"{fault.kind} of {fault.whom}: ready after {fault.back_at - fault.at:.1f} s")

    def _kill(self) -> Fault:
        worker = self.dice.choice(self.stage.workers)
        fault = Fault("kill", worker.name, time.time(), crash=True)
        self.stage.kill(worker)
        fault.before = self.topics.positions()
        self._pause()
        self._revive(worker)
        return fault

    def _kill_all(self) -> Fault:
        fault = Fault("kill-all", "every worker", time.time(), crash=True)
        for worker in self.stage.workers:
            self.stage.kill(worker)
        fault.before = self.topics.positions()
        self._pause()
        self._revive(*self.stage.workers)
        return fault

    def _restart(self) -> Fault:
        worker = self.dice.choice(self.stage.workers)
        fault = Fault("restart", worker.name, time.time(), crash=False)
        fault.exit_code = self.stage.stop(worker)
        if fault.exit_code != 0:
            # It ended at its deadline: the same as killed.
            fault.crash, fault.before = True, self.topics.positions()
        self._revive(worker)
        return fault

    def _freeze(self) -> Fault:
        """Freeze a worker for longer than its session lasts: its partitions have moved when it continues."""
        worker = self.dice.choice(self.stage.workers)
        fault = Fault("freeze", worker.name, time.time(), crash=True)
        self.stage.freeze(worker)
        try:
            # Its offsets do not move before its session expires.
            fault.before = self.topics.positions()
            time.sleep(self.dice.uniform(*_FROZEN))
        finally:
            self.stage.thaw(worker)
        # What it had taken and not settled, others took meanwhile: its attempts may still be in flight.
        self._until_ready(worker)
        return fault

    def _freeze_broker(self) -> Fault:
        """Freeze the broker for a while: sessions expire, or not, depending on its clock."""
        committed = self.topics.committed()
        fault = Fault("freeze-broker", "the broker", time.time(), crash=True)
        with self.topics.while_away():
            self.broker.freeze()
            try:
                time.sleep(self.dice.uniform(*_BROKER_FROZEN))
            finally:
                self.broker.thaw()
        fault.before = Positions(committed, self.topics.ends())
        for worker in self.stage.workers:
            self._until_ready(worker)
        return fault

    def _freeze_in_turn(self) -> Fault:
        """Freeze one worker after the other, without a pause between them."""
        fault = Fault("freeze-in-turn", "each worker", time.time(), crash=True)
        committed: dict[Place, int] = {}
        for worker in self.stage.workers:
            self.stage.freeze(worker)
            try:
                # The least that was settled at any of them: what all three may repeat.
                committed = {**self.topics.committed(), **committed}
                time.sleep(self.dice.uniform(*_FROZEN))
            finally:
                self.stage.thaw(worker)
        fault.before = Positions(committed, self.topics.ends())
        for worker in self.stage.workers:
            self._until_ready(worker)
        return fault

    def _broker_while_frozen(self) -> Fault:
        """Kill the broker while a worker is frozen, and let the worker continue once it is back."""
        worker = self.dice.choice(self.stage.workers)
        whom = f"the broker, {worker.name}"
        fault = Fault("broker-while-frozen", whom, time.time(), crash=True)
        self.stage.freeze(worker)
        try:
            committed = self.topics.committed()
            with self.topics.while_away():
                self.broker.kill()
                self._pause()
                self.broker.start()
            fault.before = Positions(committed, self.topics.ends())
            time.sleep(self.dice.uniform(*_FROZEN))
        finally:
            self.stage.thaw(worker)
        for each in self.stage.workers:
            self._until_ready(each)
        return fault

    def _broker(self) -> Fault:
        committed = self.topics.committed()
        fault = Fault("broker", "the broker", time.time(), crash=True)
        with self.topics.while_away():
            self.broker.kill()
            self._pause()
            self.broker.start()
        fault.before = Positions(committed, self.topics.ends())
        for worker in self.stage.workers:
            self._until_ready(worker)
        return fault

    def _broker_and_worker(self) -> Fault:
        worker = self.dice.choice(self.stage.workers)
        committed = self.topics.committed()
        fault = Fault("broker-and-worker", f"the broker, {worker.name}", time.time(), crash=True)
        with self.topics.while_away():
            self.broker.kill()
            self._pause()
            self.stage.kill(worker)
            self.broker.start()
        fault.before = Positions(committed, self.topics.ends())
        self._revive(worker)
        for each in self.stage.workers:
            self._until_ready(each)
        return fault

    def supervise(self) -> None:
        """Start again what ended unexpectedly; all that it had not settled may be repeated."""
        for worker in self.stage.workers:
            if worker.expected_to_run and not worker.running:
                fault = Fault("ended", worker.name, time.time(), crash=True)
                fault.before = self.topics.positions()
                self.ended_by_themselves.append(
                    f"{worker.name}: {self.stage.last_words(worker)[-600:]}"
                )
                self.stage.start(worker)
                fault.back_at = time.time()
                self.made.append(fault)

    def _until_ready(self, worker: Worker) -> None:
        """Wait until a worker is ready, started again where it ended on the way."""
        for _ in range(_STARTS):
            if self.stage.until_ready(worker):
                return
            self.supervise()
        raise SystemExit(f"{worker.name} ends again and again:\n{self.stage.last_words(worker)}")

    def _revive(self, *workers: Worker) -> None:
        for worker in workers:
            self.stage.start(worker)
        for worker in workers:
            self._until_ready(worker)

    def _pause(self) -> None:
        time.sleep(self.dice.uniform(0, _LONGEST_PAUSE))
