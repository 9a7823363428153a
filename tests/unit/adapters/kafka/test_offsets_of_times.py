"""The offset of a time is below every record of that time or later, also of those appended while it is asked for."""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from itertools import accumulate, chain
from types import SimpleNamespace
from typing import TypeAlias, cast

import pytest
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # it is public
from hypothesis import given
from hypothesis import strategies as st

from hookstream.adapters.kafka.lookups import ask_offsets
from hookstream.adapters.kafka.offsets import offsets_at, place_of
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import TopicPartition

HERE, THERE = TopicPartition("t", 0), TopicPartition("t", 1)
LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the library's own
NONE_SO_YOUNG = -1


class GrowingLog:
    """A log whose records have ascending times, and to which somebody appends after each answer."""

    def __init__(self, times: list[Millis], appended: list[list[Millis]]) -> None:
        self.times = times
        self.appended = appended
        """What is appended after each answer, one after the other."""

    def first_at(self, time: Millis) -> int:
        """Return the offset of the first record of a time or later, as a broker does."""
        found = bisect_left(self.times, time)
        return found if found < len(self.times) else NONE_SO_YOUNG

    def answer(self, time: Millis | None) -> int:
        """Return the offset of a time, or the end; then the log grows."""
        found = len(self.times) if time is None else self.first_at(time)
        if self.appended:
            self.times += self.appended.pop(0)
        return found


class Admin(AdminClient):
    """A client for look-ups whose broker has growing logs."""

    def __init__(self, logs: Mapping[TopicPartition, GrowingLog]) -> None:
        super().__init__({"bootstrap.servers": "127.0.0.1:1", "log_level": 0})
        self.logs = logs

    def list_offsets(  # type: ignore[override]  # of what is asked alone
        self, asked: Mapping[KafkaPartition, OffsetSpec], **_: object
    ) -> dict[KafkaPartition, Future[SimpleNamespace]]:
        answers = {}
        for place, spec in asked.items():
            answer = answers[place] = Future[SimpleNamespace]()
            time = None if spec is LATEST else spec._value  # noqa: SLF001  it has no other
            found = self.logs[place_of(place)].answer(time)
            at = {"topic": place.topic, "partition": place.partition}
            answer.set_result(SimpleNamespace(**at, offset=found))
        return answers


class Member:
    """A consumer of a group whose broker has growing logs."""

    def __init__(self, logs: Mapping[TopicPartition, GrowingLog]) -> None:
        self.logs = logs

    def offsets_for_times(
        self, asked: list[KafkaPartition], timeout: float
    ) -> list[KafkaPartition]:
        assert timeout > 0
        assert all(each.offset != OFFSET_BEGINNING for each in asked)
        times = [None if each.offset == OFFSET_END else each.offset for each in asked]
        found = [
            self.logs[place_of(each)].answer(time) for each, time in zip(asked, times, strict=True)
        ]
        return [
            KafkaPartition(each.topic, each.partition, offset)
            for each, offset in zip(asked, found, strict=True)
        ]


Logs: TypeAlias = Mapping[TopicPartition, GrowingLog]
Asked: TypeAlias = Callable[[Logs, Millis], Mapping[TopicPartition, int]]


def looked_up(logs: Logs, time: Millis) -> Mapping[TopicPartition, int]:
    return ask_offsets(Admin(logs), [*logs], time, 1.0, "the offsets")


def asked_of_a_member(logs: Logs, time: Millis) -> Mapping[TopicPartition, int]:
    return offsets_at(cast("Consumer", Member(logs)), dict.fromkeys(logs, time))


BOTH = pytest.mark.parametrize("offsets_of", [looked_up, asked_of_a_member])
TIMES = st.lists(st.integers(1, 9), max_size=4)


@BOTH
def test_a_record_that_is_appended_before_the_end_is_asked_for_is_not_passed(
    offsets_of: Asked,
) -> None:
    """An index that began in that instant read from the end on: the record was in none of its hours."""
    logs = {HERE: GrowingLog([1, 2], [[7, 8]]), THERE: GrowingLog([1, 6], [[7, 8]])}

    assert offsets_of(logs, 5) == {HERE: 2, THERE: 1}


@BOTH
@given(times=TIMES, appended=st.lists(TIMES, max_size=4), time=st.integers(1, 9))
def test_no_record_of_the_time_or_later_is_below_its_offset(
    offsets_of: Asked,
    times: list[Millis],
    appended: list[list[Millis]],
    time: Millis,
) -> None:
    every = sorted(chain(times, *appended))
    sizes = [len(each) for each in (times, *appended)]
    ends = list(accumulate(sizes))
    parts = [every[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    log = GrowingLog(parts[0], parts[1:])

    found = offsets_of({HERE: log}, time)[HERE]

    # It is the answer of some instant: all records below it are older, and it is no end of before.
    assert found <= bisect_left(every, time)
    assert found >= min(bisect_left(every, time), sizes[0])
