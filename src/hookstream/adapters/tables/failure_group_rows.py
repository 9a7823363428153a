"""The rows of failure groups in the console topic: `failure-group/<id>`."""

from hookstream.adapters.tables.row import Row
from hookstream.core.failures.groups import (
    LONGEST_NOTE,
    Actor,
    Errors,
    FailureGroup,
    GroupState,
    group_id,
)
from hookstream.core.model import row_fields as fields
from hookstream.core.model.row_fields import FieldKind, FieldUnreadable

GROUP_PREFIX = "failure-group/"


def _group(**values: object) -> FailureGroup:
    group = FailureGroup(**values)  # type: ignore[arg-type]  # the fields of the row
    if group.id != group_id(Errors(group.partner_id, group.fingerprint)):
        raise FieldUnreadable("its key does not match its errors")
    return group


_NOTE = FieldKind(
    lambda found: found[:LONGEST_NOTE] if isinstance(found, str) else "",
)

_ROW = Row(
    "failure group",
    _group,
    rf"{GROUP_PREFIX}(?P<id>[^/]+)",
    strict=True,
    revision=fields.WHOLE,
    partner=fields.TEXT.into("partner_id"),
    subscription=fields.TEXT.into("subscription_id"),
    outcome=fields.TEXT,
    status=fields.optional(fields.WHOLE),
    text=fields.TEXT,
    state=fields.parsed(GroupState),
    opened=fields.INSTANT,
    changed=fields.INSTANT,
    first_seen=fields.INSTANT,
    last_seen=fields.INSTANT,
    actor=fields.parsed(Actor),
    by=fields.REMARK,
    note=_NOTE,
)

read_failure_group, write_failure_group = _ROW.read, _ROW.write


def failure_group_key(name: str) -> str:
    """Return the console topic's key of a failure group."""
    return GROUP_PREFIX + name
