"""The attempts that a process makes at once are capped, and half of the cap is kept for what ends soon.

Kept for: first attempts of lanes that answered within a second lately. All else (lanes of which
nothing is known, lanes that leave attempts unanswered, retries) shares the other half in common, so
that endpoints that hang, and an outage's retries, never use up the whole.
"""


class Holder:
    """What one lane holds of the cap."""

    __slots__ = ("kept", "prompt")

    def __init__(self) -> None:
        """Hold nothing, and count as unproven."""
        self.prompt = False
        self.kept = 0
        """Attempts in flight that began as first attempts while the lane was prompt."""


class Permits:
    """The process-wide cap of attempts in flight."""

    __slots__ = ("_common", "_most", "free")

    def __init__(self, most: int) -> None:
        """Allow `most` attempts at once."""
        self._most = most - most // 2
        self._common = 0
        self.free = most

    def may_take(self, *, kept: bool) -> bool:
        """Return whether another attempt may begin; `kept`: a first attempt of a prompt lane."""
        return self.free > 0 and (kept or self._common < self._most)

    def take(self, holder: Holder, *, kept: bool) -> bool:
        """Note that an attempt begins, where it may."""
        if self.free <= 0:
            return False
        if kept:
            holder.kept += 1
        elif self._common < self._most:
            self._common += 1
        else:
            return False
        self.free -= 1
        return True

    def give(self, holder: Holder, *, kept: bool) -> None:
        """Note that an attempt ended that was taken as `kept` or not."""
        self.free += 1
        if kept:
            holder.kept -= 1
        if not (kept and holder.prompt):
            self._common -= 1

    def proved(self, holder: Holder) -> None:
        """Note that a lane answered promptly."""
        if not holder.prompt:
            holder.prompt = True
            self._common -= holder.kept

    def slowed(self, holder: Holder) -> None:
        """Note that a lane does not answer: what it holds counts as common from now on."""
        if holder.prompt:
            holder.prompt = False
            self._common += holder.kept
