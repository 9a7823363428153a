"""Partitions: their workers, their unsettled records, and the remedies for a stopped one."""

from typing import Any

from hookstream.core.access.scopes import Scope
from hookstream.entry.pages.acts import PageAct
from hookstream.entry.pages.asking import Answer, at
from hookstream.entry.pages.inputs import number_in
from hookstream.entry.pages.page import ConsolePage, Moved, PageCall, Shown

_ONE = "/ui/partitions/{topic}/{partition}"
_PLACES = (
    ("earliest", "the start of its log: may resend deliveries"),
    ("latest", "the end of its log: skips what is not delivered yet"),
)


async def list_partitions_page(call: PageCall) -> Shown:
    """Show the partitions that workers read."""
    found = await call.api.get("/v1/partitions", cursor=call.cursor)
    return Shown({"found": found})


async def show_partition(call: PageCall) -> Shown:
    """Show one partition, and offer the remedies for a stopped one."""
    answer = await call.api.asked(_path("/v1/partitions/{}/{}", call))
    found = answer.body
    can_write = call.caller.may(Scope.OPERATOR_WRITE) and found["unsettled"] > 0
    acts = (_skip(found), _start(found, answer)) if can_write else None
    name = f"{found['topic']}/{found['partition']}"
    return Shown({"found": found, "acts": acts, "places": _PLACES}, title=f"Partition {name}")


async def skip_record_page(call: PageCall) -> Moved:
    """Ask the worker to skip a record."""
    offset = call.form.get("offset", "")
    body = {
        "offset": number_in(offset),
        "reason": call.form.get("reason", ""),
    }
    await call.api.act("POST", _path("/v1/partitions/{}/{}/skip", call), body, key=call.key)
    return Moved(_path("/ui/partitions/{}/{}", call), f"The worker is asked to skip {offset}")


async def start_partition_page(call: PageCall) -> Moved:
    """Ask the worker to start a partition elsewhere."""
    where = call.form.get("time", "").strip() or call.form.get("at", "")
    body = {"at": where, "reason": call.form.get("reason", "")}
    await call.api.act(
        "POST",
        _path("/v1/partitions/{}/{}/start", call),
        body,
        key=call.key,
        revision=call.form.get("revision", ""),
    )
    return Moved(_path("/ui/partitions/{}/{}", call), f"The worker is asked to start at {where}")


def _path(template: str, call: PageCall) -> str:
    return at(template, call.params["topic"], call.params["partition"])


def _skip(found: dict[str, Any]) -> PageAct:
    topic, number, committed = found["topic"], str(found["partition"]), found["committed"]
    offset = found["start"] if committed is None else committed
    return PageAct(
        "Skip the record",
        f"Skips 1 record of {topic}/{number}, the one that stops it: its unsettled deliveries are dropped; the"
        " record stays in its topic.",
        at("/ui/partitions/{}/{}/skip", topic, number),
        "POST",
        at("/v1/partitions/{}/{}/skip", topic, number),
        {"offset": offset},
        command=("partition", "skip", f"{topic}/{number}", str(offset), "--reason", "WHY"),
        reason_field="reason",
        is_grave=True,
    )


def _start(found: dict[str, Any], answer: Answer) -> PageAct:
    topic, number = found["topic"], str(found["partition"])
    return PageAct(
        "Start it there",
        f"Starts {topic}/{number} at another position. Up to {found['unsettled']:,} records are not settled: those"
        " below the position are skipped, and published as a gap.",
        at("/ui/partitions/{}/{}/start", topic, number),
        "POST",
        at("/v1/partitions/{}/{}/start", topic, number),
        {"at": "latest"},
        revision=answer.revision,
        command=("partition", "start", f"{topic}/{number}", "--at", "latest", "--reason", "WHY"),
        reason_field="reason",
        is_grave=True,
    )


PAGES = (
    ConsolePage(
        "GET",
        "/ui/partitions",
        list_partitions_page,
        "partitions.html",
        "Partitions",
        scope=Scope.OPERATOR_READ,
        nav="Partitions",
    ),
    ConsolePage(
        "GET", _ONE, show_partition, "partition.html", "Partition", scope=Scope.OPERATOR_READ
    ),
    ConsolePage("POST", f"{_ONE}/skip", skip_record_page, scope=Scope.OPERATOR_WRITE),
    ConsolePage("POST", f"{_ONE}/start", start_partition_page, scope=Scope.OPERATOR_WRITE),
)
