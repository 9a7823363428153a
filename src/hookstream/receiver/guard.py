"""Makes a receiver handle each webhook once, however often it arrives."""

from collections.abc import Iterator
from contextlib import contextmanager

from hookstream.errors import HookstreamError
from hookstream.receiver.stores import MAX_IDS, Claimed, MemoryStore, SeenStore

KEEP_SECONDS = 8 * 24 * 3600
"""How long an id is remembered: longer than a delivery lives by default (`retry.expires_after`, 7 d)."""
LEASE_SECONDS = 300
"""How long a webhook counts as being handled after the handler's process has died."""


class BeingHandled(HookstreamError):
    """Raised when another copy of the same webhook is being handled: answer 503, and it is sent again."""


class ReplayGuard:
    """Decides for each webhook whether to handle it. Safe to use from several threads.

    A webhook counts as seen when its handler *succeeded*: a handler that fails must get the event again.
    A handler that must never act twice, even if its process dies at its end, keeps the key in its
    own database instead, in the transaction of its work.

    Args:
        store: Where the keys are kept.
        keep: Seconds for which a key is remembered.
        lease: The longest that a handler may take, in seconds; claims of a process that died end then.
        accept_replays: Whether an event that a replay sends (`hookstream-replay: JOB`) is handled
            once more for each job. The header is not signed: anyone with a request of the last
            minutes could send it with another job. Otherwise replays are copies like any other.
    """

    def __init__(
        self,
        store: SeenStore | None = None,
        *,
        keep: float = KEEP_SECONDS,
        lease: float = LEASE_SECONDS,
        accept_replays: bool = False,
    ) -> None:
        self._store = MemoryStore() if store is None else store
        self._keep = keep
        self._lease = lease
        self._accept_replays = accept_replays

    @contextmanager
    def handling(
        self, webhook_id: str, now: float, *, replay: str | None = None
    ) -> Iterator[bool]:
        """Yield True if the webhook is to be handled, False if it was already: answer 2xx either way.

        Args:
            webhook_id: `Member.key`, or `Verified.id` for a receiver that gets no batches.
            now: Seconds since the epoch.
            replay: `Verified.replay`.

        Raises:
            BeingHandled: A copy of it is being handled; answer 503.
        """
        replayed = replay is not None and self._accept_replays
        # No key of an event and no id of a delivery begins with a space.
        claimed = f" {replay} {webhook_id}" if replayed else webhook_id
        found = self._store.claim(claimed, now, self._lease)
        if found is Claimed.BEING_HANDLED:
            raise BeingHandled(f"{webhook_id} is being handled")
        if found is Claimed.HANDLED:
            yield False
            return
        try:
            yield True
        except BaseException:
            self._store.settle(claimed, None)
            raise
        self._store.settle(claimed, now + self._keep)
        if replayed:
            # The delivery itself may still be retried; it counts as handled too.
            self._store.settle(webhook_id, now + self._keep)


class SeenIds(ReplayGuard):
    """A replay guard that remembers ids in memory.

    Args:
        keep: Seconds for which an id is remembered.
        most: The most ids that are remembered.
        accept_replays: As for `ReplayGuard`.
    """

    def __init__(
        self, *, keep: float = KEEP_SECONDS, most: int = MAX_IDS, accept_replays: bool = False
    ) -> None:
        self._ids = MemoryStore(most=most)
        super().__init__(self._ids, keep=keep, accept_replays=accept_replays)

    def __len__(self) -> int:
        """Return how many ids are remembered."""
        return len(self._ids)
