"""Whatever members an endpoint refuses, and at whatever pace, every other arrives once and nobody pays for them."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from tests.doubles import virtual_time
from tests.doubles.batch_bodies import refuse
from tests.scenarios.batching import alone, attempts, batching, longest_search, named
from tests.scenarios.world import TIERS, World

from hookstream.core.model.instant import SECOND, Millis
from hookstream.pipeline.engine import EngineRules


@dataclass(frozen=True, slots=True)
class Case:
    """A subscription with batches, its endpoint, and the events that come at once."""

    events: int
    at_fault: frozenset[str]
    code: int
    max_events: int
    max_wait: Millis
    schedule: tuple[Millis, ...]
    rate_limit: float | None
    max_in_flight: int
    body_bytes: int
    answer: float
    max_deliveries: int
    partitions: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    events = draw(st.integers(1, 40))
    some = st.sets(st.sampled_from(named(events)), max_size=4)
    everything = st.just(set(named(events)))
    return Case(
        events,
        frozenset(draw(st.one_of(some, some, some, everything))),
        draw(st.sampled_from((400, 413, 422))),
        draw(st.integers(2, 20)),
        draw(st.sampled_from((0, 100, 500))),
        draw(st.sampled_from(((), (SECOND,), (5 * SECOND, 30 * SECOND)))),
        draw(st.sampled_from((None, None, 0.1, 0.5, 3))),
        draw(st.sampled_from((1, 2, 8))),
        draw(st.sampled_from((1 << 20, 700))),
        draw(st.sampled_from((0.0, 0.02, 1.5))),
        draw(st.sampled_from((3, 20, 2_000))),
        draw(st.sampled_from((1, 3))),
    )


async def _play(case: Case) -> None:
    events = named(case.events)
    rules = EngineRules(
        tiers=TIERS, max_body_bytes=case.body_bytes, max_deliveries=case.max_deliveries
    )
    async with World(partitions=case.partitions, rules=rules) as world:
        batching(
            world,
            "crm",
            max_events=case.max_events,
            max_wait=case.max_wait,
            schedule=case.schedule,
            rate_limit=case.rate_limit,
            max_in_flight=case.max_in_flight,
        )
        world.endpoints.script("crm", refuse(case.code, case.at_fault, after=case.answer))
        worker = await world.worker()
        world.publish(*events)
        await world.until(world.settled, within=4 * 3600, step=1)

        others = [each for each in events if each not in case.at_fault]
        assert world.accepted("crm") == dict.fromkeys(others, 1)
        assert sorted(world.dead()) == [
            ("crm", each, "attempts_exhausted") for each in sorted(case.at_fault)
        ]
        assert alone(world, "crm", case.code) >= case.at_fault
        most = (len(case.schedule) + 1) * longest_search(case.max_events) + 1
        for made in attempts(world, "crm").values():
            assert [number for number, _, _ in made] == list(range(1, len(made) + 1))
            assert len(made) <= most
        assert world.endpoints.peak_in_flight["crm"] <= case.max_in_flight
        assert worker.engine.budget.room == case.max_deliveries


@given(cases())
def test_every_member_ends_as_it_would_alone_and_the_others_arrive(case: Case) -> None:
    virtual_time.run(_play(case))
