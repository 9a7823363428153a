"""Where a cursor leads: whatever became of the log, the key ring and the subscription since it was made."""

import asyncio
import base64

import pytest
from tests.doubles.past import PastOf
from tests.doubles.pulling import KEY, PageReader, PullWorld, counted_bytes, ids_of, pulled
from tests.doubles.replaying import CRM

from hookstream.adapters.cursor_seal import SealedCursors
from hookstream.adapters.keyring import KeyRing
from hookstream.core.model.instant import MINUTE
from hookstream.core.model.subscription import SubscriptionState
from hookstream.core.pull.page import (
    CursorGone,
    CursorRefused,
    PulledEvent,
    PullPage,
    SkippedEvent,
    WaitReason,
)
from hookstream.pipeline.past_ports import TopicListing
from hookstream.pipeline.pull.ports import PullRules

OLD, NEW = bytes(range(32)), bytes(range(1, 33))


def seal(active: str, **keys: bytes) -> SealedCursors:
    return SealedCursors(KeyRing(active, keys, counted_bytes))


async def until_given(reader: PageReader, count: int) -> None:
    while len(reader.event_ids) < count:
        await reader.next(wait=3)


async def test_a_cursor_outlives_a_new_active_key_and_is_refused_once_its_key_is_gone() -> None:
    world = PullWorld()
    world.past.create("t")
    for name in ("a", "b", "c"):
        world.event("t", name)
    world.seal = seal("k1", k1=OLD)
    async with world.door() as door:
        page = await door.page(CRM, None, 1, 0)
        assert isinstance(page, PullPage)
    world.seal = seal("k2", k1=OLD, k2=NEW)
    async with world.door() as door:
        reader = PageReader(door, cursor=page.cursor)
        await reader.drain()
        assert reader.event_ids == ["b", "c"]
    world.seal = seal("k2", k2=NEW)
    async with world.door() as door:
        refused = await door.page(CRM, page.cursor, 1, 0)
        assert isinstance(refused, CursorRefused)
        assert "a key that is not used any more: begin without one" in refused.detail
        assert isinstance(await door.page(CRM, reader.cursor, 1, 0), PullPage)


async def test_a_cursor_with_any_byte_changed_cut_off_or_added_is_refused() -> None:
    world = PullWorld()
    world.past.create("t")
    world.event("t")
    async with world.door() as door:
        page = await door.page(CRM, None, 1, 0)
        assert isinstance(page, PullPage)
        whole = base64.urlsafe_b64decode(page.cursor + "=" * (-len(page.cursor) % 4))
        hostile = [
            whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :]
            for at in range(len(whole))
            for bit in (1, 128)
        ]
        hostile += [whole[:at] for at in range(len(whole))]
        hostile += [whole + b"\0", b"\0" + whole, whole * 2]
        texts = [base64.urlsafe_b64encode(each).decode().rstrip("=") for each in hostile]
        texts += ["", "\0", "=", "....", "%00", "latest ", "EARLIEST", "ü" * 50, "A" * 7_999]
        for text in texts:
            found = await door.page(CRM, text, 1, 0)
            assert isinstance(found, CursorRefused), text
            assert text not in found.detail or not text


async def test_a_cursor_is_read_the_same_by_the_console_that_made_it_and_by_another_one() -> None:
    world = PullWorld()
    world.past.create("t", 2)
    for n in range(20):
        world.event("t", f"{n}", partition=n % 2)
    async with world.door() as first, world.door() as second:
        begun = await first.page(CRM, None, 7, 0)
        assert isinstance(begun, PullPage)
        here = await first.page(CRM, begun.cursor, 7, 0)
        there = await second.page(CRM, begun.cursor, 7, 0)
        assert isinstance(here, PullPage)
        assert isinstance(there, PullPage)
        assert ids_of(here.entries) == ids_of(there.entries)
        assert len(here.entries) == 7
        # Each goes on where the other one was.
        turns, reader = [first, second] * 10, PageReader(first, cursor=begun.cursor)
        for door in turns:
            reader.door = door
            await reader.next(2)
        given = [
            each.webhook_id
            for each in (*begun.entries, *reader.entries)
            if isinstance(each, PulledEvent)
        ]
        assert len(given) == len(set(given)) == 20


async def test_topics_and_partitions_that_a_cursor_does_not_know_are_read_from_their_starts() -> (
    None
):
    world = PullWorld()
    world.past.create("t")
    world.event("t", "a")
    async with world.door() as door:
        reader = PageReader(door)
        await reader.drain()
        world.past.grow("t", 2)
        world.past.create("u")
        world.event("t", "b", partition=1)
        world.event("u", "c")
        await asyncio.sleep(11)  # the list of topics is looked up again
        await reader.drain()
        assert sorted(reader.event_ids) == ["a", "b", "c"]
        assert reader.gaps == []


async def test_a_partition_that_another_console_does_not_list_yet_is_not_read_from_its_start_again() -> (
    None
):
    """A balancer sends each page to another console, and each of them lists topics every ten seconds."""
    world = PullWorld()
    world.past.create("t")
    world.event("t", "a")
    async with world.door() as first, world.door() as second:
        reader = PageReader(first)
        await reader.drain()
        await asyncio.sleep(6)
        await PageReader(second).drain()
        world.past.grow("t", 2)
        world.event("t", "b", partition=1)
        await asyncio.sleep(5)  # the first one's list is looked up again, the second one's is not
        for door in (first, second, first):
            reader.door = door
            await reader.drain()
        assert reader.event_ids == ["a", "b"]


class Lagging(PastOf):
    """Sees the topics that there were, as long as it lags."""

    seen: TopicListing | None = None

    async def topics(self) -> TopicListing:
        return await super().topics() if self.seen is None else self.seen


async def test_a_partition_that_a_broker_does_not_list_yet_keeps_its_place() -> None:
    world = PullWorld()
    world.past.create("t")
    world.event("t", "a")
    async with world.door() as first:
        log = world.log = Lagging(world.process, world.past)
        log.seen = await log.topics()
        async with world.door() as second:
            reader = PageReader(first)
            world.past.grow("t", 2)
            world.event("t", "b", partition=1)
            await reader.drain()
            world.event("t", "c", partition=1)
            world.event("t", "d")
            reader.door = second
            await reader.drain()
            assert reader.event_ids[2:] == ["d"]
            log.seen = None
            await asyncio.sleep(11)  # the list of topics is looked up again
            await reader.drain()
    assert sorted(reader.event_ids) == ["a", "b", "c", "d"]


async def test_a_topic_that_was_deleted_is_one_gap_and_the_others_are_read_on() -> None:
    world = PullWorld()
    for topic in ("t", "u"):
        world.past.create(topic)
        world.event(topic, f"{topic}-1")
    async with world.door() as door:
        reader = PageReader(door)
        await reader.drain()
        del world.past.topics["t"]
        world.event("u", "u-2")
        await asyncio.sleep(11)
        await reader.drain()
        await reader.drain()
        assert reader.gaps == ["topic_gone"]
        assert reader.event_ids[2:] == ["u-2"]


async def test_records_that_brokers_lost_are_a_gap_for_each_reader_that_had_read_them() -> None:
    world = PullWorld()
    world.past.create("t")
    async with world.door() as door:
        first, late = PageReader(door), PageReader(door)
        for reader in (first, late):
            await reader.next(wait=3)
        for n in range(10):
            world.event("t", f"{n}")
        for reader in (first, late):
            await until_given(reader, 10)
        # An election that was not clean: three records less, and two others in their places.
        del world.past.topics["t"][1][0].entries[7:]
        while not first.gaps:
            await first.next(wait=3)
        # The tail follows the shorter log for the first one, and has nothing behind where the late one stands.
        await first.next(wait=3)
        await late.next(wait=3)
        for n in (100, 101):
            world.event("t", f"{n}")
        for reader in (first, late):
            await until_given(reader, 12)
            assert reader.gaps == ["truncated"]
            assert reader.event_ids[10:] == ["100", "101"]


async def test_retention_that_passed_the_tail_is_a_gap_for_a_reader_that_comes_much_later() -> (
    None
):
    """The tail may go on from the log's new start: what it keeps of before must not move its own back."""
    world = PullWorld(rules=PullRules(schema_grace=MINUTE * 60))
    world.past.create("t")
    async with world.door() as door:
        late, other = PageReader(door), PageReader(door)
        for each in (late, other):
            await each.next(wait=3)
        world.event("t", "a")
        for each in (late, other):
            await each.next(wait=3)
        assert late.event_ids == ["a"]
        # The tail stands at a record whose schema is not published.
        world.event("t", "b", event_type="late.type")
        for n in range(10):
            world.event("t", f"lost-{n}")
        await other.next(wait=3)
        world.past.topics["t"][1][0].low = 12
        # Until what the tail kept of before is not kept any more.
        for _ in range(12):
            await other.next(wait=3)
            await asyncio.sleep(1)
        world.event("t", "c")
        while "c" not in other.event_ids:
            await other.next(wait=3)
        await late.drain()
        assert late.gaps == ["retention"]
        assert late.event_ids[-1] == "c"


async def test_behind_the_head_a_record_without_schema_is_a_barrier_for_its_grace_and_then_skipped() -> (
    None
):
    world = PullWorld(rules=PullRules(schema_grace=MINUTE))
    world.past.create("t")
    world.event("t", "a")
    world.event("t", "b", event_type="late.type")
    world.event("t", "c")
    async with world.door() as door:
        reader = PageReader(door)
        page = await reader.next()
        assert page is not None
        assert (reader.event_ids, page.waiting_for) == (["a"], (WaitReason.UNKNOWN_SCHEMA,))
        await asyncio.sleep(59)
        await reader.next()
        assert len(reader.entries) == 1
        await asyncio.sleep(2)
        page = await reader.next()
        assert page is not None
        assert page.waiting_for == ()
        assert reader.skipped == ["unknown_schema"]
        assert reader.event_ids == ["a", "c"]


async def test_at_the_head_a_record_that_is_no_event_is_skipped_at_once_in_its_order() -> None:
    world = PullWorld()
    world.past.create("t")
    async with world.door() as door:
        reader = PageReader(door)
        await reader.next(wait=3)
        world.event("t", "a")
        world.past.append("t", b"junk", world.clock.now())
        world.event("t", "b")
        began = world.clock.monotonic()
        while len(reader.entries) < 3:
            await reader.next(wait=5)
        assert world.clock.monotonic() - began < 2
        kinds = [type(each) for each in reader.entries]
        assert kinds == [PulledEvent, SkippedEvent, PulledEvent]
        assert reader.skipped == ["not_framed"]


async def test_a_subscription_made_again_while_its_reader_waits_ends_the_waiting_as_gone() -> None:
    world = PullWorld()
    world.past.create("t")
    async with world.door() as door:
        reader = PageReader(door)
        await reader.next(wait=3)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(door.page(CRM, reader.cursor, 10, 30))
            await asyncio.sleep(1)
            world.directory.put_subscription(pulled(state=SubscriptionState.DELETED))
            world.directory.put_subscription(pulled(active_from=world.clock.now()))
        assert isinstance(waiting.result(), CursorGone)
        # A cursor that was remembered is judged as one that was opened.
        assert isinstance(await door.page(CRM, reader.cursor, 10, 0), CursorGone)


async def test_a_cursor_that_was_handed_out_last_opens_for_its_own_subscription_only() -> None:
    world = PullWorld()
    world.past.create("t")
    world.directory.put_subscription(pulled(id="other"))
    async with world.door() as door:
        pages = {name: await door.page(name, None, 1, 0) for name in (CRM, "other")}
        for name, lender in ((CRM, "other"), ("other", CRM)):
            page = pages[lender]
            assert isinstance(page, PullPage)
            assert isinstance(await door.page(name, page.cursor, 1, 0), CursorRefused)
            assert isinstance(await door.page(lender, page.cursor, 1, 0), PullPage)


def test_each_subscription_has_cursor_keys_of_its_own_and_none_of_them_is_the_rings() -> None:
    ring = KeyRing("k1", {"k1": KEY}, counted_bytes)
    text = SealedCursors(ring).seal("orders", b"payload")
    whole = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    _, _, sealed = whole.partition(b"\0")
    rings = [ring, ring.derived(b"orders"), ring.derived(b"pull-cursor\0other")]
    for each in rings:
        with pytest.raises(Exception, match="does not belong"):
            each.decrypt("k1", base64.b64encode(sealed).decode(), b"pull-cursor\0orders")
