"""The screen: a live table during the run, and the account at its end."""

import datetime as dt
import time
from collections import Counter
from collections.abc import Mapping

from examples.consumers.receiver import Receiver
from examples.demo.accounting import FORMS, Account
from examples.demo.log import Entry
from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

TROUBLE = {
    "order-system": "fails now and then",
    "crm": "refuses everything at first",
    "automation": "slow; asks for more than it was granted",
    "dashboard": "answers 410 from some point on",
    "print-shop": "down at first; has a filter",
    "warehouse": "refuses one event at first",
}


class Screen:
    """The live table of the demo."""

    def __init__(self, console: Console, receivers: Mapping[str, Receiver]) -> None:
        """Begin the clock."""
        self.console = console
        self.phase = "starting"
        self.worker = "-"
        self.sent = 0
        self._receivers = receivers
        self._began = time.monotonic()

    def __rich__(self) -> Table:
        """Draw the live table."""
        seconds = time.monotonic() - self._began
        table = Table(
            title=f"{seconds:5.1f} s  {self.phase}",
            caption=f"{self.sent} events published, worker: {self.worker}",
            title_justify="left",
            caption_justify="left",
        )
        for heading in ("partner", "its trouble"):
            table.add_column(heading)
        for heading in ("requests", "events 2xx", "4xx", "5xx"):
            table.add_column(heading, justify="right")
        for who, receiver in self._receivers.items():
            kinds = Counter(entry.status // 100 for entry in receiver.book.entries)
            table.add_row(
                who,
                TROUBLE[who],
                str(receiver.book.requests),
                str(kinds[2]),
                str(kinds[4]),
                str(kinds[5]),
            )
        return table

    def finish(self, worker: str) -> None:
        """Name the end."""
        self.phase = "the requests to each partner, and its answers"
        self.worker = worker

    def step(self, phase: str) -> None:
        """Name what happens now."""
        self.phase = phase
        self.console.print(Text(f"{time.monotonic() - self._began:6.1f} s  {phase}", style="dim"))


def show_account(console: Console, events: int, account: Account, forged: int) -> None:
    """Print the account."""
    table = Table(title="The account, from the partners and the topics", title_justify="left")
    table.add_column("what")
    table.add_column("count", justify="right")
    received = set(account.received)
    # The first four below what is expected add up to it.
    rows = {
        "events published": events,
        "deliveries expected": len(account.expected),
        "received (answered 2xx)": len(account.expected & received),
        "open dead letters": len(account.expected & account.dead - received),
        "published after a 410 disabled the endpoint": len(
            account.in_gap - account.dead - received
        ),
        "missing": len(account.missing),
        "received but not expected": len(account.unexpected),
        "duplicates (an event answered 2xx twice)": len(account.duplicates),
        "  events unsettled when the worker was killed": len(account.unsettled),
        "  duplicates that no crash explains": len(account.unexcused),
        "retries (outside batches)": account.retried,
        "replayed after a pause": account.replayed,
        "tests sent by a partner": account.tests,
        "dead-lettered": account.dead_lettered,
        "redriven": account.redriven,
        "undecodable": account.undecodable,
        "requests with an invalid signature": forged,
        "bodies that are not what was agreed": len(account.misshapen) + len(account.not_valid),
    }
    for name, count in rows.items():
        table.add_row(name, str(count))
    console.print()
    console.print(table)


def show_bodies(
    console: Console, account: Account, receivers: Mapping[str, Receiver], newest: int
) -> None:
    """Print which body each partner received, and in which versions it received orders."""
    table = Table(
        title="What each partner received; orders by version, as written → as received",
        title_justify="left",
    )
    table.add_column("partner", no_wrap=True)
    table.add_column("body")
    table.add_column("events", justify="right")
    moves = [(by, to) for by in range(1, newest + 1) for to in range(1, newest + 1)]
    for by, to in moves:
        table.add_column(f"{by} → {to}", justify="right")
    for who, (form, _, _) in FORMS.items():
        counts = [account.orders[who, by, to] for by, to in moves]
        table.add_row(
            who, form, str(len(receivers[who].book.accepted())), *(str(n or "-") for n in counts)
        )
    console.print()
    console.print(table)


def show_trace(console: Console, trace_id: str, spans: list[dict[str, object]]) -> None:
    """Print one trace as a tree, from the producer on."""
    own = sorted(
        (span for span in spans if span["trace_id"] == trace_id),
        key=lambda span: str(span["start"]),
    )
    nodes: dict[str, Tree] = {}
    root = Tree(Text(f"trace {trace_id}"))
    for span in own:
        parent = nodes.get(str(span["parent_span_id"]), root)
        took = dt.datetime.fromisoformat(str(span["end"])) - dt.datetime.fromisoformat(
            str(span["start"])
        )
        attributes = span["attributes"]
        status = ""
        if isinstance(attributes, dict):
            status = str(attributes.get("http.response.status_code", ""))
        label = f"{span['name']}  {status}  {took.total_seconds() * 1000:.1f} ms"
        nodes[str(span["span_id"])] = parent.add(Text(label))
    console.print(root)


def show_dead_letter(console: Console, dead_letter: Entry) -> None:
    """Print a dead letter as a plain Kafka tool shows it."""
    console.print(
        Text(
            f"{dead_letter.topic} [{dead_letter.partition}] @{dead_letter.offset} key={dead_letter.key.decode()}"
        )
    )
    for name, value in dead_letter.headers.items():
        console.print(Text(f"    {name}={value}"))
    size = len(dead_letter.value or b"")
    console.print(Text(f"    value: {size} bytes, exactly as upstream wrote them"))
