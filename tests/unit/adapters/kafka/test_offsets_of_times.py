"""The offset of a time is below every record of that time or later, also of those appended while it is asked for."""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from itertools import accumulate, chain
from types import SimpleNamespace
from typing import cast

import pytest
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]
from hypothesis import given
from hypothesis import strategies as st

from hookstream.adapters.kafka.lookups import ask_offsets
from hookstream.adapters.kafka.offsets import offsets_at
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import TopicPartition

HERE = TopicPartition("t", 0)
LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]
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
    """A client for look-ups whose broker has a growing log."""

    def __init__(self, log: GrowingLog) -> None:
        super().__init__({"bootstrap.servers": "127.0.0.1:1", "log_level": 0})
        self.log = log

    def list_offsets(  # type: ignore[override]
        self, asked: Mapping[KafkaPartition, OffsetSpec], **_: object
    ) -> dict[KafkaPartition, Future[SimpleNamespace]]:
        [(place, spec)] = asked.items()
        answer = Future[SimpleNamespace]()
        time = None if spec is LATEST else spec._value  # noqa: SLF001  it has no other
        answer.set_result(SimpleNamespace(offset=self.log.answer(time)))
        return {place: answer}


class Member:
    """A consumer of a group whose broker has a growing log."""

    def __init__(self, log: GrowingLog) -> None:
        self.log = log

    def offsets_for_times(
        self, asked: list[KafkaPartition], timeout: float
    ) -> list[KafkaPartition]:
        assert timeout > 0
        [at] = asked
        assert at.offset != OFFSET_BEGINNING
        found = self.log.answer(None if at.offset == OFFSET_END else at.offset)
        return [KafkaPartition(at.topic, at.partition, found)]


def looked_up(log: GrowingLog, time: Millis) -> int:
    return ask_offsets(Admin(log), [HERE], time, 1.0, "the offsets")[HERE]


def asked_of_a_member(log: GrowingLog, time: Millis) -> int:
    return offsets_at(cast("Consumer", Member(log)), {HERE: time})[HERE]


BOTH = pytest.mark.parametrize("offset_of", [looked_up, asked_of_a_member])
TIMES = st.lists(st.integers(1, 9), max_size=4)


@BOTH
def test_a_record_that_is_appended_before_the_end_is_asked_for_is_not_passed(
    offset_of: Callable[[GrowingLog, Millis], int],
) -> None:
    """An index that began in that instant read from the end on: the record was in none of its hours."""
    log = GrowingLog([1, 2], [[7, 8]])

    assert offset_of(log, 5) == 2


@BOTH
@given(times=TIMES, appended=st.lists(TIMES, max_size=4), time=st.integers(1, 9))
def test_no_record_of_the_time_or_later_is_below_its_offset(
    offset_of: Callable[[GrowingLog, Millis], int],
    times: list[Millis],
    appended: list[list[Millis]],
    time: Millis,
) -> None:
    every = sorted(chain(times, *appended))
    sizes = [len(each) for each in (times, *appended)]
    ends = list(accumulate(sizes))
    parts = [every[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    log = GrowingLog(parts[0], parts[1:])

    found = offset_of(log, time)

    # It is the answer of some instant: all records below it are older, and it is no end of before.
    assert found <= bisect_left(every, time)
    assert found >= min(bisect_left(every, time), sizes[0])
