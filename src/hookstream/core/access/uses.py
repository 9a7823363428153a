"""What is read and made over the API, as operators' audit log has it: joined over a minute."""

from dataclasses import dataclass, replace

from hookstream.core.model.instant import MINUTE, Millis

MOST_KEPT = 10_000
"""Different uses of one minute that are kept apart; further ones are counted without their subject."""


@dataclass(slots=True, frozen=True)
class ApiUse:
    """The same act of one caller on one subject, within a minute."""

    act: str
    """As the route table names it: `payload.read`, `dead_letters.exported`, `token.revoked`."""
    by: str
    """The public id of the token."""
    subject: str
    """The delivery, subscription or token; empty: none, or several."""
    partner_id: str | None
    """Whose token it is; None: an operator's."""
    count: int
    since: Millis
    until: Millis

    @property
    def minute(self) -> Millis:
        """The start of its minute."""
        return self.since - self.since % MINUTE


class ApiUses:
    """The uses that are not written yet; for one thread at a time."""

    def __init__(self) -> None:
        self._uses: dict[tuple[Millis, str, str, str], ApiUse] = {}

    def note(self, act: str, by: str, subject: str, partner_id: str | None, now: Millis) -> None:
        """Count a use.

        Args:
            act: What was done.
            by: The public id of the token.
            subject: What it was done with.
            partner_id: Whose token it is; None: an operator's.
            now: The present.
        """
        minute = now - now % MINUTE
        if len(self._uses) >= MOST_KEPT and (minute, act, by, subject) not in self._uses:
            subject = ""
        place = minute, act, by, subject
        found = self._uses.get(place)
        if found is None:
            self._uses[place] = ApiUse(act, by, subject, partner_id, 1, now, now)
        else:
            self._uses[place] = replace(found, count=found.count + 1, until=now)

    def take(self, now: Millis | None) -> list[ApiUse]:
        """Take the uses of minutes that are over; all of them if there is no present."""
        over = [place for place in self._uses if now is None or place[0] + MINUTE <= now]
        return [self._uses.pop(place) for place in over]

    def put_back(self, uses: list[ApiUse]) -> None:
        """Keep uses that could not be written."""
        for each in uses:
            self._uses.setdefault((each.minute, each.act, each.by, each.subject), each)
