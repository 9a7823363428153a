"""Header names that are not UTF-8 are read from a real log without harm, by every reader."""

import gc
from collections.abc import Sequence
from operator import methodcaller

import pytest
from confluent_kafka import Consumer, Message
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from tests.conftest import Broker
from tests.raw_kafka import RawProducer, RawRecord

from hookstream.adapters.kafka.record import LOST_NAME, record_of
from hookstream.adapters.kafka.scan import LogScan
from hookstream.adapters.kafka.transactions import JobWriter
from hookstream.core.model.record import Header, OutgoingRecord, Record

BAD = b"Gr\xf6\xdfe"
Client = dict[str, str | int | float | bool]


@pytest.fixture
def client(broker: Broker) -> Client:
    return {"bootstrap.servers": broker.bootstrap_servers}


@pytest.fixture
def topic(client: Client, prefix: str) -> str:
    name = f"{prefix}.events"
    admin = AdminClient(client)  # its futures end with it
    config = {"max.message.bytes": "4000000"}
    for made in admin.create_topics([NewTopic(name, 1, 1, config=config)]).values():
        made.result(30)
    while admin.list_topics(name, timeout=10).topics[name].error is not None:
        pass  # the broker answers before all of it knows the topic
    return name


def read(
    client: Client, topic: str, *headers: Sequence[tuple[bytes, bytes | None]]
) -> list[Record]:
    """Append a record with each of these lists of headers, and scan the topic."""
    with RawProducer(str(client["bootstrap.servers"])) as producer:
        for these in headers:
            producer.write(topic, [RawRecord(b"v", b"k", these)])
    return list(LogScan(client, topic).read())


def consumed(client: Client, topic: str, most: int) -> list[Message]:
    consumer = Consumer(client | {"group.id": "none"})
    consumer.assign([KafkaPartition(topic, 0, 0)])
    found: list[Message] = []
    while len(found) < most:
        found += consumer.consume(most - len(found), 10)
    consumer.close()
    return found


def test_every_readable_header_is_kept(client: Client, topic: str) -> None:
    plain, bad, several, slashed = read(
        client,
        topic,
        [(b"a", b"1"), (b"", b"2"), (b"a", None), ("größe".encode(), b"3")],
        [(b"a", b"1"), (BAD, b"2"), (b"b", None)],
        [(b"\xff", None), (b"a", b"1"), (BAD, b"2"), (b"\xed\xa0\x80", b"3")],
        [(b"\\\xff", b"1"), (b"\\xff", b"2")],
    )
    kept: list[Header] = [("a", b"1"), ("", b"2"), ("a", None), ("größe", b"3")]
    assert (plain.headers, plain.headers_problem) == (kept, None)
    assert bad.headers == [("a", b"1"), (r"Gr\xf6\xdfe", b"2"), ("b", None)]
    assert bad.headers_problem == r"the header name Gr\xf6\xdfe is not UTF-8"
    # The client reports the bytes of the first such name only.
    assert several.headers == [(r"\xff", None), ("a", b"1"), (LOST_NAME, b"2"), (LOST_NAME, b"3")]
    assert several.headers_problem == r"the header name \xff is not UTF-8, nor are 2 more"
    assert slashed.headers == [(r"\x5c\xff", b"1"), (r"\xff", b"2")]


def test_as_many_bad_names_as_the_client_lets_pass_are_read(client: Client, topic: str) -> None:
    """Each of them wraps the error once more: a chain of 100,000 errors ends cleanly."""
    many: list[tuple[bytes, bytes | None]] = [(b"\xff", None)] * 100_000
    [record] = read(client, topic, many)
    assert len(record.headers) == 100_000
    # One more, and the client omits all of them silently.
    [_, bare] = read(client, topic, [*many, (b"a", b"1")])
    assert (bare.headers, bare.headers_problem) == ((), None)


def test_what_the_record_module_states_about_the_client_is_true(
    client: Client, topic: str
) -> None:
    """If a new release of the client behaves differently, this test fails first."""
    read(client, topic, *[[(b"a", b"1"), (BAD, b"2")]] * 2, [(b"cut\0off", b"3")])
    first, second, cut = consumed(client, topic, 3)
    with pytest.raises(SystemError) as raised:
        methodcaller("headers")(first)
    assert isinstance(raised.value.__cause__, UnicodeDecodeError)
    assert raised.value.__cause__.object == BAD
    pairs = methodcaller("headers")(first)
    assert [len(gc.get_referents(pair)) for pair in pairs] == [2, 1]
    assert gc.get_referents(pairs[1]) == [b"2"]
    assert record_of(second).headers == [("a", b"1"), (r"Gr\xf6\xdfe", b"2")]
    assert record_of(cut).headers == [("cut", b"3")]


def test_a_call_site_that_ran_hot_reads_a_bad_name_as_well(client: Client, topic: str) -> None:
    """The interpreter's quick path for a method does not see an error beside a result."""
    read(client, topic, *[[(b"a", b"1")]] * 200, [(BAD, b"2")], *[[(b"b", b"3")]] * 5)
    records = [record_of(record) for record in consumed(client, topic, 206)]
    assert records[200].headers == [(r"Gr\xf6\xdfe", b"2")]
    assert all(record.headers == [("b", b"3")] for record in records[201:])


def test_a_lone_surrogate_in_a_headers_name_never_reaches_the_client(
    client: Client, topic: str, prefix: str
) -> None:
    """It would end the process with a fault in native code."""
    record = OutgoingRecord(topic, b"k", b"v", [("a\ud800", b"1"), ("ü", b"2"), ("b", None)])
    with JobWriter(client, f"{prefix}.job") as writer:
        assert writer.write([record]) == ()
    [written] = LogScan(client, topic).read()
    assert written.headers == [(r"a\ud800", b"1"), ("ü", b"2"), ("b", None)]


def test_a_client_library_reads_what_the_raw_producer_writes(client: Client, topic: str) -> None:
    """The other tests here depend on this one."""
    [record] = read(client, topic, [(b"a", b"1")])
    assert (record.key, record.value, record.offset) == (b"k", b"v", 0)
