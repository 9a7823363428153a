"""Plans the changes that definitions declare, from a folder of files or not, and writes the plan that was shown."""

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.definition_files import Definitions, read_definitions
from hookstream.adapters.http.tls_contexts import IdentityRefused, context_of
from hookstream.adapters.ready_templates import ready_templates
from hookstream.adapters.signing_keys import generated_key, read_signing_key
from hookstream.adapters.system import random_bytes
from hookstream.adapters.tables.sealed import Keys
from hookstream.adapters.x509 import valid_until
from hookstream.core.delivery.address import origin, scrub, url_problem
from hookstream.core.delivery.bodies.template import secrets_in
from hookstream.core.delivery.signing import header_problem
from hookstream.core.matching.directory import asks_for
from hookstream.core.matching.pattern import PatternRefused, dotted, parse
from hookstream.core.model.endpoint_identity import TlsIdentity
from hookstream.core.model.instant import Millis
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import TopicPartition
from hookstream.core.model.subscription import Partner, SigningSecret, Subscription
from hookstream.core.planning.body_format import TemplateRules
from hookstream.core.planning.changes import Create, Plan, Update, confirm_marks
from hookstream.core.planning.declared import EARLIEST_START, Declared, Problem, SigningKey
from hookstream.core.planning.definition import folder_name_problem
from hookstream.core.planning.endpoint_fields import DefinitionRules
from hookstream.core.planning.lead import ChangeTimes
from hookstream.core.planning.plan import PlanMeans, PlanOptions, plan
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.gaps import NOT_EXACT
from hookstream.entry.admin.schema_checks import pattern_checks, template_checks
from hookstream.entry.admin.tables import SEALED, State
from hookstream.entry.keys import key_ring
from hookstream.errors import ConfigurationError, InputRefused
from hookstream.pipeline.replay import curtailed_text
from hookstream.settings import Settings


class FolderPlanner:
    """Plans the changes that a folder's definition files declare, and applies them.

    Args:
        settings: The cluster, and which endpoints are allowed. environ: Environment variables that may have
        secrets. folder: The folder. options: The options of the plan; without an owner, the folder's own name
        is its owner. needs_keys: Whether a key ring is needed, to apply the plan. Without one, secrets are
        compared by their names only, so files can be checked without any secret. keys: Returns the key ring.

    Raises:
        InputRefused: The folder cannot be read, or the request needs a name that it does not have.
        ConfigurationError: A key ring is needed and none is set.
    """

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        folder: Path,
        options: PlanOptions,
        *,
        needs_keys: bool,
        keys: Callable[[Settings], Keys] = key_ring,
    ) -> None:
        self._settings = settings
        self.keys: Keys = SEALED
        """Decrypts secrets, or passes them on encrypted if there is no key ring."""
        self._keyless: str | None = None
        try:
            self.keys = keys(settings)
        except ConfigurationError as why:
            self._keyless = str(why)
        rules = definition_rules(settings)
        needs_secrets = needs_keys or self._keyless is None
        self._definitions = read_definitions(folder, environ, rules, needs_secrets=needs_secrets)
        self.problems: Sequence[Problem] = self._definitions.problems
        """Problems of the files themselves; with any of them, there is no plan."""
        self._options = replace(options, owner=folder_owner(self._definitions, options))
        if needs_keys and self._keyless is not None and not self.problems:
            raise ConfigurationError(self._keyless)

    def plan(
        self,
        state: State,
        now: Millis,
        retained_since: Callable[[Millis], Sequence[TopicPartition]],
    ) -> Plan:
        """Return the changes that applying the files would make now, with problems located in them.

        Args:
            state: The tables, opened by `keys`.
            now: The present.
            retained_since: As the service of this name.

        Raises:
            DependencyUnavailable: The brokers do not answer.
        """
        settings = self._settings
        made = self._made(state, ChangeTimes(now, now + settings.tables.activation_lead))
        return replace(made, notes=(*made.notes, *on_starts(settings, made, retained_since)))

    def apply(self, writer: ChangeWriter, shown: Mapping[str, str]) -> Plan:
        """Write the plan that was shown, as `apply_plan`.

        Args:
            writer: Writes the tables; it has the keys.
            shown: The marks of the plan that was shown.

        Raises:
            Conflict: The tables changed, and with them the plan.
        """
        return apply_plan(writer, self._made(writer.state, writer.session.times), shown)

    def _made(self, state: State, times: ChangeTimes) -> Plan:
        definitions = self._definitions
        made = made_plan(
            self._settings,
            state,
            definitions.declared,
            self._options,
            times,
            opened=self._keyless is None,
        )
        notes = [*definitions.notes, *made.notes]
        if self._keyless is not None:
            notes.append(
                f"secrets are compared by their names only, without a key ring: {self._keyless}"
            )
        located = tuple(map(definitions.located, made.problems))
        return replace(made, problems=located, notes=tuple(notes))


def made_plan(
    settings: Settings,
    state: State,
    declared: Declared,
    options: PlanOptions,
    times: ChangeTimes,
    *,
    opened: bool = True,
) -> Plan:
    """Return the plan of what is declared, with the problems and notes of the tables.

    Args:
        settings: The share that may be pruned.
        state: The tables.
        declared: What is declared.
        options: The options.
        times: When the changes are begun, and when they take effect.
        opened: Whether secrets are decrypted.
    """
    means = plan_means(settings, state.book, times, opened=opened)
    made = plan(declared, state.current, options, means)
    unreadable = [Problem("", "", f"the tables cannot be read: {why}") for why in state.unreadable]
    faults = [f"a schema is not used: {why}" for why in state.schema_faults]
    return replace(made, problems=(*made.problems, *unreadable), notes=(*made.notes, *faults))


def apply_plan(writer: ChangeWriter, made: Plan, shown: Mapping[str, str]) -> Plan:
    """Write a plan if it is the one that was shown, and return it with the writer's warning among its notes.

    Args:
        writer: Writes the tables.
        made: The plan of the tables' present state.
        shown: The marks of the plan that was shown.

    Raises:
        Conflict: The tables changed, and with them the plan.
    """
    confirm_marks(shown, made)
    writer.write(made.writes)
    writer.forget()
    warnings = () if writer.warning is None else (writer.warning,)
    return replace(made, notes=(*made.notes, *warnings))


def generated_by(made: Plan) -> list[tuple[str, SigningSecret]]:
    """Return the signing secrets that a plan generated, each with its subscription's id."""
    return [
        (change.after.id, secret)
        for change in made.writes
        if isinstance(change, Create | Update)
        for secret in change.generated
    ]


def on_starts(
    settings: Settings,
    made: Plan,
    retained_since: Callable[[Millis], Sequence[TopicPartition]],
) -> list[str]:
    """Return notes on subscriptions that start in the past."""
    starts = [
        change.start_from
        for change in made.writes
        if isinstance(change, Create) and change.start_from is not None
    ]
    if not starts:
        return []
    notes = [NOT_EXACT] if settings.events.accept_create_time else []
    timed = [start for start in starts if start != EARLIEST_START]
    taken = retained_since(min(timed)) if timed else []
    return [*notes, f"start_from: {curtailed_text(taken)}"] if taken else notes


def rules_of_any_machine() -> DefinitionRules:
    """Return the checks that are the same in every installation: all but that of addresses."""
    return replace(definition_rules(Settings()), url_problem=lambda _: None)


def definition_rules(settings: Settings) -> DefinitionRules:
    """Return the checks of a definition beyond its syntax, by the settings."""
    egress = settings.egress
    allow = [ipaddress.ip_network(text) for text in egress.allow]
    return DefinitionRules(
        url_problem=partial(url_problem, https_only=egress.https_only, allow=allow),
        header_problem=header_problem,
        pattern_problem=_pattern_problem,
        templates=TemplateRules(ready_templates(), secrets_in),
        signing_key=_signing_key,
        origin=origin,
        tls_problem=_tls_problem,
    )


def plan_means(
    settings: Settings, book: SchemaBook, times: ChangeTimes, *, opened: bool
) -> PlanMeans:
    """Return the inputs of planning.

    Args:
        settings: The share that may be pruned.
        book: The schemas that patterns and templates are checked on.
        times: When the changes are begun, and when they take effect.
        opened: Whether secrets are decrypted.
    """
    return PlanMeans(
        new_key=partial(generated_key, random_bytes),
        scrub=scrub,
        pattern_problems=pattern_checks(book),
        template_problems=template_checks(book),
        asks_for=asks_for,
        now=times.begun,
        takes_effect=times.takes_effect,
        prune_share=settings.tables.prune_share,
        certificate_end=valid_until,
        opened=opened,
    )


def last_instant(made: Plan) -> Millis:
    """Return the instant after which all rows of a plan are in effect; 0: immediately."""
    instants = [0]
    for change in made.writes:
        match change:
            case Create(Subscription() as after):
                instants.append(after.active_from)
            case Create(Partner() as after) | Update(_, Partner() as after):
                instants.append(after.grants[-1].since or 0)
            case _:
                pass
    return max(instants)


def folder_owner(found: Definitions, asked: PlanOptions) -> str | None:
    """Return the folder's name.

    Raises:
        InputRefused: It has two names, lacks a required one, or has an invalid one.
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
                f"{option}: the folder has no name, so it owns nothing. Name it in a file"
                " hookstream.yaml in the folder (name: NAME), or with --owner NAME"
            )
    return owner


def _signing_key(material: bytes) -> SigningKey | str:
    try:
        return read_signing_key(material.decode("utf-8", "replace").strip())
    except InputRefused as refused:
        return str(refused)


def _tls_problem(identity: TlsIdentity) -> str | None:
    try:
        context_of(identity)
    except IdentityRefused as refused:
        return str(refused)
    return None


def _pattern_problem(document: JsonObject) -> str | None:
    try:
        parse(document)
    except PatternRefused as refused:
        return f"at {dotted(refused.path)}: {refused.reason}"
    return None
