"""The acts by which owners of subscriptions and operators change the tables during a story."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from tests.doubles.clock import NOON
from tests.simulation.expectation import Absence, Stretch
from tests.simulation.redrives import Redrives
from tests.simulation.story import Act, Wish
from tests.simulation.table_writer import Change, Pace
from tests.simulation.tables import Row

from hookstream.core.model.hold import HoldKind
from hookstream.core.model.subscription import (
    Batch,
    Gap,
    Subscription,
    SubscriptionState,
)
from hookstream.core.planning import transitions
from hookstream.core.planning.gap_fills import GapFill, fill_closed, started
from hookstream.core.planning.lead import ChangeTimes
from hookstream.core.replay.request import KIND


class Owners(Redrives):
    """The acts on rows of the tables, each a method `do_…`."""

    def do_write_slowly(self, act: Act) -> None:
        """Let changes that begin in the next seconds be written slowly.

        Each attempt of one takes so long until its rows are appended, and their transaction stays open so long.
        """
        open_for, *attempts = act.more
        writer = self.world.writer
        pace = writer.pace = Pace(tuple(float(each) for each in attempts), float(open_for))

        def recover() -> None:
            if writer.pace is pace:
                writer.pace = None

        asyncio.get_running_loop().call_later(act.amount, recover)

    def subscribe(self, wish: Wish) -> None:
        """Write a subscription's first row; in one transaction with the replay of what it starts from."""
        world = self.world

        def decide(times: ChangeTimes) -> Change:
            return self._first_row(wish, world.subscription(wish, times.takes_effect))

        world.writer.change(decide)

    def _first_row(self, wish: Wish, row: Subscription) -> Change:
        fills: Sequence[GapFill] = ()
        if wish.starts is not None:
            start = NOON + int(wish.starts * 1000)
            row, fill = started(row, start, self.new_job(KIND))
            fills = (fill,)
        return Change(partial(self.world.subscribe, wish, row), partial(self.fill, fills, wish.id))

    def do_grant(self, act: Act) -> None:
        """Grant the partner some event types, and no others."""
        world = self.world
        types = tuple(str(each) for each in act.more)

        def decide(times: ChangeTimes) -> Change:
            return Change(partial(world.regrant, types, times))

        if world.broker.up.is_set():
            world.writer.change(decide)

    def do_pause(self, act: Act) -> None:
        world = self.world

        def decide(times: ChangeTimes) -> Change | None:
            found = world.subscriptions.get(act.who)
            if found is None or found.state is not SubscriptionState.ACTIVE:
                return None
            at = times.takes_effect
            gaps = (*found.gaps, Gap(at, None, "paused"))
            after = replace(found, state=SubscriptionState.PAUSED, gaps=gaps)

            def append() -> None:
                world.expectation.statuses[act.who].pause(at)
                world.put(after)

            return Change(append)

        world.writer.change(decide)

    def do_resume(self, act: Act) -> None:
        world = self.world

        def decide(times: ChangeTimes) -> Change | None:
            found = world.subscriptions.get(act.who)
            if found is None or found.state is not SubscriptionState.PAUSED:
                return None
            after, fills = self._resumed(found, times, fill=bool(act.amount))

            def append() -> None:
                world.expectation.statuses[act.who].resume(times.takes_effect)
                world.put(after)

            return Change(append, partial(self.fill, fills, act.who, act.more))

        world.writer.change(decide)

    def _resumed(
        self, found: Subscription, times: ChangeTimes, *, fill: bool
    ) -> tuple[Subscription, Sequence[GapFill]]:
        at = times.takes_effect
        gaps = tuple(
            gap if gap.end is not None else replace(gap, end=max(at, gap.start))
            for gap in found.gaps
        )
        after = replace(found, state=SubscriptionState.ACTIVE, gaps=gaps)
        if not fill:
            return after, ()
        disabled = self.world.disabled.get(found.id)
        return fill_closed(found, after, disabled, partial(self.new_job, KIND))

    def do_rebatch(self, act: Act) -> None:
        """Give a subscription batches of so many deliveries at most, or none if it has some."""
        world = self.world

        def decide(_: ChangeTimes) -> Change | None:
            found = world.subscriptions.get(act.who)
            if found is None or found.state is SubscriptionState.DELETED:
                return None
            batch = Batch(int(act.amount), int(act.more[0])) if found.batch is None else None
            return Change(partial(world.put, replace(found, batch=batch)))

        world.writer.change(decide, dated=False)

    def do_delete(self, act: Act) -> None:
        world = self.world

        def decide(_: ChangeTimes) -> Change | None:
            found = world.subscriptions.get(act.who)
            if found is None or found.state is SubscriptionState.DELETED:
                return None

            def append() -> None:
                world.expectation.statuses[act.who].deleted_at = world.clock.now()
                world.put(replace(found, state=SubscriptionState.DELETED), healthy=True)

            return Change(append)

        world.writer.change(decide, dated=False)

    def do_again(self, act: Act) -> None:
        """Create a deleted subscription again, with another endpoint."""
        world = self.world

        def decide(times: ChangeTimes) -> Change | None:
            found = world.subscriptions.get(act.who)
            if found is None or found.state is not SubscriptionState.DELETED:
                return None
            before = world.wishes[act.who]
            wish = before.again or replace(before, moods=(), for_ever=None, refuses=())
            row = world.subscription(wish, times.takes_effect)
            return self._first_row(wish, replace(row, revision=found.revision + 1))

        world.writer.change(decide)

    def do_enable(self, act: Act) -> None:
        """Clear an endpoint's health row, and write the gap, in one transaction."""
        world = self.world

        def decide(times: ChangeTimes) -> Change | None:
            found = world.subscriptions.get(act.who)
            disabled = world.disabled.get(act.who)
            if found is None or disabled is None or found.state is SubscriptionState.DELETED:
                return None
            at = max(times.takes_effect, disabled.since)
            enabled = replace(found, gaps=(*found.gaps, Gap(disabled.since, at, "disabled")))
            fills: Sequence[GapFill] = ()
            if act.amount:
                after = transitions.enable(found, disabled, at)
                enabled, fills = fill_closed(found, after, None, partial(self.new_job, KIND))

            def append() -> None:
                status = world.expectation.statuses[act.who]
                status.enabled(at)
                if act.amount:
                    slack = Stretch(disabled.since - transitions.SLACK, disabled.since)
                    status.slacks.append(slack)
                world.put(enabled, healthy=True)

            return Change(append, partial(self.fill, fills, act.who, act.more))

        world.writer.change(decide)

    def do_hold(self, act: Act) -> None:
        """Hold an endpoint, the partner, an event type or everything, for so many seconds."""
        kind, name = HoldKind(str(act.more[0])), act.who
        self.world.hold(kind, name)
        asyncio.get_running_loop().call_later(act.amount, self.world.clear, kind, name)

    def do_forget(self, act: Act) -> None:
        """Remove a row from the table for a while: the subscription was not deleted."""
        world = self.world
        if act.who not in world.subscriptions:
            return
        safe = world.ledger.in_tiers_or_over(act.who)
        world.expectation.statuses[act.who].absences.append(Absence(None, safe))
        world.look_at_losses_again()
        world.write_row(Row(lambda directory: directory.drop_subscription(act.who)))
        asyncio.get_running_loop().call_later(act.amount, self.return_row, act.who)

    def return_row(self, name: str) -> None:
        """Let a row that was removed be there again."""
        absences = self.world.expectation.statuses[name].absences
        if absences and absences[-1].until is None:
            absences[-1].until = self.world.clock.now()
            self.world.put(self.world.subscriptions[name])
