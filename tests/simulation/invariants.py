"""The invariants: what is seen at the broker and at the endpoints is compared with what should happen.

Every check is made at the first instant at which it could fail, so that a story ends there.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import orjson
from tests.doubles.batch_bodies import delivery_ids
from tests.simulation.batches import (
    REFUSES_BODY,
    Alone,
    Bounds,
    batch_of,
    longest_search,
    pairs_of,
    refuses_body,
    wrong_with,
)
from tests.simulation.dead_letters import DeadLetters
from tests.simulation.expectation import (
    Event,
    Expectation,
    Owed,
    Pair,
    base_of,
    is_run,
    is_test,
    of_run,
)
from tests.simulation.given_up import GivenUp, Lost, Place
from tests.simulation.hand import Hand, Sent
from tests.simulation.headers import (
    OF_LANES,
    attempts_of,
    described,
    due_of,
    is_delivery,
    is_to_be_matched,
    origin_of,
    text_in,
)
from tests.simulation.runs import Replays
from tests.simulation.sent_tests import TESTED, SentTests
from tests.simulation.story import LATE, NEVER, Broken

from hookstream.core.model.instant import Millis
from hookstream.core.model.outcome import Answer, Response
from hookstream.core.model.record import OutgoingRecord, Record, TopicPartition
from hookstream.core.model.topics import Topics
from hookstream.core.offsets.commit_metadata import CommitPosition, decode_metadata
from hookstream.pipeline.broker_clock import TIME_KEY
from hookstream.pipeline.ports import Post

PROMISE = "nothing is lost"
SILENT = "every delivery is audited"
EARLY = "no attempt is early"
EXACT = "attempts are counted exactly"
INTERVALS = "active intervals are exact"
LIVES = "each life of an id gets its own deliveries"
DUPLICATES = "duplicates are bounded by what was unsettled"
IDENTITY = "a delivery has one id"
MEMORY = "memory is bounded"
ISOLATION = "a failing endpoint does not affect others"
WAITS = "no delivery waits longer for its batch than it may"
HELD = "what is held is not attempted"
STALE = "nothing is sent two seconds after a deletion or a hold"
TIME = "requests carry the brokers' time"
RATE = "a rate limit is kept"
RESTS = "nothing is sent while an endpoint has nothing left of its limit"
JUSTIFIED = "every end has its cause"
FORWARD = "commits never go back"
GAPS = "a gap is counted and reported"
ENDS = "a worker ends only when it is asked to"
ONCE = "a dead letter is redriven once"
GUESSED = "lost offsets are never guessed"
BATCH = "a request has its deliveries once, under their id, within its bounds"
AUDIT = "the audit log agrees with what endpoints saw"
SEARCH = "the search in a refused batch takes few requests"

REPLAYED = "each record of a replay's interval is replayed exactly once, if it may be"
WINDOWED = "no more of a replay is out than its window"
IN_TURN = "redrives and purges of one topic work in turn"
ONE_WRITER = "one executor at a time commits steps of a job"
BEHIND = "replays go behind the live deliveries of their lane"

FINAL = frozenset({"complete", "dead_letter", "cancel"})

SHORTER: Millis = 300
"""A delay that no schedule has."""


class Ledger:
    """What happened so far, and the first invariant that was violated."""

    def __init__(
        self,
        topics: Topics,
        expectation: Expectation,
        commits: Mapping[str, Mapping[TopicPartition, int]],
        now: Callable[[], float],
    ) -> None:
        self.broken: Broken | None = None
        self.chronicle: list[str] | None = None
        """What happened, line by line, if it is to be printed."""
        self.on_broken: Callable[[], None] = lambda: None
        self.expected = expectation
        self.accepted: Counter[Pair] = Counter()
        self.requests: Counter[Pair] = Counter()
        self.dead: defaultdict[Pair, list[str]] = defaultdict(list)
        self.aside: dict[tuple[str, int, int], str] = {}
        self.audited: defaultdict[Pair, set[str]] = defaultdict(set)
        self.delivered: set[Pair] = set()
        """What arrived, since it was last redriven."""
        self.dead_letters = DeadLetters()
        self.replays = Replays(expectation, self.blame)
        self.tests = SentTests(expectation, self.blame)
        self.aside_in_runs: dict[Pair, str] = {}
        """What replays could not identify, and is undecodable."""
        self.given_up = GivenUp()
        self.defects: Callable[[], int] = lambda: 0
        """How many attempts may have counted as failed though they arrived."""
        self.alone = Alone()
        self.bounds = Bounds()
        self.flawed = False
        """Calls of ports may raise."""
        self.too_large = False
        """A write was refused as too large at some time."""
        self.attempts = 0
        self.tier_writes = 0
        self._topics = topics
        self._commits = commits
        self._now = now
        self._ids: dict[Pair, str] = {}
        self._carriers: defaultdict[Pair, list[Place]] = defaultdict(list)
        """Tier records by delivery."""
        self._unmatched: defaultdict[str, list[Place]] = defaultdict(list)
        """Tier records by event, where they are still to be matched."""
        self._carried: dict[Place, Pair | str] = {}
        self._takes: Counter[Place] = Counter()
        self._above: dict[TopicPartition, frozenset[int]] = {}
        """Offsets above the last commit that its metadata lists as settled."""

    def blame(self, invariant: str, detail: str) -> None:
        """Record that an invariant is violated; the first one counts."""
        if self.broken is None:
            self.broken = Broken(invariant, self._now(), detail)
            self.on_broken()

    def note(self, what: str) -> None:
        """Write a line of the chronicle."""
        if self.chronicle is not None:
            self.chronicle.append(f"{self._now():9.3f}s  {what}")

    # At the broker.

    def appended(self, record: Record) -> None:
        """Record a record that is durable now."""
        topics = self._topics
        if self.chronicle is not None:
            self.note(f"{record.topic}/{record.partition}@{record.offset} is {described(record)}")
        if record.topic == topics.attempts:
            self._audited(orjson.loads(record.value or b"{}"))
        elif record.topic == topics.dead_letters:
            self._given_up(record)
        elif record.topic == topics.undecodable:
            self._set_aside(record)
        elif record.topic == topics.operations:
            wrong = self.given_up.report(record, self._settled_above())
            if wrong is not None:
                self.blame(GAPS, wrong)
        elif topics.delay_of(record.topic) is not None:
            self._into_tier(record)

    def _audited(self, entry: Mapping[str, Any]) -> None:
        pair = self._audited_pair(entry)
        self.audited[pair].add(entry["disposition"])
        if entry["disposition"] in FINAL:
            self.replays.ended(pair)

    def _given_up(self, dead_letter: Record) -> None:
        pair, attempts = self._pair(dead_letter), attempts_of(dead_letter)
        reason = text_in(dead_letter, "hs-reason") or ""
        self.dead[pair].append(reason)
        self.dead_letters.write((dead_letter.where, dead_letter.offset), pair)
        self._may_be_owed(pair, f"was dead-lettered ({reason})")
        if reason != "attempts_exhausted":
            return
        who = base_of(pair)[1]
        events, is_exact = self.bounds.events[who], False
        for life in self.expected.lives_of(pair):
            most = len(life.wish.schedule) + 1
            searches = most * longest_search(events) if events > 1 else 0
            is_exact |= self.dead_letters.exhausts(pair, attempts, most, searches)
        if not is_exact:
            self.blame(EXACT, f"{_named(pair)} is dead-lettered after {attempts} attempts")
        status = int(text_in(dead_letter, "hs-last-status") or 0)
        if status in REFUSES_BODY and status not in self.alone.since_redrive[pair]:
            self.blame(JUSTIFIED, f"{_named(pair)} is dead-lettered for the {status} of a batch")

    def redriven(self, dead_letter: Record, record: OutgoingRecord) -> None:
        """Record that a dead letter was redriven as this record: its delivery is expected again."""
        pair, attempts = self._pair(dead_letter), attempts_of(dead_letter)
        if not self.dead_letters.redrive((dead_letter.where, dead_letter.offset), attempts):
            self.blame(
                ONCE, f"{_named(pair)} is redriven twice from dead letter {dead_letter.offset}"
            )
        if attempts_of(record) != attempts:
            self.blame(EXACT, f"{_named(pair)} is redriven after {attempts} attempts")
        self.delivered.discard(pair)
        self.audited.pop(pair, None)
        self.alone.since_redrive.pop(pair, None)

    def _pair(self, record: Record | OutgoingRecord) -> Pair:
        """Return the delivery of a record of ours: its origin identifies the event, not its id."""
        event = self.expected.by_origin.get(origin_of(record))
        named = text_in(record, "hs-event-id") if event is None else event.id
        who = text_in(record, "hs-subscription-id") or ""
        return of_run(named or "", who, text_in(record, "hs-job"))

    def _audited_pair(self, entry: Mapping[str, Any]) -> Pair:
        name = entry["event_id"]
        if name not in self.expected.tests:
            name = self.expected.by_origin[tuple(entry["origin"])].id
        return of_run(name, entry["subscription_id"], entry["job_id"])

    def _settled_above(self) -> set[Place]:
        return {(where, offset) for where, above in self._above.items() for offset in above}

    def _into_tier(self, record: Record) -> None:
        self.tier_writes += 1
        place = (record.where, record.offset)
        if text_in(record, "hs-subscription-id") is None:
            event = self.expected.by_origin[origin_of(record)]
            self._unmatched[event.id].append(place)
            self._carried[place] = event.id
            return
        pair = self._pair(record)
        self._carriers[pair].append(place)
        self._carried[place] = pair
        if not is_to_be_matched(record):
            self._may_be_owed(pair, f"went to {record.topic}")

    def _set_aside(self, record: Record) -> None:
        reason = text_in(record, "hs-reason") or ""
        origin = origin_of(record)
        if is_to_be_matched(record):
            self.aside_in_runs[self._pair(record)] = reason
        else:
            self.aside[origin] = reason
        event = self.expected.by_origin.get(origin)
        if event is None:
            self.blame(JUSTIFIED, f"{origin} is undecodable and is not a record of the story")
            return
        fair = event.garbage or event.type == NEVER
        if not fair and not (reason == "too_large" and self.too_large and event.type == LATE):
            self.blame(JUSTIFIED, f"{event.id} is undecodable as {reason}, and is an event")

    def committed(
        self, group: str, where: TopicPartition, before: int, progress: CommitPosition
    ) -> None:
        """Check what a commit covers: it must be in some other record."""
        after = progress.offset
        spans = decode_metadata(progress.metadata, after)
        above = frozenset(offset for span in spans for offset in range(*span))
        also = f", and {sorted(above)}" if above else ""
        self.note(f"{group} commits {where.topic}/{where.partition} to {after}{also}")
        if after < before:
            self.blame(FORWARD, f"{group} went back from {before} to {after} in {where}")
        if where in self.given_up.lost:
            wrong = self.given_up.resumed(where, after)
            if wrong is not None:
                self.blame(GUESSED, wrong)
        known = self._above.get(where, frozenset())
        fresh = [*range(before, after), *sorted(above - known)]
        self._above[where] = above
        for offset in fresh:
            if (where, offset) in self.given_up:
                continue
            if self.given_up.is_cut((where, offset)) and offset not in known:
                self._passed_unread(where, offset)
            self._passed(where, offset)

    def offsets_lost(self, where: TopicPartition, committed: int, evidence: int | None) -> None:
        """Record that a group's offset of a partition is gone."""
        above = self._above.pop(where, frozenset())
        self.given_up.lost[where] = Lost(committed, above, evidence)

    def _passed_unread(self, where: TopicPartition, offset: int) -> None:
        if not self._takes[where, offset] and (
            (where, offset) in self._carried or (*where, offset) in self.expected.by_origin
        ):
            place = f"{where.topic}/{where.partition}@{offset}"
            self.blame(GAPS, f"{place} was gone before it was read, and is skipped silently")

    def _passed(self, where: TopicPartition, offset: int) -> None:
        carried = self._carried.get((where, offset))
        if isinstance(carried, tuple):
            self._must_stand(carried, f"{where.topic}/{where.partition}@{offset}")
            return
        if carried is not None:
            event: Event | None = self.expected.events[carried]
        else:
            event = self.expected.by_origin.get((*where, offset))
        if event is not None:
            self._event_passed(event, f"{where.topic}/{where.partition}@{offset}")

    def _event_passed(self, event: Event, place: str) -> None:
        if event.origin in self.aside or self.is_event_given_up(event):
            return
        if event.garbage or (event.type == NEVER and not self._pending_unmatched(event)):
            self.blame(
                PROMISE,
                f"{event.id} is not among the undecodable records, and {place} is committed",
            )
            return
        for pair in self.expected.owed_to(event):
            self._must_stand(pair, place)

    def tests_may_end_untraced(self) -> bool:
        """Return whether there were two defects: nothing is written of a test but its record, and that of its defect."""
        return self.defects() >= 2

    def _must_stand(self, pair: Pair, place: str) -> None:
        if is_test(pair):
            stands = self.audited[pair] or self.pending(pair) or self.is_given_up(pair)
            if not (stands or self.tests_may_end_untraced()):
                self.blame(TESTED, f"{pair[0]} did not end, and {place} is committed")
            return
        if self.expected.owed(pair) is not Owed.MUST:
            return
        if pair in self.delivered:
            explained = self.audited[pair] or self.expected.is_deleted(pair)
            if not explained and not self.pending(pair):
                self.blame(SILENT, f"{_named(pair)} was delivered, {place} committed, no audit")
            return
        if self.dead_letters.contain(pair) or self.expected.is_deleted(pair) or self.pending(pair):
            return
        if self.is_given_up(pair) or pair in self.aside_in_runs:
            return
        self.blame(PROMISE, f"{_named(pair)} is in no record once {place} is committed")

    def pending(self, pair: Pair) -> bool:
        """Return whether a record that carries a delivery is not committed."""
        return any(self._uncommitted(place) for place in self._places_of(pair))

    def is_given_up(self, pair: Pair) -> bool:
        """Return whether a record of a delivery was deleted from the log, and that was reported."""
        return any(place in self.given_up for place in self._places_of(pair))

    def is_event_given_up(self, event: Event) -> bool:
        """Return the same for an event that is to be matched."""
        return any(place in self.given_up for place in self._places_of_event(event))

    def _places_of(self, pair: Pair) -> list[Place]:
        if is_run(pair):
            return self._carriers[pair]
        return [*self._carriers[pair], *self._places_of_event(self.expected.events[pair[0]])]

    def _places_of_event(self, event: Event) -> list[Place]:
        own = (TopicPartition(event.topic, event.partition), event.offset)
        return [*self._unmatched[event.id], own]

    def _pending_unmatched(self, event: Event) -> bool:
        return any(self._uncommitted(place) for place in self._places_of_event(event))

    def _uncommitted(self, place: Place) -> bool:
        where, offset = place
        ours = self._topics.delay_of(where.topic) is not None
        group = self._topics.retry_group if ours else self._topics.group
        if offset < self._commits.get(group, {}).get(where, 0):
            return False
        return offset not in self._above.get(where, ())

    def carried(self) -> Iterable[Pair]:
        """Return the deliveries that ever were in a tier."""
        return [pair for pair, places in self._carriers.items() if places]

    def in_tiers_or_over(self, subscription_id: str) -> frozenset[str]:
        """Events whose delivery to a subscription no longer needs to be matched."""
        return frozenset(
            event
            for event in self.expected.events
            if self._carriers.get(pair := (event, subscription_id))
            or (self.accepted[pair] and self.audited[pair])
            or pair in self.dead
        )

    # At a worker.

    def taken(self, hand: Hand, records: Sequence[Record]) -> None:
        """Record what a process has in memory now."""
        for record in records:
            place = (record.where, record.offset)
            if record.offset in self._above.get(record.where, ()):
                continue  # it is settled according to the commit, so its owner drops it
            self._takes[place] += 1
            carried = self._carried.get(place)
            if isinstance(carried, tuple):
                hand.copies[carried].append((attempts_of(record), due_of(record)))
            elif carried is not None:
                hand.events[carried] += 1
            else:
                event = self.expected.by_origin.get((*place[0], place[1]))
                if event is not None:
                    hand.events[event.id] += 1

    def sending(self, hand: Hand, post: Post, now: Millis) -> Sent:
        """Check a request when it is made."""
        self.attempts += 1
        who, pairs = post.subscription_id, pairs_of(post)
        wish = self.expected.by_url[post.url].wish
        most, headers = self.bounds.events[who], dict(post.headers)
        wrong = wrong_with(post, wish, most=most, most_bytes=self.bounds.body)
        if wrong is not None:
            self.blame(BATCH, wrong)
        hand.latest = max(hand.latest, now)
        number = headers.get("hookstream-attempt")
        self.note(f"attempt {number or 'in a batch'} of {_listed(pairs)} for {who}")
        batch = batch_of(post)
        numbers = {pair: self._attempting(hand, pair, number, now) for pair in pairs}
        self.tests.sent(pairs, self.requests, {pair: self._again(pair) for pair in pairs})
        for pair, delivery in zip(pairs, delivery_ids(post), strict=True):
            urls = [each.url for each in self.expected.lives_of(pair)]
            if post.url not in urls and not is_test(pair):
                self.blame(LIVES, f"{_named(pair)} is sent to {post.url}, and is for {urls[0]}")
            known = self._ids.setdefault(base_of(pair), delivery)
            if known != delivery:
                self.blame(IDENTITY, f"{_named(pair)} is {known}, then {delivery}")
            hand.runs[pair] = hand.runs[pair] + 1 if hand.due_at_once(pair) else 1
            if hand.runs[pair] > longest_search(most):
                self.blame(SEARCH, f"{_named(pair)} is sent {hand.runs[pair]} times")
        return hand.send(batch, numbers)

    def _attempting(self, hand: Hand, pair: Pair, number: str | None, now: Millis) -> set[int]:
        """Check an attempt of one delivery; return the numbers that it may have.

        Args:
            hand: What the process knows.
            pair: The delivery.
            number: The number that the request names; None: a batch, which names none.
            now: The present.
        """
        self.requests[pair] += 1
        if self.expected.owed(pair) is Owed.NEVER:
            self.blame(INTERVALS, f"{_named(pair)} was attempted, and is not expected")
        made = hand.made_before(pair)
        numbers = {before + 1 for before in made} if number is None else {int(number)}
        if not numbers or not numbers <= {before + 1 for before in made}:
            what = f"{_named(pair)}: attempt {number}, after {sorted(made)} were made"
            self.blame(EXACT, what)
            return numbers
        due = min(hand.due(pair, each) for each in numbers)
        if hand.latest < due:
            self.blame(EARLY, f"{_named(pair)}: attempt {min(numbers)} is {due - now} ms early")
        return numbers

    def answered(self, hand: Hand, sent: Sent, answer: Answer) -> None:
        """Record that a process knows the result of a request."""
        sent.answered = True
        hand.tested = any(map(is_test, sent.numbers))
        sent.searched = sent.count > 1 and refuses_body(answer)
        for pair, numbers in sent.numbers.items():
            hand.answered[pair] |= numbers
            if sent.searched:
                hand.searched[pair].update(numbers)
            if sent.count == 1 and isinstance(answer, Response):
                self.alone.got(pair, answer.status)

    def accepts(self, pair: Pair) -> None:
        """Record that an endpoint answered 2xx, and count how often it may."""
        self.accepted[pair] += 1
        self.delivered.add(pair)
        if self.accepted[pair] == 1:
            return
        again = self._again(pair)
        if self.accepted[pair] > 1 + again + self.defects():
            detail = f"{_named(pair)} arrived {self.accepted[pair]} times, its records were taken"
            self.blame(DUPLICATES, f"{detail} {again} times again")

    def _again(self, pair: Pair) -> int:
        """Return how often a record with a delivery was taken once more."""
        return sum(max(0, self._takes[place] - 1) for place in self._places_of(pair))

    def writing(
        self, hand: Hand, record: OutgoingRecord, now: Millis, *, refused: bool = False
    ) -> None:
        """Compare the attempts that a process writes with those that it made."""
        topics = self._topics
        into_tier = topics.delay_of(record.topic) is not None
        repeated = hand.repeats(record, refused=refused)
        if record.topic == topics.attempts:
            if not repeated:
                self._auditing(hand, orjson.loads(record.value or b""), now)
        elif record.topic == topics.health and record.key != TIME_KEY:
            if hand.tested and not (repeated or self.flawed):
                self.blame(TESTED, f"a test's answer changes {(record.key or b'').decode()}")
        elif text_in(record, "hs-trigger") == "test":
            self.blame(TESTED, f"{self._pair(record)[0]} is written to {record.topic}")
        elif (into_tier or record.topic == topics.dead_letters) and is_delivery(record):
            self._passing_on(hand, record, now, into_tier=into_tier)
            if not repeated:
                hand.passed_on(self._pair(record), attempts_of(record))

    def _passing_on(
        self, hand: Hand, record: OutgoingRecord, now: Millis, *, into_tier: bool
    ) -> None:
        pair = self._pair(record)
        attempt = attempts_of(record)
        made = hand.made_before(pair)
        answered = hand.answered.get(pair, set())
        put_back = text_in(record, "hs-deferred-reason") is not None
        if not into_tier:
            right = made | answered
        elif put_back or (attempt, due_of(record)) in hand.copies.get(pair, ()):
            right = made
        else:
            right = answered
        if text_in(record, "hs-deferred-reason") in OF_LANES and attempt in made:
            due = hand.due(pair, attempt + 1)
            if max(hand.latest, now) < due:
                self.blame(
                    EARLY, f"{_named(pair)} is given a slot {due - now} ms before it is due"
                )
        if attempt not in right:
            wrote = f"{_named(pair)}: {record.topic} has {attempt} attempts"
            self.blame(EXACT, f"{wrote}, {sorted(right)} would be right")

    def _auditing(self, hand: Hand, entry: Mapping[str, Any], now: Millis) -> None:
        """Compare the audit record of an attempt with the request that it is of."""
        pair = self._audited_pair(entry)
        if is_test(pair):
            self.tests.ended(pair, entry, now)
        if entry["outcome"] in (None, "refused"):
            return
        due, attempt, batch = entry["due_at"], entry["attempt"], entry["batch_id"]
        if entry["delivery_id"] != self._ids.get(base_of(pair)):
            self.blame(AUDIT, f"{_named(pair)} is audited as {entry['delivery_id']}")
        # A write that raised is repeated a while later; a clock may jump meanwhile.
        decided = entry["started_at"] + entry["took"] + SHORTER if self.flawed else now
        at_once = due is not None and due <= decided
        if not hand.audited(batch, pair, attempt, at_once=at_once):
            what = f"attempt {attempt} of {_named(pair)} in {batch or 'no batch'}"
            self.blame(AUDIT, f"{what} is audited, and no such request was answered")

    def unaudited(self, sent: Sent) -> None:
        """Record that a request was answered a while ago, and some of its deliveries are not audited."""
        self.blame(AUDIT, f"no audit record of {_listed(sent.numbers)} in {sent.batch or 'none'}")

    def _may_be_owed(self, pair: Pair, what: str) -> None:
        if self.expected.owed(pair) is Owed.NEVER and not self.replays.is_unasked(pair):
            self.blame(INTERVALS, f"{_named(pair)} {what}, and is not expected")


def _listed(pairs: Iterable[Pair]) -> str:
    return ", ".join(event for event, _ in pairs)


def _named(pair: Pair) -> str:
    return f"{pair[0]} for {pair[1]}"
