"""Definition files through the API: this process reads them with their secrets, the console plans and applies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hookstream.adapters.definition_files import Definitions, ReadDefinition, read_definitions
from hookstream.core.model.instant import from_rfc3339
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.planning.declared import Problem
from hookstream.core.planning.fields import Difference
from hookstream.core.planning.plan import PlanOptions
from hookstream.entry.admin.definitions import folder_owner, rules_of_any_machine
from hookstream.entry.admin.plan_view import ShownChange, ShownPlan
from hookstream.entry.api.resources.definitions import (
    PlanApplied,
    PlannedChange,
    PlannedProblem,
    PlanShown,
)
from hookstream.entry.backend.api.client import ApiClient
from hookstream.entry.backend.api.rows import effect_at
from hookstream.entry.backend.api.values import generated_in
from hookstream.entry.backend.api.work import ApiJobs
from hookstream.entry.backend.definition_ports import AppliedPlan
from hookstream.errors import InputRefused


@dataclass(slots=True, frozen=True)
class ApiFolder:
    """Implements `FolderCommands`."""

    api: ApiClient
    definitions: Definitions
    options: PlanOptions

    @property
    def problems(self) -> Sequence[Problem]:
        return self.definitions.problems

    def plan(self) -> ShownPlan:
        found = self.api.change("POST", "/v1/definitions/plan", PlanShown, self._given())
        return self._plan(found)

    def apply(self, shown: ShownPlan) -> AppliedPlan:
        given: JsonObject = {**self._given(), "marks": {**shown.marks}}
        done = self.api.change("POST", "/v1/definitions/apply", PlanApplied, given)
        plan = self._plan(done.plan)
        if sum(each.generates for each in plan.changes) != len(done.generated):
            raise InputRefused(
                "the plan was applied, but its answer was lost: the generated signing secrets cannot be"
                " shown again; rotate them (hookstream subscriptions rotate-secret)"
            )
        effect = effect_at(self.api, done.takes_effect, done.warning)
        return AppliedPlan(
            lambda: plan,
            [(each.subscription, generated_in(each.secret)) for each in done.generated],
            [ApiJobs(self.api).found(each).job for each in done.jobs],
            None if done.takes_effect is None else from_rfc3339(done.takes_effect),
            effect.wait,
            effect.warning,
        )

    def _plan(self, shown: PlanShown) -> ShownPlan:
        problems = [self.definitions.located(_problem(each)) for each in shown.problems]
        notes = [*self.definitions.notes, *shown.notes]
        return ShownPlan(list(map(_change, shown.changes)), problems, notes)

    def _given(self) -> JsonObject:
        options = self.options
        given: JsonObject = {
            "definitions": [_definition(each) for each in self.definitions.documents],
            "prune": options.prune,
            "cascade": options.cascade,
            "take_over": [*sorted(options.take_over)],
        }
        if options.owner is not None:
            given["owner"] = options.owner
        if options.confirm_delete is not None:
            given["confirm_delete"] = options.confirm_delete
        return given


@dataclass(slots=True, frozen=True)
class ApiDefinitions:
    """Implements `DefinitionCommands`."""

    api: ApiClient

    def folder(
        self,
        folder: Path,
        environ: Mapping[str, str],
        options: PlanOptions,
        *,
        needs_keys: bool,
    ) -> ApiFolder:
        del needs_keys
        # The console always compares secrets, and has the key ring for that.
        found = read_definitions(folder, environ, rules_of_any_machine())
        return ApiFolder(self.api, found, replace(options, owner=folder_owner(found, options)))


def _definition(read: ReadDefinition) -> Json:
    given: JsonObject = {"kind": read.kind, "definition": read.value}
    if read.kind == "subscription" and read.place:
        given["declared_at"] = read.place
    secrets: list[Json] = [
        {"source": source, "name": name, "value": _text(source, name, material)}
        for (source, name), material in read.secrets.items()
    ]
    return {**given, "secrets": secrets} if secrets else given


def _text(source: str, name: str, material: bytes) -> str:
    try:
        return material.decode()
    except UnicodeDecodeError:
        raise InputRefused(f"{{{source}: {name}}}: it is not UTF-8 text") from None


def _problem(shown: PlannedProblem) -> Problem:
    return Problem(shown.subject, shown.path, shown.why)


def _change(shown: PlannedChange) -> ShownChange:
    differences = [Difference(each.path, each.before, each.after) for each in shown.differences]
    return ShownChange(
        shown.action,
        shown.subject,
        [(each.path, each.shown) for each in shown.fields],
        shown.start_from,
        shown.was_deleted,
        differences,
        shown.mark,
        shown.generates,
    )
