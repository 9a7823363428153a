"""Compares declared definitions with the tables, and makes a plan: changes, problems and notes.

A plan is made twice: once to be shown, and again by the writer, with the tables' state after every
other writer is fenced. It is written only if both are equal, so nobody overwrites a change that
they have not seen.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.core.model.parts import joined
from hookstream.core.model.subscription import (
    Disabled,
    Endpoint,
    Partner,
    SigningSecret,
    Subscription,
    SubscriptionState,
    UnreadableSubscription,
    VersionPin,
)
from hookstream.core.model.suggestion import did_you_mean
from hookstream.core.planning import notes, transitions
from hookstream.core.planning.changes import Change, Create, Delete, Plan, Unchanged, Update
from hookstream.core.planning.declared import Declared, DeclaredSubscription, Problem
from hookstream.core.planning.fields import Subject, differences, named
from hookstream.core.planning.grants import first_granted, regranted
from hookstream.core.planning.ownership import (
    OWNED_BY_API,
    claim_of_released,
    claim_refused,
    owner_text,
    prune_refused,
    take_over_refused,
)
from hookstream.core.planning.rotation import NewKey, begun, problems, rotated, without_ended


@dataclass(slots=True, frozen=True)
class Current:
    """The state of the tables."""

    partners: Mapping[str, Partner] = field(default_factory=dict)
    subscriptions: Mapping[str, Subscription | UnreadableSubscription] = field(
        default_factory=dict
    )
    disabled: Mapping[str, Disabled] = field(default_factory=dict)
    latest: Mapping[str, int] = field(default_factory=dict)
    """The newest published version of each event type."""


@dataclass(slots=True, frozen=True)
class PlanOptions:
    """The options of a plan."""

    prune: bool = False
    """Delete what the folder owns and no longer declares; has no effect without a folder name."""
    cascade: bool = False
    """Delete a partner's live subscriptions with it."""
    owner: str | None = None
    """The name of the folder, which owns what it declares."""
    take_over: Collection[str] = ()
    """Names of folders whose rows it may take over."""
    confirm_delete: int | None = None
    """The number of deletions that the user confirmed."""
    declared_by: str | None = None
    """The owner of what is declared, if that is not a folder: its rows may not be those of files."""


@dataclass(slots=True, frozen=True)
class PlanMeans:
    """What planning needs from other components."""

    new_key: NewKey
    """Generates the key of a signing secret."""
    scrub: Callable[[str], str]
    """Returns the part of a URL that may be shown."""
    pattern_problems: Callable[[Subject], Sequence[str]]
    """Checks a subject's patterns against the schemas of the versions that it receives."""
    template_problems: Callable[[Subscription], Sequence[tuple[str, str]]]
    """Checks a subscription's template against the same schemas; each problem has its place in it."""
    asks_for: Callable[[tuple[str, ...], str], bool]
    """Returns whether globs request an event type; hookstream's own only match by name."""
    now: Millis
    """The broker's time: signing secrets that ended by now count as gone."""
    takes_effect: Millis
    """When new subscriptions and wider grants take effect: the broker's time plus a lead."""
    prune_share: float
    """The share of the folder's rows that may be deleted without confirmation, from 0 to 1."""
    certificate_end: Callable[[bytes], Millis | None]
    """Returns when the validity of a client certificate ends, if it can be read."""
    schemas: str = "published"
    """What the known schemas are, to complete "no schema of TYPE is"."""
    opened: bool = True
    """Whether secrets are decrypted and can be compared; otherwise only their names can."""


def plan(declared: Declared, current: Current, options: PlanOptions, means: PlanMeans) -> Plan:
    """Return the plan that brings the tables to the declared state."""
    planner = _Planner(declared, current, options, means)
    changes = (
        *planner.partners(),
        *planner.subscriptions(),
        *planner.deleted_subscriptions(),
        *planner.deleted_partners(),
    )
    planner.check_deletions([change for change in changes if isinstance(change, Delete)])
    return Plan(changes, tuple(planner.problems), tuple(planner.notes))


class _Planner:
    """One planning run: it collects problems and notes."""

    def __init__(
        self, declared: Declared, current: Current, options: PlanOptions, means: PlanMeans
    ) -> None:
        self._declared = declared
        self._current = current
        self._options = options
        self._means = means
        self._partners: dict[str, Partner] = dict(current.partners)
        """The partners after the plan."""
        self._owner = options.declared_by or owner_text(options.owner)
        self._environments = notes.environments(declared, self._live())
        self._types = sorted(current.latest)
        self._asked_by: dict[tuple[str, ...], tuple[str, ...]] = {}
        """The event types that each list of globs requests: many subscriptions have the same list."""
        self._going = {change.before.id for change in self.deleted_partners()}
        self.problems: list[Problem] = []
        self.notes: list[str] = []

    # Partners.

    def partners(self) -> Iterator[Change]:
        for declared in self._declared.partners:
            before = self._current.partners.get(declared.id)
            refused = None if before is None else self._claim_refused(before)
            if refused is not None:
                self.problems.append(Problem(named(declared), "", refused))
                continue
            after = self._partner(declared, before)
            self._partners[declared.id] = after
            self._check_known(named(after), "grant.event_types", after.grant.event_types)
            self.notes += notes.unknown_environments(after, after.grant, self._environments)
            yield self._change(before, after, ())

    def _partner(self, declared: Partner, before: Partner | None) -> Partner:
        if before is None:
            granted = first_granted(declared, self._means.takes_effect)
            return replace(granted, owner=self._owner)
        means = self._means
        after = regranted(before, declared.grant, means.now, means.takes_effect)
        return replace(
            after,
            name=declared.name,
            limits=declared.limits,
            owner=self._owner,
            revision=before.revision + 1,
        )

    def deleted_partners(self) -> Iterator[Delete]:
        kept = {declared.id for declared in self._declared.partners}
        for partner in self._current.partners.values():
            if self._prunes(partner, kept):
                yield Delete(partner, None)

    # Subscriptions.

    def subscriptions(self) -> Iterator[Change]:
        for declared in self._declared.subscriptions:
            before = self._current.subscriptions.get(declared.row.id)
            refused = self._refused(declared.row, before)
            if refused is not None:
                self.problems.append(Problem(named(declared.row), *refused))
            elif not isinstance(before, UnreadableSubscription):
                yield self._subscription(declared, before)

    def _refused(
        self, declared: Subscription, before: Subscription | UnreadableSubscription | None
    ) -> tuple[str, str] | None:
        """Return the field for which a subscription is refused, and why."""
        partner_id = declared.partner_id
        if before is not None and before.partner_id != partner_id:
            return (
                "id",
                f"the id belongs to partner {before.partner_id!r} permanently: choose another",
            )
        if isinstance(before, UnreadableSubscription):
            return "", f"the table's row of this id cannot be read: {before.why}"
        if before is not None and before.state != SubscriptionState.DELETED:
            claimed = self._claim_refused(before)
            if claimed is not None:
                return "", claimed
            if declared.endpoint.is_pull != before.endpoint.is_pull:
                now, then = ("pull", "a URL") if declared.endpoint.is_pull else ("a URL", "pull")
                why = (
                    f"has {then} for life, not {now}: choose another id, or delete this one first"
                )
                return "endpoint", why
        if partner_id in self._going:
            return (
                "partner",
                f"partner {partner_id!r} is no longer declared, so it is pruned: declare it",
            )
        if partner_id not in self._partners:
            hint = did_you_mean(partner_id, self._partners)
            return "partner", f"there is no partner {partner_id!r}{hint}"
        return None

    def _subscription(self, declared: DeclaredSubscription, before: Subscription | None) -> Change:
        deleted = before is not None and before.state == SubscriptionState.DELETED
        live = None if deleted or before is None else without_ended(before, self._means.now)
        revision = 1 if before is None else before.revision + 1
        secrets, generated = self._secrets(declared, before, live, revision)
        row = declared.row
        endpoint = row.endpoint
        self.notes += notes.expired(row, self._means.certificate_end, self._means.takes_effect)
        if live is not None and not self._means.opened:
            endpoint = _as_sealed(endpoint, live.endpoint)
        after = replace(
            row,
            endpoint=replace(endpoint, secrets=secrets),
            active_from=self._means.takes_effect if live is None else live.active_from,
            versions=self._pins(row, live),
            state=SubscriptionState.ACTIVE if live is None else live.state,
            gaps=() if live is None else live.gaps,
            revision=revision,
            owner=self._owner,
            declared_at=declared.place,
        )
        self._check_known(named(after), "event_types", after.event_types)
        self._check_versions(row)
        grant = self._partners[after.partner_id].grant
        # `*` requests whatever is granted, so nothing is withheld from it.
        named_types = tuple(glob for glob in after.event_types if glob != "*")
        self.notes += notes.ungranted(after, grant, self._asked(named_types), self._means.asks_for)
        self.notes += notes.unknown_environments(after, grant, self._environments)
        if live is not None:
            self.notes += notes.all_secrets_change(live, after)
            self.notes += notes.left_alone(live, self._current.disabled.get(live.id))
        if deleted:
            self._check_schemas(after)
            return self._starting(declared, Create(after, before, generated))
        return self._starting(declared, self._change(live, after, generated))

    def _starting(self, declared: DeclaredSubscription, change: Change) -> Change:
        """Return a change with the start that its file asks for; only a creation has one."""
        start = declared.start_from
        match change:
            case Create(after=Subscription() as after) if start is not None:
                if start >= self._means.now:
                    why = f"{to_rfc3339(start)} is in the future: a subscription starts by itself"
                    self.problems.append(Problem(named(after), "start_from", why))
                partner = self._partners[after.partner_id]
                self.notes += notes.starts_before_grant(after, partner, start)
                return replace(change, start_from=start)
            case Update(after=Subscription() as after) if start is not None:
                self.notes.append(notes.start_is_ignored(after))
        return change

    def _secrets(
        self,
        declared: DeclaredSubscription,
        before: Subscription | None,
        live: Subscription | None,
        revision: int,
    ) -> tuple[tuple[SigningSecret, ...], tuple[SigningSecret, ...]]:
        """Return the signing secrets after the plan, and those that were generated for it."""
        means = self._means
        present = () if live is None else live.endpoint.secrets
        found = rotated(declared.secrets, present, revision, means.new_key, opened=means.opened)
        secrets, made = (begun(each, present, means.takes_effect) for each in found)
        row = () if live is None or before is None else before.endpoint.secrets
        self.problems += [
            Problem(named(declared.row), "endpoint.signing_secrets", why)
            for why in problems(declared.secrets, row, secrets)
        ]
        return secrets, made

    def _pins(self, declared: Subscription, live: Subscription | None) -> dict[str, VersionPin]:
        """Return a version for every event type that is requested now.

        A type that was requested before keeps its pin. A type that is newer is pinned to 1, which is
        also the meaning of a missing pin: a new version must never reach a partner unexpectedly.
        """
        pins = dict(declared.versions)
        before = frozenset[str]() if live is None else frozenset(self._asked(live.event_types))
        for event_type in self._asked(declared.event_types):
            newest = self._current.latest[event_type]
            if event_type in pins:
                continue
            if live is None or event_type not in before:
                pins[event_type] = newest
            elif event_type in live.versions:
                kept = live.versions[event_type]
                pins[event_type] = newest if kept == "latest" else kept
        return pins

    def deleted_subscriptions(self) -> Iterator[Delete]:
        kept = {declared.row.id for declared in self._declared.subscriptions}
        for subscription in self._current.subscriptions.values():
            pruned = False
            if isinstance(subscription, Subscription):
                if subscription.state == SubscriptionState.DELETED:
                    continue
                pruned = self._prunes(subscription, kept)
            orphaned = subscription.partner_id in self._going
            if not pruned and not orphaned:
                continue
            if isinstance(subscription, UnreadableSubscription):
                why = f"it cannot be deleted with its partner: {subscription.why}"
                self.problems.append(Problem(f"subscription {subscription.id}", "", why))
            elif not pruned and not self._options.cascade:
                why = f"subscription {subscription.id!r} is live: --cascade deletes it as well"
                self.problems.append(Problem(f"partner {subscription.partner_id}", "", why))
            else:
                yield Delete(subscription, transitions.delete(subscription))

    # Owners.

    def _prunes(self, subject: Subject, kept: set[str]) -> bool:
        return self._options.prune and self._owns(subject) and subject.id not in kept

    def _owns(self, subject: Subject) -> bool:
        return self._options.owner is not None and subject.owner == self._owner

    def _claim_refused(self, before: Subject) -> str | None:
        if before.owner == OWNED_BY_API and self._owner != OWNED_BY_API:
            commands = "partners" if isinstance(before, Partner) else "subscriptions"
            return claim_of_released(commands, before.id)
        return claim_refused(before.owner, self._options.owner, self._options.take_over)

    def check_deletions(self, deletions: Sequence[Delete]) -> None:
        """Refuse accidental deletions, and note changes of ownership."""
        declared, options, live = self._declared, self._options, self._live()
        owners = {subject.owner for subject in live}
        wrong = take_over_refused(options.take_over, owners)
        if options.prune:
            owned = sum(self._owns(subject) for subject in live)
            names = [named(change.before) for change in deletions]
            share, confirmed = self._means.prune_share, options.confirm_delete
            wrong = wrong or prune_refused(names, owned, share, confirmed)
            if names and not declared.subjects:
                wrong = (
                    f"the folder declares nothing, and {len(names)} would be deleted: delete"
                    " them with `hookstream subscriptions delete` and `partners delete`"
                )
            self.notes += notes.without_owner(live, declared)
        if wrong is not None:
            self.problems.append(Problem("", "", wrong))
        self.notes += notes.rounded(live, declared)
        if options.owner is not None:
            self.notes += notes.adopted(live, declared, options.owner)

    def _live(self) -> list[Subject]:
        """Return the live, readable partners and subscriptions."""
        return [
            *self._current.partners.values(),
            *(
                each
                for each in self._current.subscriptions.values()
                if isinstance(each, Subscription) and each.state != SubscriptionState.DELETED
            ),
        ]

    # Checks.

    def _change(
        self, before: Subject | None, after: Subject, generated: tuple[SigningSecret, ...]
    ) -> Change:
        self._check_schemas(after)
        if before is None:
            return Create(after, None, generated)
        found = differences(before, after, self._means.scrub)
        return Update(before, after, found, generated) if found else Unchanged(before)

    def _check_schemas(self, subject: Subject) -> None:
        self.problems += [
            Problem(named(subject), "pattern", why)
            for why in self._means.pattern_problems(subject)
        ]
        if isinstance(subject, Subscription):
            self.problems += [
                Problem(named(subject), joined("template", place), why)
                for place, why in self._means.template_problems(subject)
            ]

    def _check_known(self, subject: str, path: str, globs: Sequence[str]) -> None:
        """Refuse the name of an event type without a published schema: it would never match."""
        known = self._current.latest
        for index, glob in enumerate(globs):
            if not glob.endswith("*") and glob not in known:
                why = f"no schema of {glob} is {self._means.schemas}{did_you_mean(glob, known)}"
                self.problems.append(Problem(subject, f"{path}[{index}]", why))

    def _asked(self, globs: tuple[str, ...]) -> Sequence[str]:
        """Return the event types that are requested by name, or at present by prefix, in their order."""
        if globs not in self._asked_by:
            asks_for = self._means.asks_for
            self._asked_by[globs] = tuple(each for each in self._types if asks_for(globs, each))
        return self._asked_by[globs]

    def _check_versions(self, declared: Subscription) -> None:
        for event_type, pin in declared.versions.items():
            newest = self._current.latest.get(event_type, 0)
            why = None
            if not self._means.asks_for(declared.event_types, event_type):
                why = "the subscription does not request this event type"
            elif pin != "latest" and pin > newest:
                why = f"there is no version {pin}: the newest published version is {newest}"
            if why is not None:
                self.problems.append(Problem(named(declared), f"versions.{event_type}", why))


def _as_sealed(declared: Endpoint, present: Endpoint) -> Endpoint:
    """Return a declared endpoint with the present material of each secret that keeps field and name.

    The present material cannot be compared without a key ring, so it counts as unchanged.
    """
    sealed = {(path, secret.id): secret for path, secret in present.named_secrets()}
    endpoint = declared.with_secrets(lambda path, secret: sealed.get((path, secret.id), secret))
    if endpoint.url_secret is not None and endpoint.url_secret is present.url_secret:
        return replace(endpoint, url=present.url)
    return endpoint
