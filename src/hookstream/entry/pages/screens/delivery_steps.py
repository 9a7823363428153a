"""The steps of a delivery's timeline as a page shows them: a title, a tone, and facts in one order."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from hookstream.core.audit.timeline import StepKind


class Fact(NamedTuple):
    """One fact of a step."""

    label: str
    how: str
    """How its value is shown: `id`, `text`, `time`, `utc`, `took`, `batch`, `job`, `letter`, `trace`, or
    `plain`."""
    value: object


_TITLES = {
    StepKind.PUBLISHED: "Event published",
    StepKind.MATCHED: "Matched with the subscription",
    StepKind.COMPLETED: "Completed",
    StepKind.CANCELLED: "Cancelled",
    StepKind.DEAD_LETTERED: "Dead-lettered",
    StepKind.REDRIVEN: "Redriven",
    StepKind.PURGED: "Purged",
}
_TONES = {
    StepKind.COMPLETED: "good",
    StepKind.DEAD_LETTERED: "bad",
    StepKind.CANCELLED: "held",
    StepKind.PURGED: "held",
    StepKind.ENDED: "held",
    StepKind.BEGAN: "busy",
    StepKind.REDRIVEN: "busy",
}


def shown_steps(timeline: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the entries of an API's timeline as a page shows them."""
    origins = {each["origin"] for each in timeline if each.get("origin")}
    runs = {each["job"] for each in timeline if each["kind"] in (StepKind.ATTEMPT, StepKind.BEGAN)}
    return [
        {
            "at": each["at"],
            "title": _title(each),
            "tone": _tone(each),
            "outcome": _outcome(each),
            "is_now": each["is_now"],
            "facts": [*_facts(each), *_which(each, len(runs) > 1, len(origins) > 1)],
            "answer": (each["attempt"] or {}).get("response_excerpt") or "",
            "origin": each.get("origin") or "",
        }
        for each in timeline
    ]


def _kind(each: Mapping[str, Any]) -> StepKind | None:
    """Return the kind of a step; None: an API of a later release has more kinds."""
    return StepKind(each["kind"]) if each["kind"] in {*StepKind} else None


def _title(each: Mapping[str, Any]) -> str:
    match _kind(each):
        case StepKind.ATTEMPT:
            return f"Attempt {each['attempt']['attempt']}"
        case StepKind.ENDED:
            return "Ended without an attempt"
        case StepKind.BEGAN:
            return f"{each['text'][:1].upper()}{each['text'][1:]} began"
        case StepKind.WAIT:
            return "Waits" if each["is_now"] else "Waited"
        case None:
            return str(each["kind"])
        case kind:
            return _TITLES[kind]


def _tone(each: Mapping[str, Any]) -> str:
    kind = _kind(each)
    if kind is StepKind.ATTEMPT:
        return "good" if each["attempt"]["disposition"] == "complete" else "bad"
    if kind is StepKind.WAIT:
        return "busy" if each["is_now"] else "plain"
    return "plain" if kind is None else _TONES.get(kind, "plain")


def _outcome(each: Mapping[str, Any]) -> str:
    """Return the result of an attempt: its outcome and its status."""
    attempt = each["attempt"]
    if attempt is None or attempt["outcome"] is None:
        return ""
    status = attempt["status"]
    return f"{attempt['outcome']}{'' if status is None else f' {status}'}"


def _facts(each: Mapping[str, Any]) -> Iterator[Fact]:
    """Yield the facts of a step."""
    match _kind(each):
        case StepKind.ATTEMPT | StepKind.ENDED:
            yield from _attempt_facts(each, each["attempt"])
        case StepKind.WAIT:
            yield from _wait_facts(each)
        case StepKind.BEGAN | StepKind.REDRIVEN | StepKind.PURGED:
            yield from _job_facts(each)
        case StepKind.DEAD_LETTERED:
            yield from _letter_facts(each)
        case StepKind.PUBLISHED if each.get("origin"):
            yield Fact("At", "id", each["origin"])
        case _ if each["reason"]:
            yield Fact("Reason", "plain", each["reason"])
        case _:
            pass


def _job_facts(each: Mapping[str, Any]) -> Iterator[Fact]:
    yield Fact("Job", "job", each["job"])
    if each.get("by"):
        yield Fact("By", "text", each["by"])
    if each.get("place"):
        yield Fact("Dead letter", "letter", each["place"])


def _letter_facts(each: Mapping[str, Any]) -> Iterator[Fact]:
    if each["reason"]:
        yield Fact("Reason", "plain", each["reason"])
    if each["attempts"]:
        yield Fact("Attempts before", "plain", each["attempts"])
    if each.get("detail"):
        yield Fact("Detail", "text", each["detail"])
    if each.get("place"):
        yield Fact("Dead letter", "letter", each["place"])
    elif each.get("place") == "":
        yield Fact("Dead letter", "plain", "not found: it is gone, or older than the window")


def _attempt_facts(each: Mapping[str, Any], attempt: Mapping[str, Any]) -> Iterator[Fact]:
    yield Fact("Trigger", "plain", attempt["trigger"])
    if attempt["outcome"] is None or attempt["disposition"] != "complete":
        yield Fact("Then", "plain", _then(attempt))
    if attempt["outcome"] is not None:
        yield Fact("Took", "took", attempt["duration_ms"] / 1_000)
    # The status already says this.
    if attempt["error"] not in (None, "", f"answered {attempt['status']}"):
        yield Fact("Error", "text", attempt["error"])
    if each["copies"] > 1:
        said = f"{each['copies']} records: the attempt was repeated after a crash"
        yield Fact("Copies", "plain", said)
    if attempt["batch"]:
        yield Fact("In batch", "batch", attempt["batch"])
    if attempt.get("trace"):
        yield Fact("Trace", "trace", attempt["trace"])
    if attempt.get("worker"):
        yield Fact("Worker", "id", attempt["worker"])


def _then(attempt: Mapping[str, Any]) -> str:
    reason = attempt["reason"]
    return f"{attempt['disposition']}{f' ({reason})' if reason else ''}"


def _wait_facts(each: Mapping[str, Any]) -> Iterator[Fact]:
    if each["reason"]:
        yield Fact("Reason", "plain", each["reason"])
    if each["until"]:
        yield Fact("Until", "time" if each["is_now"] else "utc", each["until"])
    if each.get("tier"):
        yield Fact("In", "id", each["tier"])
    if each.get("deferrals"):
        yield Fact("Deferred", "plain", f"{each['deferrals']} times")


def _which(each: Mapping[str, Any], several_runs: bool, several_events: bool) -> Iterator[Fact]:  # noqa: FBT001
    """Yield the run and the event of a step, if there are several."""
    jobs = (StepKind.BEGAN, StepKind.REDRIVEN, StepKind.PURGED)
    if several_runs and each["job"] and _kind(each) not in jobs:
        yield Fact("Run", "job", each["job"])
    if several_events and each.get("origin"):
        yield Fact("Event at", "id", each["origin"])
