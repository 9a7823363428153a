"""The isolation experiment: what healthy endpoints get while others hang, are down or are flooded.

1. A quiet span: all endpoints are healthy, events come evenly.
2. A troubled span, in the same run and at the same rate: some hang until their timeout, some are down,
   one gets a hundred times the events of its rate limit.
3. The p99 from append to receipt of the healthy ones in both spans, and whether all of it arrived.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chaos.addressed import EVENT_TYPE, cast_of, filed_for, templates_for
from chaos.cast import webhook_id
from chaos.latency import appended, first_accepted, span_of
from chaos.load import Template
from chaos.rig import Plan, Rig, machine, rig, say
from chaos.stage import Terms

_WARM_UP = 5.0
"""Seconds of load before the quiet span, which are left out."""
_PATIENCE = 60.0
"""Seconds for what is in flight when the load ends."""
_FLOODED_BY = 100


@dataclass(slots=True, frozen=True)
class Ask:
    """The options of the command line."""

    endpoints: int
    hung: int
    dead: int
    rate: float
    """Events a second, over all endpoints evenly."""
    flood_limit: float
    """The rate limit of the flooded endpoint, which gets a hundred times as much; 0: there is none."""
    seconds: float
    """Of each span."""
    timeout: float
    max_in_flight: int
    workers: int
    seed: int
    folder: Path | None
    p99_at_most: float | None
    """Milliseconds for the healthy ones beside failing ones; None: twice the quiet span's."""

    @property
    def pressure(self) -> float:
        """How many times the in-flight cap of all workers the hanging attempts would fill."""
        hang_rate = self.rate * self.hung / self.endpoints
        return hang_rate * self.timeout / (self.max_in_flight * self.workers)


class Isolation:
    """One run."""

    def __init__(self, ask: Ask, on: Rig) -> None:
        self._ask = ask
        self._rig = on
        self._templates = templates_for(ask.endpoints)
        self._owners = {each.shape: each for each in self._templates}
        self._numbers = {each.shape: number for number, each in enumerate(self._templates)}
        self._flooded = ask.hung + ask.dead if ask.flood_limit else -1
        troubled = ask.hung + ask.dead + (self._flooded >= 0)
        self._healthy = set(range(troubled, ask.endpoints))

    def run(self) -> dict[str, Any]:
        """Run both spans, and return the figures."""
        load, topics, ask = self._rig.load, self._rig.topics, self._ask
        load.paced([(self._templates, ask.rate)], _WARM_UP)
        say(f"{ask.seconds:.0f} s with all endpoints healthy")
        quiet_from = topics.ends(topics.events)
        load.paced([(self._templates, ask.rate)], ask.seconds)
        time.sleep(1)
        trouble_from = topics.ends(topics.events)
        self._rig.receiver.set_behaviour(self._kinds())
        flooded = int(self._flooded >= 0)
        say(f"{ask.seconds:.0f} s with {ask.hung} hanging, {ask.dead} down, {flooded} flooded")
        streams = [(self._templates, ask.rate)]
        if self._flooded >= 0:
            flood = self._templates[self._flooded : self._flooded + 1]
            streams.append((flood, ask.flood_limit * _FLOODED_BY))
        load.paced(streams, ask.seconds)
        quiet, troubled = self._due(quiet_from), self._due(trouble_from)
        for name in troubled:
            quiet.pop(name, None)
        self._wait_for(troubled)
        peaks = self._peaks()
        self._rig.stage.kill_all()
        accepted = first_accepted(self._rig.receiver.all())
        return self._figures(span_of(quiet, accepted), span_of(troubled, accepted), peaks)

    def _kinds(self) -> dict[str, str]:
        ask = self._ask
        names = [endpoint.name for endpoint in self._rig.cast]
        hung = dict.fromkeys(names[: ask.hung], "hung")
        return hung | dict.fromkeys(names[ask.hung : ask.hung + ask.dead], "dead")

    def _due(self, since: dict[tuple[str, int], int]) -> dict[str, float]:
        """Return the deliveries that healthy endpoints are owed from offsets on, by append time."""
        return dict(self._owed_to_healthy(since))

    def _owed_to_healthy(self, since: dict[tuple[str, int], int]) -> Iterator[tuple[str, float]]:
        for template, event_id, at in appended(self._rig.topics, self._owners, since):
            number = self._number_of(template)
            if number in self._healthy:
                yield webhook_id(EVENT_TYPE, event_id, self._rig.cast[number].name), at

    def _number_of(self, template: Template) -> int:
        return self._numbers[template.shape]

    def _wait_for(self, due: dict[str, float]) -> None:
        say(f"waiting for the rest of {len(due)} deliveries to healthy endpoints")
        deadline = time.monotonic() + _PATIENCE
        receiver = self._rig.receiver
        while time.monotonic() < deadline:
            receiver.check()
            receiver.follow()
            if due.keys() <= receiver.accepted.keys():
                return
            time.sleep(0.5)

    def _peaks(self) -> list[int]:
        for worker in self._rig.stage.workers:
            worker.look()
        return [round(max(worker.peaks)) for worker in self._rig.stage.workers]

    def _figures(self, quiet: Any, troubled: Any, peaks: list[int]) -> dict[str, Any]:  # noqa: ANN401
        ask = self._ask
        most = ask.p99_at_most if ask.p99_at_most is not None else 2 * quiet.p99_ms
        return {
            "reached": troubled.arrived == troubled.due and troubled.p99_ms <= most,
            "p99_to_reach_ms": most,
            "ratio": round(troubled.p99_ms / quiet.p99_ms, 2),
            "pressure": round(ask.pressure, 2),
            "quiet": asdict(quiet),
            "troubled": asdict(troubled),
            "worker_peak_mib": peaks,
            "machine": machine(),
            "asked": {k: v for k, v in asdict(ask).items() if k != "folder"},
        }


def play(ask: Ask) -> dict[str, Any]:
    """Run one isolation experiment and return its figures."""
    kinds = ["hung"] * ask.hung + ["dead"] * ask.dead
    kinds += ["flooded"] if ask.flood_limit else []
    kinds += ["healthy"] * (ask.endpoints - len(kinds))
    flooded = ask.hung + ask.dead
    limits = f"limits:\n  rate_limit: {ask.flood_limit:g}\n"
    terms = Terms(
        tiers="0s 5s 30s 1m 5m 15m 30m",
        schedule="5s 5m 30m",
        timeout=f"{ask.timeout:g}s",
        max_in_flight=ask.max_in_flight,
    )
    plan = Plan(
        cast_of(kinds, ask.seed),
        lambda n: filed_for(n, limits if n == flooded and ask.flood_limit else ""),
        terms,
        ask.workers,
        ask.seed,
    )
    with rig(plan, ask.folder) as made:
        return Isolation(ask, made).run()
