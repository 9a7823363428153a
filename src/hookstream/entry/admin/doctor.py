"""Decides from looked-up facts what is wrong with an installation; each finding has its remedy."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from hookstream.core.delivery.address import Network, address_problem, host_of, url_problem
from hookstream.core.model.instant import DAY, SECOND, Millis, format_duration
from hookstream.core.model.json import JsonObject
from hookstream.core.model.listing import the_first
from hookstream.core.model.subscription import (
    Subscription,
    SubscriptionState,
    UnreadableSubscription,
)
from hookstream.core.model.topics import Topics
from hookstream.core.topology.plan import (
    Configure,
    CreateTopic,
    Existing,
    Remark,
    TopicChange,
    TopicReplicas,
)
from hookstream.entry.admin.status import OpenPartition, by_cause
from hookstream.entry.admin.tables import State
from hookstream.entry.admin.worker_pages import WorkerPage

_NAMED = 5
"""The most names in one finding."""
_WORTH_SAYING: Millis = 5 * SECOND
"""The smallest difference of clocks that is a finding."""
_REPLICATED_FROM = 3
"""The number of brokers from which the loss of one must lose nothing: three replicas, two of them in sync."""
_INSYNC = 2
_MARGIN: Millis = DAY
"""How long a tier must keep its records beyond its delay."""
_APPLY = "run `hookstream topics apply`"


class Level(StrEnum):
    """How bad a finding is."""

    PROBLEM = "problem"
    """Something does not work, or events can be lost."""
    WARNING = "warning"
    """It works, but an operator should know."""


@dataclass(slots=True, frozen=True)
class DoctorFinding:
    """One thing that is wrong, or may be."""

    check: str
    """The check that found it, one of `CHECKS`."""
    level: Level
    what: str
    remedy: str

    def as_json(self) -> JsonObject:
        """Return the finding as plain JSON."""
        return {
            "check": self.check,
            "level": self.level.value,
            "what": self.what,
            "remedy": self.remedy,
        }


@dataclass(slots=True, frozen=True)
class Examination:
    """The checks that were made, and their findings."""

    findings: Sequence[DoctorFinding]
    """In the order of the checks."""
    made: frozenset[str]
    """The checks that were made; the result of any other is not known."""

    @property
    def problems(self) -> int:
        """How many findings are problems."""
        return sum(each.level is Level.PROBLEM for each in self.findings)

    def as_json(self) -> JsonObject:
        """Return the examination as plain JSON."""
        return {
            "findings": [each.as_json() for each in self.findings],
            "made": [name for name in CHECKS if name in self.made],
        }


CHECKS: Mapping[str, str] = {
    "brokers": "the cluster answers",
    "topics": "every topic exists, with its clean-up policy and its sizes",
    "timestamps": "the brokers stamp every record (LogAppendTime)",
    "retention": "topics keep their records for longer than they are needed",
    "replication": "the loss of a broker loses nothing",
    "access": "only hookstream writes to its topics",
    "clock": "this machine's clock agrees with the brokers'",
    "keys": "the key ring exists, and opens every signing secret",
    "tables": "every row of the tables can be read",
    "endpoints": "endpoints are allowed, and their names resolve",
    "registry": "each configured schema registry answers",
    "partitions": "every partition is assigned to a worker, and makes progress",
    "workers": "workers answer, match events, and run this release",
}
"""The checks in their order, each with its promise."""


def topic_findings(changes: Iterable[TopicChange]) -> list[DoctorFinding]:
    """Return the changes that `topics apply` would make, and its remarks."""
    found: list[DoctorFinding] = []
    missing: list[str] = []
    for change in changes:
        match change:
            case CreateTopic(topic=topic):
                missing.append(topic.name)
            case Configure(name=name, setting=setting, before=before, after=after):
                what = f"{name}: {setting} is {before or 'unset'}, not {after}"
                remedy, check = _APPLY, "topics"
                if setting == "message.timestamp.type":
                    check = "timestamps"
                    remedy += "; if producers' times are meant, set events.accept_create_time"
                elif setting in ("retention.ms", "delete.retention.ms"):
                    check = "retention"
                found.append(DoctorFinding(check, Level.PROBLEM, what, remedy))
            case Remark(name=name, remark=remark):
                # A remark about all topics concerns who may write to them.
                check = "access" if name.endswith(".*") else "topics"
                remedy = (
                    "limit writing to hookstream's own principals (docs/security.md)"
                    if check == "access"
                    else "nothing, if that is intended; `topics apply` leaves it as it is"
                )
                found.append(DoctorFinding(check, Level.WARNING, f"{name}: {remark}", remedy))
    if missing:
        what = f"topics are missing: {the_first(missing, _NAMED)}"
        found.insert(0, DoctorFinding("topics", Level.PROBLEM, what, _APPLY))
    return found


def retention_findings(topics: Topics, existing: Mapping[str, Existing]) -> list[DoctorFinding]:
    """Return the tiers, configured or not, that may delete a record before it is due."""
    found: list[DoctorFinding] = []
    for name, topic in existing.items():
        delay = topics.delay_of(name)
        kept = topic.config.get("retention.ms", "")
        if delay is None or not kept.isdigit() or int(kept) >= delay + _MARGIN:
            continue
        what = (
            f"{name} keeps records for {format_duration(int(kept))}, but they are due after"
            f" {format_duration(delay)}: waiting records can be deleted"
        )
        remedy = f"set its retention.ms to at least {delay + _MARGIN} (kafka-configs.sh --alter)"
        found.append(DoctorFinding("retention", Level.PROBLEM, what, remedy))
    return found


def replication_findings(
    replicas: Mapping[str, TopicReplicas], existing: Mapping[str, Existing], brokers: int
) -> list[DoctorFinding]:
    """Return the findings about replicas: what the loss of a broker costs now, or would cost.

    Args:
        replicas: Of hookstream's own topics.
        existing: Their settings.
        brokers: How many the cluster has.
    """
    found: list[DoctorFinding] = []
    behind = [name for name, each in replicas.items() if each.in_sync < each.assigned]
    if behind:
        what = f"replicas are not in sync: {the_first(sorted(behind), _NAMED)}"
        remedy = "a broker is down or slow: repair it before another one fails"
        found.append(DoctorFinding("replication", Level.PROBLEM, what, remedy))
    if brokers < _REPLICATED_FROM:
        what = f"the cluster has fewer than {_REPLICATED_FROM} brokers: the records of a lost broker are lost"
        remedy = f"use a cluster of {_REPLICATED_FROM} brokers or more in production"
        found.append(DoctorFinding("replication", Level.WARNING, what, remedy))
        return found
    few = sorted(name for name, each in replicas.items() if each.assigned < _REPLICATED_FROM)
    if few:
        what = f"topics have fewer than {_REPLICATED_FROM} replicas: {the_first(few, _NAMED)}"
        remedy = "add replicas with kafka-reassign-partitions.sh"
        found.append(DoctorFinding("replication", Level.PROBLEM, what, remedy))
    lax = sorted(
        name
        for name in replicas
        if name in existing
        and int(existing[name].config.get("min.insync.replicas", "1")) < _INSYNC
    )
    if lax:
        what = f"a single replica may acknowledge a write: {the_first(lax, _NAMED)}"
        remedy = f"set min.insync.replicas={_INSYNC} on them (kafka-configs.sh --alter)"
        found.append(DoctorFinding("replication", Level.PROBLEM, what, remedy))
    return found


def clock_findings(ahead: Millis, most: Millis) -> list[DoctorFinding]:
    """Return whether this machine's clock differs from the brokers'.

    Args:
        ahead: By how much it is ahead; negative: behind.
        most: The difference from which a worker makes no attempt.
    """
    if abs(ahead) <= _WORTH_SAYING:
        return []
    word = "ahead of" if ahead > 0 else "behind"
    what = (
        f"this machine's clock is {format_duration(abs(ahead) // 1000 * 1000)} {word} the brokers'"
    )
    level = Level.PROBLEM if abs(ahead) > most else Level.WARNING
    return [
        DoctorFinding("clock", level, what, "set the clock, with NTP (chrony, systemd-timesyncd)")
    ]


def table_findings(state: State, *, may_be_empty: bool) -> list[DoctorFinding]:
    """Return the tables' rows that cannot be read, and the tables that are empty."""
    found: list[DoctorFinding] = []
    sealed = [
        each
        for each in state.current.subscriptions.values()
        if isinstance(each, UnreadableSubscription)
    ]
    if sealed:
        names = the_first(sorted(each.id for each in sealed), _NAMED)
        what = f"subscriptions cannot be read: {names} ({sealed[0].why})"
        remedy = "add the key that is missing to the key ring, or write them again with `hookstream apply`"
        found.append(DoctorFinding("keys", Level.PROBLEM, what, remedy))
    if state.unreadable:
        what = f"rows cannot be read, so nothing is matched: {the_first(state.unreadable, _NAMED)}"
        remedy = "write them again with `hookstream apply`, or run the release that wrote them"
        found.append(DoctorFinding("tables", Level.PROBLEM, what, remedy))
    if state.schema_faults:
        what = f"schemas are not used: {the_first(state.schema_faults, _NAMED)}"
        remedy = "publish them again with `hookstream schemas apply`"
        found.append(DoctorFinding("tables", Level.PROBLEM, what, remedy))
    empty = [name for name, rows in state.rows.items() if not rows]
    needed = [name for name in empty if not name.endswith(".health")]
    if needed and not may_be_empty:
        what = (
            f"tables are empty, and a worker refuses to start: {the_first(sorted(needed), _NAMED)}"
        )
        remedy = "check topics.prefix; if it is right, publish schemas and apply files, or set tables.allow_empty"
        found.append(DoctorFinding("tables", Level.PROBLEM, what, remedy))
    return found


def endpoints_of(state: State) -> dict[str, list[Subscription]]:
    """Return the subscriptions that get requests, by the host of their endpoints."""
    found: dict[str, list[Subscription]] = defaultdict(list)
    for each in state.current.subscriptions.values():
        if (
            isinstance(each, Subscription)
            and each.state is not SubscriptionState.DELETED
            and not each.endpoint.is_pull
        ):
            found[host_of(each.endpoint.url)].append(each)
    return dict(found)


def endpoint_findings(
    by_host: Mapping[str, Sequence[Subscription]],
    resolved: Mapping[str, Sequence[str] | str],
    *,
    https_only: bool,
    allow: Sequence[Network],
) -> list[DoctorFinding]:
    """Return the endpoints that cannot get requests.

    Args:
        by_host: The subscriptions of each host.
        resolved: The addresses of each host that was looked up; text: why there are none.
        https_only: Whether endpoints must use https.
        allow: Private networks that may be sent to.
    """
    found: list[DoctorFinding] = []
    for host, subscriptions in sorted(by_host.items()):
        whose = the_first(sorted(each.id for each in subscriptions), _NAMED)
        for each in subscriptions:
            refused = url_problem(each.endpoint.url, https_only=https_only, allow=allow)
            if refused is not None:
                what = f"{each.id}: deliveries are refused, because {refused}"
                remedy = "change its URL, or egress.allow and egress.https_only"
                found.append(DoctorFinding("endpoints", Level.PROBLEM, what, remedy))
        addresses = resolved.get(host, ())
        if isinstance(addresses, str):
            what = f"{host} ({whose}) does not resolve on this machine: {addresses}"
            remedy = "check the name with its partner, and this machine's name servers"
            found.append(DoctorFinding("endpoints", Level.WARNING, what, remedy))
            continue
        blocked = [why for each in addresses if (why := address_problem(each, allow))]
        if blocked:
            what = f"{host} ({whose}) is not allowed: {blocked[0]}"
            remedy = "if it is yours, add its network to egress.allow; else ask its partner"
            found.append(DoctorFinding("endpoints", Level.PROBLEM, what, remedy))
    return found


def partition_findings(partitions: Iterable[OpenPartition]) -> list[DoctorFinding]:
    """Return the partitions that need attention, grouped by reason."""
    found: list[DoctorFinding] = []
    for named, why in by_cause(partitions):
        if "assigned" in why:
            remedy = "start a worker; if one is running, see its log for the assignment"
        elif "committed" in why:
            remedy = "`hookstream partition start TOPIC/N --at earliest|TIME`, if it is stopped"
        else:
            remedy = "see the workers' logs (partition.stopped, matching.waits); more workers if they are busy"
        found.append(DoctorFinding("partitions", Level.PROBLEM, f"{named}: {why}", remedy))
    return found


def worker_findings(pages: Sequence[WorkerPage], release: str) -> list[DoctorFinding]:
    """Return the findings about the workers that were asked.

    Args:
        pages: Their answers.
        release: The release that asks.
    """
    if not pages:
        what = "no worker was asked: their releases and readiness are not known"
        remedy = (
            "name each with --worker HOST:PORT (its worker.listen), or list all in console.workers"
        )
        return [DoctorFinding("workers", Level.WARNING, what, remedy)]
    found: list[DoctorFinding] = []
    for page in pages:
        if page.problem:
            what, remedy = f"{page.address}: {page.problem}", "start it, or correct the address"
            found.append(DoctorFinding("workers", Level.PROBLEM, what, remedy))
        if page.not_ready:
            what = f"{page.address} matches nothing now: {page.not_ready}"
            found.append(
                DoctorFinding("workers", Level.PROBLEM, what, "see its log for the cause")
            )
        if page.stopped_partitions:
            what = f"{page.address} has stopped {page.stopped_partitions} of its partitions"
            remedy = "see its log for each, with cause and remedy (partition.stopped)"
            found.append(DoctorFinding("partitions", Level.PROBLEM, what, remedy))
    others = Counter(page.release for page in pages if page.release not in ("", release))
    if others:
        what = f"this is release {release}, and workers run {the_first(sorted(others), _NAMED)}"
        remedy = "finish the rolling upgrade; until then, different releases may run side by side"
        found.append(DoctorFinding("workers", Level.WARNING, what, remedy))
    return found


def registry_finding(name: str, status: int | None, detail: str) -> DoctorFinding | None:
    """Return the finding about a registry; None: it answers.

    Args:
        name: Its name in the settings.
        status: Of its answer; None: there was none.
        detail: Why not.
    """
    if status is None:
        what, remedy = (
            f"registry {name} cannot be reached: {detail}",
            "check its addresses and that it runs",
        )
    elif status in (401, 403):
        what = f"registry {name} refuses the credentials (answer {status})"
        remedy = f"check registry.{name}'s username and password, or its token"
    elif status >= 500:  # noqa: PLR2004  a server's error
        what, remedy = (
            f"registry {name} fails with answer {status}",
            "see the registry's own log",
        )
    else:
        return None
    return DoctorFinding("registry", Level.PROBLEM, what, remedy)
