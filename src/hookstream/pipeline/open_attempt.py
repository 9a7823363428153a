"""An attempt from its request on: what it sends, while it is open, and how it ends."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from hookstream.core.model.instant import Millis
from hookstream.core.model.outcome import (
    Answer,
    Delivered,
    Disposition,
    Failed,
    Outcome,
    Refused,
    Response,
    Withheld,
)
from hookstream.core.model.subscription_status import Live
from hookstream.pipeline.ports import Continuation, Exchange, Post, Span
from hookstream.pipeline.request_parts import Prepared
from hookstream.pipeline.work import Work

AttemptResult: TypeAlias = Outcome | Withheld | None
"""The result of an attempt. None: the delivery ended without one. Withheld: no request was made."""


class AttemptListener(Protocol):
    """Is notified once of the end of an open attempt."""

    def ended(self, came: AttemptResult | Continuation[AttemptResult]) -> None:
        """The attempt ended, or has a continuation that returns its result."""

    def broke(self, error: BaseException) -> None:
        """The attempt raised an exception that passes the fence: the process ends."""


@dataclass(slots=True)
class Ready:
    """One attempt, up to its request. Treated as immutable."""

    prepared: Prepared
    live: Live
    """The subscription as it was then."""
    version: int
    body_bytes: int
    """The size of the delivery's own body."""
    post: Post
    began_at: Millis


@dataclass(slots=True, eq=False)
class OpenAttempt:
    """An attempt from its request on."""

    work: Work
    ready: Ready
    began: float
    """When its request began, monotonic seconds."""
    step: int
    """The delivery's step before it: its disposition may be decided a second time."""
    notify: AttemptListener
    span: Span | None = None
    exchange: Exchange | None = field(default=None, repr=False)
    """None: its result is awaited in a task, or it was answered."""

    def abandon(self) -> None:
        """Close its connection: nothing is settled, and the listener is not notified."""
        if self.exchange is not None:
            self.exchange.abandon()
        end_all((self.span,), "cancelled")


class Awaiting:
    """Lets a coroutine wait until an open attempt ends."""

    def __init__(self) -> None:
        """Wait in the running event loop."""
        self.came: asyncio.Future[AttemptResult | Continuation[AttemptResult]] = (
            asyncio.get_running_loop().create_future()
        )

    def ended(self, came: AttemptResult | Continuation[AttemptResult]) -> None:
        """As AttemptListener says."""
        if not self.came.done():
            self.came.set_result(came)

    def broke(self, error: BaseException) -> None:
        """As AttemptListener says."""
        if not self.came.done():
            self.came.set_exception(error)


def end_span(
    span: Span, answer: Answer, outcome: Outcome, disposition: Disposition | None
) -> None:
    """End the span of a request with its answer and, if it was decided, the delivery's disposition."""
    if disposition is not None:
        span.decided(disposition)
    status = answer.status if isinstance(answer, Response) else 0
    attributes = {"http.response.status_code": status} if status else {}
    span.end(error=None if isinstance(outcome, Delivered) else _error(outcome), **attributes)


def end_all(spans: Sequence[Span | None], error: str) -> None:
    """End the spans of a request that got no answer."""
    for span in spans:
        if span is not None:
            span.end(error=error)


def _error(outcome: Outcome) -> str:
    """Return OpenTelemetry's `error.type`: the status as text, or the kind of failure."""
    match outcome:
        case Failed(kind=kind, status=None):
            return kind.value
        case Refused(reason=reason):
            return reason.value
        case _:
            return str(outcome.status)
