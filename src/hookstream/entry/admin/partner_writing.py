"""Partners that come as definitions over HTTP: their grants and limits, checked and planned as those of files."""

from dataclasses import dataclass
from typing import cast

from hookstream.core.model.instant import format_duration
from hookstream.core.model.json import JsonObject
from hookstream.core.model.partner_limits import PARTNER_LIMIT_BOUNDS
from hookstream.core.model.subscription import Partner
from hookstream.core.planning.changes import Create, Unchanged, Update
from hookstream.core.planning.declared import Declared, Problem
from hookstream.core.planning.definition import read_partner
from hookstream.core.planning.ownership import OWNED_BY_API
from hookstream.core.planning.plan import PlanOptions, plan
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.definitions import definition_rules, plan_means
from hookstream.entry.admin.ownership import refuse_owned_by_files
from hookstream.entry.admin.subscription_writing import DefinitionRefused
from hookstream.entry.admin.tables import at_partner_revision
from hookstream.errors import Conflict, InputRefused
from hookstream.settings import Settings


@dataclass(slots=True, frozen=True)
class WrittenPartner:
    """A partner after a definition of it was written."""

    partner: Partner
    notes: tuple[str, ...]
    changed: bool


def create_partner(
    settings: Settings, writer: ChangeWriter, definition: JsonObject
) -> WrittenPartner:
    """Write a new partner.

    Args:
        settings: The cluster.
        writer: Writes the tables.
        definition: As a definition file has it.

    Raises:
        DefinitionRefused: It has problems.
        Conflict: There is a partner of this id.
    """
    name = str(definition.get("id"))
    if name in writer.state.current.partners:
        raise Conflict(f"there is a partner {name!r}")
    return _written(settings, writer, definition)


def change_partner(
    settings: Settings,
    writer: ChangeWriter,
    partner_id: str,
    revision: int | None,
    patch: JsonObject,
) -> WrittenPartner:
    """Write the changes that a partial definition makes to a partner; null removes a field.

    Args:
        settings: The cluster.
        writer: Writes the tables.
        partner_id: The partner.
        revision: The revision that it must be at; None: any.
        patch: The fields that change: of `grant` and `limits` single ones.

    Raises:
        DefinitionRefused: It has problems.
        InputRefused: There is no such partner.
        OwnedByFiles: Definition files own it.
        Conflict: It is at another revision.
    """
    before = at_partner_revision(writer.state, partner_id, revision)
    refuse_owned_by_files(before)
    definition = partner_definition(before)
    for name, value in patch.items():
        present = definition.get(name)
        if isinstance(value, dict) and isinstance(present, dict):
            merged = {**present, **value}
            definition[name] = {key: each for key, each in merged.items() if each is not None}
        else:
            definition[name] = value
    return _written(settings, writer, definition)


def partner_definition(partner: Partner) -> JsonObject:
    """Return the definition of a partner."""
    grant: JsonObject = {
        "event_types": [*partner.grant.event_types],
        "environments": [*partner.grant.environments],
        "operator": partner.grant.operator,
    }
    if partner.grant.pattern is not None:
        grant["pattern"] = partner.grant.pattern
    limits: JsonObject = {}
    for name in PARTNER_LIMIT_BOUNDS:
        value: int = getattr(partner.limits, name)
        limits[name] = format_duration(value) if name == "timeout" else value
    return {"id": partner.id, "name": partner.name, "grant": grant, "limits": limits}


def _written(settings: Settings, writer: ChangeWriter, definition: JsonObject) -> WrittenPartner:
    problems: list[Problem] = []
    declared = read_partner(
        definition,
        definition_rules(settings),
        lambda path, why: problems.append(Problem("", path, why)),
    )
    if problems:
        raise DefinitionRefused(problems)
    state = writer.state
    means = plan_means(settings, state.book, writer.session.times, opened=True)
    options = PlanOptions(declared_by=OWNED_BY_API)
    made = plan(Declared((declared,), ()), state.current, options, means)
    if made.problems:
        raise DefinitionRefused([Problem("", each.path, each.why) for each in made.problems])
    writer.write(made.writes)
    [change] = made.changes
    match change:
        case Create(after) | Update(_, after):
            return WrittenPartner(cast("Partner", after), made.notes, changed=True)
        case Unchanged(before):
            return WrittenPartner(cast("Partner", before), made.notes, changed=False)
        case _:
            raise InputRefused("the definition deletes it")
