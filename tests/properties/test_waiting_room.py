"""The waiting room against a naive model, over any course of admitting, releasing and revoking."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hookstream.core.model.instant import Millis
from hookstream.core.model.record import TopicPartition
from hookstream.core.retry.waiting import Owner, WaitingRoom

BUDGET, FLOOR, BIGGEST = 200, 20, 30
PARTITIONS = [
    TopicPartition(f"hookstream.retry.{tier}", n) for tier in ("5s", "24h") for n in (0, 1)
]

OWNERS = (Owner("a"), Owner("a", background=True), Owner("b"))
Item = tuple[TopicPartition, int]


def is_background(item: Item) -> bool:
    """Every third one does."""
    return item[1] % 3 == 0


class WaitingRoomAgainstAModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.room: WaitingRoom[Item] = WaitingRoom(BUDGET, FLOOR, is_background)
        self.now: Millis = 0
        self.next_offset = 0
        self.waiting: dict[Item, tuple[Millis, int, int | None, Owner | None]] = {}
        self.ranks: dict[Item, int] = {}
        self.paused: set[TopicPartition] = set()
        self.flowed = -1
        """The room's moves when it was asked last which partitions to pause and to resume."""
        self.admitted: dict[Item, int] = {}
        """In which order they came, which decides between equal due times."""

    def note(self, item: Item) -> None:
        self.admitted[item] = 1 + max(self.admitted.values(), default=0)

    @rule(
        partition=st.sampled_from(PARTITIONS),
        wait=st.integers(-5, 50),
        size=st.integers(0, BIGGEST),
        key=st.none() | st.integers(0, 10),
        owner=st.none() | st.sampled_from(OWNERS),
        rank=st.integers(0, 2),
    )
    def admit(
        self,
        partition: TopicPartition,
        wait: Millis,
        size: int,
        key: int | None,
        owner: Owner | None,
        rank: int,
    ) -> None:
        if partition in self.paused:
            return
        item = (partition, self.next_offset)
        self.next_offset += 1
        copy = next(
            (found for found, kept in self.waiting.items() if None is not key == kept[2]), None
        )
        stays = copy is not None and self.ranks[copy] >= rank

        merged = self.room.admit(
            partition, item[1], self.now + wait, size, item, key, owner, rank=rank
        )

        assert merged == (item if stays else copy)
        if not stays:
            if copy is not None:
                del self.waiting[copy]
            self.ranks[item] = rank
            self.waiting[item] = (self.now + wait, size, key, owner)
            self.note(item)
        self.flow()

    @rule(passed=st.integers(0, 30), most=st.none() | st.integers(0, 5), background=st.booleans())
    def release(self, passed: Millis, most: int | None, background: bool) -> None:  # noqa: FBT001
        self.now += passed
        expected = sorted(
            (due, self.admitted[item], item)
            for item, (due, _, _, _) in self.waiting.items()
            if due <= self.now and is_background(item) is background
        )[:most]

        found = self.room.due(self.now, most, background=background)

        assert found == [item for _, _, item in expected]
        for item in found:
            del self.waiting[item]
        self.flow()

    @rule(owner=st.sampled_from(OWNERS), most=st.integers(0, 4), again=st.booleans())
    def take_early(self, owner: Owner, most: int, again: bool) -> None:  # noqa: FBT001
        """An owner takes its earliest before they are due, and may put one back to wait longer."""
        expected = sorted(
            (due, self.admitted[item], item)
            for item, (due, _, _, whose) in self.waiting.items()
            if whose == owner
        )[:most]

        found = self.room.early(owner, most)

        assert found == [item for _, _, item in expected]
        taken = {item: self.waiting.pop(item) for item in found}
        if again and found:
            item = found[0]
            due, size, key, _ = taken[item]
            rank = self.ranks[item]
            self.room.admit(item[0], item[1], due + 7, size, item, key, owner, rank=rank)
            self.waiting[item] = (due + 7, size, key, owner)
            self.note(item)
        self.flow()

    @rule(partition=st.sampled_from(PARTITIONS))
    def revoke(self, partition: TopicPartition) -> None:
        self.room.drop(partition)

        self.waiting = {item: kept for item, kept in self.waiting.items() if item[0] != partition}
        self.paused.discard(partition)

    def flow(self) -> None:
        self.flowed = self.room.moves
        newly = self.room.to_pause()
        assert not self.paused.intersection(newly)
        self.paused.update(newly)
        resumed = self.room.to_resume()
        assert self.paused.issuperset(resumed)
        self.paused.difference_update(resumed)

    @invariant()
    def it_pauses_and_resumes_nothing_more_until_a_record_came_or_went(self) -> None:
        if self.flowed == self.room.moves:
            assert self.room.to_pause() == []
            assert self.room.to_resume() == []

    @invariant()
    def it_counts_exactly(self) -> None:
        assert len(self.room) == len(self.waiting)
        assert self.room.waiting_bytes == sum(size for _, size, _, _ in self.waiting.values())
        for background in (None, False, True):
            assert self.room.next_due(background=background) == min(
                (
                    due
                    for item, (due, _, _, _) in self.waiting.items()
                    if background in (None, is_background(item))
                ),
                default=None,
            )

    @invariant()
    def it_knows_its_owners(self) -> None:
        owners = {owner for _, _, _, owner in self.waiting.values() if owner is not None}
        assert set(self.room.owners()) == owners

    @invariant()
    def it_is_bounded(self) -> None:
        """The budget, and over it a floor and one record for each partition at most."""
        assert self.room.waiting_bytes <= BUDGET + len(PARTITIONS) * (FLOOR + BIGGEST)

    @invariant()
    def no_partition_starves(self) -> None:
        """One that has less than half of its floor is never left paused."""
        self.flow()
        for partition in self.paused:
            kept = [size for item, (_, size, _, _) in self.waiting.items() if item[0] == partition]
            assert sum(kept) * 2 > FLOOR


TestWaitingRoom = WaitingRoomAgainstAModel.TestCase
TestWaitingRoom.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
