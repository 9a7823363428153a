"""One delivery: its timeline, its next step, its last request, its body, and its resend."""

import shlex
from typing import Any

from hookstream.adapters.json_bytes import indented
from hookstream.core.access.scopes import Scope
from hookstream.core.audit.next_step import Coming, Remedy
from hookstream.core.delivery.identity import is_batch_id
from hookstream.entry.api.problems import ProblemKind, RequestRefused
from hookstream.entry.pages.acts import REASON, PageAct
from hookstream.entry.pages.asking import PageProblem, at, query_text
from hookstream.entry.pages.page import ConsolePage, Moved, PageCall, Shown
from hookstream.entry.pages.screens.delivery_steps import shown_steps

_PATH = "/ui/deliveries/{delivery_id}"
_API = "/v1/deliveries/{}"
_SUBJECT = ("event_type", "event_version", "event", "entity", "environment", "host")
_MEMBERS_IN_PART = 100
_NOT_FOUND = ProblemKind.NOT_FOUND.status


async def show_delivery(call: PageCall) -> Shown | Moved:
    """Show one delivery; the id of a batch leads to the deliveries that were attempted in it."""
    delivery_id = call.params["delivery_id"]
    if is_batch_id(delivery_id):
        return await _shown_batch(call, delivery_id)
    found = await call.api.find(at(_API, delivery_id))
    if found is None:
        raise _unknown()
    steps = shown_steps(found["timeline"])
    origins = sorted({each["origin"] for each in steps if each["origin"]})
    values = {
        "found": found,
        "steps": steps,
        "subject": _subject(found),
        "origins": origins,
        "choices": [("", "choose one"), *((each, each) for each in origins)],
        "is_live": found["next"]["coming"] != Coming.NOTHING or _awaits(call, found),
        "command": shlex.join(_remedy_command(found, by_operator=call.by_operator)),
        "acts": [_resend(delivery_id, found)] if _may_resend(call, found) else [],
    }
    return Shown(values, title=f"Delivery {delivery_id}")


async def _shown_batch(call: PageCall, batch_id: str) -> Shown:
    """Show the members of a batch."""
    found = await call.api.get(
        "/v1/attempts", delivery=batch_id, limit=_MEMBERS_IN_PART, cursor=call.cursor
    )
    if not (found["items"] or call.cursor):
        raise _unknown()
    values = {
        "found": None,
        "batch": batch_id,
        "members": found["items"],
        "next": found["next"],
        "is_live": False,
    }
    return Shown(values, title="Batch")


async def show_delivery_payload(call: PageCall) -> Shown:
    """Show the body of a delivery; operators' audit log records who read it."""
    delivery_id = call.params["delivery_id"]
    path = at(_API + "/payload", delivery_id)
    found = await call.api.find(path, origin=call.filters.get("origin"))
    if found is None:
        raise _unknown()
    pretty = indented(found["body"].encode("utf-8", "surrogatepass"))
    command = ["hookstream", "deliveries", "payload", delivery_id]
    if origin := call.filters.get("origin"):
        command += ["--origin", origin]
    values = {
        "found": found,
        "delivery": delivery_id,
        "pretty": pretty,
        "command": shlex.join(command),
    }
    return Shown(values)


async def resend_delivery_page(call: PageCall) -> Moved:
    """Send a delivery again, and show it."""
    delivery_id = call.params["delivery_id"]
    body: dict[str, object] = {}
    if origin := call.form.get("origin", "").strip():
        body["origin"] = origin
    if call.form.get("as_granted_today"):
        body["as_granted_today"] = True
    if reason := call.form.get("reason", "").strip():
        body["reason"] = reason
    try:
        done = await call.api.act("POST", at(_API + "/resend", delivery_id), body, key=call.key)
    except PageProblem as problem:
        if problem.document.status == _NOT_FOUND:
            raise _unknown() from None
        raise
    said = f"It is sent again, in a run of its own: {done.body['id']}."
    path = at("/ui/deliveries/{}", delivery_id)
    return Moved(f"{path}?{query_text({'run': done.body['id']})}", said)


def _awaits(call: PageCall, found: dict[str, Any]) -> bool:
    """Return whether the index does not have a run yet that this page began."""
    run = call.filters.get("run")
    return run is not None and all(each["job"] != run for each in found["timeline"])


def _unknown() -> RequestRefused:
    """Return the refusal: another partner's delivery is answered like an unknown one."""
    return RequestRefused(
        ProblemKind.NOT_FOUND, "the index has nothing of this delivery within its window"
    )


def _subject(found: dict[str, Any]) -> dict[str, Any]:
    """Return the delivery's event and host, from its last attempt or its waiting record."""
    attempts = [each["attempt"] for each in found["timeline"] if each["attempt"] is not None]
    known = attempts[-1:] or found["pending"][:1]
    return {name: known[0].get(name) for name in _SUBJECT} if known else {}


def _is_test(found: dict[str, Any]) -> bool:
    return bool(found["next"]["remedy"] == Remedy.TEST_AGAIN)


def _may_resend(call: PageCall, found: dict[str, Any]) -> bool:
    stopped = found["next"]["stopped_by"] in ("deleted", "disabled", "absent")
    may = call.caller.may(Scope.PARTNER_MANAGE) and not stopped
    return may and not _is_test(found)


def _resend(delivery_id: str, found: dict[str, Any]) -> PageAct:
    says = (
        f"Sends 1 delivery to {found['subscription']} again, under the same webhook-id, in a run of its"
        " own with a new schedule."
    )
    waits = len(found["pending"])
    if waits:
        runs = "1 run of it is" if waits == 1 else f"{waits} runs of it are"
        says += f" {runs} pending already: the endpoint may get it twice."
    return PageAct(
        "Send it again",
        says,
        at(_PATH.replace("{delivery_id}", "{}") + "/resend", delivery_id),
        "POST",
        at(_API + "/resend", delivery_id),
        {},
        command=("deliveries", "resend", delivery_id, "--reason", REASON),
        reason_field="reason",
    )


def _remedy_command(found: dict[str, Any], *, by_operator: bool) -> tuple[str, ...]:
    """Return the words of the command that helps; empty: there is none."""
    coming, subscription = found["next"], found["subscription"]
    match Remedy(coming["remedy"]) if coming["remedy"] in {*Remedy} else Remedy.NONE:
        case Remedy.REDRIVE if by_operator and coming.get("place"):
            return "hookstream", "dlq", "redrive", coming["place"]
        case Remedy.RESUME:
            return "hookstream", "subscriptions", "resume", subscription
        case Remedy.ENABLE:
            return "hookstream", "subscriptions", "enable", subscription
        case Remedy.TEST_AGAIN:
            return "hookstream", "subscriptions", "test", subscription
        case Remedy.CLEAR_HOLD if by_operator:
            return "hookstream", "hold", "list"
        case _:
            return ()


PAGES = (
    ConsolePage("GET", _PATH, show_delivery, "delivery.html", "Delivery", filters=("run",)),
    ConsolePage(
        "GET",
        _PATH + "/payload",
        show_delivery_payload,
        "delivery_payload.html",
        "Body of a delivery",
        filters=("origin",),
    ),
    ConsolePage("POST", _PATH + "/resend", resend_delivery_page, scope=Scope.PARTNER_MANAGE),
)
