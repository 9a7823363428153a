"""Looks up the facts for the doctor: of the cluster, the tables, this machine, registries and workers."""

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from hookstream import __version__
from hookstream.adapters.kafka.record_writer import RecordWriter
from hookstream.adapters.kafka.topics import KafkaTopics
from hookstream.adapters.schema_registry.replicas import Replicas, Reply
from hookstream.adapters.system import SystemClock
from hookstream.adapters.tables.sealed import Keys
from hookstream.core.model.registered import Unreachable
from hookstream.core.model.topics import Topics
from hookstream.core.topology.plan import compared_topics
from hookstream.entry.admin.doctor import (
    CHECKS,
    DoctorFinding,
    Examination,
    Level,
    clock_findings,
    endpoint_findings,
    endpoints_of,
    partition_findings,
    registry_finding,
    replication_findings,
    retention_findings,
    table_findings,
    topic_findings,
    worker_findings,
)
from hookstream.entry.admin.partitions import ReadPartitions
from hookstream.entry.admin.status import open_partitions
from hookstream.entry.admin.tables import SEALED, State, read_state
from hookstream.entry.admin.topics import plan_topics
from hookstream.entry.admin.worker_pages import read_named_workers
from hookstream.entry.cluster import reached
from hookstream.entry.keys import key_ring
from hookstream.entry.registries import access_of
from hookstream.errors import HookstreamError
from hookstream.pipeline.broker_clock import TIME_KEY
from hookstream.settings import Settings

_MOST_HOSTS = 500
"""The most hosts of endpoints that are looked up."""
_AT_ONCE = 16
"""Concurrent look-ups of names."""
_SECONDS = 30.0
"""The time for the look-ups of all names."""
_REGISTRY_PATH = "/schemas/types"
"""A request with a short answer that every registry has, and that needs its credentials."""


def examine(
    settings: Settings, workers: tuple[str, ...] = (), only: Iterable[str] = ()
) -> Examination:
    """Run the checks, and return the findings.

    It changes nothing: to learn the brokers' time it writes records without a value into the health table, as
    workers do.

    Args:
        settings: Of the installation.
        workers: `host:port` of workers to ask; none: those that the settings
            name, or the one of the settings, if it answers.
        only: The names of the checks to make; none: all.
    """
    wanted = frozenset(only) or frozenset(CHECKS)
    found: list[DoctorFinding] = []
    made: set[str] = set()
    for names, check in _checks(settings, workers, wanted):
        about = wanted.intersection(names)
        if not about:
            continue
        try:
            found += check()
        except HookstreamError as error:
            remedy = "see what the error names: a missing topic, a setting, or a permission"
            first = next(name for name in names if name in about)
            found.append(
                DoctorFinding(first, Level.PROBLEM, f"it cannot be checked: {error}", remedy)
            )
        else:
            made |= about
    order = list(CHECKS)
    findings = [each for each in found if each.check in wanted]
    return Examination(sorted(findings, key=lambda each: order.index(each.check)), frozenset(made))


_Checks: TypeAlias = Iterator[tuple[Sequence[str], Callable[[], Iterable[DoctorFinding]]]]
"""Each with the names that it concerns."""


def _checks(settings: Settings, workers: tuple[str, ...], wanted: frozenset[str]) -> _Checks:
    yield ("registry",), lambda: asyncio.run(_registries(settings))
    yield ("workers",), lambda: worker_findings(read_named_workers(settings, workers), __version__)
    keys: Keys = SEALED
    no_ring: list[DoctorFinding] = []
    try:
        keys = key_ring(settings)
    except HookstreamError as error:
        remedy = "set it: without it no worker starts, and no signing secret is read"
        no_ring.append(DoctorFinding("keys", Level.PROBLEM, str(error), remedy))
    if no_ring:
        yield ("keys",), lambda: no_ring
    try:
        reached(settings)
    except HookstreamError as error:
        remedy = (
            "check kafka.bootstrap_servers, kafka.client and the network; checks that need the cluster"
            " are left out"
        )
        away = DoctorFinding("brokers", Level.PROBLEM, str(error), remedy)
        yield ("brokers",), lambda: [away]
        return
    yield ("brokers",), tuple
    yield (
        ("topics", "timestamps", "access"),
        lambda: topic_findings(plan_topics(settings).changes),
    )
    yield ("replication", "retention"), lambda: _durability(settings)
    yield ("clock",), lambda: _clock(settings)
    yield ("tables", "endpoints", "keys"), lambda: _tables(settings, keys, wanted)
    yield ("partitions",), lambda: _partitions(settings)


def _durability(settings: Settings) -> list[DoctorFinding]:
    names = settings.topics_names
    cluster = KafkaTopics(reached(settings))

    def ours(found: Iterable[str]) -> list[str]:
        return [name for name in compared_topics((), names, found) if _is_own(name, names)]

    existing = cluster.existing(ours)
    return [
        *retention_findings(names, existing),
        *replication_findings(cluster.replicas(ours), existing, cluster.brokers()),
    ]


def _is_own(topic: str, names: Topics) -> bool:
    own = {*names.tables, names.console, names.dead_letters, names.undecodable}
    return topic in own | {names.attempts, names.operations} or names.delay_of(topic) is not None


def _clock(settings: Settings) -> list[DoctorFinding]:
    clock = SystemClock()
    with RecordWriter(reached(settings)) as writer:
        # The first record waits for a connection.
        writer.broker_time(settings.topics_names.health, TIME_KEY)
        before = clock.now()
        brokers = writer.broker_time(settings.topics_names.health, TIME_KEY)
        after = clock.now()
    ahead = before - brokers if before > brokers else min(0, after - brokers)
    return clock_findings(ahead, settings.worker.max_clock_skew)


def _tables(settings: Settings, keys: Keys, wanted: frozenset[str]) -> list[DoctorFinding]:
    state = read_state(settings, keys)
    found = table_findings(state, may_be_empty=settings.tables.allow_empty)
    return found + (_endpoints(settings, state) if "endpoints" in wanted else [])


def _endpoints(settings: Settings, state: State) -> list[DoctorFinding]:
    by_host = endpoints_of(state)
    hosts = sorted(by_host)[:_MOST_HOSTS]
    found = endpoint_findings(
        by_host,
        _resolved(hosts),
        https_only=settings.egress.https_only,
        allow=[ipaddress.ip_network(text) for text in settings.egress.allow],
    )
    if len(by_host) > len(hosts):
        what = f"the names of {len(by_host) - len(hosts)} more endpoints were not looked up"
        found.append(
            DoctorFinding("endpoints", Level.WARNING, what, "workers look them up when they send")
        )
    return found


def _resolved(hosts: Sequence[str]) -> dict[str, Sequence[str] | str]:
    """Return the addresses of each host, or why it has none; a host that takes too long is left out."""
    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="resolve")
    try:
        looked_up = {host: pool.submit(_addresses, host) for host in hosts}
        until = SystemClock().monotonic() + _SECONDS
        found: dict[str, Sequence[str] | str] = {}
        for host, future in looked_up.items():
            left = max(0.0, until - SystemClock().monotonic())
            try:
                found[host] = future.result(left)
            except TimeoutError:
                found[host] = f"no answer within {_SECONDS:g} s"
        return found
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _addresses(host: str) -> Sequence[str] | str:
    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return str(error)
    return sorted({str(answer[4][0]) for answer in answers})


def _partitions(settings: Settings) -> list[DoctorFinding]:
    read = ReadPartitions(settings)
    events, tiers = read.of_events(), read.of_tiers(oldest=False)
    return partition_findings(open_partitions(events, tiers, SystemClock().now()))


async def _registries(settings: Settings) -> list[DoctorFinding]:
    found: list[DoctorFinding] = []
    for name, registry in settings.registry.items():
        try:
            async with Replicas(name, access_of(registry)) as replicas:
                reply = await replicas.get(_REGISTRY_PATH)
        except HookstreamError as error:
            reply = Unreachable(str(error))
        status, detail = (reply.status, "") if isinstance(reply, Reply) else (None, reply.detail)
        finding = registry_finding(name, status, detail)
        if finding is not None:
            found.append(finding)
    return found
