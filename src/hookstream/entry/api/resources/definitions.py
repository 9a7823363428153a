"""Routes that plan and apply the definitions of a folder.

The client reads the files and the secrets that they name. A definition's `{env}` and `{file}` are only names here:
their material is in the request, and nothing is opened.
"""

from typing import Annotated, Any, Literal, cast

import msgspec
from msgspec import Meta

from hookstream.core.access.scopes import Scope
from hookstream.core.model.instant import to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.planning.changes import Plan
from hookstream.core.planning.declared import LONGEST_PLACE, Declared, Problem
from hookstream.core.planning.definition import folder_name_problem
from hookstream.core.planning.fields import Difference
from hookstream.core.planning.lead import ChangeTimes
from hookstream.core.planning.plan import PlanOptions
from hookstream.core.planning.secret_fields import SecretSource
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.definitions import (
    apply_plan,
    definition_rules,
    generated_by,
    last_instant,
    made_plan,
    on_starts,
)
from hookstream.entry.admin.plan_view import ShownChange, ShownPlan, shown_plan
from hookstream.entry.admin.sent_definitions import SentDefinition, read_sent
from hookstream.entry.admin.subscription_writing import DefinitionRefused
from hookstream.entry.api.fields import ApiInput, ApiOutput, Identifier
from hookstream.entry.api.problems import invalid
from hookstream.entry.api.resources.subscription_bodies import Material
from hookstream.entry.api.resources.subscription_views import GeneratedShown, shown_generated
from hookstream.entry.api.routes import ApiAnswer, Call, Route

_TAG = "definitions"
LARGEST_DEFINITIONS = 8 << 20
"""Bytes of a request with definitions."""
MOST_DEFINITIONS = 20_000


class SentSecret(ApiInput, frozen=True):
    """Secret material, and its source: encrypted at once, and never shown again."""

    source: Literal["env", "file"]
    name: Annotated[str, Meta(min_length=1, max_length=1_000)]
    """As the definition has it."""
    value: Material


class DefinitionGiven(ApiInput, frozen=True):
    """One definition, as it is in a file."""

    kind: Literal["partner", "subscription"]
    definition: dict[str, Any]
    secrets: Annotated[tuple[SentSecret, ...], Meta(max_length=100)] = ()
    """The values of its `{env: NAME}` and `{file: PATH}`, which are not looked up anywhere else."""
    declared_at: Annotated[str, Meta(max_length=LONGEST_PLACE)] = ""
    """The file, within its folder, and the line that declare a subscription: `subscriptions/orders.yaml:3`. Stored with
    it, for people; empty: not known."""


class PlanGiven(ApiInput, frozen=True):
    """All definitions of a folder, and the options of the plan."""

    definitions: Annotated[tuple[DefinitionGiven, ...], Meta(max_length=MOST_DEFINITIONS)]
    owner: Identifier | None = None
    """The folder's name, under which it owns its definitions."""
    prune: bool = False
    """Whether objects that the folder owns and no longer declares are deleted."""
    cascade: bool = False
    """Whether a partner's subscriptions are deleted with it."""
    take_over: Annotated[tuple[Identifier, ...], Meta(max_length=50)] = ()
    """Names of folders from which declared objects are taken over."""
    confirm_delete: Annotated[int, Meta(ge=0)] | None = None
    """The number of deletions, to confirm one of many of the folder's objects."""


class ApplyGiven(PlanGiven, frozen=True, kw_only=True):
    """The same, with the plan that was shown."""

    marks: Annotated[dict[str, str], Meta(max_length=2 * MOST_DEFINITIONS)]
    """The `mark` of each change of the plan, by its subject, such as `subscription orders`: only these are made."""


class FieldDifference(ApiOutput, frozen=True):
    """A field that changes; null: it is absent."""

    path: str
    before: str | None
    after: str | None


class PlannedField(ApiOutput, frozen=True):
    """A field of a created object, as a text without any secret."""

    path: str
    shown: str


class PlannedChange(ApiOutput, frozen=True):
    """A change of a plan."""

    action: str
    """`create`, `update`, `delete`, or `none` if the object is as declared."""
    subject: str
    """`partner acme`, `subscription orders`."""
    fields: tuple[PlannedField, ...]
    """The fields of a created object."""
    differences: tuple[FieldDifference, ...]
    """The changes of an updated object."""
    start_from: str | None
    """The time from which past events are replayed to a created subscription."""
    was_deleted: bool
    """Whether it is created again under the id of a deleted one."""
    generates: int
    """How many signing secrets are generated for it."""
    mark: str
    """Identifies this change of this revision; empty: nothing is written."""


class PlannedProblem(ApiOutput, frozen=True):
    """A problem of a definition."""

    subject: str
    path: str
    why: str


class PlanShown(ApiOutput, frozen=True):
    """A plan: its changes, or the problems that prevent them."""

    changes: tuple[PlannedChange, ...]
    problems: tuple[PlannedProblem, ...]
    notes: tuple[str, ...]


class GeneratedFor(ApiOutput, frozen=True):
    """A signing secret that was generated for a subscription."""

    subscription: str
    secret: GeneratedShown


class PlanApplied(ApiOutput, frozen=True):
    """A plan that was carried out."""

    plan: PlanShown
    generated: tuple[GeneratedFor, ...]
    jobs: tuple[str, ...]
    """The replays that were started with it."""
    takes_effect: str | None
    """When all of it takes effect, by the brokers' clock; null: at once."""
    warning: str | None
    """A warning for a rolling upgrade."""


def plan_definitions(call: Call[Any, PlanGiven]) -> ApiAnswer:
    """Return the changes that applying definitions would make now."""
    with call.services.large_body():
        options = _options(call)
        declared, problems = _declared(call)
        if problems:
            return ApiAnswer(_plan(ShownPlan((), problems)))
        services = call.services
        settings = services.settings
        now = services.now()
        times = ChangeTimes(now, now + settings.tables.activation_lead)
        made = made_plan(settings, services.opened_state(), declared, options, times)
        notes = on_starts(settings, made, services.retained_since)
        shown = shown_plan(made)
        return ApiAnswer(_plan(ShownPlan(shown.changes, shown.problems, [*shown.notes, *notes])))


def apply_definitions(call: Call[Any, ApplyGiven]) -> ApiAnswer:
    """Change the tables to the declared state, if the plan is still the one that was shown."""
    with call.services.large_body():
        options = _options(call)
        declared, problems = _declared(call)
        if problems:
            located = [Problem("", f"{each.subject}: {each.path}", each.why) for each in problems]
            raise DefinitionRefused(located)
        settings = call.services.settings

        def act(writer: ChangeWriter) -> Plan:
            made = made_plan(settings, writer.state, declared, options, writer.session.times)
            return apply_plan(writer, made, call.body.marks)

        def answer(made: Plan, writer: ChangeWriter) -> ApiAnswer:
            until = last_instant(made)
            body = PlanApplied(
                plan=_plan(shown_plan(made)),
                generated=tuple(
                    GeneratedFor(subscription=name, secret=secret)
                    for name, each in generated_by(made)
                    for secret in shown_generated((each,))
                ),
                jobs=tuple(job.id for job in writer.started),
                takes_effect=to_rfc3339(until) if until > writer.session.now else None,
                warning=writer.warning,
            )
            kept = msgspec.structs.replace(body, generated=())
            return ApiAnswer(body, kept=kept, subject=call.body.owner or "")

        return call.change(act, answer)


def _options(call: Call[Any, Any]) -> PlanOptions:
    body: PlanGiven = call.body
    wrong = None if body.owner is None else folder_name_problem(body.owner)
    if wrong is not None:
        raise invalid(wrong, "owner")
    if body.confirm_delete is not None and not body.prune:
        raise invalid("nothing is deleted without `prune`", "confirm_delete")
    for name, given in (("prune", body.prune), ("take_over", bool(body.take_over))):
        if given and body.owner is None:
            raise invalid("a folder without a name owns nothing", name, "send its name as `owner`")
    return PlanOptions(
        body.prune, body.cascade, body.owner, frozenset(body.take_over), body.confirm_delete
    )


def _declared(call: Call[Any, Any]) -> tuple[Declared, list[Problem]]:
    # Taken from the document, whose numbers are exact.
    documents = cast("list[JsonObject]", call.document["definitions"])
    sent = [
        SentDefinition(given.kind, document["definition"], _material(given), given.declared_at)
        for given, document in zip(call.body.definitions, documents, strict=True)
    ]
    declared, problems = read_sent(sent, definition_rules(call.services.settings))
    return declared, [*problems]


def _material(given: DefinitionGiven) -> dict[tuple[SecretSource, str], bytes]:
    return {
        (each.source, each.name): each.value.encode("utf-8", "surrogatepass")
        for each in given.secrets
    }


def _plan(shown: ShownPlan) -> PlanShown:
    return PlanShown(
        changes=tuple(map(_change, shown.changes)),
        problems=tuple(
            PlannedProblem(subject=each.subject, path=each.path, why=each.why)
            for each in shown.problems
        ),
        notes=tuple(shown.notes),
    )


def _change(shown: ShownChange) -> PlannedChange:
    return PlannedChange(
        action=shown.action,
        subject=shown.subject,
        fields=tuple(PlannedField(path=path, shown=text) for path, text in shown.fields),
        differences=tuple(map(_difference, shown.differences)),
        start_from=shown.start_from,
        was_deleted=shown.was_deleted,
        generates=shown.generates,
        mark=shown.mark,
    )


def _difference(found: Difference) -> FieldDifference:
    return FieldDifference(path=found.path, before=found.before, after=found.after)


ROUTES = (
    Route(
        "POST",
        "/v1/definitions/plan",
        Scope.OPERATOR_WRITE,
        "Show the changes that applying definitions would make.",
        plan_definitions,
        PlanShown,
        body=PlanGiven,
        largest_body=LARGEST_DEFINITIONS,
        needs_no_key="it changes nothing",
        tag=_TAG,
    ),
    Route(
        "POST",
        "/v1/definitions/apply",
        Scope.OPERATOR_WRITE,
        "Change partners and subscriptions to the declared state, by the plan that was shown.",
        apply_definitions,
        PlanApplied,
        body=ApplyGiven,
        largest_body=LARGEST_DEFINITIONS,
        is_idempotent=True,
        tag=_TAG,
        act="definitions.applied",
    ),
)
