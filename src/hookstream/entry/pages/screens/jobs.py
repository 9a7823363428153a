"""Jobs: replays, redrives, purges and resends, with their conditions and progress."""

from typing import Any

from hookstream.core.access.scopes import Scope
from hookstream.entry.pages.acts import PageAct
from hookstream.entry.pages.asking import at, query_text
from hookstream.entry.pages.page import ConsolePage, Moved, PageCall, Shown
from hookstream.entry.pages.places import DEAD_LETTERS, UNDECODABLE

_ONE = "/ui/jobs/{job_id}"
_STATES = ("running", "done", "incomplete", "failed", "cancelled")
_KINDS = ("replay", "redrive", "purge", "resend")
_RESUMABLE = ("running", "failed")
_FILTERS = {
    "subscriptions": "subscription",
    "partners": "partner",
    "event_types": "event_type",
    "reasons": "reason",
    "statuses": "status",
    "topics": "topic",
}
"""Filters of lists by the conditions of jobs."""


async def list_jobs_page(call: PageCall) -> Shown:
    """Show jobs, newest first."""
    found = await call.api.get("/v1/jobs", **call.filters, cursor=call.cursor)
    return Shown({"found": found})


def _choices(call: PageCall) -> dict[str, object]:
    del call
    return {"states": _STATES, "kinds": _KINDS}


async def show_job(call: PageCall) -> Shown:
    """Show one job, and offer what can be done with it."""
    job = await call.api.get(at("/v1/jobs/{}", call.params["job_id"]))
    acts = _acts(job) if call.caller.may(Scope.PARTNER_MANAGE) else []
    is_over = job["state"] not in _RESUMABLE
    selector = job["asked"].get("selector")
    selector = selector if isinstance(selector, dict) else {}
    asked = {name: value for name, value in job["asked"].items() if name != "selector"}
    values = {
        "job": job,
        "asked": sorted({**asked, **selector}.items()),
        "letters": _letters(job, selector),
        "records": _records(job),
        "acts": acts,
        "is_over": is_over,
    }
    return Shown(values, title=f"Job {job['id']}")


async def cancel_job(call: PageCall) -> Moved:
    """End a job."""
    return await _acted(call, "cancel", "is cancelled: its finished steps are kept")


async def resume_job(call: PageCall) -> Moved:
    """Let any executor continue a job."""
    return await _acted(call, "resume", "can be continued by any executor")


async def _acted(call: PageCall, act: str, said: str) -> Moved:
    job_id = call.params["job_id"]
    await call.api.act("POST", at("/v1/jobs/{}/" + act, job_id), key=call.key)
    return Moved(at("/ui/jobs/{}", job_id), f"{job_id} {said}")


def _letters(job: dict[str, Any], selector: dict[str, Any]) -> str:
    """Return the address of the list of what a redrive or purge selects; empty: no list has its conditions."""
    if job["kind"] not in ("redrive", "purge") or not selector:
        return ""
    filters = {}
    for name, value in selector.items():
        if name in ("since", "until"):
            filters[name] = value
        elif name in _FILTERS and isinstance(value, list) and len(value) == 1:
            filters[_FILTERS[name]] = value[0]
        else:
            return ""
    return f"{_records(job)}?{query_text({'state': 'all', **filters})}"


def _records(job: dict[str, Any]) -> str:
    """Return the page of the records that a redrive or purge takes."""
    return UNDECODABLE if job["asked"].get("source") == "undecodable" else DEAD_LETTERS


def _acts(job: dict[str, Any]) -> list[PageAct]:
    job_id, done, total = job["id"], job["done"], job["total"]
    if job["state"] not in _RESUMABLE:
        return []
    of = f" of {total:,}" if total else ""
    left = (
        f"{total - done:,} are left as they are." if total > done else "the rest is left as it is."
    )
    cancel = PageAct(
        "Cancel",
        f"Ends the job, whichever executor runs it. {done:,}{of} are done and stay done; {left}",
        at("/ui/jobs/{}/cancel", job_id),
        "POST",
        at("/v1/jobs/{}/cancel", job_id),
        command=("jobs", "cancel", job_id),
        is_grave=True,
    )
    resume = PageAct(
        "Resume",
        f"Lets any executor continue it. Done so far: {done:,}{of}.",
        at("/ui/jobs/{}/resume", job_id),
        "POST",
        at("/v1/jobs/{}/resume", job_id),
        command=("jobs", "resume", job_id),
    )
    return [cancel] if job["held"] else [resume, cancel]


PAGES = (
    ConsolePage(
        "GET",
        "/ui/jobs",
        list_jobs_page,
        "jobs.html",
        "Jobs",
        nav="Jobs",
        filters=("state", "kind"),
        choices=_choices,
    ),
    ConsolePage("GET", _ONE, show_job, "job.html", "Job"),
    ConsolePage("POST", f"{_ONE}/cancel", cancel_job, scope=Scope.PARTNER_MANAGE),
    ConsolePage("POST", f"{_ONE}/resume", resume_job, scope=Scope.PARTNER_MANAGE),
)
