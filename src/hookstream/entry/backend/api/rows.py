"""Subscriptions, partners, tokens and holds through the API."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from hookstream.adapters.system import SystemClock
from hookstream.core.access.tokens import ApiToken, is_token
from hookstream.core.jobs.job import Job
from hookstream.core.model.hold import ALL, Hold, HoldKind
from hookstream.core.model.instant import Millis, format_duration, from_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import (
    Partner,
    SigningScheme,
    Subscription,
    UnreadableSubscription,
)
from hookstream.core.planning.rotation import Replaced
from hookstream.entry.admin.lanes import (
    SubscriptionLane,
    ask_lanes,
    lane_in_sum,
    refuse_without_lane,
)
from hookstream.entry.admin.ownership import ReleasedTo
from hookstream.entry.admin.subscriptions import SubscriptionFacts
from hookstream.entry.admin.tokens import NewToken, WantedToken
from hookstream.entry.api.page_query import PageQuery
from hookstream.entry.api.resources.holds import (
    HoldCleared,
    HoldGiven,
    HoldInForce,
    HoldsPage,
)
from hookstream.entry.api.resources.jobs import JobShown
from hookstream.entry.api.resources.lanes import LaneShown
from hookstream.entry.api.resources.partners import (
    DeletePartnerQuery,
    PartnerDeleted,
    PartnerShown,
    PartnersPage,
    PartnerWritten,
)
from hookstream.entry.api.resources.subscription_bodies import ReleaseQuery, RotationGiven
from hookstream.entry.api.resources.subscription_views import (
    SubscriptionShown,
    SubscriptionsPage,
    SubscriptionWritten,
)
from hookstream.entry.api.resources.subscriptions import KeysShown, SubscriptionsQuery
from hookstream.entry.api.resources.tokens import (
    TokenGiven,
    TokenMade,
    TokenShown,
    TokensPage,
    TokensQuery,
)
from hookstream.entry.backend.api.client import ApiClient, path
from hookstream.entry.backend.api.lanes import lane_shown_in
from hookstream.entry.backend.api.values import (
    facts_in,
    generated_in,
    hold_in,
    job_in,
    partner_in,
    subscription_in,
    token_in,
)
from hookstream.entry.backend.ports import (
    CreatedSubscription,
    Effect,
    HoldListing,
    PartnerFacts,
    SubscriptionListing,
    TokenListing,
)
from hookstream.errors import InputRefused

SUBSCRIPTIONS = "/v1/subscriptions"
SUBSCRIPTION = "/v1/subscriptions/{subscription_id}"
PARTNERS = "/v1/partners"
PARTNER = "/v1/partners/{partner_id}"
TOKENS = "/v1/tokens"
TOKEN = "/v1/tokens/{token_id}"  # noqa: S105  a path
HOLDS = "/v1/holds"
JOB = "/v1/jobs/{job_id}"

_LONGEST_WAIT = 60.0
"""Seconds for which a command waits until a change is in effect: `tables.activation_lead` is at most that."""


def effect_of(api: ApiClient, written: SubscriptionWritten | None = None) -> Effect:
    """Return the effect of a change, by the API's clock if its answer has a time."""
    if written is None:
        return effect_at(api, None, None)
    return effect_at(api, written.takes_effect, written.warning)


def effect_at(api: ApiClient, at: str | None, warning: str | None) -> Effect:
    """Return the effect of a change from an answer; `at`: as RFC 3339."""
    instant = 0 if at is None else from_rfc3339(at)
    date = api.date

    def wait() -> None:
        if date is not None:
            # The API's clock shows whole seconds.
            api.sleep(min(max(0.0, (instant - date) / 1_000 + 0.01), _LONGEST_WAIT))

    return Effect(instant, wait, warning)


@dataclass(slots=True, frozen=True)
class ApiSubscriptions:
    """Subscriptions of a console. Implements `SubscriptionCommands`."""

    api: ApiClient

    def listed(self, partner: str | None, *, with_deleted: bool) -> SubscriptionListing:
        if partner is not None:
            # Otherwise a partner that does not exist would look like one without subscriptions.
            self.api.get(path(PARTNER, partner_id=partner), PartnerShown)
        pages = self.api.pages(
            SUBSCRIPTIONS,
            SubscriptionsPage,
            SubscriptionsQuery,
            partner=partner,
            deleted=with_deleted or None,
        )
        return SubscriptionListing([facts_in(each) for page in pages for each in page.items])

    def found(self, subscription_id: str) -> SubscriptionFacts:
        return facts_in(self._shown(subscription_id))

    def lane(self, subscription_id: str, workers: Sequence[str]) -> SubscriptionLane:
        found = subscription_in(self._shown(subscription_id))
        refuse_without_lane(found)
        if not workers:
            where = path(f"{SUBSCRIPTION}/lane", subscription_id=subscription_id)
            return lane_shown_in(self.api.get(where, LaneShown))
        # A console never connects to an address that a client gives it.
        return lane_in_sum(found, ask_lanes(workers, subscription_id), SystemClock().now())

    def replays(self, subscription: Subscription | UnreadableSubscription) -> Mapping[str, Job]:
        found: dict[str, Job] = {}
        for gap in subscription.gaps:
            if gap.filled_by is not None:
                with suppress(InputRefused):
                    found[gap.filled_by] = self._job(gap.filled_by)
        return found

    def create(self, definition: JsonObject) -> CreatedSubscription:
        written = self.api.change("POST", SUBSCRIPTIONS, SubscriptionWritten, definition)
        return CreatedSubscription(
            subscription_in(written.subscription),
            [generated_in(each) for each in written.generated],
            [self._job(each) for each in written.jobs],
            written.notes,
            effect_of(self.api, written),
        )

    def pause(
        self, subscription_id: str, revision: int | None
    ) -> tuple[Subscription, bool, Effect]:
        written = self._act(subscription_id, "pause", None, revision)
        effect = effect_of(self.api, written)
        return subscription_in(written.subscription), written.changed, effect

    def delete(self, subscription_id: str, revision: int | None) -> tuple[str, Effect]:
        # The API deletes none that files own.
        self.api.delete(path(SUBSCRIPTION, subscription_id=subscription_id), revision)
        return "api", effect_of(self.api)

    def release(self, subscription_id: str, revision: int | None, to: ReleasedTo) -> str | None:
        before = self._shown(subscription_id).owner
        written = self._act(subscription_id, "release", None, revision, ReleaseQuery(to=to.value))
        return before if written.changed else None

    def rotate(
        self,
        subscription_id: str,
        revision: int | None,
        overlap: Millis,
        scheme: SigningScheme | None,
    ) -> tuple[Replaced, Effect]:
        before = subscription_in(self._shown(subscription_id))
        asked = RotationGiven(
            overlap=format_duration(overlap), scheme=None if scheme is None else scheme.value
        )
        written = self._act(subscription_id, "rotate-secret", asked, revision)
        if not written.generated:
            raise InputRefused(
                "the secret was replaced, and its answer was lost: it cannot be shown again: rotate once more"
            )
        [new] = map(generated_in, written.generated)
        after = subscription_in(written.subscription)
        staying = {each.id for each in after.endpoint.secrets}
        replaced = Replaced(
            after,
            new,
            tuple(each for each in after.endpoint.secrets if each.expires_at is not None),
            tuple(each for each in before.endpoint.secrets if each.id not in staying),
        )
        return replaced, effect_of(self.api, written)

    def jwks(self, subscription_id: str) -> JsonObject:
        where = path(SUBSCRIPTION + "/keys", subscription_id=subscription_id)
        return {"keys": [*self.api.get(where, KeysShown).keys]}

    def _shown(self, subscription_id: str) -> SubscriptionShown:
        return self.api.get(path(SUBSCRIPTION, subscription_id=subscription_id), SubscriptionShown)

    def _job(self, job_id: str) -> Job:
        return job_in(self.api.get(path(JOB, job_id=job_id), JobShown)).job

    def _act(
        self,
        subscription_id: str,
        act: str,
        asked: RotationGiven | None,
        revision: int | None,
        query: ReleaseQuery | None = None,
    ) -> SubscriptionWritten:
        where = path(f"{SUBSCRIPTION}/{act}", subscription_id=subscription_id)
        return self.api.change(
            "POST", where, SubscriptionWritten, asked, query=query, revision=revision
        )


@dataclass(slots=True, frozen=True)
class ApiPartners:
    """Partners of a console. Implements `PartnerCommands`."""

    api: ApiClient

    def listed(self) -> Sequence[PartnerFacts]:
        owned: dict[str, list[str]] = defaultdict(list)
        for page in self.api.pages(SUBSCRIPTIONS, SubscriptionsPage, SubscriptionsQuery):
            for each in page.items:
                owned[each.partner].append(each.id)
        pages = self.api.pages(PARTNERS, PartnersPage, PageQuery)
        found = [partner_in(each) for page in pages for each in page.items]
        return [PartnerFacts(each, owned[each.id]) for each in found]

    def found(self, partner_id: str) -> PartnerFacts:
        partner = self._partner(partner_id)
        pages = self.api.pages(
            SUBSCRIPTIONS, SubscriptionsPage, SubscriptionsQuery, partner=partner_id
        )
        return PartnerFacts(partner, [each.id for page in pages for each in page.items])

    def create(self, definition: JsonObject) -> tuple[Partner, Sequence[str]]:
        written = self.api.change("POST", PARTNERS, PartnerWritten, definition)
        return partner_in(written.partner), written.notes

    def delete(self, partner_id: str, *, cascade: bool) -> tuple[str, Sequence[str]]:
        where = path(PARTNER, partner_id=partner_id)
        query = DeletePartnerQuery(cascade=cascade)
        deleted = self.api.change(
            "DELETE", where, PartnerDeleted, query=query, revision=None, repeatable=False
        )
        return "api", deleted.subscriptions

    def release(self, partner_id: str, revision: int | None, to: ReleasedTo) -> str | None:
        before = self._partner(partner_id).owner
        where = path(PARTNER + "/release", partner_id=partner_id)
        query = ReleaseQuery(to=to.value)
        written = self.api.change("POST", where, PartnerWritten, query=query, revision=revision)
        return before if written.changed else None

    def _partner(self, partner_id: str) -> Partner:
        return partner_in(self.api.get(path(PARTNER, partner_id=partner_id), PartnerShown))


@dataclass(slots=True, frozen=True)
class ApiTokens:
    """Tokens of a console. Implements `TokenCommands`."""

    api: ApiClient

    def create(self, asked: WantedToken) -> NewToken:
        given = TokenGiven(
            scope=asked.scope.value,
            partner=asked.partner_id,
            life=None if asked.life is None else format_duration(asked.life),
            label=asked.label,
        )
        made = self.api.change("POST", TOKENS, TokenMade, given)
        token = token_in(made.token)
        if made.text is None:
            raise InputRefused(
                f"{token.id} was created, but the answer with its text was lost: revoke it, and create another"
            )
        return NewToken(token, made.text)

    def listed(self, partner_id: str | None) -> TokenListing:
        pages = self.api.pages(TOKENS, TokensPage, TokensQuery, partner=partner_id)
        return TokenListing([token_in(each) for page in pages for each in page.items])

    def revoke(self, name: str) -> tuple[ApiToken, bool]:
        if is_token(name):
            raise InputRefused(
                "the API takes the id of a token, tok-…, not its text, which proxies could log"
            )
        before = self.api.get(path(TOKEN, token_id=name), TokenShown)
        where = path(TOKEN + "/revoke", token_id=name)
        after = self.api.change("POST", where, TokenShown)
        return token_in(after), before.revoked is None


@dataclass(slots=True, frozen=True)
class ApiHolds:
    """Holds of a console. Implements `HoldCommands`."""

    api: ApiClient

    def listed(self) -> HoldListing:
        pages = self.api.pages(HOLDS, HoldsPage, PageQuery)
        found = [hold_in(each) for page in pages for each in page.items]
        return HoldListing(sorted(found, key=lambda hold: (hold.since, hold.kind, hold.name)))

    def set(self, kind: HoldKind, name: str, reason: str) -> tuple[Hold, Hold | None]:
        before = [each for each in self.listed().holds if (each.kind, each.name) == (kind, name)]
        given = HoldGiven(kind=kind.value, name=_name(name), reason=reason)
        hold = hold_in(self.api.change("POST", HOLDS, HoldInForce, given))
        return hold, before[0] if before else None

    def clear(self, kind: HoldKind, name: str, reason: str) -> Sequence[Hold]:
        given = HoldCleared(kind=kind.value, name=_name(name), reason=reason or _NO_REASON)
        left = self.api.change("POST", f"{HOLDS}/clear", HoldsPage, given, repeatable=False)
        return [hold_in(each) for each in left.items]


_NO_REASON = "none was given"


def _name(name: str) -> str | None:
    return None if name == ALL else name
