"""Subscriptions that come as definitions over HTTP: checked and planned as those of files, and written.

A definition has its secrets as values; nothing here reads a variable or a file. What files own is refused.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from hookstream.adapters.system import random_bytes
from hookstream.core.access.limits import LimitProblem, subscription_problems
from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import SigningSecret, Subscription
from hookstream.core.planning.changes import Create, Unchanged, Update
from hookstream.core.planning.declared import Declared, DeclaredSubscription, Problem
from hookstream.core.planning.definition import read_subscription
from hookstream.core.planning.ownership import OWNED_BY_API
from hookstream.core.planning.plan import PlanOptions, plan
from hookstream.core.planning.request_secrets import RequestSecrets
from hookstream.core.planning.written import definition_of, patched
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.definitions import definition_rules, plan_means
from hookstream.entry.admin.ownership import refuse_owned_by_files
from hookstream.entry.admin.tables import State, at_revision
from hookstream.errors import Conflict, InputRefused
from hookstream.settings import Settings

_LONGEST_ID = 80
_SHORTEST_RANDOM = 8
_RANDOM_BYTES = 10


class DefinitionRefused(InputRefused):
    """Raised for a definition with problems: it carries every one, each with its path."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = tuple(problems)


class LimitExceeded(InputRefused):
    """Raised for what a partner's limits do not allow it to do by itself; it carries every reason."""

    def __init__(self, problems: Sequence[LimitProblem]) -> None:
        super().__init__("; ".join(each.text for each in problems))
        self.problems = tuple(problems)


@dataclass(slots=True, frozen=True)
class WrittenSubscription:
    """A subscription after a definition of it was written."""

    subscription: Subscription
    generated: tuple[SigningSecret, ...]
    """The signing secrets that were generated, to be shown once."""
    notes: tuple[str, ...]
    """What is to be known of it."""
    changed: bool


def new_subscription_id(partner_id: str) -> str:
    """Return the id of a new subscription of a partner: `<partner>.<random>`.

    Raises:
        InputRefused: The partner's id leaves no room for it.
    """
    text = base64.b32encode(random_bytes(_RANDOM_BYTES)).decode().rstrip("=").lower()
    room = _LONGEST_ID - len(partner_id) - 1
    if room < _SHORTEST_RANDOM:
        raise InputRefused(
            f"the id of partner {partner_id!r} is too long for ids below it: an operator chooses the id"
        )
    return f"{partner_id}.{text[:room]}"


def completed(definition: JsonObject, partner_id: str) -> JsonObject:
    """Return the definition of a new subscription, with an id and a signing secret if it has none.

    Args:
        definition: As it was given.
        partner_id: Whose it is.

    Raises:
        InputRefused: The partner's id leaves no room for one.
    """
    endpoint = definition.get("endpoint")
    if isinstance(endpoint, dict) and endpoint.get("signing_secrets") is None:
        endpoint = {**endpoint, "signing_secrets": [{"generate": True}]}
    given = definition.get("id") or new_subscription_id(partner_id)
    return {**definition, "partner": partner_id, "id": given, "endpoint": endpoint}


def create_subscription(
    settings: Settings, writer: ChangeWriter, definition: JsonObject, *, by_partner: bool
) -> WrittenSubscription:
    """Write a new subscription.

    Args:
        settings: The cluster, and which endpoints are allowed.
        writer: Writes the tables; it has the key ring.
        definition: As a definition file has it, with `{value: …}` in place of other sources of secrets.
        by_partner: Whether its partner asks for it, and so within its limits.

    Raises:
        DefinitionRefused: It has problems.
        Conflict: There is a subscription of this id.
    """
    subscription_id = str(definition["id"])
    found = writer.state.current.subscriptions.get(subscription_id)
    if found is not None:
        raise Conflict(f"there is a subscription {subscription_id!r}")
    return _written(settings, writer, definition, None, by_partner=by_partner)


def change_subscription(
    settings: Settings,
    writer: ChangeWriter,
    subscription_id: str,
    revision: int | None,
    patch: JsonObject,
    *,
    by_partner: bool,
) -> WrittenSubscription:
    """Write the changes that a partial definition makes to a subscription.

    Args:
        settings: The cluster, and which endpoints are allowed.
        writer: Writes the tables; it has the key ring.
        subscription_id: The subscription.
        revision: The revision that it must be at; None: any.
        patch: The fields that change, as `patched` takes them.
        by_partner: Whether its partner asks for it, and so within its limits.

    Raises:
        DefinitionRefused: It has problems.
        InputRefused: There is no such subscription, or it is deleted.
        OwnedByFiles: Definition files own it.
        Conflict: It is at another revision.
    """
    before = at_revision(writer.state, subscription_id, revision)
    refuse_owned_by_files(before)
    definition = patched(definition_of(before), patch)
    return _written(settings, writer, definition, before, by_partner=by_partner)


def _written(
    settings: Settings,
    writer: ChangeWriter,
    definition: JsonObject,
    before: Subscription | None,
    *,
    by_partner: bool,
) -> WrittenSubscription:
    problems: list[Problem] = []
    secrets = RequestSecrets(_new_secret_name, before)
    declared: DeclaredSubscription = read_subscription(
        definition,
        definition_rules(settings),
        secrets,
        lambda path, why: problems.append(Problem("", path, why)),
    )
    if problems:
        raise DefinitionRefused(problems)
    state = writer.state
    means = plan_means(settings, state.book, writer.session.times, opened=True)
    made = plan(
        Declared((), (declared,)), state.current, PlanOptions(declared_by=OWNED_BY_API), means
    )
    if made.problems:
        raise DefinitionRefused([Problem("", each.path, each.why) for each in made.problems])
    [change] = made.changes
    if by_partner and isinstance(change, Create | Update):
        _refuse_beyond_limits(state, before, cast("Subscription", change.after))
    writer.write(made.writes)
    match change:
        case Create(after, _, generated) | Update(_, after, _, generated):
            row = cast("Subscription", after)
            return WrittenSubscription(row, generated, made.notes, changed=True)
        case Unchanged(present):
            row = cast("Subscription", present)
            return WrittenSubscription(row, (), made.notes, changed=False)
        case _:
            raise InputRefused("the definition deletes it")


def _refuse_beyond_limits(state: State, before: Subscription | None, after: Subscription) -> None:
    partner = state.current.partners[after.partner_id]
    existing = [
        each
        for each in state.current.subscriptions.values()
        if each.partner_id == after.partner_id
    ]
    found = subscription_problems(partner.limits, existing, before, after)
    if found:
        raise LimitExceeded(found)


def _new_secret_name() -> str:
    return f"value-{random_bytes(4).hex()}"
