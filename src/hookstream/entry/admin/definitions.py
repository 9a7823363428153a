"""Definition files and tables become a plan, as `plan` and `apply` both make it."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from hookstream.adapters.definition_files import Checks, Definitions, read_definitions
from hookstream.adapters.system import random_bytes
from hookstream.core.delivery.address import scrub, url_problem
from hookstream.core.matching.directory import asks_for
from hookstream.core.matching.pattern import PatternRefused, dotted, parse
from hookstream.core.model.instant import Millis
from hookstream.core.model.json import JsonObject
from hookstream.core.planning.changes import Plan
from hookstream.core.planning.declared import Problem
from hookstream.core.planning.definition import folder_name_problem
from hookstream.core.planning.plan import PlanMeans, Terms, plan
from hookstream.entry.admin.pattern_checks import PatternChecks
from hookstream.entry.admin.tables import State
from hookstream.errors import InputRefused
from hookstream.settings import Settings

SECRET_BYTES = 32
"""A generated signing secret: Standard Webhooks takes 24 to 64 bytes, the hash yields 32."""


@dataclass(slots=True, frozen=True)
class PlanRequest:
    """How a plan was asked for."""

    prune: bool
    cascade: bool
    owner: str | None
    take_over: tuple[str, ...]
    confirm_delete: int | None


def read_folder(
    settings: Settings,
    environ: Mapping[str, str],
    folder: Path,
    asked: PlanRequest,
    *,
    secrets: bool = True,
) -> Definitions:
    """Read a folder of definition files, checked by what the settings allow.

    Args:
        settings: They say which endpoints are allowed.
        environ: Where signing secrets may stand.
        folder: Where they are.
        asked: How the plan was asked for.
        secrets: Whether signing secrets must be where the files say; else a note says which are not.

    Raises:
        InputRefused: The folder cannot be read, or what is asked for needs a name that it has not.
    """
    egress = settings.egress
    allow = [ipaddress.ip_network(text) for text in egress.allow]
    checks = Checks(
        url_problem=partial(url_problem, https_only=egress.https_only, allow=allow),
        pattern_problem=_pattern_problem,
        secrets=secrets,
    )
    found = read_definitions(folder, environ, checks)
    found.owner = _owner(found, asked)
    return found


def _owner(found: Definitions, asked: PlanRequest) -> str | None:
    """Return the folder's name.

    Raises:
        InputRefused: It has two, none that it needs, or one that cannot be.
    """
    owner = found.owner
    if asked.owner is not None:
        wrong = folder_name_problem(asked.owner)
        if wrong is not None:
            raise InputRefused(f"--owner: {wrong}")
        if owner not in (None, asked.owner):
            raise InputRefused(
                f"--owner {asked.owner}: the folder's hookstream.yaml says that it is {owner};"
                " leave the option out, or change the file"
            )
        owner = asked.owner
    if asked.confirm_delete is not None and not asked.prune:
        raise InputRefused("--confirm-delete: nothing is deleted without --prune")
    for option, given in (("--prune", asked.prune), ("--take-over", asked.take_over)):
        if given and owner is None and not found.problems:
            raise InputRefused(
                f"{option}: the folder has no name, so it owns nothing. Give it one with a file"
                " hookstream.yaml in it (name: NAME), or with --owner NAME"
            )
    return owner


def make_plan(
    definitions: Definitions,
    state: State,
    takes_effect: Millis,
    asked: PlanRequest,
    prune_share: float,
    *,
    opened: bool = True,
) -> Plan:
    """Return the plan that makes the tables say what files declare; its problems are located."""
    means = PlanMeans(
        new_key=partial(random_bytes, SECRET_BYTES),
        scrub=scrub,
        pattern_problems=PatternChecks(state.book).problems,
        asks_for=asks_for,
        opened=opened,
    )
    terms = Terms(
        takes_effect,
        prune=asked.prune,
        cascade=asked.cascade,
        owner=definitions.owner,
        take_over=frozenset(asked.take_over),
        prune_share=prune_share,
        confirmed=asked.confirm_delete,
    )
    made = plan(definitions.declared, state.current, terms, means)
    problems = [*map(definitions.located, made.problems)]
    problems += [Problem("", "", f"the tables cannot be read: {why}") for why in state.unreadable]
    notes = (
        *definitions.notes,
        *made.notes,
        *(f"a schema is not used: {why}" for why in state.schema_faults),
    )
    return replace(made, problems=tuple(problems), notes=notes)


def _pattern_problem(document: JsonObject) -> str | None:
    try:
        parse(document)
    except PatternRefused as refused:
        return f"at {dotted(refused.path)}: {refused.reason}"
    return None
