"""Routes of partners: their grants and their limits."""

from typing import Annotated, Any

from msgspec import Meta

from hookstream.core.access.scopes import Scope
from hookstream.core.model.instant import format_duration, to_rfc3339
from hookstream.core.model.partner_limits import PartnerLimits
from hookstream.core.model.subscription import Grant, Partner
from hookstream.entry.admin import partners
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.ownership import ReleasedTo, refuse_owned_by_files, release_partner
from hookstream.entry.admin.partner_writing import (
    WrittenPartner,
    change_partner,
    create_partner,
)
from hookstream.entry.admin.tables import State, at_partner_revision
from hookstream.entry.api.caller import partner_of
from hookstream.entry.api.fields import OPERATORS_SEE, ApiInput, ApiOutput, Duration, Identifier
from hookstream.entry.api.page_query import PageQuery
from hookstream.entry.api.pages import page_of
from hookstream.entry.api.problems import ProblemKind
from hookstream.entry.api.resources.subscription_bodies import ReleaseQuery
from hookstream.entry.api.routes import ApiAnswer, Call, Route

_TAG = "partners"
_PATH = "/v1/partners/{partner_id}"
Names = Annotated[tuple[Identifier, ...], Meta(min_length=1, max_length=100)]


class GrantPatch(ApiInput, frozen=True):
    """Fields of a grant that change."""

    event_types: Names | None = None
    environments: Names | None = None
    pattern: dict[str, Any] | None = None
    operator: bool | None = None
    """Whether operations events about all partners are visible."""


class GrantGiven(GrantPatch, frozen=True, kw_only=True):
    """What a partner may see."""

    event_types: Names
    environments: Names


class PartnerLimitsGiven(ApiInput, frozen=True):
    """The limits of what a partner may do itself; an omitted one has its default."""

    subscriptions: int | None = None
    max_in_flight: int | None = None
    weight: int | None = None
    timeout: Duration | None = None
    running_jobs: int | None = None
    replayed_events_a_day: int | None = None
    requests_a_second: int | None = None
    scanned_records_a_second: int | None = None


class PartnerPatch(ApiInput, frozen=True):
    """Fields of a partner that change; null removes one."""

    name: Identifier | None = None
    grant: GrantPatch | None = None
    limits: PartnerLimitsGiven | None = None


class PartnerGiven(PartnerPatch, frozen=True, kw_only=True):
    """A new partner."""

    id: Identifier
    name: Identifier
    grant: GrantGiven


class GrantShown(ApiOutput, frozen=True):
    """What a partner may see."""

    event_types: tuple[str, ...]
    environments: tuple[str, ...]
    pattern: dict[str, Any] | None
    operator: Annotated[bool, OPERATORS_SEE]


class HeldGrantShown(ApiOutput, frozen=True):
    """A grant, and when it came into force."""

    since: str | None
    grant: GrantShown


class PartnerLimitsShown(ApiOutput, frozen=True):
    """The limits of what a partner may do itself."""

    subscriptions: int
    max_in_flight: int
    weight: Annotated[int, OPERATORS_SEE]
    timeout: str
    running_jobs: int
    replayed_events_a_day: int
    requests_a_second: int
    scanned_records_a_second: int


class PartnerShown(ApiOutput, frozen=True):
    """A partner."""

    id: str
    name: str
    revision: int
    grant: GrantShown
    grants: Annotated[tuple[HeldGrantShown, ...], OPERATORS_SEE]
    """Known grants, oldest first."""
    limits: PartnerLimitsShown
    subscriptions: int
    """The number of its subscriptions."""
    owner: Annotated[str, OPERATORS_SEE]


class PartnersPage(ApiOutput, frozen=True):
    """Partners in the order of their ids."""

    items: tuple[PartnerShown, ...]
    next: str | None


class PartnerWritten(ApiOutput, frozen=True):
    """A partner that was created or changed."""

    partner: PartnerShown
    changed: bool
    notes: tuple[str, ...]


class PartnerDeleted(ApiOutput, frozen=True):
    """A partner that was deleted."""

    id: str
    subscriptions: tuple[str, ...]
    """Those that were deleted with it."""


class DeletePartnerQuery(ApiInput, frozen=True):
    """Options for deleting a partner."""

    cascade: bool = False
    """Whether its subscriptions are deleted with it."""


def create_partner_(call: Call[Any, PartnerGiven]) -> ApiAnswer:
    """Create a partner."""
    settings = call.services.settings

    def act(writer: ChangeWriter) -> WrittenPartner:
        return create_partner(settings, writer, call.document)

    return call.change(act, _written)


def list_partners(call: Call[PageQuery, None]) -> ApiAnswer:
    """Return all partners."""
    state = call.services.state()
    every = [each for _, each in sorted(state.current.partners.items())]
    found, following = page_of(call, every, lambda each: each.id)
    items = tuple(shown_partner(state, each) for each in found)
    return ApiAnswer(PartnersPage(items=items, next=following))


def get_partner(call: Call[Any, None]) -> ApiAnswer:
    """Return one partner."""
    state = call.services.state()
    found = partner_of(call, state)
    return ApiAnswer(shown_partner(state, found), revision=found.revision)


def change_partner_(call: Call[Any, PartnerPatch]) -> ApiAnswer:
    """Change a partner."""
    found, settings = partner_of(call), call.services.settings

    def act(writer: ChangeWriter) -> WrittenPartner:
        return change_partner(settings, writer, found.id, call.revision, call.document)

    return call.change(act, _written)


def delete_partner(call: Call[DeletePartnerQuery, None]) -> ApiAnswer:
    """Delete a partner, and revoke its tokens."""
    found = partner_of(call)

    def act(writer: ChangeWriter) -> tuple[Partner, list[str]]:
        refuse_owned_by_files(at_partner_revision(writer.state, found.id, call.revision))
        return partners.delete(writer, found.id, cascade=call.query.cascade)

    def answer(deleted: tuple[Partner, list[str]], _: ChangeWriter) -> ApiAnswer:
        partner, gone = deleted
        return ApiAnswer(PartnerDeleted(id=partner.id, subscriptions=tuple(gone)))

    return call.change(act, answer)


def release_partner_(call: Call[ReleaseQuery, None]) -> ApiAnswer:
    """Hand a partner over, to the API or back to definition files."""
    found, to = partner_of(call), ReleasedTo(call.query.to)

    def answer(released: tuple[Partner, str | None], writer: ChangeWriter) -> ApiAnswer:
        after, before = released
        return _written(WrittenPartner(after, (), before is not None), writer)

    return call.change(lambda writer: release_partner(writer, found.id, call.revision, to), answer)


def shown_partner(state: State, partner: Partner) -> PartnerShown:
    """Return a partner as it is shown."""
    return PartnerShown(
        id=partner.id,
        name=partner.name,
        revision=partner.revision,
        grant=_grant(partner.grant),
        grants=tuple(
            HeldGrantShown(
                since=None if held.since is None else to_rfc3339(held.since),
                grant=_grant(held.grant),
            )
            for held in partner.grants
        ),
        limits=_limits(partner.limits),
        subscriptions=len(partners.live_subscriptions(state, partner.id)),
        owner=partner.owner,
    )


def _written(written: WrittenPartner, writer: ChangeWriter) -> ApiAnswer:
    partner = written.partner
    body = PartnerWritten(
        partner=shown_partner(writer.state, partner),
        changed=written.changed,
        notes=written.notes,
    )
    return ApiAnswer(body, revision=partner.revision, location=f"/v1/partners/{partner.id}")


def _grant(grant: Grant) -> GrantShown:
    return GrantShown(
        event_types=grant.event_types,
        environments=grant.environments,
        pattern=grant.pattern,
        operator=grant.operator,
    )


def _limits(limits: PartnerLimits) -> PartnerLimitsShown:
    return PartnerLimitsShown(
        subscriptions=limits.subscriptions,
        max_in_flight=limits.max_in_flight,
        weight=limits.weight,
        timeout=format_duration(limits.timeout),
        running_jobs=limits.running_jobs,
        replayed_events_a_day=limits.replayed_events_a_day,
        requests_a_second=limits.requests_a_second,
        scanned_records_a_second=limits.scanned_records_a_second,
    )


_OWNED = (ProblemKind.OWNED_BY_FILES,)
ROUTES = (
    Route(
        "POST",
        "/v1/partners",
        Scope.OPERATOR_WRITE,
        "Create a partner with its grant.",
        create_partner_,
        PartnerWritten,
        body=PartnerGiven,
        status=201,
        is_idempotent=True,
        tag=_TAG,
        act="partner.created",
    ),
    Route(
        "GET",
        "/v1/partners",
        Scope.OPERATOR_READ,
        "List partners.",
        list_partners,
        PartnersPage,
        query=PageQuery,
        tag=_TAG,
    ),
    Route(
        "GET",
        _PATH,
        Scope.PARTNER_READ,
        "Show a partner: its grants and its limits.",
        get_partner,
        PartnerShown,
        tag=_TAG,
    ),
    Route(
        "PATCH",
        _PATH,
        Scope.OPERATOR_WRITE,
        "Change a partner's name, grant or limits.",
        change_partner_,
        PartnerWritten,
        body=PartnerPatch,
        takes_revision=True,
        is_idempotent=True,
        refusals=_OWNED,
        tag=_TAG,
        act="partner.changed",
    ),
    Route(
        "DELETE",
        _PATH,
        Scope.OPERATOR_WRITE,
        "Delete a partner, and revoke its tokens.",
        delete_partner,
        PartnerDeleted,
        query=DeletePartnerQuery,
        takes_revision=True,
        is_idempotent=True,
        refusals=_OWNED,
        tag=_TAG,
        act="partner.deleted",
    ),
    Route(
        "POST",
        _PATH + "/release",
        Scope.OPERATOR_WRITE,
        "Take a partner from the definition files that own it, or give it back to them.",
        release_partner_,
        PartnerWritten,
        query=ReleaseQuery,
        takes_revision=True,
        is_idempotent=True,
        tag=_TAG,
        act="partner.released",
    ),
)
