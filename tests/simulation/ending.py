"""The final check: every delivery ended once, in the right way, and the audit log shows it."""

from tests.simulation.behaviours import may_be_gone
from tests.simulation.expectation import Owed, Pair, SubscriptionStatus, is_test
from tests.simulation.invariants import FINAL, INTERVALS, JUSTIFIED, PROMISE, SILENT, Ledger
from tests.simulation.sent_tests import TESTED
from tests.simulation.story import NEVER, Story, Wish

from hookstream.core.model.instant import DAY
from hookstream.core.model.topics import Topics

LEAST_REFUSAL = 300
"""The least status that is not an acceptance."""


def judge(ledger: Ledger, topics: Topics, story: Story) -> None:
    """Compare the end of a story, in which everything has drained, with what was expected."""
    expected = ledger.expected
    for event in expected.events.values():
        if event.origin in ledger.aside or ledger.is_event_given_up(event):
            continue
        if event.garbage or event.type == NEVER:
            ledger.blame(
                PROMISE, f"{event.id} is not an event, and is not in {topics.undecodable}"
            )
        for pair in expected.owed_to(event):
            _ended(ledger, pair)
    for pair in ledger.replays.pairs():
        if pair not in ledger.aside_in_runs and expected.owed(pair) is Owed.MUST:
            _ended(ledger, pair)
    _attempts_were_expected(ledger)
    _carried_ended(ledger)
    _tests_ended(ledger)
    _dead_letters_have_causes(ledger, story)


def _attempts_were_expected(ledger: Ledger) -> None:
    """Check all attempts again: a change may have been in effect before its row was appended."""
    for pair in ledger.requests:
        if ledger.expected.owed(pair) is Owed.NEVER:
            ledger.blame(INTERVALS, f"{pair[0]} for {pair[1]} was attempted, and is not expected")


def _carried_ended(ledger: Ledger) -> None:
    """Check that whatever waited in a tier has an end in the audit log, also if its subscription was deleted."""
    for pair in ledger.carried():
        known = ledger.audited[pair] & FINAL or pair in ledger.aside_in_runs or is_test(pair)
        if not known and not ledger.is_given_up(pair):
            ledger.blame(SILENT, f"{pair[0]} for {pair[1]} was in a tier, and has no end")


def _tests_ended(ledger: Ledger) -> None:
    for pair in ledger.tests.by_pair:
        ended = ledger.audited[pair] & FINAL or ledger.is_given_up(pair)
        if not (ended or ledger.tests_may_end_untraced()):
            ledger.blame(TESTED, f"{pair[0]} did not end")


def _dead_letters_have_causes(ledger: Ledger, story: Story) -> None:
    for pair, reasons in ledger.dead.items():
        for reason in reasons:
            lives = ledger.expected.lives_of(pair)
            if not any(_justified(ledger, story, pair, reason, life) for life in lives):
                ledger.blame(JUSTIFIED, f"{pair[0]} for {pair[1]} is dead-lettered as {reason}")


def _ended(ledger: Ledger, pair: Pair) -> None:
    delivery = f"{pair[0]} for {pair[1]}"
    if ledger.is_given_up(pair):
        return
    deleted = ledger.expected.is_deleted(pair)
    if not (pair in ledger.delivered or ledger.dead_letters.contain(pair) or deleted):
        ledger.blame(PROMISE, f"{delivery} did not end")
    if deleted and pair not in ledger.dead_letters.redriven:
        return
    if not ledger.audited[pair] & FINAL:
        ledger.blame(SILENT, f"{delivery} ended, and is not in the audit log")


def _justified(
    ledger: Ledger, story: Story, pair: Pair, reason: str, status: SubscriptionStatus
) -> bool:
    wish = status.wish
    match reason:
        case "attempts_exhausted":
            return ledger.requests[pair] >= len(wish.schedule) + 1
        # A process may die after writing the dead letter and before the row that disables: another attempt
        # is then made, with the same result or another.
        case "gone":
            return may_be_gone(wish)
        case "asked" | "aborted":
            # What is asked in the answer to a batch is ignored.
            heeded = wish.batch is None or _changes(story, wish)
            return heeded and _refuses_with(wish, "disabling" if reason == "asked" else "aborting")
        case "disabled":
            failed = story.bounds.disable_after < DAY and ledger.requests[pair] > 0
            return failed or bool(status.disablings)
        case "final_status":
            return not wish.final_statuses.isdisjoint(ledger.alone.ever[pair])
        case "paused_too_long":
            return bool(status.pauses)
        case "record_too_large" | "not_granted":
            # What is owed whatever the partner was granted is never given up for that.
            taken = bool(status.grants.taken) and ledger.expected.owed(pair) is not Owed.MUST
            return ledger.too_large if reason == "record_too_large" else taken
        case _:
            return False


def _changes(story: Story, wish: Wish) -> bool:
    """Return whether a subscription does not have batches all the time."""
    return any(act.does == "rebatch" and act.who == wish.id for act in story.acts)


def _refuses_with(wish: Wish, manner: str) -> bool:
    return any(mood.manner == manner and mood.amount >= LEAST_REFUSAL for mood in wish.moods)
