"""What workers answer at their own addresses: which release runs, and what only they know."""

import http.client
from dataclasses import dataclass
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from hookstream.settings import Settings

_SECONDS = 3.0
"""For an answer: a worker that takes longer cannot be helped by waiting."""
_LARGEST: Final = 16 << 20
"""Bytes of a page that are read: of 10,000 subscriptions it has about ten million."""
_OK = 200


@dataclass(slots=True, frozen=True)
class WorkerPage:
    """What one worker answered."""

    address: str
    """`host:port`."""
    release: str = ""
    """The release of hookstream that runs; empty: it is unknown."""
    open_breakers: tuple[tuple[str, str], ...] = ()
    """Subscription and partner of each circuit breaker that is not closed, as far as it has series."""
    stopped_partitions: int = 0
    not_ready: str = ""
    """Why it matches nothing now; empty: it does."""
    problem: str = ""
    """Why it gave no answer; empty: it did."""


def read_workers(settings: Settings, addresses: tuple[str, ...]) -> list[WorkerPage]:
    """Return what workers answer. One after the other, each within a few seconds.

    Args:
        settings: Name the address at which a worker of these settings listens.
        addresses: The workers; none: the one of the settings, if it answers.
    """
    if addresses:
        return [read_worker(address) for address in addresses]
    found = read_worker(settings.worker.listen)
    return [] if found.problem else [found]


def read_worker(address: str) -> WorkerPage:
    """Return what the worker at `host:port` answers; whatever is wrong with it is its `problem`."""
    try:
        status, text = _fetch(address, "/metrics")
        if status != _OK:
            return WorkerPage(address, problem=f"/metrics was answered {status}")
        ready, why = _fetch(address, "/readyz")
        page = page_of(address, text)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return WorkerPage(
            address, problem=f"it gave no answer: {str(error) or type(error).__name__}"
        )
    return page if ready == _OK else _not_ready(page, why)


def _not_ready(page: WorkerPage, why: str) -> WorkerPage:
    return WorkerPage(
        page.address,
        page.release,
        page.open_breakers,
        page.stopped_partitions,
        " ".join(why.split())[:200] or "/readyz fails",
    )


def page_of(address: str, text: str) -> WorkerPage:
    """Return what a page of metrics says.

    Raises:
        ValueError: It is no page of a worker.
    """
    release, stopped, breakers = "", 0, list[tuple[str, str]]()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            match sample.name:
                case "hookstream_info":
                    release = sample.labels.get("version", "")
                case "hookstream_stopped_partitions":
                    stopped = int(sample.value)
                case "hookstream_subscription_breaker_open" if sample.value > 0:
                    labels = sample.labels
                    breakers.append((labels.get("subscription", ""), labels.get("partner", "")))
    if not release:
        raise ValueError(f"it is no worker of hookstream: its page begins with {text[:80]!r}")
    return WorkerPage(address, release, tuple(breakers), stopped)


def _fetch(address: str, path: str) -> tuple[int, str]:
    host, _, port = address.rpartition(":")
    if not (host and port.isascii() and port.isdigit()):
        raise ValueError(f"{address!r} is no HOST:PORT")
    connection = http.client.HTTPConnection(
        host.removeprefix("[").removesuffix("]"), int(port), timeout=_SECONDS
    )
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read(_LARGEST + 1)
    finally:
        connection.close()
    if len(body) > _LARGEST:
        raise ValueError(f"its {path} is larger than {_LARGEST} bytes")
    return answer.status, body.decode("utf-8", "replace")
