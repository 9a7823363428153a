"""What one process consumed and did: all that it can know of a delivery."""

from collections import defaultdict
from dataclasses import dataclass, field

from tests.simulation.expectation import Pair

from hookstream.core.model.instant import Millis


@dataclass(slots=True)
class Hand:
    """What one process consumed and did, for as long as it lives."""

    events: set[str] = field(default_factory=set)
    copies: defaultdict[Pair, list[tuple[int, Millis]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """By delivery: attempts made before, and due time, of each tier record that was taken."""
    answered: defaultdict[Pair, set[int]] = field(default_factory=lambda: defaultdict(set))
    latest: Millis = 0
    """The latest that its clock ever showed."""

    def made_before(self, pair: Pair) -> set[int]:
        """Attempts that were made before, of each copy that it took."""
        made = {attempt for attempt, _ in self.copies.get(pair, ())}
        return made | {0} if pair[0] in self.events else made

    def due(self, pair: Pair, attempt: int) -> Millis:
        """The earliest due time of a copy on which this attempt can follow."""
        if attempt == 1 and pair[0] in self.events:
            return 0
        return min(due for made, due in self.copies[pair] if made == attempt - 1)
