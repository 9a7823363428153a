"""Events of the cluster's topics."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from hookstream.entry.admin.event_audience import audiences
from hookstream.entry.admin.event_sending import EventSender
from hookstream.entry.admin.event_tail import tail, topics_to_tail
from hookstream.entry.admin.known_names import NO_TOPIC, Filter, read_names, refuse_unknown
from hookstream.entry.admin.topics import cluster_topics
from hookstream.entry.backend.cluster.access import ClusterAccess
from hookstream.entry.backend.event_ports import LineWatch, SentLines, TailedRecord, WantedTail
from hookstream.errors import HookstreamError


@dataclass(slots=True, frozen=True)
class ClusterEvents:
    """Implements `EventCommands`."""

    cluster: ClusterAccess

    def tail(self, wanted: WantedTail) -> Iterator[TailedRecord]:
        settings, topics = self.cluster.settings, {*wanted.topics}
        if topics:
            refuse_unknown([Filter("--topic", topics, cluster_topics(settings), NO_TOPIC)])
        known = read_names(settings) if wanted.event_types else None
        if known is not None:
            refuse_unknown([Filter("--type", wanted.event_types, known.event_types)])
        chosen = sorted(topics) or topics_to_tail(settings)
        records = tail(
            settings,
            chosen,
            wanted.event_types,
            from_beginning=wanted.from_beginning,
            follow=wanted.follow,
        )
        for record, event in records:
            at, offset, appended_at = record.where, record.offset, record.timestamp
            if isinstance(event, str):
                yield TailedRecord(at, offset, appended_at, None, event)
            else:
                yield TailedRecord(at, offset, appended_at, event)

    def send(self, file: BinaryIO, topic_prefix: str, watch: LineWatch) -> SentLines:
        sender = EventSender(self.cluster.settings, watch.read, watch.refused)
        self.cluster.send_file(sender, file, topic_prefix)
        if not sender.kinds:
            return SentLines(sender.sent, sender.refused)
        try:
            found = audiences(self.cluster.state(), sender.kinds)
        except HookstreamError as problem:
            return SentLines(sender.sent, sender.refused, problem=str(problem))
        return SentLines(sender.sent, sender.refused, found)
