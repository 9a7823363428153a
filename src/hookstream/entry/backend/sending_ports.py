"""The ports for tests, replays, and the ends of pauses and disablings.

The cluster and the API implement each of these, and each raises the exceptions that `ports.py` documents.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from hookstream.core.jobs.job import Job
from hookstream.core.model.subscription import Disabled, Subscription
from hookstream.core.replay.preview import ReplayPreview
from hookstream.core.replay.request import ReplayRequest
from hookstream.core.replay.survey import ReplaySurvey
from hookstream.entry.admin.delivery_tests import PreparedTest, SentTest
from hookstream.entry.admin.event_lines import EventLine
from hookstream.entry.admin.gaps import EndedGap, FillOptions, GapCount
from hookstream.entry.admin.job_listing import Watch
from hookstream.entry.admin.replays import SurveyWatch
from hookstream.entry.backend.ports import Effect
from hookstream.pipeline.job_kind import RunResult


@dataclass(slots=True, frozen=True)
class NewJob:
    """A job that a command starts and follows."""

    job: Job
    """The job before its start, or as the API created it."""
    run: Callable[[Watch], RunResult]
    """Creates it if it does not exist yet, and returns when it has ended, or when this process no longer
    works on it."""


@dataclass(slots=True, frozen=True)
class WantedTest:
    """The request for a test."""

    subscription_id: str
    event_type: str | None = None
    """None: that of the event, or the only one that the subscription asks for."""
    line: EventLine | None = None
    """The event; None: a sample."""
    text: str = ""
    """The event's original text."""


class TestCommands(Protocol):
    """Sends test events."""

    def prepare(
        self, wanted: WantedTest, unreadable: Callable[[Iterable[str]], None]
    ) -> PreparedTest:
        """Return a test without sending it; `unreadable` is called with problems of rows."""

    def send(
        self,
        wanted: WantedTest,
        seconds: float,
        unreadable: Callable[[Iterable[str]], None],
        sent: Callable[[str], None],
    ) -> tuple[PreparedTest, SentTest]:
        """Send a test, and wait for its result for so many seconds at most.

        Args:
            wanted: The test.
            seconds: How long to wait.
            unreadable: Called with problems of rows.
            sent: Called with the id of the test's job, once it is durable.
        """


class ReplayCommands(Protocol):
    """Delivers events of the past again."""

    def check(self, request: ReplayRequest) -> None:
        """Refuse a replay that the subscription does not allow now."""

    def survey(
        self, request: ReplayRequest, watch: SurveyWatch
    ) -> tuple[ReplaySurvey, ReplayPreview | None]:
        """Count the events of a replay. Partners get no preview, which would show places in the log."""

    def start(
        self, request: ReplayRequest, rate: float | None, counted: ReplayPreview | None
    ) -> NewJob:
        """Return a new replay; with `counted`, of exactly those events."""


class GapBefore(NamedTuple):
    """A subscription before the end of its pause or disabling."""

    subscription: Subscription
    disabled: Disabled | None
    """Its health row; None: it is not disabled."""


class GapCommands(Protocol):
    """Ends pauses and disablings, and fills the gaps that they left."""

    def before(self, subscription_id: str, revision: int | None) -> GapBefore:
        """Return a subscription at a revision; None: at any."""

    def remarks(self, before: GapBefore, *, enabling: bool) -> Sequence[str]:
        """Return remarks on the replay of its gap."""

    def count(self, before: GapBefore, watch: SurveyWatch, *, enabling: bool) -> GapCount | None:
        """Count the events of its gap; None: there is no gap."""

    def end(
        self, before: GapBefore, revision: int | None, options: FillOptions, *, enabling: bool
    ) -> tuple[EndedGap, Effect]:
        """End the disabling if `enabling`, else the pause."""

    def given_up(self, disabled: Disabled, progress: Callable[[int, int], None]) -> int:
        """Return the number of dead letters that a disabling left behind."""

    def redrive(
        self, disabled: Disabled, rate: float | None, progress: Callable[[int, int], None]
    ) -> NewJob | None:
        """Return the redrive of the dead letters that a disabling left behind; None: there are none."""
