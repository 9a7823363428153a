"""The outage experiment: one endpoint is down for minutes, and no other is affected.

All times of the design, the ten minutes, the schedule, the tiers and the breaker's longest wait, are
divided by one number, so that it takes less time; the rates are not. A delivery arrives within its
schedule where it came with the first attempt that the schedule has after the end of the outage, or
with the backlog: once the breaker must have detected that end, 500 a second.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chaos.addressed import EVENT_TYPE, cast_of, filed_for, templates_for
from chaos.cast import webhook_id
from chaos.latency import appended, first_accepted, span_of
from chaos.receipts import Receipt
from chaos.rig import Plan, Rig, machine, rig, say
from chaos.stage import Terms

_OUTAGE = 600.0
_SCHEDULE = (5.0, 300.0, 1800.0, 7200.0)
"""The first four delays of the default schedule, in seconds."""
_PROBE_EVERY = 30.0
"""Seconds between the attempts of an endpoint that is down, at the least often."""
_DRAIN = 500.0
"""Deliveries a second with which a backlog drains, at least, beside all others."""
_TIERS = (0.0, 5.0, 30.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0)
_JITTER = 1.1
_SLACK = 5.0
"""Seconds by which an attempt may come later than its schedule has it: reading, queueing, sending."""
_OTHERS = 5
_BEFORE = 20.0


@dataclass(slots=True, frozen=True)
class Ask:
    """The options of the command line."""

    compress: float
    rate: float
    """Events a second for the endpoint that goes down, and as many for the others together."""
    workers: int
    seed: int
    folder: Path | None


class Outage:
    """One run."""

    def __init__(self, ask: Ask, on: Rig) -> None:
        self._ask = ask
        self._rig = on
        self._templates = templates_for(1 + _OTHERS)
        self._owners = {each.shape: each for each in self._templates}
        self._delays = tuple(delay / ask.compress for delay in _SCHEDULE)

    def run(self) -> dict[str, Any]:
        """Run it, and return the figures."""
        topics, name = self._rig.topics, self._rig.cast[0].name
        streams = [(self._templates[:1], self._ask.rate), (self._templates[1:], self._ask.rate)]
        self._rig.load.paced(streams, 3)
        starts = topics.ends(topics.events)
        say(f"{_BEFORE:.0f} s with all endpoints healthy")
        self._rig.load.paced(streams, _BEFORE)
        seconds = _OUTAGE / self._ask.compress
        say(f"one of {1 + _OTHERS} endpoints is down for {seconds:.0f} s")
        self._rig.receiver.set_behaviour({name: "dead"})
        down_at = time.time()
        self._rig.load.paced(streams, seconds)
        self._rig.receiver.set_behaviour({name: "healthy"})
        up_at = time.time()
        say("it is up again")
        self._rig.load.paced(streams, _BEFORE)
        hurt: dict[str, float] = {}
        others: dict[str, float] = {}
        for template, event_id, at in appended(topics, self._owners, starts):
            number = self._templates.index(template)
            delivery = webhook_id(EVENT_TYPE, event_id, self._rig.cast[number].name)
            (hurt if number == 0 else others)[delivery] = at
        self._wait_for(hurt, up_at)
        self._rig.stage.stop_all()
        receipts = list(self._rig.receiver.all())
        failed = {each.webhook_id: each for each in receipts if not each.accepted}
        due = {name: self._due(at, failed.get(name), up_at) for name, at in hurt.items()}
        accepted = first_accepted(receipts)
        return self._figures((hurt, due), others, accepted, (down_at, up_at))

    def _wait_for(self, due: dict[str, float], up_at: float) -> None:
        longest = up_at + self._delays[2] * _JITTER + _SLACK + 30
        receiver = self._rig.receiver
        while time.time() < longest:
            receiver.check()
            receiver.follow()
            missing = len(due.keys() - receiver.accepted.keys())
            if not missing:
                return
            say(f"{missing} deliveries to come, for at most {longest - time.time():.0f} s")
            time.sleep(5)

    def _due(self, at: float, failed: Receipt | None, up_at: float) -> float:
        """Return when a delivery is due at the latest that was appended at a time.

        Args:
            at: That time.
            failed: Its last attempt that failed, from which the next delay of the schedule counts.
            up_at: When the outage ended.
        """
        backlog = self._ask.rate * _OUTAGE / self._ask.compress
        drained = up_at + _PROBE_EVERY / self._ask.compress + backlog / _DRAIN
        if failed is None:
            return max(at, drained)
        return max(failed.at + self._delays[failed.attempt - 1] * _JITTER, drained)

    def _figures(
        self,
        hurt: tuple[dict[str, float], dict[str, float]],
        others: dict[str, float],
        accepted: dict[str, float],
        outage: Sequence[float],
    ) -> dict[str, Any]:
        down_at, up_at = outage
        appended_at, due = hurt
        spans = {
            "before": {name: at for name, at in others.items() if at < down_at},
            "during": {name: at for name, at in others.items() if down_at <= at < up_at},
            "after": {name: at for name, at in others.items() if at >= up_at},
        }
        latencies = {title: asdict(span_of(due, accepted)) for title, due in spans.items()}
        late = [
            accepted[name] - due[name]
            for name, at in appended_at.items()
            if name in accepted and at >= down_at
        ]
        lost = len(due.keys() - accepted.keys())
        worst = max(latencies[span]["p99_ms"] for span in ("during", "after"))
        beyond = sum(each > _SLACK for each in late)
        return {
            "reached": not lost and not beyond and worst <= 2 * latencies["before"]["p99_ms"],
            "outage_s": round(up_at - down_at, 1),
            "deliveries_of_the_endpoint": len(due),
            "not_arrived": lost,
            "beyond_the_schedule": beyond,
            "latest_against_the_schedule_s": round(max(late, default=0.0), 1),
            "others": latencies,
            "machine": machine(),
            "asked": {k: v for k, v in asdict(self._ask).items() if k != "folder"},
        }


def play(ask: Ask) -> dict[str, Any]:
    """Run one outage and return its figures."""

    def divided(durations: Sequence[float]) -> str:
        return " ".join(f"{round(each * 1000 / ask.compress)}ms" for each in durations)

    terms = Terms(
        tiers=divided(_TIERS),
        schedule=divided(_SCHEDULE),
        timeout="5s",
        probe_every=divided((_PROBE_EVERY,)),
    )
    cast = cast_of(["outage", *["healthy"] * _OTHERS], ask.seed)
    plan = Plan(cast, filed_for, terms, ask.workers, ask.seed)
    with rig(plan, ask.folder) as made:
        return Outage(ask, made).run()
