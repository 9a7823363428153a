"""Subscriptions, partners, tokens and holds as the tables have them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from hookstream.core.access.tokens import ApiToken
from hookstream.core.jobs.job import Job
from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.instant import Millis
from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import (
    Partner,
    SigningScheme,
    Subscription,
    UnreadableSubscription,
)
from hookstream.core.model.subscription_status import Deleted
from hookstream.core.planning.rotation import Replaced
from hookstream.entry.admin import (
    holds,
    ownership,
    partner_writing,
    partners,
    signing_secrets,
    subscription_writing,
    subscriptions,
)
from hookstream.entry.admin.known_names import Filter, names_of, refuse_unknown
from hookstream.entry.admin.lanes import SubscriptionLane, lane_in_sum, refuse_without_lane
from hookstream.entry.admin.ownership import ReleasedTo
from hookstream.entry.admin.partners import live_subscriptions
from hookstream.entry.admin.subscriptions import SubscriptionFacts, directory_of, facts_of
from hookstream.entry.admin.tables import State, found_partner, found_subscription, no_subscription
from hookstream.entry.admin.tokens import (
    NewToken,
    WantedToken,
    create_token,
    revoke_token,
    visible_tokens,
)
from hookstream.entry.backend.cluster.access import ClusterAccess, effect_of
from hookstream.entry.backend.ports import (
    CreatedSubscription,
    Effect,
    HoldListing,
    PartnerFacts,
    SubscriptionListing,
    TokenListing,
)
from hookstream.errors import InputRefused


@dataclass(slots=True, frozen=True)
class ClusterSubscriptions:
    """Subscriptions of the tables. Implements `SubscriptionCommands`."""

    cluster: ClusterAccess

    def listed(self, partner: str | None, *, with_deleted: bool) -> SubscriptionListing:
        state, now = self.cluster.state(), self.cluster.now()
        known = names_of(state).partners
        refuse_unknown([Filter("--partner", None if partner is None else {partner}, known)])
        directory = directory_of(state)
        every = (
            facts_of(state, name, now, directory) for name in sorted(state.current.subscriptions)
        )
        found = [
            each
            for each in every
            if partner in (None, each.subscription.partner_id)
            and (with_deleted or not isinstance(each.status, Deleted))
        ]
        return SubscriptionListing(found, state.unreadable)

    def found(self, subscription_id: str) -> SubscriptionFacts:
        state = self.cluster.state()
        if subscription_id not in state.current.subscriptions:
            raise no_subscription(state, subscription_id)
        return facts_of(state, subscription_id, self.cluster.now())

    def lane(self, subscription_id: str, workers: Sequence[str]) -> SubscriptionLane:
        found = found_subscription(self.cluster.state(), subscription_id)
        refuse_without_lane(found)
        said = self.cluster.lanes(subscription_id, workers)
        return lane_in_sum(found, said, self.cluster.now())

    def replays(self, subscription: Subscription | UnreadableSubscription) -> Mapping[str, Job]:
        named = {gap.filled_by for gap in subscription.gaps} - {None}
        if not named:
            return {}
        return {each.job.id: each.job for each in self.cluster.jobs().jobs if each.job.id in named}

    def create(self, definition: JsonObject) -> CreatedSubscription:
        partner_id = definition.get("partner")
        if not isinstance(partner_id, str):
            raise InputRefused("partner: is missing: it names the subscription's owner")
        act = partial(
            subscription_writing.create_subscription,
            self.cluster.settings,
            definition=subscription_writing.completed(definition, partner_id),
            by_partner=False,
        )
        done = self.cluster.change(act, signed=True)
        written = done.result
        return CreatedSubscription(
            written.subscription,
            written.generated,
            [*done.writer.started],
            written.notes,
            effect_of(done.writer),
        )

    def pause(
        self, subscription_id: str, revision: int | None
    ) -> tuple[Subscription, bool, Effect]:
        act = partial(subscriptions.pause, subscription_id=subscription_id, revision=revision)
        done = self.cluster.change(act)
        return *done.result, effect_of(done.writer)

    def delete(self, subscription_id: str, revision: int | None) -> tuple[str, Effect]:
        act = partial(subscriptions.delete, subscription_id=subscription_id, revision=revision)
        done = self.cluster.change(act)
        return done.result.owner, effect_of(done.writer)

    def release(self, subscription_id: str, revision: int | None, to: ReleasedTo) -> str | None:
        act = partial(
            ownership.release_subscription,
            subscription_id=subscription_id,
            revision=revision,
            to=to,
        )
        return self.cluster.change(act).result[1]

    def rotate(
        self,
        subscription_id: str,
        revision: int | None,
        overlap: Millis,
        scheme: SigningScheme | None,
    ) -> tuple[Replaced, Effect]:
        act = partial(
            signing_secrets.rotate_secret,
            subscription_id=subscription_id,
            revision=revision,
            overlap=overlap,
            scheme=scheme,
        )
        done = self.cluster.change(act, signed=True)
        return done.result, effect_of(done.writer)

    def jwks(self, subscription_id: str) -> JsonObject:
        return signing_secrets.jwks(self.cluster.state(), subscription_id, self.cluster.now())


@dataclass(slots=True, frozen=True)
class ClusterPartners:
    """Partners of the tables. Implements `PartnerCommands`."""

    cluster: ClusterAccess

    def listed(self) -> Sequence[PartnerFacts]:
        state = self.cluster.state()
        found = sorted(state.current.partners.values(), key=lambda partner: partner.id)
        return [_facts(state, each) for each in found]

    def found(self, partner_id: str) -> PartnerFacts:
        state = self.cluster.state()
        return _facts(state, found_partner(state, partner_id))

    def create(self, definition: JsonObject) -> tuple[Partner, Sequence[str]]:
        act = partial(partner_writing.create_partner, self.cluster.settings, definition=definition)
        written = self.cluster.change(act).result
        return written.partner, written.notes

    def delete(self, partner_id: str, *, cascade: bool) -> tuple[str, Sequence[str]]:
        act = partial(partners.delete, partner_id=partner_id, cascade=cascade)
        partner, live = self.cluster.change(act, console=None).result
        return partner.owner, live

    def release(self, partner_id: str, revision: int | None, to: ReleasedTo) -> str | None:
        act = partial(ownership.release_partner, partner_id=partner_id, revision=revision, to=to)
        return self.cluster.change(act).result[1]


def _facts(state: State, partner: Partner) -> PartnerFacts:
    return PartnerFacts(partner, live_subscriptions(state, partner.id))


@dataclass(slots=True, frozen=True)
class ClusterTokens:
    """Tokens of the console topic. Implements `TokenCommands`."""

    cluster: ClusterAccess

    def create(self, asked: WantedToken) -> NewToken:
        act = partial(create_token, caller=None, asked=asked)
        return self.cluster.change(act, console=True).result

    def listed(self, partner_id: str | None) -> TokenListing:
        table = self.cluster.console()
        return TokenListing(visible_tokens(table, None, partner_id), [*table.unreadable.values()])

    def revoke(self, name: str) -> tuple[ApiToken, bool]:
        act = partial(revoke_token, caller=None, name=name)
        return self.cluster.change(act, console=True).result


@dataclass(slots=True, frozen=True)
class ClusterHolds:
    """Holds of the tables. Implements `HoldCommands`."""

    cluster: ClusterAccess

    def listed(self) -> HoldListing:
        state = self.cluster.state()
        found = sorted(state.holds, key=lambda hold: (hold.since, hold.kind, hold.name))
        return HoldListing(found, state.unreadable)

    def set(self, kind: HoldKind, name: str, reason: str) -> tuple[Hold, Hold | None]:
        act = partial(holds.set_hold, kind=kind, name=name, reason=reason)
        return self.cluster.change(act).result

    def clear(self, kind: HoldKind, name: str, reason: str) -> Sequence[Hold]:
        act = partial(holds.clear_hold, kind=kind, name=name, reason=reason)
        return self.cluster.change(act).result
