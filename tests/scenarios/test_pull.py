"""The pull door, from page to page."""

import asyncio
from dataclasses import replace

import pytest
from tests.doubles.past import Txn
from tests.doubles.pulling import KEY, PageReader, PullWorld, ids_of, pulled, sealed_cursors
from tests.doubles.replaying import CRM, PRICED, ROUTED, acme

from hookstream.core.delivery.signing import write_secret
from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.instant import HOUR, MINUTE
from hookstream.core.model.subscription import (
    BodyFormat,
    Content,
    Disabled,
    Endpoint,
    Gap,
    Grant,
    HeldGrant,
    Secret,
    SigningSecret,
    Subscription,
    SubscriptionState,
    UnreadableSubscription,
)
from hookstream.core.pull.page import (
    CursorGone,
    CursorRefused,
    NoSuchSubscription,
    NotNow,
    PulledEvent,
    PullPage,
    SkippedEvent,
    WaitReason,
)
from hookstream.errors import InputRefused
from hookstream.pipeline.pull.ports import PullRules
from hookstream.receiver import verify


async def test_an_event_is_read_once_signed_as_a_request_would_be() -> None:
    world = PullWorld()
    world.past.create("t")
    world.event("t", "a")
    async with world.door() as door:
        reader = PageReader(door)
        await reader.drain()
        await reader.drain()
    [entry] = reader.entries
    assert isinstance(entry, PulledEvent)
    assert entry.webhook_timestamp == world.clock.now() // 1000
    now = world.clock.now() / 1000
    verified = verify(dict(entry.headers), entry.body, [write_secret(KEY)], now)
    assert verified.id == entry.webhook_id
    assert {name for name, _ in entry.headers} == {
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "content-type",
    }


async def test_pages_of_any_size_have_each_event_once_in_the_order_of_its_partition() -> None:
    world = PullWorld()
    world.past.create("t", 2)
    for n in range(25):
        world.event("t", f"{n}", partition=n % 2)
    async with world.door() as door:
        for limit in (1, 3, 7, 1_000):
            reader = PageReader(door)
            await reader.drain(limit)
            assert sorted(reader.event_ids, key=int) == [f"{n}" for n in range(25)]
            for side in (0, 1):
                mine = [int(each) for each in reader.event_ids if int(each) % 2 == side]
                assert mine == sorted(mine)


async def test_a_waiting_reader_is_given_an_event_as_soon_as_the_tail_has_it() -> None:
    world = PullWorld()
    world.past.create("t")
    async with world.door() as door:
        reader = PageReader(door)
        await reader.next(wait=5)  # the tail begins to match it
        began, taken = world.clock.monotonic(), 0.0

        async def append() -> None:
            nonlocal taken
            await asyncio.sleep(7)
            world.event("t", "a")
            taken = world.clock.monotonic()

        async with asyncio.TaskGroup() as group:
            group.create_task(append())
            page = await reader.next(wait=30)
        assert page is not None
        assert reader.event_ids == ["a"]
        assert world.clock.monotonic() - taken < 0.5
        assert world.clock.monotonic() - began < 8


async def test_readers_near_the_head_decode_each_event_once_for_all() -> None:
    world = PullWorld()
    world.past.create("t")
    names = [f"s{n}" for n in range(20)]
    for name in names:
        world.directory.put_subscription(pulled(id=name))
    async with world.door() as door:
        readers = [PageReader(door, name) for name in names]

        async def read(reader: PageReader) -> None:
            while len(reader.event_ids) < 50:
                await reader.next(wait=10)

        async with asyncio.TaskGroup() as group:
            for reader in readers:
                group.create_task(read(reader))
            await asyncio.sleep(30)
            before = world.codec.decoded
            for n in range(50):
                world.event("t", f"{n}")
                await asyncio.sleep(0.01)
        assert all(reader.event_ids == [f"{n}" for n in range(50)] for reader in readers)
        assert world.codec.decoded - before == 50


async def test_a_reader_that_fell_behind_the_tail_is_served_from_the_log_and_catches_up() -> None:
    world = PullWorld(rules=PullRules(tail_records=10))
    world.past.create("t")
    async with world.door() as door:
        other, late = PageReader(door), PageReader(door)
        await other.next(wait=3)
        await late.next(wait=3)
        for n in range(100):
            world.event("t", f"{n}")
            await asyncio.sleep(0.1)
            await other.next(wait=1)
        await late.drain(7)
        assert late.event_ids == [f"{n}" for n in range(100)]
        assert other.event_ids == late.event_ids


async def test_a_reader_that_begins_while_others_read_misses_nothing_of_before() -> None:
    world = PullWorld()
    world.past.create("t")
    world.directory.put_subscription(pulled(id="second"))
    async with world.door() as door:
        other, late = PageReader(door), PageReader(door, "second")
        await other.next(wait=3)
        for n in range(10):
            world.event("t", f"{n}")
        await other.next(wait=3)
        assert len(other.event_ids) == 10
        # The tail matches the second one from here on, and it stands before that.
        await late.next(1)
        await asyncio.sleep(1)
        await late.drain(1)
        assert late.event_ids == other.event_ids


async def test_a_reader_gets_what_is_younger_than_its_subscription_whatever_its_endpoint_was() -> (
    None
):
    world = PullWorld()
    world.past.create("t")
    noon = world.clock.now()
    for n in range(10):
        world.event("t", f"{n}", timestamp=noon + n)
    gaps = (Gap(noon + 4, noon + 6, "paused"), Gap(noon + 8, noon + 9, "disabled"))
    world.directory.put_subscription(pulled(active_from=noon + 2, gaps=gaps))
    async with world.door() as door:
        reader = PageReader(door)
        await reader.drain()
        assert reader.event_ids == ["3", "4", "5", "6", "7", "8", "9"]


async def test_a_pause_of_the_endpoint_hides_nothing_from_its_reader_behind_the_head_or_at_it() -> (
    None
):
    world = PullWorld()
    world.past.create("t")
    world.event("t", "before")
    async with world.door() as door:
        reader = PageReader(door)
        await reader.next(wait=3)
        now = world.clock.now()
        paused = pulled(state=SubscriptionState.PAUSED, gaps=(Gap(now, None, "paused"),))
        world.directory.put_subscription(paused)
        await reader.next(wait=3)
        world.event("t", "meanwhile")
        await reader.next(wait=10)
        late = PageReader(door)
        await late.drain()
        gap = Gap(now, world.clock.now(), "paused", "replay-1")
        world.directory.put_subscription(pulled(gaps=(gap,)))
        world.event("t", "after")
        for each in (reader, late):
            while "after" not in each.event_ids:
                await each.next(wait=5)
            assert each.event_ids == ["before", "meanwhile", "after"]


async def test_it_works_while_the_endpoint_is_disabled_and_where_there_is_none() -> None:
    world = PullWorld()
    world.past.create("t")
    world.directory.put_disabled(Disabled(CRM, 0, "gone"))
    secret = SigningSecret("s", KEY)
    world.directory.put_subscription(
        pulled(id="none", endpoint=Endpoint("", (secret,), is_pull=True))
    )
    async with world.door() as door:
        readers = [PageReader(door, name) for name in (CRM, "none")]
        for reader in readers:
            await reader.next(wait=3)
        world.event("t", "a")
        for reader in readers:
            await reader.next(wait=10)
            assert reader.event_ids == ["a"]


async def test_what_either_grant_does_not_cover_is_not_shown() -> None:
    world = PullWorld()
    world.past.create("t")
    noon = world.clock.now()
    priced, all_types = Grant((PRICED,), ("*",)), Grant(("*",), ("*",))
    world.event("t", "old-routed", event_type=ROUTED, timestamp=noon)
    world.event("t", "old-priced", timestamp=noon)
    world.event("t", "routed", event_type=ROUTED, timestamp=noon + 2)
    async with world.door() as door:
        world.directory.put_partner(acme(HeldGrant(priced, 1), HeldGrant(all_types, noon + 1)))
        wide = PageReader(door)
        await wide.drain()
        assert wide.event_ids == ["old-priced", "routed"]
        world.directory.put_partner(acme(HeldGrant(all_types, 1), HeldGrant(priced, noon + 1)))
        narrow = PageReader(door)
        await narrow.drain()
        assert narrow.event_ids == ["old-priced"]


async def test_a_grant_that_narrows_while_the_tail_has_an_event_hides_it() -> None:
    world = PullWorld()
    world.past.create("t")
    async with world.door() as door:
        reader, other = PageReader(door), PageReader(door)
        await reader.next(wait=3)
        await other.next(wait=3)
        world.event("t", "a", event_type=ROUTED)
        await other.next(wait=5)
        assert other.event_ids == ["a"]
        world.directory.put_partner(acme(HeldGrant(Grant((PRICED,), ("*",)), 1)))
        await reader.drain()
        assert reader.entries == []


async def test_an_unknown_schema_is_a_barrier_for_its_partition_until_it_is_published() -> None:
    world = PullWorld()
    world.past.create("t", 2)
    world.event("t", "a")
    world.event("t", "b", event_type="late.type")
    world.event("t", "c")
    world.event("t", "d", partition=1)
    async with world.door() as door:
        reader = PageReader(door)
        page = await reader.next()
        assert page is not None
        assert sorted(reader.event_ids) == ["a", "d"]
        assert page.waiting_for == (WaitReason.UNKNOWN_SCHEMA,)
        assert not page.has_more
        world.codec.publish("late.type")
        await reader.drain()
        assert reader.event_ids[2:] == ["b", "c"]


async def test_the_tail_waits_for_a_schema_too_and_skips_it_after_the_grace() -> None:
    world = PullWorld(rules=PullRules(schema_grace=MINUTE))
    world.past.create("t", 2)
    async with world.door() as door:
        reader = PageReader(door)
        await reader.next(wait=5)
        world.event("t", "b", event_type="late.type")
        world.event("t", "c")
        world.event("t", "d", partition=1)
        page = await reader.next(wait=10)
        assert page is not None
        assert reader.event_ids == ["d"]
        page = await reader.next(wait=10)
        assert page is not None
        assert page.waiting_for == (WaitReason.UNKNOWN_SCHEMA,)
        while len(reader.entries) < 3:
            await reader.next(wait=30)
        assert reader.skipped == ["unknown_schema"]
        assert reader.event_ids == ["d", "c"]


async def test_records_that_are_no_events_are_skipped_at_once_with_the_reason() -> None:
    world = PullWorld()
    world.past.create("t")
    world.past.append("t", b"junk", world.clock.now())
    world.event("t", "big", data={"not_renderable": True})
    world.event("t", "next")
    async with world.door() as door:
        reader = PageReader(door)
        await reader.drain()
        assert reader.skipped == ["not_framed", "not_renderable"]
        assert reader.event_ids == ["next"]
        shown = reader.entries[1]
        assert isinstance(shown, SkippedEvent)
        assert shown.event_type == PRICED
        assert shown.webhook_id is not None


async def test_what_retention_took_is_a_gap_at_the_beginning_of_the_answer() -> None:
    world = PullWorld()
    world.past.create("t")
    for n in range(10):
        world.event("t", f"{n}")
    async with world.door() as door:
        reader = PageReader(door)
        await reader.next(3)
        world.past.topics["t"][1][0].low = 7
        page = await reader.next()
        assert page is not None
        assert [each.document()["kind"] for each in page.entries] == ["gap"] + ["event"] * 3
        assert reader.gaps == ["retention"]
        assert reader.event_ids == ["0", "1", "2", "7", "8", "9"]


async def test_a_topic_created_again_is_a_gap_and_read_from_its_start() -> None:
    world = PullWorld()
    world.past.create("t")
    for n in range(5):
        world.event("t", f"{n}")
    async with world.door() as door:
        reader = PageReader(door)
        await reader.drain()
        world.past.create("t")
        for n in range(8):
            world.event("t", f"new-{n}")
        await asyncio.sleep(11)  # the list of topics is looked up again
        await reader.drain()
        assert reader.gaps == ["topic_gone"]
        assert reader.event_ids == [f"{n}" for n in range(5)] + [f"new-{n}" for n in range(8)]


async def test_records_of_a_topic_created_again_are_never_read_as_those_of_the_one_before() -> (
    None
):
    world = PullWorld()
    world.past.create("t")
    for n in range(5):
        world.event("t", f"{n}")
    async with world.door() as door:
        reader = PageReader(door)
        await reader.next(3)
        # Before anybody looks its id up again, with records at the reader's offset.
        world.past.create("t")
        for n in range(8):
            world.event("t", f"new-{n}")
        await reader.drain()
        assert reader.gaps == ["topic_gone"]
        assert reader.event_ids == ["0", "1", "2"] + [f"new-{n}" for n in range(8)]


async def test_a_topic_whose_partitions_are_all_out_of_range_is_one_gap() -> None:
    world = PullWorld()
    world.past.create("t", 2)
    for n in range(6):
        world.event("t", f"{n}", partition=n % 2)
    async with world.door() as door:
        reader = PageReader(door)
        # While any event type is held, pages are read from the log.
        world.directory.holds.put(Hold(HoldKind.EVENT_TYPE, "other.type", 0, "INC-7", "kim", 1))
        await reader.next()
        # Shorter than before: both positions are behind its ends, as the log says before the list does.
        world.past.create("t", 2)
        world.event("t", "new")
        await reader.drain()
        assert reader.gaps == ["topic_gone"]
        assert reader.event_ids[6:] == ["new"]


async def test_records_of_an_open_transaction_come_when_it_ends() -> None:
    world = PullWorld()
    world.past.create("t")
    at = world.event("t", "a", state=Txn.OPEN)
    world.event("t", "b")
    async with world.door() as door:
        reader = PageReader(door)
        await reader.next(wait=2)
        assert reader.entries == []
        world.past.end("t", at, Txn.COMMITTED)
        await reader.next(wait=5)
        assert reader.event_ids == ["a", "b"]


async def test_latest_begins_with_what_is_appended_next_and_earliest_with_active_from() -> None:
    world = PullWorld()
    world.past.create("t")
    world.event("t", "a")
    async with world.door() as door:
        latest, earliest = PageReader(door, cursor="latest"), PageReader(door, cursor="earliest")
        await latest.next()
        world.event("t", "b")
        await latest.next(wait=5)
        await earliest.drain()
        assert latest.event_ids == ["b"]
        assert earliest.event_ids == ["a", "b"]


async def test_a_cursor_of_an_earlier_life_is_gone_and_a_foreign_or_changed_one_refused() -> None:
    world = PullWorld()
    world.past.create("t")
    world.event("t", "a")
    world.directory.put_subscription(pulled(id="other"))
    async with world.door() as door:
        reader = PageReader(door)
        page = await reader.next()
        assert page is not None
        refused = [
            await door.page("other", page.cursor, 10, 0),
            await door.page(
                CRM, page.cursor[:-1] + ("A" if page.cursor[-1] != "A" else "B"), 1, 0
            ),
            await door.page(CRM, page.cursor[:40], 10, 0),
            await door.page(CRM, "nonsense ü", 10, 0),
            await door.page(CRM, "x" * 100_000, 10, 0),
            await door.page(CRM, sealed_cursors(bytes(32)).seal(CRM, b"\1"), 10, 0),
            await door.page(CRM, sealed_cursors().seal(CRM, b"\xff"), 10, 0),
        ]
        assert all(isinstance(each, CursorRefused) for each in refused)
        world.directory.put_subscription(pulled(active_from=world.clock.now()))
        assert isinstance(await door.page(CRM, page.cursor, 10, 0), CursorGone)


async def test_nothing_is_shown_by_tables_that_may_be_out_of_date_nor_of_what_is_not_there() -> (
    None
):
    world = PullWorld()
    world.past.create("t")
    world.event("t", "a")
    async with world.door() as door:
        world.tables.is_current = False
        found = await door.page(CRM, None, 10, 0)
        assert isinstance(found, NotNow)
        assert found.why == "tables"
        world.tables.is_current = True
        assert isinstance(await door.page("absent", None, 10, 0), NoSuchSubscription)
        world.directory.put_subscription(pulled(id="gone", state=SubscriptionState.DELETED))
        assert isinstance(await door.page("gone", None, 10, 0), NoSuchSubscription)
        world.directory.put_subscription(
            UnreadableSubscription("new", "acme", ("*",), 0, (), "a newer release wrote it")
        )
        unreadable = await door.page("new", None, 10, 0)
        assert isinstance(unreadable, NotNow)
        assert unreadable.why == "unreadable"


async def test_tables_that_go_stale_while_a_page_is_read_show_nothing() -> None:
    world = PullWorld()
    world.past.create("t")
    world.event("t", "a")
    async with world.door() as door, asyncio.TaskGroup() as group:
        reading = group.create_task(door.page(CRM, None, 10, 0))
        await asyncio.sleep(0.02)
        world.tables.is_current = False
        assert isinstance(await reading, NotNow)


async def test_a_subscription_deleted_while_its_reader_waits_ends_the_waiting() -> None:
    world = PullWorld()
    world.past.create("t")
    async with world.door() as door:
        reader = PageReader(door)
        await reader.next(wait=3)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(door.page(CRM, reader.cursor, 10, 30))
            await asyncio.sleep(1)
            world.directory.put_subscription(pulled(state=SubscriptionState.DELETED))
            world.event("t", "a")
        assert isinstance(waiting.result(), NoSuchSubscription)


async def test_a_hold_suspends_a_reader_and_one_on_an_event_type_is_a_barrier() -> None:
    world = PullWorld()
    world.past.create("t")
    async with world.door() as door:
        reader = PageReader(door)
        world.directory.holds.put(Hold(HoldKind.PARTNER, "acme", 0, "INC-7", "kim", 1))
        suspended = await door.page(CRM, None, 10, 0)
        assert isinstance(suspended, NotNow)
        assert (suspended.why, suspended.detail) == ("suspended", "delivery is suspended")
        world.directory.holds.drop(HoldKind.PARTNER, "acme")
        world.directory.holds.put(Hold(HoldKind.EVENT_TYPE, ROUTED, 0, "INC-7", "kim", 1))
        for event_id, event_type in (("a", PRICED), ("b", ROUTED), ("c", PRICED)):
            world.event("t", event_id, event_type=event_type)
        page = await reader.next()
        assert page is not None
        assert page.waiting_for == (WaitReason.SUSPENDED,)
        assert reader.event_ids == ["a"]
        world.directory.holds.drop(HoldKind.EVENT_TYPE, ROUTED)
        await reader.drain()
        assert reader.event_ids == ["a", "b", "c"]


async def test_limits_out_of_bounds_are_refused() -> None:
    world = PullWorld()
    async with world.door() as door:
        for limit, wait in ((0, 0.0), (1_001, 0.0), (1, -1.0), (1, 31.0)):
            with pytest.raises(InputRefused):
                await door.page(CRM, None, limit, wait)


async def test_each_format_is_made_as_a_request_would_have_it() -> None:
    world = PullWorld()
    world.past.create("t")
    world.event("t", "a", data={"total": 7})
    async with world.door() as door:

        async def body(**changes: object) -> PulledEvent:
            world.directory.put_subscription(pulled(**changes))
            page = await door.page(CRM, None, 10, 0)
            assert isinstance(page, PullPage)
            [entry] = page.entries
            assert isinstance(entry, PulledEvent)
            return entry

        thin = await body(content=Content.THIN)
        assert ids_of([thin]) == ["a"]
        assert b"total" not in thin.body
        cloud = await body(format=BodyFormat.CLOUDEVENTS)
        assert cloud.content_type == "application/cloudevents+json"
        made = await body(format=BodyFormat.TEMPLATE, template={"text": "<$.data.total>"})
        assert made.body == b'{"text":7}'
        endpoint = replace(
            pulled().endpoint, template_secrets=(("key", Secret("value-1", b"hush")),)
        )
        made = await body(
            format=BodyFormat.TEMPLATE, template={"key": {"secret": "key"}}, endpoint=endpoint
        )
        # A credential of the endpoint is no part of what is read.
        assert made.body == b'{"key":"(not shown)"}'
        second = await body(versions={PRICED: 2})
        assert b'"version":2' in second.body


async def test_a_filter_decides_and_one_that_cannot_be_evaluated_says_so() -> None:
    world = PullWorld()
    world.past.create("t")
    world.codec.unresolvable.add((PRICED, 1, 2))
    world.event("t", "a", data={"total": 7})
    world.event("t", "b", data={"total": 8})
    async with world.door() as door:
        world.directory.put_subscription(pulled(pattern={"data": {"total": [8]}}))
        reader = PageReader(door)
        await reader.drain()
        assert reader.event_ids == ["b"]
        world.directory.put_subscription(
            pulled(pattern={"data": {"total": [8]}}, versions={PRICED: 2})
        )
        reader = PageReader(door)
        await reader.drain()
        assert reader.skipped == ["filter_not_evaluable"] * 2


async def test_nobody_reads_so_nothing_is_followed() -> None:
    world = PullWorld()
    world.past.create("t")
    async with world.door() as door:
        await PageReader(door).next()
        await asyncio.sleep(300)
        taken = world.log.taken
        await asyncio.sleep(300)
        assert world.log.taken == taken


async def test_a_tail_that_fails_is_begun_again_and_readers_lose_nothing() -> None:
    world = PullWorld()
    world.past.create("t")
    async with world.door() as door:
        reader = PageReader(door)
        await reader.next(wait=3)
        world.jobs.is_away = True
        await asyncio.sleep(5)
        world.event("t", "a")
        world.jobs.is_away = False
        while not reader.entries:
            await reader.next(wait=5)
        world.event("t", "b")
        await reader.next(wait=10)
        assert reader.event_ids == ["a", "b"]
        assert "pull.tail_failed" in {event for _, event, _ in world.logger.lines}


def test_a_pulled_subscription_is_matched_by_no_worker() -> None:
    world = PullWorld()
    subscription: Subscription = pulled(endpoint=Endpoint("", (), is_pull=True))
    world.directory.put_subscription(replace(subscription, active_from=0))
    assert not world.directory.has_subscribers(PRICED, HOUR)
