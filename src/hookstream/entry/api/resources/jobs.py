"""Routes that list, show, cancel and resume jobs."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta

from hookstream.core.access.scopes import Scope
from hookstream.core.jobs import lease, turns
from hookstream.core.jobs.job import Job, JobState
from hookstream.core.model.instant import to_rfc3339
from hookstream.core.model.record import OutgoingRecord
from hookstream.entry.admin.job_owners import partner_of_job
from hookstream.entry.api.fields import (
    OPERATORS_SEE,
    ApiInput,
    ApiOutput,
)
from hookstream.entry.api.filters import time_text
from hookstream.entry.api.page_query import PageQuery
from hookstream.entry.api.pages import page_of
from hookstream.entry.api.problems import ProblemKind, RequestRefused
from hookstream.entry.api.resources.job_limits import refuse_beyond_limits
from hookstream.entry.api.routes import ApiAnswer, Call, Route
from hookstream.entry.api.services import JobRecords

_TAG = "jobs"
_FOR_PARTNERS = (
    "subscription",
    "since",
    "until",
    "event_types",
    "delivery",
    "event_type",
    "event_id",
    "as_granted_today",
    "most_events",
    "reason",
)
"""The parts of a job's request that partners see, without positions in a log."""
Rate = Annotated[float, Meta(gt=0, le=1_000_000)]


class JobNoteShown(ApiOutput, frozen=True):
    """Something that changed while a job ran."""

    at: str
    text: str


class JobShown(ApiOutput, frozen=True):
    """Long work in steps."""

    id: str
    kind: str
    state: str
    """`running`, `done`, `incomplete`, `failed` or `cancelled`."""
    asked_at: str
    asked: dict[str, Any]
    done: int
    total: int
    """0: not known."""
    counts: dict[str, int]
    rate: float | None
    revision: int
    held: bool
    """Whether an executor holds it now."""
    stalled: bool
    """Whether it is stalled: it has had no holder for 60 s, and does not wait for its turn."""
    waits: bool
    """Whether it waits for its turn: another redrive or purge of such records is at work, or is before it."""
    waits_for: str | None
    """That job, if the caller may see it."""
    partner: str | None
    """The one partner that it is about."""
    holder: Annotated[str, OPERATORS_SEE]
    held_until: Annotated[str | None, OPERATORS_SEE]
    asked_by: Annotated[str, OPERATORS_SEE]
    """Who asked for it, and with which request to the API."""
    reason: Annotated[str, OPERATORS_SEE]
    notes: Annotated[tuple[JobNoteShown, ...], OPERATORS_SEE]


class JobsPage(ApiOutput, frozen=True):
    """Jobs, the newest first."""

    items: tuple[JobShown, ...]
    next: str | None


class JobsQuery(PageQuery, frozen=True):
    """The filters of the list of jobs."""

    state: Literal["running", "done", "incomplete", "failed", "cancelled"] | None = None
    kind: Literal["replay", "resend", "redrive", "purge"] | None = None


class ResumeQuery(ApiInput, frozen=True):
    """Options for resuming a job."""

    rate: Rate | None = None
    """The most records per second, from now on; default: as before."""


def list_jobs_(call: Call[JobsQuery, None]) -> ApiAnswer:
    """Return jobs."""
    subscriptions = call.services.state().current.subscriptions
    query, jobs = call.query, call.services.jobs()
    found = [
        job
        for job in reversed(jobs)
        if call.caller.partner_id in (None, partner_of_job(job, subscriptions))
        and query.state in (None, job.state.value)
        and query.kind in (None, job.kind)
    ]
    # Newest first.
    keyed = [(f"{2**53 - job.asked_at:016d}/{job.id}", job) for job in found]
    page, following = page_of(call, sorted(keyed), lambda each: each[0])
    line = turns.JobLine(jobs)
    items = tuple(shown_job(call, job, line) for _, job in page)
    return ApiAnswer(JobsPage(items=items, next=following))


def get_job(call: Call[Any, None]) -> ApiAnswer:
    """Return one job."""
    return ApiAnswer(shown_job(call, _job(call)))


def cancel_job_(call: Call[Any, None]) -> ApiAnswer:
    """Cancel a job, whichever executor runs it; its finished steps are kept."""

    def answer(job: Job) -> ApiAnswer:
        return ApiAnswer(shown_job(call, job))

    return answer(call.services.cancel_job(_job(call).id, _kept(call, answer)))


def resume_job_(call: Call[ResumeQuery, None]) -> ApiAnswer:
    """Let any executor continue a job that failed, or that no executor holds."""
    job = _job(call)
    if lease.is_held(job, call.services.now()):
        raise RequestRefused(ProblemKind.CONFLICT, f"job {job.id} is being worked on")
    if job.state is not JobState.RUNNING:
        # A resumed job counts against the partner's limits.
        most = job.asked.get("most_events")
        refuse_beyond_limits(call, most - job.done if isinstance(most, int) else None)

    def answer(freed: Job) -> ApiAnswer:
        return ApiAnswer(shown_job(call, freed))

    return answer(call.services.free_job(job.id, _kept(call, answer), call.query.rate))


def _kept(call: Call[Any, Any], answer: Callable[[Job], ApiAnswer]) -> JobRecords:
    """Return what keeps an answer; it is asked once no other process writes the job."""

    def also(job: Job) -> Sequence[OutgoingRecord]:
        if call.key is None:
            return ()
        call.services.caught_up()
        call.check_key()
        return call.records(answer(job))

    return also


def shown_job(call: Call[Any, Any], job: Job, line: turns.JobLine | None = None) -> JobShown:
    """Return the view of a job; `line` is the queue of all jobs' turns, computed here if it is None."""
    now = call.services.now()
    asked, subscriptions = job.asked, call.services.state().current.subscriptions
    if line is None:
        line = turns.JobLine(call.services.jobs() if turns.may_wait(job) else ())
    other = line.ahead(job)
    is_seen = other is not None and call.caller.partner_id in (
        None,
        partner_of_job(other, subscriptions),
    )
    if not call.by_operator:
        asked = {name: asked[name] for name in _FOR_PARTNERS if name in asked}
    return JobShown(
        id=job.id,
        kind=job.kind,
        state=job.state.value,
        asked_at=to_rfc3339(job.asked_at),
        asked=asked,
        done=job.done,
        total=job.total,
        counts={**job.counts},
        rate=job.rate,
        revision=job.revision,
        held=lease.is_held(job, now),
        stalled=turns.is_stalled(job, other, now),
        waits=other is not None,
        waits_for=other.id if other is not None and is_seen else None,
        partner=partner_of_job(job, subscriptions),
        holder=job.holder,
        held_until=time_text(job.held_until),
        asked_by=job.asked_by,
        reason=job.reason,
        notes=tuple(JobNoteShown(at=to_rfc3339(at), text=text) for at, text in job.notes),
    )


def _job(call: Call[Any, Any]) -> Job:
    job_id = call.params["job_id"]
    job = call.services.job(job_id)
    if job is not None and not call.by_operator:
        subscriptions = call.services.state().current.subscriptions
        if partner_of_job(job, subscriptions) != call.caller.partner_id:
            job = None
    if job is None:
        raise RequestRefused(ProblemKind.NOT_FOUND, f"there is no job {job_id!r}")
    return job


ROUTES = (
    Route(
        "GET",
        "/v1/jobs",
        Scope.PARTNER_READ,
        "List jobs, the newest first.",
        list_jobs_,
        JobsPage,
        query=JobsQuery,
        tag=_TAG,
    ),
    Route(
        "GET",
        "/v1/jobs/{job_id}",
        Scope.PARTNER_READ,
        "Show a job: its progress and its state.",
        get_job,
        JobShown,
        tag=_TAG,
    ),
    Route(
        "POST",
        "/v1/jobs/{job_id}/cancel",
        Scope.PARTNER_MANAGE,
        "Cancel a job, whichever executor runs it; its finished steps are kept.",
        cancel_job_,
        JobShown,
        is_idempotent=True,
        refusals=(ProblemKind.CONFLICT,),
        tag=_TAG,
        act="job.cancelled",
    ),
    Route(
        "POST",
        "/v1/jobs/{job_id}/resume",
        Scope.PARTNER_MANAGE,
        "Let any executor continue a job.",
        resume_job_,
        JobShown,
        query=ResumeQuery,
        is_idempotent=True,
        refusals=(ProblemKind.CONFLICT,),
        tag=_TAG,
        act="job.resumed",
    ),
)
