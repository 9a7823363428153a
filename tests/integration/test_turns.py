"""Writes in turns on a real broker: of many processes that are asked for the same, one writes it."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from tests.conftest import Broker

from hookstream.adapters.kafka.lookups import ask_offsets
from hookstream.adapters.kafka.scan import LogScan
from hookstream.core.model.record import OutgoingRecord
from hookstream.entry.admin.turns import Turn, written_in_turn
from hookstream.errors import Conflict, Contended, DependencyUnavailable
from hookstream.settings import load

pytestmark = pytest.mark.timeout(300)

AT_ONCE = 3


def test_of_many_that_are_asked_for_the_same_at_once_one_writes_it(
    broker: Broker, prefix: str
) -> None:
    topic = f"{prefix}.once"
    client = {"bootstrap.servers": broker.bootstrap_servers}
    admin = AdminClient(dict(client))
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)
    ask_offsets(admin, [(topic, 0)], "latest", 30, "the end of a new topic")
    flags = {"kafka.bootstrap_servers": broker.bootstrap_servers, "topics.prefix": prefix}
    settings = load(None, {}, flags)

    def check() -> None:
        if list(LogScan(client, topic).read()):
            raise Conflict("it was written")

    def asked(number: int) -> str:
        def records() -> Sequence[OutgoingRecord]:
            return [OutgoingRecord(topic, b"k", b"%d" % number)]

        while True:
            try:
                written_in_turn(settings, Turn("key.one", check), records, "none")
            except (Contended, DependencyUnavailable):
                continue
            except Conflict:
                return "refused"
            return "written"

    with ThreadPoolExecutor(AT_ONCE) as threads:
        said = list(threads.map(asked, range(AT_ONCE)))
    [record] = LogScan(client, topic).read()
    # Whoever was fenced while it committed is refused by its own record: what was written is known.
    assert said.count("refused") >= AT_ONCE - 1
    assert said[int(record.value or b"")] == "written" or "written" not in said
