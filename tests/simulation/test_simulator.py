"""The simulator finds planted defects, reports them briefly, and reports the same every time."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from tests.conftest import ROOT
from tests.doubles.batch_bodies import batch_id, delivery_ids
from tests.doubles.seeing import JsonOwnRecords
from tests.simulation.__main__ import main
from tests.simulation.batch_defects import BATCH_DEFECTS
from tests.simulation.batches import wrong_with
from tests.simulation.change_defects import CHANGE_DEFECTS
from tests.simulation.dead_letters import DeadLetters
from tests.simulation.defects import DEFECTS, Defect
from tests.simulation.defects_of_tests import DEFECTS_OF_TESTS
from tests.simulation.drawing import draw
from tests.simulation.expectation import Event, Owed, Stretch, SubscriptionStatus
from tests.simulation.given_up import GivenUp, Lost
from tests.simulation.hand import Hand
from tests.simulation.past_defects import PAST_DEFECTS
from tests.simulation.playing import Player, play
from tests.simulation.shrinking import shrink
from tests.simulation.story import LATE, PLAIN, Act, Broken, Story, Wish

from hookstream.core.model.record import Record, TopicPartition
from hookstream.core.model.subscription import Batch
from hookstream.core.model.topics import Topics
from hookstream.pipeline.ports import Post

CAREFUL = 1_000


def found_by(defect: Defect) -> tuple[int, Story, Broken]:
    """Return a seed that shows a defect, within those that it is given."""
    assert defect.shown_by < defect.within
    for seed in (defect.shown_by, *range(defect.within)):
        result = play(draw(seed), defect.parts)
        if result.broken is not None and result.broken.invariant in defect.breaks:
            return seed, draw(seed), result.broken
    raise AssertionError(f"{defect.within} seeds do not show that a worker {defect.name}")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "defect",
    [*DEFECTS, *BATCH_DEFECTS, *CHANGE_DEFECTS, *PAST_DEFECTS, *DEFECTS_OF_TESTS],
    ids=lambda defect: defect.name,
)
def test_a_planted_defect_is_found(defect: Defect) -> None:
    seed, story, broken = found_by(defect)

    assert play(story, defect.parts).broken == broken
    assert play(story).broken is None, f"seed {seed} fails without the defect too"


@pytest.mark.timeout(300)
def test_a_failing_story_shrinks_to_a_short_one_that_breaks_the_same() -> None:
    defect = DEFECTS[0]
    _, story, broken = found_by(defect)

    short = shrink(story, broken, lambda cut: play(cut, defect.parts).broken)

    again = play(short, defect.parts).broken
    assert again is not None
    assert again.invariant == broken.invariant
    assert len(short.acts) <= len(story.acts) // 2
    assert len(short.wishes) <= len(story.wishes)


@pytest.mark.timeout(300)
def test_a_failing_seed_is_reported_with_the_command_that_replays_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    defect = next(defect for defect in DEFECTS if defect.name == "retries early")
    seed, _, broken = found_by(defect)

    code = main(["--first", str(seed), "--seeds", "1", "--jobs", "1"], defect.parts)

    shown = capsys.readouterr().out
    assert code == 1
    assert f"seed {seed}: {broken}" in shown
    assert f"Broken seeds: {seed}\n" in shown
    assert f"make simulate SEED={seed}" in shown
    assert "A short story that breaks the same:" in shown


def test_seeds_without_a_violation_end_with_exit_code_0(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--seeds", "5", "--jobs", "1"]) == 0
    assert "5 seeds:" in capsys.readouterr().out


PLAY = """
import hashlib
from tests.simulation.drawing import draw
from tests.simulation.playing import play
for seed in range(25):
    lines = []
    play(draw(seed), chronicle=lines)
    print(hashlib.sha256("\\n".join(lines).encode()).hexdigest())
"""


@pytest.mark.timeout(120)
def test_a_seed_gives_the_same_story_in_every_process() -> None:
    """Whatever order Python gives to its sets there."""
    printed = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        run = subprocess.run(  # noqa: S603
            [sys.executable, "-c", PLAY],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            check=True,
            text=True,
        )
        printed.add(run.stdout)
    assert len(printed) == 1
    assert len(printed.pop().splitlines()) == 25


def test_seeds_draw_every_kind_of_act() -> None:
    drawn = {act.does for seed in range(CAREFUL) for act in draw(seed).acts}
    playable = {name.removeprefix("do_") for name in dir(Player) if name.startswith("do_")}
    assert drawn == playable


# The expectation is an independent model, so it has its own tests.


def event(timestamp: int, *, kind: str = PLAIN, colour: str = "red") -> Event:
    return Event("e1", kind, colour, "orders", 0, 0, timestamp)


def test_an_event_is_expected_by_subscriptions_older_than_it_and_not_during_a_pause() -> None:
    status = SubscriptionStatus(Wish("s1", colour="red"), active_from=1_000)
    status.pause(7_000)
    status.resume(12_000)

    owed = {at: status.owed(event(at)) for at in (1_000, 1_001, 7_000, 7_001, 12_000, 12_001)}

    assert owed == {
        1_000: Owed.NEVER,
        1_001: Owed.MUST,
        7_000: Owed.MUST,
        7_001: Owed.NEVER,
        12_000: Owed.NEVER,
        12_001: Owed.MUST,
    }
    assert status.owed(event(1_001, colour="blue")) is Owed.NEVER
    assert status.owed(event(1_001, kind=LATE)) is Owed.NEVER


def test_between_two_workers_times_of_a_disabling_both_outcomes_are_allowed() -> None:
    status = SubscriptionStatus(Wish("s1"), active_from=0)
    status.disabled(5_000, now=5_100)
    status.disabled(5_900, now=6_000)
    status.enabled(20_000)

    assert status.owed(event(5_000)) is Owed.MUST
    assert status.owed(event(5_500)) is Owed.MAY
    assert status.owed(event(9_000)) is Owed.NEVER
    assert status.owed(event(20_001)) is Owed.MUST


def test_each_redriven_dead_letter_starts_a_fresh_schedule() -> None:
    dead_letters, pair, partition = DeadLetters(), ("e1", "s1"), TopicPartition("dead-letters", 0)
    dead_letters.write((partition, 0), pair)
    assert dead_letters.redrive((partition, 0), attempts=3)

    assert not dead_letters.redrive((partition, 0), attempts=3)
    assert not dead_letters.contain(pair)
    assert {n for n in range(10) if dead_letters.exhausts(pair, n, most=3)} == {3, 6}


def test_a_gap_excuses_its_unsettled_offsets_only_once_it_is_reported() -> None:
    given_up, where = GivenUp(starts={TopicPartition("orders", 0): 4}), TopicPartition("orders", 0)
    assert (where, 3) not in given_up
    gap = JsonOwnRecords(Topics("t")).log_gap(where, 1, 4, at=0)

    wrong = given_up.report(Record("t.operations", 0, 0, 0, None, gap.value, ()), {(where, 2)})

    assert wrong is None
    assert {n for n in range(6) if (where, n) in given_up} == {1, 3}


def test_only_an_operators_request_excuses_skipped_offsets_where_offsets_were_lost() -> None:
    where = TopicPartition("orders", 0)
    guessed, said = GivenUp(), GivenUp(said={where})
    for given_up in (guessed, said):
        given_up.lost[where] = Lost(committed=2, above=frozenset({3}), evidence=0)

    assert "shows that offsets were lost" in (guessed.resumed(where, 5) or "")
    assert said.resumed(where, 5) is None
    assert {n for n in range(6) if (where, n) in guessed} == set()
    assert {n for n in range(6) if (where, n) in said} == {2, 4}


def batch(*ids: str, webhook_id: str | None = None) -> Post:
    """Return a request with the standard bodies of these events."""
    members = [{"type": PLAIN, "id": each, "data": {"name": each}} for each in ids]
    body = json.dumps({"type": "hookstream.batch", "events": members}).encode()
    post = Post("s1", "https://s1.example", [("webhook-id", "")], body, 2_000)
    named = batch_id(delivery_ids(post)) if webhook_id is None else webhook_id
    return replace(post, headers=[("webhook-id", named)])


def test_a_batch_is_checked_for_its_id_its_deliveries_and_its_bounds() -> None:
    wish = Wish("s1", batch=Batch(2))

    def wrong(post: Post, most_bytes: int = 1_000) -> str:
        return wrong_with(post, wish, most=2, most_bytes=most_bytes) or ""

    assert wrong(batch("e1", "e2")) == ""
    assert "has 3 deliveries" in wrong(batch("e1", "e2", "e3"))
    assert "has a delivery twice" in wrong(batch("e1", "e1"))
    assert "is msgb_other" in wrong(batch("e1", "e2", webhook_id="msgb_other"))
    assert "may have 50" in wrong(batch("e1", "e2"), most_bytes=50)


def test_a_delivery_of_a_searched_batch_is_due_at_once_until_its_audit_says_otherwise() -> None:
    hand, pair = Hand(), ("e1", "s1")
    hand.events["e1"] = 1
    for at_once in (True, False):
        made = hand.made_before(pair)
        sent = hand.send("msgb_1", {pair: {each + 1 for each in made}})
        sent.answered = sent.searched = True
        hand.searched[pair].update(sent.numbers[pair])
        assert hand.audited("msgb_1", pair, max(made) + 1, at_once=at_once)
        assert (+hand.searched[pair] != {}) is at_once
    assert not hand.audited("msgb_1", pair, 3, at_once=True)


def test_two_copies_of_one_delivery_in_requests_of_one_batch_are_counted_apart() -> None:
    """One was left by a search after its first attempt; the other came from a tier, and has its first now."""
    hand, pair = Hand(), ("e1", "s1")
    hand.events["e1"] = 1
    hand.copies[pair].append((0, 0))
    hand.searched[pair].update({1})
    first, second = (hand.send("msgb_1", {pair: {1, 2}}) for _ in range(2))

    first.answered = True
    hand.passed_on(pair, 1)
    assert hand.made_before(pair) == {0, 1}
    assert hand.audited("msgb_1", pair, 1, at_once=False)

    second.answered = True
    assert hand.audited("msgb_1", pair, 2, at_once=False)
    assert +hand.searched[pair] == {}


def test_an_audit_record_is_of_the_request_whose_number_is_known() -> None:
    hand, pair = Hand(), ("e1", "s1")
    for numbers in ({1, 2}, {2}):
        hand.send("msgb_1", {pair: numbers}).answered = True

    assert hand.audited("msgb_1", pair, 2, at_once=False)
    assert hand.audited("msgb_1", pair, 1, at_once=False)


def test_what_a_start_in_the_past_lost_may_be_delivered_when_its_schema_comes() -> None:
    status = SubscriptionStatus(Wish("s1", types=(PLAIN, LATE)), active_from=5_000)
    events = [Event(kind, kind, "red", "orders", 0, 0, 3_000) for kind in (PLAIN, LATE)]
    assert [status.owed(event) for event in events] == [Owed.NEVER, Owed.NEVER]

    status.filled.append(Stretch(1_000, 5_000, "replay-1", incomplete=True))

    assert [status.owed(event) for event in events] == [Owed.NEVER, Owed.MAY]


def test_a_deferral_whose_write_is_repeated_is_judged_by_the_lane_that_deferred_it() -> None:
    """Since its first write the lane had room again, and took a replay into it."""
    assert play(draw(4148)).broken is None


def test_a_part_of_a_story_is_a_story() -> None:
    """The shrinker cuts anywhere: acts without their subject do nothing."""
    story = draw(1)
    acts = (
        Act(1.0, "crash", "west", more=("take", 1, 0, 0, 0.0, 0.0)),
        Act(1.5, "enable", "nobody"),
        Act(2.0, "delete", "nobody"),
        Act(2.5, "forget", "nobody", 1.0),
        Act(3.0, "stop", "west", 1.0),
        Act(3.5, "expel", "west", 1.0),
        Act(4.0, "redrive", "nobody", more=(0, 0, 0.0)),
        Act(4.1, "cancel"),
        Act(4.2, "replay", "nobody", more=(1_000, 0)),
        Act(4.3, "test", "nobody", more=(PLAIN,)),
        Act(4.4, "publish_newest", "new 0", more=(PLAIN, "red")),
        Act(4.5, "cut", "tier", 1.0, (0, 0.0)),
    )
    assert play(replace(story, acts=acts, wishes=())).broken is None
