"""Reads the pages at workers' own addresses: their release, and the state that only they know."""

import http.client
import socket
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from hookstream.adapters.system import SystemClock
from hookstream.adapters.telemetry.lane_reports import LARGEST_OF_ALL, read_lanes_report
from hookstream.core.lanes.lane_status import FullLane
from hookstream.core.model.counted import counted
from hookstream.settings import Settings

T = TypeVar("T")

_SECONDS = 3.0
"""For an answer: a worker that takes longer cannot be helped by waiting."""
_ALL_SECONDS = 10.0
"""For the names of all workers, and for their answers."""
_AT_ONCE = 16
"""Workers that are asked at a time."""
_MOST: Final = 64
"""Workers that are asked; beyond, one name stands for those that are not."""
_LARGEST: Final = 16 << 20
"""Bytes of a page that are read: of 10,000 subscriptions it has about ten million."""
_OK = 200
_NO_ANSWER: Final = (OSError, http.client.HTTPException, ValueError)
"""What asking a worker raises."""
_LONGEST_WHY = 400


class _Facts(msgspec.Struct, frozen=True):
    """What a worker that is not ready says; facts that it leaves out are well."""

    tables_current: bool = True
    unreadable_rows: int = 0
    unreadable_row: str = ""
    clock: str = ""
    partitions: int = 1


@dataclass(slots=True, frozen=True)
class WorkerPage:
    """What one worker answered."""

    address: str
    """`host:port`."""
    release: str = ""
    """The release of hookstream that runs; empty: it is unknown."""
    open_breakers: tuple[tuple[str, str], ...] = ()
    """Subscription and partner of each circuit breaker that is not closed, as far as it names them."""
    stopped_partitions: int = 0
    not_ready: str = ""
    """Why it matches nothing now; empty: it does."""
    problem: str = ""
    """Why it gave no answer; empty: it did."""
    full_lanes: tuple[FullLane, ...] = ()
    """The lanes that are at their limit, as far as it names them."""
    unnamed: int = 0
    """Open breakers, and lanes at their limit, that it counts and does not name."""


def read_named_workers(settings: Settings, addresses: Sequence[str]) -> list[WorkerPage]:
    """Return what workers answer, as `read_workers`.

    Args:
        settings: Name workers (`console.workers`), or the address at which a worker of these settings listens.
        addresses: The workers; none: those of the settings, or the one that listens, if there is one.
    """
    named = tuple(addresses) or settings.console.workers
    if named:
        return read_workers(named)
    try:
        return [_asked(settings.worker.listen)]
    except TimeoutError as error:
        # Somebody is there, and hangs: that is what the reader looks for.
        return [_silent(settings.worker.listen, error)]
    except _NO_ANSWER:
        return []


def read_workers(named: Sequence[str]) -> list[WorkerPage]:
    """Return what workers answer, some at a time, all within about twenty seconds.

    Args:
        named: `host:port` of each; a name with several addresses is as many workers.
    """
    found: list[WorkerPage] = []
    addresses: list[str] = []
    for name, resolved in _each(_resolved, named):
        if isinstance(resolved, str):
            found.append(WorkerPage(name, problem=resolved))
        else:
            addresses += resolved
    for address, page in _each(read_worker, addresses[:_MOST]):
        found.append(WorkerPage(address, problem=page) if isinstance(page, str) else page)
    if len(addresses) > _MOST:
        left = f"{len(addresses) - _MOST} more workers were not asked"
        found.append(WorkerPage(named[-1], problem=left))
    return found


def _each(act: Callable[[str], T], names: Sequence[str]) -> Iterable[tuple[str, T | str]]:
    """Yield what an act returns for each name; text: it took too long."""
    if not names:
        return
    pool = ThreadPoolExecutor(min(_AT_ONCE, len(names)), thread_name_prefix="workers")
    clock = SystemClock()
    until = clock.monotonic() + _ALL_SECONDS
    try:
        for name, future in [(each, pool.submit(act, each)) for each in names]:
            try:
                yield name, future.result(max(0.0, until - clock.monotonic()))
            except TimeoutError:
                yield name, f"it gave no answer within {_ALL_SECONDS:g} s"
    finally:
        # Whoever still waits for an answer is not waited for.
        pool.shutdown(wait=False, cancel_futures=True)


def _resolved(named: str) -> list[str] | str:
    """Return the addresses behind a name; text: why there are none."""
    host, _, port = named.rpartition(":")
    try:
        answers = socket.getaddrinfo(
            host.removeprefix("[").removesuffix("]"), int(port), type=socket.SOCK_STREAM
        )
    except (OSError, ValueError) as error:
        return f"its name was not found: {error}"
    # A worker with addresses of both kinds is one worker.
    families = {each[0] for each in answers}
    family = socket.AF_INET if socket.AF_INET in families else socket.AF_INET6
    hosts = sorted({str(each[4][0]) for each in answers if each[0] == family})
    if len(hosts) == 1:
        return [named]
    return [f"[{each}]:{port}" if ":" in each else f"{each}:{port}" for each in hosts]


def read_worker(address: str) -> WorkerPage:
    """Return what the worker at `host:port` answers; whatever is wrong with it is its `problem`."""
    try:
        return _asked(address)
    except _NO_ANSWER as error:
        return _silent(address, error)


def _silent(address: str, error: Exception) -> WorkerPage:
    return WorkerPage(address, problem=f"it gave no answer: {str(error) or type(error).__name__}")


def _asked(address: str) -> WorkerPage:
    status, text = _fetch(address, "/metrics")
    if status != _OK:
        raise ValueError(f"/metrics was answered {status}")
    ready, why = _fetch(address, "/readyz")
    page = page_of(address, text)
    lanes, said = _fetch(address, "/lanes", LARGEST_OF_ALL)
    # One of a release that does not say it is known by its metrics.
    page = with_lanes(page, said) if lanes == _OK else page
    if ready == _OK:
        return page
    return replace(page, not_ready=why_not_ready(why))


def why_not_ready(said: str) -> str:
    """Return what a worker's answer at /readyz is about, in words; any other answer as it is, cut."""
    try:
        facts = msgspec.json.decode(said, type=_Facts)
    except (msgspec.MsgspecError, RecursionError):
        facts = _Facts()
    found = [] if facts.tables_current else ["its tables are not current"]
    if facts.unreadable_rows:
        first = f" ({facts.unreadable_row})" if facts.unreadable_row else ""
        found.append(f"{counted(facts.unreadable_rows, 'row')} cannot be read{first}")
    if facts.clock:
        found.append(facts.clock)
    if facts.partitions == 0:
        found.append("no partition is assigned to it")
    why = ", ".join(found) or said
    return " ".join(why.split())[:_LONGEST_WHY] or "/readyz fails"


def with_lanes(page: WorkerPage, said: str) -> WorkerPage:
    """Return a page with what its worker says of its lanes.

    Raises:
        ValueError: It is no such report.
    """
    lanes = read_lanes_report(said.encode())
    unnamed = lanes.open_count - len(lanes.open_breakers) + lanes.full_count - len(lanes.full)
    return replace(
        page, open_breakers=lanes.open_breakers, full_lanes=lanes.full, unnamed=max(0, unnamed)
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
        raise ValueError(f"it is not a hookstream worker: its page begins with {text[:80]!r}")
    return WorkerPage(address, release, tuple(breakers), stopped)


def _fetch(address: str, path: str, largest: int = _LARGEST) -> tuple[int, str]:
    host, _, port = address.rpartition(":")
    if not (host and port.isascii() and port.isdigit()):
        raise ValueError(f"{address!r} is not HOST:PORT")
    connection = http.client.HTTPConnection(
        host.removeprefix("[").removesuffix("]"), int(port), timeout=_SECONDS
    )
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read(largest + 1)
    finally:
        connection.close()
    if len(body) > largest:
        raise ValueError(f"its {path} is larger than {largest} bytes")
    return answer.status, body.decode("utf-8", "replace")
