"""Definition files and tables become a plan, as `plan` and `apply` both make it."""

import ipaddress
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
from hookstream.core.planning.plan import Means, Terms, plan
from hookstream.entry.cli.context import Context
from hookstream.entry.cli.pattern_checks import PatternChecks
from hookstream.entry.cli.tables import State

SECRET_BYTES = 32
"""A generated signing secret: Standard Webhooks takes 24 to 64 bytes, the hash yields 32."""


@dataclass(slots=True, frozen=True)
class Asked:
    """How a plan was asked for."""

    prune: bool
    cascade: bool


def read_folder(context: Context, folder: Path) -> Definitions:
    """Read a folder of definition files, checked by what the settings allow."""
    egress = context.settings.egress
    allow = [ipaddress.ip_network(text) for text in egress.allow]
    checks = Checks(
        url_problem=partial(url_problem, https_only=egress.https_only, allow=allow),
        pattern_problem=_pattern_problem,
    )
    return read_definitions(folder, context.environ, checks)


def make_plan(definitions: Definitions, state: State, takes_effect: Millis, asked: Asked) -> Plan:
    """Return the plan that makes the tables say what files declare; its problems are located."""
    means = Means(
        new_key=partial(random_bytes, SECRET_BYTES),
        scrub=scrub,
        pattern_problems=PatternChecks(state.book).problems,
        asks_for=asks_for,
    )
    terms = Terms(takes_effect, prune=asked.prune, cascade=asked.cascade)
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
