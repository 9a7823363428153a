"""Checks a folder of definition files by the schemas of another, without a cluster or a key ring."""

from dataclasses import dataclass, replace
from pathlib import Path

from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.definition_files import Definitions, read_definitions
from hookstream.adapters.file_tree import shown
from hookstream.adapters.system import SystemClock
from hookstream.core.model.subscription import Grant, Partner
from hookstream.core.planning.changes import Plan
from hookstream.core.planning.declared import Problem
from hookstream.core.planning.lead import ChangeTimes
from hookstream.core.planning.plan import Current, PlanOptions, plan
from hookstream.entry.admin.definitions import definition_rules, plan_means
from hookstream.entry.admin.schema_books import book_of_files
from hookstream.settings import Settings


@dataclass(slots=True, frozen=True)
class DefinitionCheck:
    """The result of a check of definition files."""

    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    partners: int
    """How many partners the folder declares."""
    subscriptions: int


def checked(settings: Settings, folder: Path, schemas: Path) -> DefinitionCheck:
    """Check definition files as a plan does, for a cluster with these schemas and empty tables.

    Secrets are only named: variables and files are not read, so their material is not checked. A subscription
    of a partner that is declared elsewhere is checked, but not by its grant.

    Args:
        settings: Which endpoints are allowed.
        folder: Contains `partners/` and `subscriptions/`.
        schemas: Contains `<event type>/v<N>.avsc`.

    Raises:
        InputRefused: A folder cannot be read.
    """
    book, faults = book_of_files(schemas)
    definitions = read_definitions(
        folder, {}, definition_rules(settings), needs_secrets=False, reads_secrets=False
    )
    declared = definitions.declared
    problems = [Problem("", "", fault.what, shown(schemas / fault.where)) for fault in faults]
    problems += definitions.problems
    notes = list(definitions.notes)
    if not problems:
        made = _planned(settings, definitions, book, schemas)
        problems += map(definitions.located, made.problems)
        notes += made.notes
    return DefinitionCheck(
        tuple(problems), tuple(notes), len(declared.partners), len(declared.subscriptions)
    )


def _planned(
    settings: Settings, definitions: Definitions, book: SchemaBook, schemas: Path
) -> Plan:
    declared = definitions.declared
    here = {partner.id for partner in declared.partners}
    elsewhere = sorted({each.row.partner_id for each in declared.subscriptions} - here)
    current = Current(
        partners={partner_id: _unknown(partner_id) for partner_id in elsewhere},
        latest={event_type: book.latest(event_type) for event_type in book.event_types()},
    )
    now = SystemClock().now()
    means = plan_means(settings, book, ChangeTimes(now, now), opened=False)
    means = replace(means, schemas=f"in {shown(schemas)}")
    made = plan(declared, current, PlanOptions(), means)
    notes = [
        f"partner {partner_id} is not declared here, so its subscriptions are not checked by its grant"
        for partner_id in elsewhere
    ]
    return replace(made, notes=(*notes, *made.notes))


def _unknown(partner_id: str) -> Partner:
    """Return a partner whose grant withholds nothing, in place of one that is declared elsewhere."""
    return Partner(partner_id, partner_id, Grant(("*",), ("*",)))
