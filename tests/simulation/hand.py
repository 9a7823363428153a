"""What one process consumed and did: all that it can know of a delivery."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from tests.simulation.expectation import Pair, is_run

from hookstream.core.model.instant import Millis
from hookstream.core.model.record import OutgoingRecord


@dataclass(slots=True, eq=False)
class Sent:
    """One request of a process."""

    batch: str | None
    """Its id, if it is a batch."""
    numbers: dict[Pair, set[int]]
    """Its deliveries that are not audited yet, with the numbers that the attempt of each may have."""
    count: int
    """How many deliveries it had."""
    answered: bool = False
    """Whether the process knows its result."""
    searched: bool = False
    """Whether its deliveries may be due at once, with any of these numbers."""


@dataclass(slots=True)
class Hand:
    """What one process consumed and did, for as long as it lives."""

    events: Counter[str] = field(default_factory=Counter)
    """How often it took each event."""
    copies: defaultdict[Pair, list[tuple[int, Millis]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """By delivery: attempts made before, and due time, of each tier record that was taken."""
    answered: defaultdict[Pair, set[int]] = field(default_factory=lambda: defaultdict(set))
    sent: list[Sent] = field(default_factory=list)
    """Requests that are not all audited."""
    searched: defaultdict[Pair, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    """Attempts after which a copy of a delivery may be due at once, as its batch is searched."""
    refused: Counter[str] = field(default_factory=Counter)
    """Records whose write was refused, so that it will be repeated."""
    runs: Counter[Pair] = field(default_factory=Counter)
    """Requests of a delivery since its batch was refused first."""
    tested: bool = False
    """Whether the last request that was answered had a test."""
    latest: Millis = 0
    """The latest that its clock ever showed."""

    def fresh(self, pair: Pair) -> int:
        """Return how often it took the event of a delivery; a replay's delivery never comes from that."""
        return 0 if is_run(pair) else self.events[pair[0]]

    def due_at_once(self, pair: Pair) -> set[int]:
        """Return the attempts after which a copy of a delivery may be due at once, as its batch is searched."""
        searched = self.searched.get(pair)
        return {each for each, copies in searched.items() if copies > 0} if searched else set()

    def made_before(self, pair: Pair) -> set[int]:
        """Attempts that were made before, of each copy that it took."""
        copies, searched = self.copies.get(pair, ()), self.due_at_once(pair)
        if searched and len(copies) + self.fresh(pair) == 1:
            return {max(searched)}
        made = {attempt for attempt, _ in copies} | searched
        return made | {0} if self.fresh(pair) else made

    def due(self, pair: Pair, attempt: int) -> Millis:
        """The earliest due time of a copy on which this attempt can follow."""
        if attempt == 1 and self.fresh(pair):
            return 0
        if attempt - 1 in self.due_at_once(pair):
            return 0
        return min(due for made, due in self.copies[pair] if made == attempt - 1)

    def send(self, batch: str | None, numbers: dict[Pair, set[int]]) -> Sent:
        """Note a request."""
        sent = Sent(batch, numbers, len(numbers))
        self.sent.append(sent)
        return sent

    def repeats(self, record: OutgoingRecord, *, refused: bool) -> bool:
        """Note that a record is written; return whether the write is repeated after a refusal."""
        if not refused and not self.refused:
            return False
        same = repr(record)
        repeated = self.refused[same] > 0
        self.refused[same] += refused - repeated
        return repeated

    def passed_on(self, pair: Pair, attempt: int) -> None:
        """Note that a copy of a delivery is written to a tier or a dead letter after so many attempts.

        It may be another copy than one that is due at once: that of a request that has just ended so.
        """
        if not any(
            sent.answered and not sent.searched and attempt in sent.numbers.get(pair, ())
            for sent in self.sent
        ):
            self.goes_on(pair, attempt)

    def goes_on(self, pair: Pair, attempt: int) -> None:
        """Note that a copy of a delivery is not due at once any more."""
        if attempt in self.due_at_once(pair):
            self.searched[pair][attempt] -= 1

    def audited(self, batch: str | None, pair: Pair, attempt: int, *, at_once: bool) -> bool:
        """Note the audit record of an attempt; False: no request was made that it can be of.

        Args:
            batch: The batch's id.
            pair: The delivery.
            attempt: The number of the attempt.
            at_once: Whether the delivery is retried at once.
        """
        requests = [
            sent
            for sent in self.sent
            if sent.answered and sent.batch == batch and attempt in sent.numbers.get(pair, ())
        ]
        if not requests:
            return False
        # Of two requests with copies of one delivery, the other one may have this number or another.
        sent = min(requests, key=lambda each: len(each.numbers[pair]))
        for other in sent.numbers.pop(pair):
            if sent.searched and (other != attempt or not at_once):
                self.goes_on(pair, other)
        if not sent.numbers:
            self.sent.remove(sent)
        self.goes_on(pair, attempt - 1)
        return True
