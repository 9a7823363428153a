"""One subscription: its state, its health, its recent deliveries, its definition, and its actions."""

from collections.abc import Mapping
from typing import Any

from hookstream.core.access.scopes import Scope
from hookstream.core.model.instant import to_rfc3339
from hookstream.core.planning.rotation import is_of_file
from hookstream.entry.pages.acts import PageAct
from hookstream.entry.pages.asking import Answer, at
from hookstream.entry.pages.inputs import decimal_in
from hookstream.entry.pages.page import ConsolePage, Moved, PageCall, Shown
from hookstream.entry.pages.pictures import overview_pictures
from hookstream.entry.pages.showing import instant_of

ONE = "/ui/subscriptions/{subscription_id}"
PAGE = "/ui/subscriptions/{}"
API = "/v1/subscriptions/{}"
_LIST = "/ui/subscriptions"
_NEWEST = 10
"""How many deliveries and attempts are shown."""
_WINDOWS = {"1h": "last hour", "24h": "last day", "all": "whole index"}
_STEPS = {"1h": "1h", "24h": "1d", "all": "1d"}
"""Of the statistics, of which only the whole is shown."""
_SCHEMES = ("v1", "v1a")
_FILES = "files"


async def show_subscription(call: PageCall) -> Shown:
    """Show one subscription."""
    name = call.params["subscription_id"]
    window = call.filters.get("window", "1h")
    window = window if window in _WINDOWS else "1h"
    answer = await call.api.asked(at(API, name))
    overview, deliveries, attempts, lane = await call.api.each(
        ("/v1/overview", {"subscription": name, "window": window}),
        ("/v1/deliveries", {"subscription": name, "limit": _NEWEST}),
        ("/v1/attempts", {"subscription": name, "limit": _NEWEST}),
        (at(API + "/lane", name), {}),
    )
    counts = await call.api.get(
        at(API + "/statistics", name),
        since=sent_time(overview["since"]),
        until=sent_time(overview["until"]),
        step=_STEPS[window],
    )
    found = answer.body
    return Shown(
        {
            "found": found,
            "window": window,
            "windows": [*_WINDOWS.items()],
            "overview": overview,
            "pictures": overview_pictures(overview),
            "deliveries": deliveries,
            "attempts": attempts,
            "counts": counts,
            "lane": lane,
            "folder": folder_of(found),
            "ending": _ending(found),
            "managing": call.caller.may(Scope.PARTNER_MANAGE),
            "acts": _acts(answer, overview) if call.caller.may(Scope.PARTNER_MANAGE) else {},
            "schemes": _SCHEMES,
            "secret_of_file": secret_of_file(found),
            "by_operator": call.by_operator,
            "types": await asked_types(call, found),
        },
        title=f"Subscription {name}",
    )


def secret_of_file(found: dict[str, Any]) -> str:
    """Return a signing secret that only a definition file can replace; empty: there is none."""
    lasting = (
        each["id"] for each in found["endpoint"]["signing_secrets"] if not each["expires_at"]
    )
    return next(filter(is_of_file, lasting), "")


def sent_time(value: object) -> str | None:
    """Return a time of the API as it is sent back to the API; None: it is no time."""
    instant = instant_of(value)
    return None if instant is None else to_rfc3339(instant)


async def asked_types(call: PageCall, found: dict[str, Any]) -> list[str]:
    """Return the event types that a subscription asks for and that exist, each by its whole name."""
    page = await call.api.get("/v1/event-types", limit=200)
    known = [each["event_type"] for each in page["items"]]
    asked: list[str] = found["event_types"]
    begins = tuple(each.removesuffix("*") for each in asked if each.endswith("*"))
    return [each for each in known if each in asked or (begins and each.startswith(begins))]


def folder_of(found: Mapping[str, Any]) -> str | None:
    """Return the folder of definition files that owns a subscription; None: none does, or the caller may not know."""
    owner, _, folder = found.get("owner", "").partition(":")
    return (folder or "without a name") if owner == _FILES else None


def _ending(found: dict[str, Any]) -> str:
    """Return the act that ends its gap: `resume`, `enable`, or empty, if it has none that is open."""
    if found["state"] == "disabled":
        return "enable"
    return "resume" if any(not each["end"] for each in found["gaps"]) else ""


async def pause_subscription_page(call: PageCall) -> Moved:
    """Pause it."""
    name = call.params["subscription_id"]
    await call.api.act(
        "POST", at(API + "/pause", name), key=call.key, revision=call.form.get("revision", "")
    )
    return Moved(at(PAGE, name), "It is paused: within two seconds nothing more is sent to it")


async def delete_subscription_page(call: PageCall) -> Moved:
    """Delete it."""
    name = call.params["subscription_id"]
    await call.api.act(
        "DELETE", at(API, name), key=call.key, revision=call.form.get("revision", "")
    )
    return Moved(_LIST, f"{name} is deleted: its waiting deliveries are cancelled")


async def rotate_secret_page(call: PageCall) -> Shown:
    """Replace its signing secret, and show the new one only now."""
    name = call.params["subscription_id"]
    body = {key: call.form[key] for key in ("overlap", "scheme") if call.form.get(key)}
    done = await call.api.act(
        "POST",
        at(API + "/rotate-secret", name),
        body,
        key=call.key,
        revision=call.form.get("revision", ""),
    )
    return Shown({"done": done.body, "what": "replaced"}, title="New signing secret")


async def send_test_page(call: PageCall) -> Shown:
    """Send a sample to its endpoint, and show the result."""
    name = call.params["subscription_id"]
    body = {"event_type": call.form["event_type"]} if call.form.get("event_type") else {}
    sent = await call.api.act("POST", at(API + "/test", name), body, key=call.key)
    return Shown({"sent": sent.body, "subscription": name}, title=f"Test of {name}")


async def confirm_gap_end(call: PageCall) -> Shown | Moved:
    """Count the events of its gap so far, before the gap is ended."""
    name = call.params["subscription_id"]
    answer = await call.api.asked(at(API, name))
    found = answer.body
    act = _ending(found)
    if not act:
        return Moved(at(PAGE, name), "It is neither paused nor disabled: it has no gap to end")
    since = _gap_start(found)
    count = None
    # A pause takes effect a moment after its request: until then there is nothing to count.
    begins = since is not None and (instant_of(since) or 0) >= call.now
    if since is not None and not begins:
        path = at(API + "/replays/preview", name)
        count = (await call.api.act("POST", path, {"since": since})).body
    return Shown(
        {
            "found": found,
            "count": count,
            "since": since,
            "begins": begins,
            "act": _end_of_gap(answer, act, count),
        },
        title=f"{act.capitalize()} {name}",
    )


async def end_gap_page(call: PageCall) -> Moved:
    """End its pause or disabling, and fill the gap."""
    name = call.params["subscription_id"]
    act = "enable" if call.form.get("act") == "enable" else "resume"
    body: dict[str, object] = {"fill": bool(call.form.get("fill"))}
    if rate := call.form.get("rate", "").strip():
        body["rate"] = decimal_in(rate)
    done = await call.api.act(
        "POST",
        at(API + "/{}", name, act),
        body,
        key=call.key,
        revision=call.form.get("revision", ""),
    )
    jobs = done.body["jobs"]
    said = "It is active again"
    if jobs:
        said += f"; its gap is replayed by {', '.join(jobs)}"
    return Moved(at("/ui/jobs/{}", jobs[0]) if len(jobs) == 1 else at(PAGE, name), said)


def _gap_start(found: dict[str, Any]) -> str | None:
    """Return when the open gap began; None: it is not known."""
    if found["state"] == "disabled":
        return sent_time(found["since"])
    starts = [each["start"] for each in found["gaps"] if not each["end"]]
    return sent_time(min(starts, default=None))


def _acts(answer: Answer, overview: dict[str, Any]) -> dict[str, PageAct]:
    """Return the actions that a subscription allows now, by name."""
    found = answer.body
    name, revision = found["id"], answer.revision
    waiting = sum(each["waiting"] for each in overview["tiers"])
    acts: dict[str, PageAct] = {}
    is_pull = found["endpoint"]["pull"]
    if not (is_pull or found["state"] in ("disabled", "held", "suspended")):
        acts["test"] = PageAct(
            "Send a test",
            "Sends 1 sample to its endpoint, once, marked as a test. Its filter is evaluated, but does not stop it.",
            at(PAGE + "/test", name),
            "POST",
            at(API + "/test", name),
            {},
            command=("subscriptions", "test", name),
        )
    if not is_pull and not _ending(found):
        acts["pause"] = PageAct(
            "Pause",
            "Stops sending to it within two seconds. The events that are published for it meanwhile"
            f" ({overview['counts']['events']:,} {_events(overview)}) are a gap, which resuming it replays."
            f" Deliveries that wait, and keep waiting: {waiting:,}.",
            at(PAGE + "/pause", name),
            "POST",
            at(API + "/pause", name),
            revision=revision,
            command=("subscriptions", "pause", name),
            is_grave=True,
        )
    if found["endpoint"]["signing_secrets"] and not secret_of_file(found):
        acts["rotate"] = PageAct(
            "Rotate the signing secret",
            "Creates 1 new signing secret, which is shown once. The old one keeps signing too until the overlap ends.",
            at(PAGE + "/rotate-secret", name),
            "POST",
            at(API + "/rotate-secret", name),
            {"overlap": "24h"},
            revision=revision,
            command=("subscriptions", "rotate-secret", name),
        )
    if not found["owned_by_files"]:
        acts["delete"] = PageAct(
            "Delete",
            f"Deletes 1 subscription permanently. Waiting deliveries that are cancelled: {waiting:,}. Its past"
            " deliveries stay in the list of deliveries.",
            at(PAGE + "/delete", name),
            "DELETE",
            at(API, name),
            revision=revision,
            command=("subscriptions", "delete", name),
            is_grave=True,
        )
    return acts


def _events(overview: dict[str, Any]) -> str:
    words = {"1h": "in the last hour", "24h": "in the last day"}
    return words.get(overview["asked_window"], "in the whole index")


def _end_of_gap(answer: Answer, act: str, count: dict[str, Any] | None) -> PageAct:
    found = answer.body
    name = found["id"]
    says = "Delivery to it resumes in two seconds."
    if count is not None:
        says += (
            f" Its gap has {count['events']:,} events so far, which are replayed if you choose so."
        )
    return PageAct(
        act.capitalize(),
        says,
        at(PAGE + "/gap", name),
        "POST",
        at(API + "/{}", name, act),
        {"fill": True},
        revision=answer.revision,
        command=("subscriptions", act, name),
        fields={"act": act},
    )


PAGES = (
    ConsolePage(
        "GET",
        ONE,
        show_subscription,
        "subscription.html",
        "Subscription",
        filters=("window",),
    ),
    ConsolePage("POST", f"{ONE}/pause", pause_subscription_page, scope=Scope.PARTNER_MANAGE),
    ConsolePage("POST", f"{ONE}/delete", delete_subscription_page, scope=Scope.PARTNER_MANAGE),
    ConsolePage(
        "POST",
        f"{ONE}/rotate-secret",
        rotate_secret_page,
        "subscription_secret.html",
        scope=Scope.PARTNER_MANAGE,
    ),
    ConsolePage(
        "POST",
        f"{ONE}/test",
        send_test_page,
        "subscription_tested.html",
        scope=Scope.PARTNER_MANAGE,
    ),
    ConsolePage(
        "GET",
        f"{ONE}/gap",
        confirm_gap_end,
        "subscription_gap.html",
        "End of a gap",
        scope=Scope.PARTNER_MANAGE,
    ),
    ConsolePage("POST", f"{ONE}/gap", end_gap_page, scope=Scope.PARTNER_MANAGE),
)
