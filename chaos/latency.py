"""How long deliveries took from the log to an endpoint, and which of them never arrived."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from examples.demo.log import Place

from chaos.load import Template, event_id_in, shape_of
from chaos.receipts import Receipt
from chaos.topics import Topics


@dataclass(slots=True, frozen=True)
class Span:
    """What healthy endpoints received of a span of time."""

    due: int
    arrived: int
    """How many arrived at all, by the time of the account."""
    p50_ms: float
    p99_ms: float
    longest_ms: float


def first_accepted(receipts: Iterable[Receipt]) -> dict[str, float]:
    """Return when each delivery was first accepted, in seconds since 1970."""
    found: dict[str, float] = {}
    for receipt in receipts:
        if receipt.accepted:
            found.setdefault(receipt.webhook_id, receipt.at)
    return found


def appended(
    topics: Topics, owners: Mapping[bytes, Template], since: Mapping[Place, int]
) -> Iterable[tuple[Template, str, float]]:
    """Yield the events of the log from offsets on: template, id, seconds since 1970."""
    for record in topics.read(topics.events, since):
        yield owners[shape_of(record.value)], event_id_in(record.value), record.timestamp / 1000


def span_of(due: Mapping[str, float], accepted: Mapping[str, float]) -> Span:
    """Return the results of deliveries, given when each was appended."""
    took = sorted((accepted[name] - at) * 1000 for name, at in due.items() if name in accepted)
    if not took:
        return Span(len(due), 0, math.inf, math.inf, math.inf)
    return Span(
        due=len(due),
        arrived=len(took),
        p50_ms=round(took[len(took) // 2], 1),
        p99_ms=round(took[min(len(took) - 1, len(took) * 99 // 100)], 1),
        longest_ms=round(took[-1], 1),
    )
