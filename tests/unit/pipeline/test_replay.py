"""A replay writes each record of its interval once, and only what its subscription may have now."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import pytest
from tests.doubles.clock import NOON
from tests.doubles.offload import OnTheLoop
from tests.doubles.past import Txn
from tests.doubles.replaying import (
    CRM,
    DOOR,
    PRICED,
    ROUTED,
    ReplayWorld,
    acme,
    crm,
    replay_job,
)

from hookstream.core.jobs.job import JobState
from hookstream.core.model import header_names
from hookstream.core.model.event import Identified
from hookstream.core.model.hold import ALL, Hold, HoldKind
from hookstream.core.model.instant import HOUR, MINUTE, SECOND
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import Record, header_text
from hookstream.core.model.subscription import (
    Disabled,
    Gap,
    Grant,
    HeldGrant,
    SubscriptionState,
)
from hookstream.core.replay import outstanding
from hookstream.core.replay.outstanding import Place
from hookstream.pipeline.job_kind import RunEnd
from hookstream.pipeline.jobs import JobRun

T = TypeVar("T")
SINCE, UNTIL = NOON - HOUR, NOON - MINUTE
TOPIC = "printprice.pricing"


@pytest.fixture
def world() -> ReplayWorld:
    made = ReplayWorld()
    made.past.create(TOPIC)
    return made


def at(*offsets: int, topic: str = TOPIC) -> list[Place]:
    return [Place(topic, 0, offset) for offset in offsets]


async def test_each_record_is_judged_by_its_own_time_whatever_the_order(
    world: ReplayWorld,
) -> None:
    for offset, seconds in enumerate((-1, 0, 3600, -5, 3599, 10)):
        world.event(TOPIC, SINCE + seconds * SECOND, f"e{offset}")
    result = await world.run(replay_job(SINCE, SINCE + HOUR))
    assert (result.job.state, world.places()) == (JobState.DONE, at(1, 4, 5))
    assert result.job.done == 3


async def test_gaps_and_the_beginning_of_a_subscription_do_not_matter(world: ReplayWorld) -> None:
    gap = Gap(SINCE, UNTIL, "paused")
    world.directory.put_subscription(crm(active_from=UNTIL - 1, gaps=(gap,)))
    world.event(TOPIC, SINCE + MINUTE)
    await world.run(replay_job(SINCE, UNTIL))
    assert world.places() == at(0)


async def test_what_was_not_granted_then_is_counted_unless_an_operator_says_so(
    world: ReplayWorld,
) -> None:
    narrow, wide = Grant((ROUTED,), ("*",)), Grant(("*",), ("*",))
    world.directory.put_partner(acme(HeldGrant(narrow, 0), HeldGrant(wide, SINCE + MINUTE)))
    world.event(TOPIC, SINCE + 1)
    world.event(TOPIC, SINCE + 2 * MINUTE)
    result = await world.run(replay_job(SINCE, UNTIL))
    assert (world.places(), result.job.counts) == (at(1), {"not_granted": 1})
    other = replay_job(SINCE, UNTIL, "replay-2", as_granted_today=True)
    await world.run(other)
    assert world.places() == at(0, 1, 1)


async def test_only_the_types_that_were_asked_for_are_replayed(world: ReplayWorld) -> None:
    world.event(TOPIC, SINCE, event_type=ROUTED)
    world.event(TOPIC, SINCE, event_type=PRICED)
    await world.run(replay_job(SINCE, UNTIL, event_types=frozenset({ROUTED})))
    assert world.places() == at(0)


async def test_a_record_of_an_unknown_schema_is_written_as_an_event_for_this_subscription(
    world: ReplayWorld,
) -> None:
    world.event(TOPIC, SINCE, event_type="late.type")
    world.past.append(TOPIC, b"no event", SINCE)
    result = await world.run(replay_job(SINCE, UNTIL))
    assert [(each.place, each.identified) for each in world.written] == [(at(0)[0], False)]
    assert result.job.counts == {"unidentified": 1, "undecodable": 1}
    assert "late.type/1 is not published" in result.job.notes[-1].text


async def test_an_event_that_cannot_be_decoded_is_written_as_one_for_this_subscription(
    world: ReplayWorld,
) -> None:
    """Workers decode no event whose type nobody wants, so no other record may have it."""
    value = b'{"type": "pricing.completed", "version": 1}'
    world.past.append(TOPIC, value, SINCE)
    world.past.append(TOPIC, value.replace(b"pricing", b"other"), SINCE)
    world.codec.publish("other.completed")
    world.directory.put_subscription(crm(event_types=(PRICED,)))
    result = await world.run(replay_job(SINCE, UNTIL))
    assert [(each.place, each.identified) for each in world.written] == [(at(0)[0], False)]
    assert result.job.counts == {"unidentified": 1}
    assert "bad_envelope" in result.job.notes[-1].text


async def test_an_open_transaction_below_the_end_is_waited_for(world: ReplayWorld) -> None:
    world.event(TOPIC, SINCE, "before")
    opened = world.past.append(TOPIC, b"", SINCE, state=Txn.OPEN)
    world.event(TOPIC, SINCE, "behind")
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(world.run(replay_job(SINCE, UNTIL)))
        await asyncio.sleep(20)
        assert (run.done(), world.places()) == (False, at(0))
        assert f"open transactions end: {TOPIC}-0 at offset 1 of 3" in world.waits
        world.past.end(TOPIC, opened, Txn.ABORTED)
    assert (run.result().job.state, world.places()) == (JobState.DONE, at(0, 2))


async def test_ends_are_fixed_after_the_interval_and_what_comes_later_is_not_taken(
    world: ReplayWorld,
) -> None:
    world.event(TOPIC, NOON)
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(world.run(replay_job(SINCE, NOON + 20 * SECOND)))
        await asyncio.sleep(10)
        assert (run.done(), world.places()) == (False, [])
        # A topic that appears in time, and a late record of an interval that is over.
        world.past.create("printprice.new")
        world.event("printprice.new", NOON + 10 * SECOND)
        await run
    world.event(TOPIC, NOON + 10 * SECOND)
    assert world.places() == [*at(0, topic="printprice.new"), *at(0)]


async def test_replicated_logs_are_given_the_time_that_a_follower_may_lag(
    world: ReplayWorld,
) -> None:
    world.past.brokers = world.past.replicas = 3
    world.event(TOPIC, NOON - SECOND)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(world.run(replay_job(SINCE, NOON)))
        await asyncio.sleep(25)
        world.event(TOPIC, NOON - 1)
    assert world.places() == at(0, 1)


async def test_no_more_than_the_window_is_out(
    world: ReplayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outstanding, "WINDOW", 120)
    for number in range(1_000):
        world.event(TOPIC, SINCE, f"e{number}")
    out: list[int] = []
    async with asyncio.TaskGroup() as tasks:
        delivering = tasks.create_task(world.deliver(0.7, 30, out.append))
        result = await world.run(replay_job(SINCE, UNTIL))
        delivering.cancel()
    assert result.job.done == len(set(world.places())) == 1_000
    assert 100 <= max(out) <= 120


async def test_what_is_out_is_known_to_the_next_executor(
    world: ReplayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outstanding, "WINDOW", 120)
    for number in range(300):
        world.event(TOPIC, SINCE, f"e{number}")
    for name in "abc":
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(30, stop.set)
        await world.run(replay_job(SINCE, UNTIL), stop, name)
        assert len(world.written) == 120


async def test_a_delivery_that_ended_twice_gives_its_place_once(
    world: ReplayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outstanding, "WINDOW", 101)
    monkeypatch.setattr(outstanding, "LEAST_ROOM", 1)
    for number in range(300):
        world.event(TOPIC, SINCE, f"e{number}")
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(world.run(replay_job(SINCE, UNTIL), stop))
        await asyncio.sleep(30)
        first = world.written[0]
        world.past.ended += [("replay-1", first.place)] * 50 + [("other", first.place)] * 50
        await asyncio.sleep(30)
        assert len(world.written) == 102
        world.past.ended.append(("replay-1", world.written[1].place))
        await asyncio.sleep(30)
        stop.set()
    assert len(world.written) == 103


async def test_events_that_nobody_could_identify_leave_the_window_after_their_grace(
    world: ReplayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outstanding, "WINDOW", 100)
    for number in range(150):
        world.event(TOPIC, SINCE, f"e{number}", event_type="late.type")
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(world.run(replay_job(SINCE, UNTIL)))
        await asyncio.sleep(3_500)
        assert len(world.written) == 100
    assert (run.result().job.state, len(world.written)) == (JobState.DONE, 150)


async def test_deliveries_whose_end_nobody_recorded_leave_the_window_after_their_expiry(
    world: ReplayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator may skip their tier records."""
    monkeypatch.setattr(outstanding, "WINDOW", 100)
    for number in range(150):
        world.event(TOPIC, SINCE, f"e{number}")
    short = replace(crm().retry, expires_after=MINUTE)
    world.directory.put_subscription(replace(crm(), retry=short))
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(world.run(replay_job(SINCE, UNTIL)))
        await asyncio.sleep(HOUR / 1000)
        assert len(world.written) == 100
        await asyncio.sleep(HOUR / 1000 + 120)
    assert (run.result().job.state, len(world.written)) == (JobState.DONE, 150)


async def test_what_was_out_before_a_gap_in_the_audit_log_counts_as_ended(
    world: ReplayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log is kept for days: whoever reads it so late would wait for ever for what it said."""
    monkeypatch.setattr(outstanding, "WINDOW", 120)
    for number in range(200):
        world.event(TOPIC, SINCE, f"e{number}")
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(30, stop.set)
    await world.run(replay_job(SINCE, UNTIL), stop)
    world.past.ended += [("replay-1", each.place) for each in world.written]
    world.past.audit_low = 120
    result = await world.run(replay_job(SINCE, UNTIL), name="b")
    assert (result.job.state, len(world.written)) == (JobState.DONE, 200)


async def test_a_change_while_records_are_judged_applies_before_they_are_written(
    world: ReplayWorld,
) -> None:
    world.event(TOPIC, SINCE)
    paused = crm(
        state=SubscriptionState.PAUSED, gaps=(Gap(NOON - SECOND, None, "paused"),), revision=2
    )

    class Pausing(OnTheLoop):
        async def run(self, compute: Callable[[], T]) -> T:
            world.offload = OnTheLoop()
            found = await super().run(compute)
            if not world.waits:
                world.directory.put_subscription(paused)
            return found

    world.offload = Pausing()
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(world.run(replay_job(SINCE, UNTIL)))
        await asyncio.sleep(20)
        assert (run.done(), world.written) == (False, [])
        world.directory.put_subscription(crm(revision=3))
    assert world.places() == at(0)


async def test_an_event_whose_filter_cannot_be_evaluated_is_left_to_a_worker(
    world: ReplayWorld,
) -> None:
    world.codec.unresolvable.add((PRICED, 1, 2))
    pattern: JsonObject = {"data": {"price": [1]}}
    world.directory.put_subscription(crm(versions={PRICED: 2}, pattern=pattern))
    world.event(TOPIC, SINCE)
    await world.run(replay_job(SINCE, UNTIL))
    (record,) = [each for each in world.jobs.records if each.topic == DOOR]
    assert header_text(record.headers, header_names.FILTER_ASKED) == "no"


async def test_a_record_that_raises_what_nobody_expected_is_left_to_the_fence_of_workers(
    world: ReplayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        world.event(TOPIC, SINCE, f"e{number}")
    decode = world.codec.decode

    def raising(identified: Identified, record: Record, *more: object) -> object:
        if record.offset == 1:
            raise RuntimeError("a defect")
        return decode(identified, record, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(world.codec, "decode", raising)
    result = await world.run(replay_job(SINCE, UNTIL))
    assert [each.identified for each in world.written] == [True, False, True]
    assert "1 left to workers to identify: RuntimeError: a defect" in result.job.notes[-1].text


@pytest.mark.parametrize("how", ["deleted", "disabled"])
async def test_a_subscription_that_is_deleted_or_disabled_ends_it_and_it_can_be_resumed(
    world: ReplayWorld, how: str
) -> None:
    world.event(TOPIC, SINCE)
    if how == "deleted":
        world.directory.put_subscription(crm(state=SubscriptionState.DELETED))
    else:
        world.directory.put_disabled(Disabled(CRM, SINCE, "gone"))
    result = await world.run(replay_job(SINCE, UNTIL))
    assert (result.job.state, world.written) == (JobState.FAILED, [])
    assert how in result.job.reason
    world.directory.put_subscription(crm())
    world.directory.drop_disabled(CRM)
    again = await world.run()
    assert (again.job.state, world.places()) == (JobState.DONE, at(0))


@pytest.mark.parametrize("how", ["paused", "held", "stale", "absent", "no partner"])
async def test_it_waits_while_nothing_can_be_delivered(world: ReplayWorld, how: str) -> None:
    world.event(TOPIC, SINCE)
    hold = Hold(HoldKind.EVERYTHING, ALL, NOON, "trouble")
    match how:
        case "paused":
            paused = (Gap(NOON - SECOND, None, "paused"),)
            world.directory.put_subscription(crm(state=SubscriptionState.PAUSED, gaps=paused))
        case "held":
            world.directory.holds.put(hold)
        case "stale":
            world.tables.is_current = False
        case "absent":
            world.directory.drop_subscription(CRM)
        case _:
            world.directory.drop_partner("acme")
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(world.run(replay_job(SINCE, UNTIL)))
        await asyncio.sleep(100)
        assert (run.done(), world.written) == (False, [])
        world.directory.holds.drop(hold.kind, hold.name)
        world.tables.is_current = True
        world.directory.put_partner(acme())
        world.directory.put_subscription(crm())
    assert world.places() == at(0)


async def test_a_change_counts_from_the_next_step_and_is_noted(world: ReplayWorld) -> None:
    for number in range(20):
        world.event(TOPIC, SINCE, f"e{number}", environment="live")
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(world.run(replay_job(SINCE, UNTIL, rate=2.0)))
        await asyncio.sleep(5)
        before = len(world.written)
        narrow = HeldGrant(Grant(("*",), ("other",)), NOON)
        wide = HeldGrant(Grant(("*",), ("*",)), 1_000)
        world.directory.put_partner(acme(wide, narrow, revision=2))
    assert before < len(world.written) + 1 <= before + 5
    notes = [note.text for note in run.result().job.notes]
    assert "partner acme changed (revision 1 to 2): it counts from here on" in notes
    assert run.result().job.counts["not_granted"] == 20 - len(world.written)


async def test_a_rate_is_kept(world: ReplayWorld) -> None:
    for number in range(50):
        world.event(TOPIC, SINCE, f"e{number}")
    began = world.clock.now()
    await world.run(replay_job(SINCE, UNTIL, rate=5.0))
    assert 9 * SECOND <= world.clock.now() - began <= 12 * SECOND


@pytest.mark.parametrize("dies_at", [None, 9, 17, 25])
async def test_a_replay_ends_after_as_many_events_as_it_was_asked_for_whoever_dies(
    world: ReplayWorld, dies_at: int | None
) -> None:
    for number in range(20):
        world.event(TOPIC, SINCE, f"e{number}")
    world.takes = 2
    job = replay_job(SINCE, UNTIL, most_events=7)
    process = world.process()
    if dies_at is not None:
        process.at_point[dies_at] = lambda dying: dying.die()
    running = JobRun(world.executor("a", process), asyncio.Event())
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(running.start(job))
        await asyncio.sleep(5)
        first.cancel()
    found = (await world.run(job, name="b")).job if dies_at else first.result().job
    assert (found.state, found.done, world.places()) == (JobState.INCOMPLETE, 7, at(*range(7)))
    assert found.reason == "it ended after 7 events, as it was asked"


async def test_a_replay_of_fewer_events_than_it_may_have_is_done(world: ReplayWorld) -> None:
    world.event(TOPIC, SINCE)
    result = await world.run(replay_job(SINCE, UNTIL, most_events=7))
    assert (result.job.state, result.job.done) == (JobState.DONE, 1)


async def test_what_retention_takes_meanwhile_makes_it_incomplete(world: ReplayWorld) -> None:
    for number in range(20):
        world.event(TOPIC, SINCE, f"e{number}")
    world.takes = 1
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(world.run(replay_job(SINCE, UNTIL, rate=2.0)))
        await asyncio.sleep(4)
        taken = len(world.written)
        world.past.topics[TOPIC][1][0].low = 15
    job = run.result().job
    assert job.state is JobState.INCOMPLETE
    assert taken < 15
    assert world.places()[-5:] == at(15, 16, 17, 18, 19)
    assert "offsets were gone before reading" in job.reason
    assert "retention took them" in job.notes[-1].text


async def test_a_topic_that_was_created_again_is_another_topic(world: ReplayWorld) -> None:
    for number in range(20):
        world.event(TOPIC, SINCE, f"e{number}")
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(world.run(replay_job(SINCE, UNTIL, rate=2.0)))
        await asyncio.sleep(4)
        taken = len(world.written)
        world.past.create(TOPIC)
        for number in range(40):
            world.event(TOPIC, SINCE, f"new{number}")
    job = run.result().job
    assert (job.state, len(world.written) - taken < 3) == (JobState.INCOMPLETE, True)
    assert "the topic was deleted and created again" in job.notes[-1].text


async def test_a_record_that_is_too_large_for_a_tier_is_named_and_no_other_is_held_up(
    world: ReplayWorld,
) -> None:
    for number in range(20):
        world.event(TOPIC, SINCE, f"e{number}")
    log = world.past.topics[TOPIC][1][0]
    world.jobs.too_large = {log.entries[7].value, log.entries[19].value}
    result = await world.run(replay_job(SINCE, UNTIL))
    assert world.places() == at(*(n for n in range(20) if n not in (7, 19)))
    assert (result.job.state, result.job.done) == (JobState.INCOMPLETE, 18)
    assert f"{TOPIC}-0@19 was not replayed: it is too large" in result.job.notes[-1].text


@pytest.mark.parametrize("dies_at", range(1, 40))
async def test_a_replay_whose_executor_dies_anywhere_writes_each_record_once(
    world: ReplayWorld, dies_at: int
) -> None:
    for number in range(9):
        world.event(TOPIC, SINCE, f"e{number}")
    world.takes = 2
    process = world.process()
    process.at_point[dies_at] = lambda dying: dying.die()
    running = JobRun(world.executor("a", process), asyncio.Event())
    async with asyncio.TaskGroup() as tasks:
        dying = tasks.create_task(running.start(replay_job(SINCE, UNTIL)))
        await asyncio.sleep(5)
        dying.cancel()
    result = await world.run(replay_job(SINCE, UNTIL), name="b")
    assert (result.why, result.job.done) == (RunEnd.ENDED, 9)
    assert world.places() == at(*range(9))


@pytest.mark.parametrize("frozen_at", range(8, 40))
async def test_an_executor_that_was_frozen_beyond_its_lease_writes_nothing_more(
    world: ReplayWorld, frozen_at: int
) -> None:
    """From the point on at which its first row is written: nobody knows the job before."""
    for number in range(9):
        world.event(TOPIC, SINCE, f"e{number}")
    world.takes = 2
    process = world.process()
    process.at_point[frozen_at] = lambda freezing: freezing.freeze()
    running = JobRun(world.executor("a", process), asyncio.Event())
    async with asyncio.TaskGroup() as tasks:
        frozen = tasks.create_task(running.start(replay_job(SINCE, UNTIL)))
        await asyncio.sleep(5)
        result = await world.run(replay_job(SINCE, UNTIL), name="b")
        process.thaw()
        await asyncio.sleep(60)
        frozen.cancel()
    assert (result.why, result.job.done) == (RunEnd.ENDED, 9)
    assert world.places() == at(*range(9))
