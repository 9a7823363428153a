"""Shows a delivery's life as text and as JSON: the facts of the console's page, in the same order."""

from collections.abc import Iterator, Sequence

from hookstream.core.audit.next_step import Coming, NextStep, StoppedBy
from hookstream.core.audit.timeline import LifeStep, StepKind
from hookstream.core.model.counted import counted
from hookstream.core.model.instant import Millis, to_rfc3339, to_the_second
from hookstream.core.model.json import Json, JsonObject
from hookstream.entry.admin.delivery_life import DeliveryLife
from hookstream.entry.admin.sent_requests import LastSent
from hookstream.entry.cli.attempts import result_words
from hookstream.entry.cli.terminal import Terminal

_COLOURS = {
    StepKind.COMPLETED: "green",
    StepKind.CANCELLED: "yellow",
    StepKind.ENDED: "yellow",
    StepKind.DEAD_LETTERED: "red",
    StepKind.PURGED: "yellow",
    StepKind.REDRIVEN: "cyan",
    StepKind.BEGAN: "cyan",
}
_LONGEST_EXCERPT = 200


def show_next(out: Terminal, life: DeliveryLife, now: Millis) -> None:
    """Print the next step."""
    out.text("Next", "bold")
    out.text(f"  {next_words(life.coming, now)}")


def show_timeline(out: Terminal, life: DeliveryLife) -> None:
    """Print a timeline, and the last request."""
    several = _Several(life.steps)
    out.text("Timeline", "bold")
    for step in life.steps:
        out.text(
            f"  {to_the_second(step.at)}  {step_words(step)}{several.of(step)}",
            _COLOURS.get(step.kind, ""),
        )
        for line in _below(step):
            out.text(f"    {line}", "dim")
    if life.sent is not None:
        _show_sent(out, life.sent)


class _Several:
    """Adds to a step its run and its event, if there are several."""

    def __init__(self, steps: Sequence[LifeStep]) -> None:
        self._origins = {step.origin for step in steps if step.origin}
        self._runs = {step.job for step in steps if step.kind is StepKind.ATTEMPT}
        self._runs |= {step.job for step in steps if step.kind is StepKind.BEGAN}

    def of(self, step: LifeStep) -> str:
        said = ""
        of_a_run = step.kind not in (StepKind.REDRIVEN, StepKind.PURGED, StepKind.BEGAN)
        if of_a_run and step.job is not None and len(self._runs) > 1:
            said += f", run {step.job}"
        if len(self._origins) > 1:
            said += f", event at {step.origin or 'an unknown position'}"
        return said


def step_words(step: LifeStep) -> str:
    """Return what happened, on one line."""
    match step.kind:
        case StepKind.ATTEMPT | StepKind.ENDED:
            return f"{_attempt_words(step)}{_copies(step)}"
        case StepKind.WAIT:
            return _wait_words(step)
        case StepKind.DEAD_LETTERED:
            return _letter_words(step)
        case StepKind.BEGAN | StepKind.REDRIVEN | StepKind.PURGED:
            return _job_words(step)
        case StepKind.PUBLISHED:
            return f"event published{f' at {step.origin}' if step.origin else ''}"
        case StepKind.MATCHED | StepKind.COMPLETED | StepKind.CANCELLED:
            return f"{step.kind.value}{_in_brackets(step.reason)}"


def _job_words(step: LifeStep) -> str:
    """Return the act of a job on a delivery."""
    by = f" by {step.by}" if step.by else ""
    asked = by and f", asked for{by}"
    if step.kind is StepKind.BEGAN:
        return f"{step.reason} began: {step.job}{asked}"
    if step.kind is StepKind.REDRIVEN:
        return f"redriven{step.place and f' from {step.place}'} by {step.job}{asked}"
    why = step.detail and f": {step.detail}"
    return f"purged{step.place and f' at {step.place}'}{by} ({step.job}){why}"


def _attempt_words(step: LifeStep) -> str:
    entry = step.attempt
    if entry is None:
        return step.kind.value
    if entry.outcome is None:
        ended = {"cancel": "cancelled", "dead_letter": "given up"}.get(
            entry.disposition, entry.disposition
        )
        return f"{ended} without an attempt{_in_brackets(entry.reason or '')}"
    return f"attempt {entry.attempt}, {entry.trigger}: {result_words(entry)}"


def _copies(step: LifeStep) -> str:
    if step.copies == 1:
        return ""
    return f"; {step.copies} records of it: the attempt was repeated after a crash"


def _letter_words(step: LifeStep) -> str:
    detail = f": {step.detail}" if step.detail else ""
    if not step.place:
        return (
            f"dead-lettered{_in_brackets(f'{step.reason}{detail}')}; its dead letter was not found"
        )
    return f"dead letter {step.place}{_in_brackets(f'{step.reason}{detail}')}"


def _wait_words(step: LifeStep) -> str:
    verb = "waits" if step.is_now else "waited"
    tier = f" in {step.tier}" if step.tier else ""
    until = "" if step.until is None else f" until {to_the_second(step.until)}"
    often = ""
    if step.deferrals:
        often = f", deferred {counted(step.deferrals, 'time')}"
    return f"{verb}{tier}{until}{_in_brackets(step.reason)}{often}"


def _in_brackets(reason: str) -> str:
    return f" ({reason})" if reason else ""


def _below(step: LifeStep) -> Iterator[str]:
    """Yield the lines below an attempt: the answer, and the trace."""
    entry = step.attempt
    if entry is None:
        return
    if entry.response_excerpt:
        yield f"answer: {' '.join(entry.response_excerpt.split())[:_LONGEST_EXCERPT]}"
    if entry.outcome is None and entry.error:
        yield f"error: {entry.error}"
    known = (("trace", entry.trace_id), ("worker", entry.worker))
    said = ", ".join(f"{name} {value}" for name, value in known if value)
    if said:
        yield said


_STOPPED = {
    StoppedBy.HELD: "it waits until its hold is cleared",
    StoppedBy.SUSPENDED: "it waits while operators suspend the subscription",
    StoppedBy.PAUSED: "it waits until its subscription is resumed",
    StoppedBy.DISABLED: "its subscription is disabled: it is dead-lettered then, unless the subscription is enabled",
    StoppedBy.DELETED: "its subscription is deleted: it is cancelled then",
    StoppedBy.UNREADABLE: "it waits until the row of its subscription can be read",
    StoppedBy.ABSENT: "it waits until the table has a row for its subscription",
}


def next_words(coming: NextStep, now: Millis) -> str:
    """Return the next step, on one line."""
    match coming.coming:
        case Coming.ATTEMPT:
            return f"attempt {coming.attempt} {_when(coming, now)}{_in_brackets(coming.reason)}"
        case Coming.STOPPED:
            what = f"attempt {coming.attempt} {_when(coming, now)}{_in_brackets(coming.reason)}"
            return what if coming.stopped_by is None else f"{what}; {_STOPPED[coming.stopped_by]}"
        case Coming.IN_HAND:
            return "a worker has it, or the record that settled it is not read yet: try again"
        case Coming.NOTHING:
            return f"nothing happens automatically; remedy: {coming.remedy.value}"


def _when(coming: NextStep, now: Millis) -> str:
    if coming.at is None or coming.at <= now:
        since = "" if coming.at is None else f", due since {to_the_second(coming.at)}"
        return f"now{since}"
    early = ", or as soon as its lane has room" if coming.early else ""
    return f"at {to_the_second(coming.at)}{early}"


def _show_sent(out: Terminal, sent: LastSent) -> None:
    run = "" if sent.job is None else f" of {sent.job}"
    out.text("Sent", "bold")
    out.text(f"  attempt {sent.attempt}{run}, {to_the_second(sent.at)}, version {sent.version}")
    out.text(f"  {sent.request.line}")
    for header in sent.request.headers:
        out.text(f"  {header.name}: {header.value}")
    out.text(f"  {sent_reservation(sent)}", "dim")


def sent_reservation(sent: LastSent) -> str:
    """Return how the shown request may differ from the sent one."""
    if not sent.is_known:
        return "its subscription cannot be read: headers that come from it are missing"
    if sent.changed_at is not None:
        when = to_the_second(sent.changed_at)
        return (
            f"its subscription changed since, at {when}: content-type, secrets and its own headers"
            " are the current ones"
        )
    return "its subscription has not changed since"


def life_document(life: DeliveryLife) -> JsonObject:
    """Return the life of a delivery as JSON; scripts rely on its keys."""
    steps: list[Json] = [_step_document(step) for step in life.steps]
    coming = life.coming
    return {
        "timeline": steps,
        "next": {
            "coming": coming.coming.value,
            "at": _moment(coming.at),
            "attempt": coming.attempt or None,
            "job_id": coming.job,
            "reason": coming.reason or None,
            "stopped_by": None if coming.stopped_by is None else coming.stopped_by.value,
            "early": coming.early,
            "remedy": coming.remedy.value,
            "place": coming.place or None,
        },
        "sent": None if life.sent is None else _sent_document(life.sent),
    }


def _step_document(step: LifeStep) -> JsonObject:
    attempt = step.attempt
    return {
        "kind": step.kind.value,
        "at": to_rfc3339(step.at),
        "origin": step.origin or None,
        "job_id": step.job,
        "reason": step.reason or None,
        "detail": step.detail or None,
        "place": step.place or None,
        "by": step.by or None,
        "attempt": None if attempt is None else attempt.as_json(),
        "copies": step.copies,
        "attempts": step.attempts if step.kind is StepKind.DEAD_LETTERED else None,
        "until": _moment(step.until),
        "is_now": step.is_now,
        "tier": step.tier or None,
        "deferrals": step.deferrals if step.is_now else None,
    }


def _sent_document(sent: LastSent) -> JsonObject:
    return {
        "at": to_rfc3339(sent.at),
        "attempt": sent.attempt,
        "job_id": sent.job,
        "version": sent.version,
        "line": sent.request.line,
        "headers": [
            {"name": each.name, "value": each.value, "source": each.source.value}
            for each in sent.request.headers
        ],
        "subscription_known": sent.is_known,
        "changed_at": _moment(sent.changed_at),
    }


def _moment(instant: Millis | None) -> str | None:
    return None if instant is None else to_rfc3339(instant)
