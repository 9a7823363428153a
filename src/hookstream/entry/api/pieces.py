"""Sends answers in pieces: bounds their number, and cuts off one that cannot be finished."""

import asyncio
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Self

from hookstream.core.access.scopes import Caller
from hookstream.entry.api.problems import ProblemKind, RequestRefused
from hookstream.entry.api.requests import CutOff
from hookstream.entry.api.routes import BodyPiece
from hookstream.entry.api.threads import Threads
from hookstream.errors import HookstreamError
from hookstream.pipeline.ports import Logger

CUT_OFF = "cut_off"
"""The reason, in the log, of an answer that could not be finished."""
MOST_AT_ONCE = 8
"""The most answers in pieces that one process sends at once: each keeps a reader of the log open."""
MOST_OF_CALLER = 2
"""Of those, the most of one partner, or of one operator's token."""
MOST_OF_PARTNERS = 6
"""Of all, the most of partners: the others stay for operators."""
_AGAIN = 5
"""Seconds after which one of them may have ended."""
_LONGEST_DETAIL = 500
_LONGEST_STACK = 8_000


class PieceSlots:
    """The answers in pieces that are being sent. Owned by the event loop."""

    def __init__(self) -> None:
        self._of: Counter[str] = Counter()
        self._of_partners = 0

    def take(self, caller: Caller) -> Callable[[], None]:
        """Take a slot, and return what gives it back; to be called once.

        Raises:
            RequestRefused: None is free.
        """
        key = caller.partner_id or f"token/{caller.token_id}"
        if self._of[key] >= MOST_OF_CALLER:
            raise RequestRefused(
                ProblemKind.TOO_MANY_REQUESTS,
                f"{MOST_OF_CALLER} such answers are being sent to you already",
                remedy="finish reading one of them, or close it",
                retry_after=_AGAIN,
            )
        of_partner = caller.partner_id is not None
        if self._of.total() >= MOST_AT_ONCE or (
            of_partner and self._of_partners >= MOST_OF_PARTNERS
        ):
            raise RequestRefused(
                ProblemKind.UNAVAILABLE,
                f"too many such answers are being sent already: at most {MOST_AT_ONCE}",
                retry_after=_AGAIN,
            )
        self._of[key] += 1
        self._of_partners += of_partner

        def give_back() -> None:
            self._of[key] -= 1
            self._of_partners -= of_partner
            if not self._of[key]:
                del self._of[key]

        return give_back


class SentPieces:
    """The contents of pieces, each made on a request's thread when the previous one was taken.

    Args:
        pieces: Closed by `aclose`.
        threads: Where they are made.
        logger: Has why the answer was cut off.
        request_id: The request's.
        pause: Waits for a number of seconds.
        closed: Called once, by `aclose`, with how many bytes were taken and why it was cut off; empty: it was not.
    """

    def __init__(
        self,
        pieces: Iterator[BodyPiece],
        threads: Threads,
        logger: Logger,
        request_id: str,
        pause: Callable[[float], Awaitable[None]],
        closed: Callable[[int, str], None],
    ) -> None:
        self._pieces = pieces
        self._threads = threads
        self._logger = logger
        self._request_id = request_id
        self._pause = pause
        self._closed: Callable[[int, str], None] | None = closed
        self._wait = 0.0
        self._size = 0
        self._is_over = False
        self._reason = ""
        self._making: asyncio.Task[BodyPiece | None] | None = None

    def __aiter__(self) -> Self:
        """Yield from where it is."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next content.

        Raises:
            CutOff: It cannot be made.
        """
        if self._is_over:
            raise StopAsyncIteration
        if self._wait > 0:
            await self._pause(self._wait)
        piece = await self._made()
        if piece is None:
            self._is_over = True
            raise StopAsyncIteration
        self._wait = piece.pause
        self._size += len(piece.content)
        return piece.content

    async def _made(self) -> BodyPiece | None:
        making = self._making = asyncio.get_running_loop().create_task(
            self._threads.run(lambda: next(self._pieces, None))
        )
        try:
            return await asyncio.shield(making)
        except HookstreamError as error:
            self._is_over, self._reason = True, CUT_OFF
            self._logger.warning(
                "api.cut_off", request_id=self._request_id, detail=str(error)[:_LONGEST_DETAIL]
            )
            raise CutOff from None
        except Exception as defect:  # noqa: BLE001  a defect in one answer must not end the others
            self._is_over, self._reason = True, CUT_OFF
            self._logger.error(
                "api.defect",
                request_id=self._request_id,
                kind=type(defect).__name__,
                stack="".join(traceback.format_exception(defect))[-_LONGEST_STACK:],
            )
            raise CutOff from None

    async def aclose(self) -> None:
        """Close the pieces, whether all of them were taken or none."""
        closed, self._closed = self._closed, None
        if closed is None:
            return
        try:
            # An iterator that is still running cannot be closed; its work is bounded.
            if self._making is not None and not self._making.done():
                await asyncio.wait([self._making])
            close = getattr(self._pieces, "close", None)
            if close is not None:
                await self._threads.run(close)
        finally:
            closed(self._size, self._reason)
