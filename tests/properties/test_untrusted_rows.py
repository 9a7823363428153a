"""Whatever a table contains, its consumer continues: an unreadable row stops at most the matching."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from tests import untrusted
from tests.doubles.clock import NOON
from tests.doubles.schemas import event_schema, field
from tests.doubles.seeing import RememberingLogger

from hookstream.adapters.avro.published import schema_row
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.kafka.tables.log import TableRecord
from hookstream.adapters.tables.holds_and_skips import (
    SkipAsked,
    StartAsked,
    write_hold,
    write_skip,
    write_start,
)
from hookstream.adapters.tables.mappings import mapping_row
from hookstream.adapters.tables.rows import disabled_row, failing_row, write_partner
from hookstream.adapters.tables.sealed import SealedSecrets
from hookstream.adapters.tables.subscriptions import write_subscription
from hookstream.core.jobs.job import jobs_of
from hookstream.core.matching.directory import Directory, Question
from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.json import JsonObject
from hookstream.core.model.mapping import FieldSource, HeaderSource, Mapping
from hookstream.core.model.record import Record
from hookstream.core.model.subscription import (
    Disabled,
    Endpoint,
    Failing,
    Grant,
    Partner,
    SigningSecret,
    Subscription,
)
from hookstream.core.model.topics import Topics
from hookstream.core.redrive.job import RedriveRequest, redrives_of
from hookstream.core.redrive.ledger import read_ledger
from hookstream.core.redrive.marks import (
    Mark,
    Position,
    Purged,
    RedriveSource,
    barrier,
    barrier_key,
    extended,
    outlived,
)
from hookstream.entry.worker.feed import TableConsumer

TOPICS = Topics("hookstream")
KEYS = SealedSecrets()
SUBSCRIPTION = Subscription(
    "crm",
    "acme",
    Endpoint("https://crm.example/hook", (SigningSecret("s1", b"0" * 32),)),
    ("pricing.completed",),
    NOON,
    pattern={"data": {"total": [{"numeric": [">", 5]}]}},
)
PARTNER = Partner("acme", "Acme", Grant(("pricing.*",), ("production",), {"data": {"a": [1]}}))
SCHEMA_KEY, SCHEMA = schema_row(event_schema(field("total", "long")), 1)
MAPPING = Mapping(
    "orders",
    ("shop.*",),
    "order.shipped",
    (1,),
    FieldSource(("number",)),
    HeaderSource("env"),
    record="shop.Order",
)
MARK = Mark("job-1", RedriveSource.DEAD_LETTERS, 0, extended((), (1, 2, 3)))
PURGE_MARK = MARK._replace(job_id="p", purged=Purged("kim@ops", "sent by mail", NOON))
JOB = RedriveRequest(RedriveSource.UNDECODABLE, {}, {0: 5}).job("job-1", NOON, 0)
DISABLED = Disabled("crm", NOON, "gone", "410")

ROWS: dict[str, tuple[tuple[str, bytes], ...]] = {
    TOPICS.schemas: ((SCHEMA_KEY, SCHEMA), mapping_row(MAPPING)),
    TOPICS.partners: (("acme", write_partner(PARTNER)),),
    TOPICS.subscriptions: (
        ("crm", write_subscription(SUBSCRIPTION, KEYS)),
        ("hold/partner/acme", write_hold(Hold(HoldKind.PARTNER, "acme", NOON, "why", "kim"))),
        ("start/events/3", write_start(StartAsked("events", 3, NOON, NOON))),
        ("skip/events/3/17", write_skip(SkipAsked("events", 3, 17, NOON))),
    ),
    TOPICS.health: (
        disabled_row(DISABLED),
        failing_row(Failing("crm", NOON)),
    ),
    TOPICS.jobs: (
        (MARK.key, MARK.encode()),
        (PURGE_MARK.key, PURGE_MARK.encode()),
        (barrier_key("p"), barrier()),
        (JOB.id, JOB.encode()),
    ),
}


def rows(random: Random) -> list[TableRecord]:
    """A few rows of every table, some valid, some untrusted."""
    found: list[TableRecord] = []
    for offset in range(12):
        table = random.choice(sorted(ROWS))
        sound_key, sound = random.choice(ROWS[table])
        row_key = untrusted.key(random, sound_key)
        chance = random.random()
        value = None if chance < 0.1 else sound
        if chance > 0.3:
            value = untrusted.changed_row(random, sound)
        found.append(TableRecord(table, row_key, value, offset, NOON))
    return found


@given(st.integers(0, 2**32))
@settings(max_examples=1_500)
def test_no_row_ends_its_reader_nor_the_matching_that_follows(seed: int) -> None:
    directory, book = Directory(), SchemaBook()
    feed = TableConsumer(TOPICS, book, directory, KEYS, RememberingLogger())
    drawn = rows(Random(seed))

    feed.take(drawn)

    jobs = {row.key: row.value for row in drawn if row.table == TOPICS.jobs and row.value}
    ledger, _ = read_ledger(jobs, {})
    ledger.is_open(RedriveSource.DEAD_LETTERS, Position(0, 2))
    jobs_of(jobs)
    redrives_of(jobs)
    outlived(jobs, {(RedriveSource.DEAD_LETTERS, 0): 2}, {})
    if not directory.blind:
        document: JsonObject = {"data": {"total": 7, "a": 1}}
        question = Question("pricing.completed", "production", NOON, lambda _: document, 1)
        list(directory.match(question))
    feed.skips.covers(Record("events", 3, 17, NOON, None, b"", ()))


@given(st.integers(0, 2**32))
def test_an_unreadable_row_has_no_effect_once_it_is_written_again(seed: int) -> None:
    random = Random(seed)
    directory = Directory()
    feed = TableConsumer(TOPICS, SchemaBook(), directory, KEYS, RememberingLogger())
    table = random.choice(sorted(set(ROWS) - {TOPICS.jobs}))
    sound_key, sound = random.choice(ROWS[table])

    feed.take([TableRecord(table, sound_key, untrusted.changed_row(random, sound), 0, NOON)])
    feed.take([TableRecord(table, sound_key, sound, 1, NOON)])

    assert not directory.blind
