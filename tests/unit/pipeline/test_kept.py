"""The tail's queues: what is behind a cursor is found in order, and what is forgotten is nowhere any more."""

from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.model.record import Record
from hookstream.core.pull.cursor import Cursor
from hookstream.pipeline.pull.event_reading import CannotBeRead
from hookstream.pipeline.pull.kept import Kept, ReaderQueues, merged

IDS = {"t": "11" * 16}
MALFORMED = CannotBeRead("malformed", None)


def record(partition: int, offset: int) -> Record:
    return Record("t", partition, offset, 0, b"key", b"value", (("name", b"text"),))


@given(
    read=st.lists(st.tuples(st.integers(0, 2), st.sets(st.integers(0, 2))), max_size=60),
    forgotten=st.integers(0, 60),
    at=st.tuples(*[st.integers(0, 60)] * 3),
)
def test_a_reader_is_given_what_is_kept_for_it_behind_its_cursor_in_the_order_of_reading(
    read: list[tuple[int, set[int]]], forgotten: int, at: tuple[int, int, int]
) -> None:
    readers = [ReaderQueues() for _ in range(3)]
    ends = [0, 0, 0]
    kept: list[tuple[Kept, set[int]]] = []
    for number, (partition, wanted) in enumerate(read):
        each = Kept(number, record(partition, ends[partition]), MALFORMED, 0.0)
        assert each.cost > len(b"key" + b"value")
        ends[partition] += 1
        for reader in wanted:
            readers[reader].add(each, None)
        kept.append((each, wanted))
    for each, _ in kept[:forgotten]:
        each.forget()
    cursor = Cursor(0, {IDS["t"]: dict(enumerate(at))})
    for number, queues in enumerate(readers):
        found = [wanted.kept for wanted in merged(queues.behind(cursor, IDS))]
        assert found == [
            each
            for each, wanted in kept[forgotten:]
            if number in wanted and each.record.offset >= at[each.record.partition]
        ]
