"""A partner's row: its name and its grant."""

from collections.abc import Mapping

from hookstream.adapters.tables import fields
from hookstream.adapters.tables.fields import EnvelopeUnreadable
from hookstream.core.model.instant import from_rfc3339, to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import Grant, Partner


def write_partner(partner: Partner) -> bytes:
    """Return the row of a partner."""
    previous = partner.previous_grant
    return fields.encoded(
        {
            "revision": partner.revision,
            "id": partner.id,
            "name": partner.name,
            "owner": partner.owner,
            "grant": _grant_document(partner.grant),
            "grant_from": to_rfc3339(partner.grant_from),
            "previous_grant": None if previous is None else _grant_document(previous),
        }
    )


def read_partner(key: str, value: bytes) -> Partner:
    """Return the partner that a row holds.

    Raises:
        EnvelopeUnreadable: It cannot be read: nobody can tell what the partner may see.
    """
    row = fields.row_of(key, value)
    try:
        fields.check_format(row)
        fields.check_id(row, key)
        has_previous = row.get("previous_grant") is not None
        return Partner(
            id=key,
            name=fields.text(row, "name"),
            grant=_grant(fields.section(row, "grant")),
            grant_from=fields.parsed(row, "grant_from", from_rfc3339),
            previous_grant=_grant(fields.section(row, "previous_grant")) if has_previous else None,
            revision=fields.integer(row, "revision"),
            owner=fields.text(row, "owner"),
        )
    except fields.FieldUnreadable as why:
        raise EnvelopeUnreadable(f"partner {key!r}: {why}") from None


def _grant_document(grant: Grant) -> JsonObject:
    return {
        "event_types": list(grant.event_types),
        "environments": list(grant.environments),
        "pattern": grant.pattern,
        "operator": grant.operator,
    }


def _grant(row: Mapping[str, object]) -> Grant:
    return Grant(
        fields.texts(row, "event_types"),
        fields.texts(row, "environments"),
        fields.pattern(row),
        row.get("operator") is True,
    )
