"""A redrive's selector is written to its job's row, and read when the job is resumed.

An unknown condition is refused, not ignored: the job would redrive more than was requested.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from hookstream.core.model import header_names as names
from hookstream.core.model.instant import Millis, from_rfc3339, to_rfc3339
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.record import Record, header_text
from hookstream.core.redrive.selector import Selector
from hookstream.errors import InputRefused


@dataclass(slots=True, frozen=True)
class UndecodableSelector:
    """The undecodable records for which every given condition holds."""

    topics: frozenset[str] | None = None
    """The event topics that they came from; None here and below: any."""
    reasons: frozenset[str] | None = None
    since: Millis | None = None
    """Appended to the undecodable topic at this instant or later."""
    until: Millis | None = None
    """Appended before this instant."""

    def selects(self, record: Record) -> bool:
        """Return whether an undecodable record is selected."""
        if self.since is not None and record.timestamp < self.since:
            return False
        if self.until is not None and record.timestamp >= self.until:
            return False
        wanted = ((names.ORIGIN_TOPIC, self.topics), (names.REASON, self.reasons))
        return all(
            words is None or header_text(record.headers, name) in words for name, words in wanted
        )


_WORDS = ("subscriptions", "event_types", "reasons", "partners")
_UNDECODABLE_WORDS = ("topics", "reasons")


def selector_row(selector: Selector) -> JsonObject:
    """Encode a selector of dead letters for a job's row: only the given conditions."""
    words = (
        selector.subscription_ids,
        selector.event_types,
        selector.reasons,
        selector.partner_ids,
    )
    return _row(dict(zip(_WORDS, words, strict=True)), selector.since, selector.until)


def undecodable_row(selector: UndecodableSelector) -> JsonObject:
    """Encode a selector of undecodable records for a job's row."""
    words = (selector.topics, selector.reasons)
    return _row(dict(zip(_UNDECODABLE_WORDS, words, strict=True)), selector.since, selector.until)


def read_selector(row: JsonObject) -> Selector:
    """Decode a selector of dead letters.

    Raises:
        InputRefused: A condition is unknown to this release, or of a wrong type.
    """
    known = _known(row, _WORDS)
    subscriptions, event_types, reasons, partners = (known[name] for name in _WORDS)
    return Selector(
        subscription_ids=subscriptions,
        event_types=event_types,
        reasons=reasons,
        since=_instant(row, "since"),
        until=_instant(row, "until"),
        partner_ids=partners,
    )


def read_undecodable_selector(row: JsonObject) -> UndecodableSelector:
    """Decode a selector of undecodable records.

    Raises:
        InputRefused: A condition is unknown to this release, or of a wrong type.
    """
    known = _known(row, _UNDECODABLE_WORDS)
    return UndecodableSelector(
        topics=known["topics"],
        reasons=known["reasons"],
        since=_instant(row, "since"),
        until=_instant(row, "until"),
    )


def _row(
    words: Mapping[str, frozenset[str] | None], since: Millis | None, until: Millis | None
) -> JsonObject:
    row: JsonObject = {}
    for name, asked in words.items():
        if asked:
            row[name] = [*sorted(asked)]
    if since is not None:
        row["since"] = to_rfc3339(since)
    if until is not None:
        row["until"] = to_rfc3339(until)
    return row


def _known(row: JsonObject, names_of_words: tuple[str, ...]) -> dict[str, frozenset[str] | None]:
    strange = sorted(set(row) - {*names_of_words, "since", "until"})
    if strange:
        raise InputRefused(
            f"the job has the conditions {', '.join(strange)}, which need a newer release"
        )
    return {name: _asked(name, row.get(name)) for name in names_of_words}


def _asked(name: str, value: Json) -> frozenset[str] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
        raise InputRefused(f"the job's condition {name} is not a list of words")
    return frozenset(str(word) for word in value)


def _instant(row: JsonObject, name: str) -> Millis | None:
    value = row.get(name)
    if value is None:
        return None
    try:
        return from_rfc3339(str(value))
    except ValueError as problem:
        raise InputRefused(f"the job's condition {name}: {problem}") from problem
