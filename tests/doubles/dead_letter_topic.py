"""The topic of dead letters in memory, for exports."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from tests.doubles.clock import NOON

from hookstream.adapters.kafka.scan import Stretch
from hookstream.core.model import header_names
from hookstream.core.model.instant import Millis
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import Record
from hookstream.core.redrive.job import TopicEnds
from hookstream.core.redrive.ledger import Ledger
from hookstream.core.redrive.marks import Position, RedriveSource, TopicIds
from hookstream.core.redrive.summary import summary_of
from hookstream.entry.admin.dead_letter_details import SetAsideRecord
from hookstream.entry.admin.granted_events import NOT_SHOWN
from hookstream.errors import DependencyUnavailable


def dead_letter(
    offset: int, key: str, *, subscription: str, partner: str, reason: str = "expired"
) -> Record:
    """Return a record of the topic of dead letters, in its partition 0."""
    headers = {
        header_names.SUBSCRIPTION_ID: subscription,
        header_names.PARTNER_ID: partner,
        header_names.EVENT_TYPE: "pricing.completed",
        header_names.EVENT_ID: f"e-{key}",
        header_names.DELIVERY_ID: f"msg_{key}",
        header_names.REASON: reason,
        header_names.CONNECT_MESSAGE: "hush-detail",
        header_names.LAST_STATUS: "503",
    }
    encoded = [(name, value.encode()) for name, value in headers.items()]
    topic = "hush-dead-letters"
    return Record(topic, 0, offset, NOON, key.encode(), b"hush-value", encoded)


@dataclass
class DeadLetterTopic:
    """The topic of dead letters, in memory."""

    kept: list[Record]
    source: RedriveSource = RedriveSource.DEAD_LETTERS
    topic: str = "hush-dead-letters"
    marks: tuple[str, ...] = ()
    """Those that cannot be read."""
    fails_after: int | None = None
    """After so many records the brokers are away."""
    topic_id: str = "7e" * 16
    next_id: str = ""
    """Its id from the next reading on: it is created again meanwhile."""

    def set_aside(
        self,
        ledger: Ledger,
        source: RedriveSource,
        positions: Sequence[Position],
        partner_id: str | None,
    ) -> list[SetAsideRecord]:
        found: list[SetAsideRecord] = []
        for record in self.kept:
            position = Position(0, record.offset)
            if position not in positions:
                continue
            event: JsonObject | str = {"id": (record.key or b"").decode(), "n": Decimal("1.10")}
            if record.value is None or partner_id not in (None, summary_of(record).partner_id):
                event = NOT_SHOWN
            by = ledger.resolved_by(source, position)
            found.append(SetAsideRecord(record, by, event, self.marks))
        return found

    def ends(self) -> dict[int, int]:
        return {0: self.kept[-1].offset + 1} if self.kept else {}

    def topic_ids(self) -> TopicIds:
        return {self.source: self.topic_id}

    def topic_ends(self) -> TopicEnds:
        return TopicEnds(self.ends(), self.topic_id)

    def between(self, since: Millis | None, until: Millis | None) -> Iterator[Record]:
        del since, until
        yield from self.stretch(Stretch(None, None, {}, self.ends()))

    def stretch(self, stretch: Stretch) -> Iterator[Record]:
        ends = stretch.ends or {}
        self.topic_id = self.next_id or self.topic_id
        for number, record in enumerate(self.kept):
            if number == self.fails_after:
                raise DependencyUnavailable("the brokers are away")
            if stretch.starts.get(0, 0) <= record.offset < ends.get(0, 0):
                yield record
