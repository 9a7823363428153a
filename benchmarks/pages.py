"""How long each page of the console takes that reads the index, over millions of attempts.

    python -m benchmarks.pages [--attempts 5000000] [--hours 24] [--requests 40] [--folder DIR] [--page WORD]

An index is filled as the console's writer fills it (`benchmarks/busy_day.py`), and asked through the console's
own handlers: session, permission, the route's handler on a thread, JSON, the page's template. A page is asked for
again and again, each time of another partner, subscription, delivery or event, with nothing kept in between but
what a console keeps too. Neither Kafka nor a socket is in it: pages that read a topic are left out, and so is the
look at partitions, which a console keeps for ten seconds. With `--folder`, an index that was filled there before
is asked again. CPU is the process's own (user and system), so other load on the machine does not count, though it
slows caches down; the wall's time has it all. It ends with 1 if the 95th percentile of some page's CPU is more
than `--bound` milliseconds.
"""

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast
from urllib.parse import urlencode

from benchmarks.busy_day import Known, Size, filled
from hookstream.adapters.index.answers import DeliveryAnswer, Whose
from hookstream.adapters.index.reader import IndexReader
from hookstream.adapters.kafka.tables.log import TableRecord
from hookstream.adapters.keyring import KeyRing, read_ring
from hookstream.adapters.system import SystemClock, new_id, random_bytes, spare_collector
from hookstream.adapters.tables.console_rows import token_key, write_token
from hookstream.adapters.tables.failure_group_rows import (
    failure_group_key,
    write_failure_group,
)
from hookstream.adapters.tables.rows import write_partner
from hookstream.adapters.tables.session_rows import session_key, write_session
from hookstream.adapters.tables.subscriptions import write_subscription
from hookstream.adapters.telemetry.asked_workers import WorkerLane
from hookstream.adapters.telemetry.log import StructuredLogger
from hookstream.core.access.scopes import Caller, Scope
from hookstream.core.access.sessions import Session, SessionRefusal, cookie_text
from hookstream.core.access.tokens import TOKEN_BYTES, ApiToken, token_hash, token_text
from hookstream.core.failures.book import MOST_GROUPS, FailureBook, due
from hookstream.core.model.instant import DAY, HOUR, Millis, to_rfc3339
from hookstream.core.model.subscription import (
    Endpoint,
    Grant,
    Partner,
    SigningSecret,
    Subscription,
)
from hookstream.entry.admin.deliveries import DeliveryDetails
from hookstream.entry.admin.partition_watch import PartitionsLook
from hookstream.entry.api.dispatch import Dispatcher
from hookstream.entry.api.rates import TokenRates
from hookstream.entry.api.requests import ApiRequest
from hookstream.entry.api.services import ConsoleServices
from hookstream.entry.api.table import TABLE
from hookstream.entry.console.index_readers import IndexReaders
from hookstream.entry.console.live_tables import LiveTables
from hookstream.entry.console.request_threads import RequestThreads
from hookstream.entry.console.sessions import ConsoleSessions
from hookstream.entry.pages.composition import pages_over
from hookstream.entry.pages.site import Site
from hookstream.settings import Settings, load

WARM = 3
"""How often a page is asked for before it is measured."""
OPERATOR, PARTNER = "an operator", "a partner"
OWN = "partner-7"
_UNBOUNDED = 1e9
_RING = b'{"active": "k1", "keys": {"k1": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}'


class Console:
    """What handlers of pages that read the index ask a console for; there are no brokers, and no topics.

    Args:
        settings: All settings.
        keys: Encrypts secrets.
        live: The tables.
        folder: The index's.
        present: The present.
    """

    def __init__(
        self, settings: Settings, keys: KeyRing, live: LiveTables, folder: Path, present: Millis
    ) -> None:
        self.settings = settings
        self.keys = keys
        self._present = present
        self._live = live
        self._readers = IndexReaders(folder, self.now)
        self.state = live.state
        self.failures = live.failures
        self.jobs, self.job = live.jobs, live.job
        self.session = live.session
        self.tokens = live.tokens

    def current(self) -> bool:
        """As ConsoleServices says."""
        return True

    def now(self) -> Millis:
        """As ConsoleServices says."""
        return self._present

    def lanes(self, subscription_id: str) -> Sequence[WorkerLane]:  # noqa: ARG002  the port's name
        """As ConsoleServices says: no worker is known."""
        return ()

    def caller(self, token: str) -> Caller | None:
        """As ConsoleServices says."""
        found = self._live.caller(token_hash(token), self._present)
        return found if isinstance(found, Caller) else None

    def session_caller(self, cookie: str) -> Caller | SessionRefusal:
        """As ConsoleServices says."""
        return self._live.session_caller(token_hash(cookie), self._present)

    def index(self) -> IndexReader:
        """As ConsoleServices says."""
        return self._readers.own()

    def open_partitions(self) -> PartitionsLook:
        """As ConsoleServices says."""
        return PartitionsLook(self._present)

    def details(self, found: DeliveryAnswer) -> DeliveryDetails:
        """As ConsoleServices says, without records of topics."""
        history = found.history
        return DeliveryDetails(history.delivery_id, history, found.pending, (), ())

    def note_use(self, act: str, caller: Caller, subject: str) -> None:
        """Drop it."""


class Page(NamedTuple):
    """A page that is measured."""

    name: str
    who: str
    path: Callable[[], str]
    """Makes its path, of another thing each time."""


class Asked:
    """Names things at random.

    Args:
        size: How much there is.
        known: Ids.
        groups: Failure groups' ids.
    """

    def __init__(self, size: Size, known: Known, groups: list[str]) -> None:
        self._size = size
        self._chance = random.Random(3)
        self.known = known
        self.groups = groups

    def one(self, things: list[str]) -> str:
        """Return one of some things."""
        return self._chance.choice(things)

    def partner(self) -> str:
        """Return a partner's id."""
        return f"partner-{self._chance.randrange(self._size.partners)}"

    def subscription(self) -> str:
        """Return a subscription's id."""
        return f"subscription-{self._chance.randrange(self._size.subscriptions)}"

    def own(self) -> str:
        """Return the id of a subscription of the partner that asks."""
        each = self._chance.randrange(self._size.subscriptions // self._size.partners)
        return f"subscription-{int(OWN.rpartition('-')[2]) + each * self._size.partners}"

    def instant(self) -> str:
        """Return an instant within the day."""
        span = self._size.hours * HOUR
        return to_rfc3339(self._size.present - self._chance.randrange(span))


def pages(asked: Asked, size: Size) -> list[Page]:
    """Return all that are measured."""
    known = asked.known
    since, day = (to_rfc3339(size.present - days * DAY) for days in (30, 1))

    def at(path: str, **query: str | Callable[[], str]) -> Callable[[], str]:
        def made() -> str:
            values = {
                name: each if isinstance(each, str) else each() for name, each in query.items()
            }
            target = path.format(**values) if "{" in path else path
            left = {name: each for name, each in values.items() if "{" + name + "}" not in path}
            return target + ("?" + urlencode(left) if left else "")

        return made

    of_partner, of_one = {"partner": asked.partner}, {"subscription": asked.subscription}
    windows = ("1h", "24h", "all")
    operators = {
        **{f"overview, {each}": at("/ui/overview", window=each) for each in windows},
        "overview of a partner, 24h": at("/ui/overview", window="24h", **of_partner),
        "overview of a subscription, 24h": at("/ui/overview", window="24h", **of_one),
        "subscriptions": at("/ui/subscriptions"),
        **{
            f"subscription, {each}": at("/ui/subscriptions/{subscription}", window=each, **of_one)
            for each in windows
        },
        "deliveries": at("/ui/deliveries"),
        "deliveries before an instant": at("/ui/deliveries", until=asked.instant),
        "deliveries of a partner": at("/ui/deliveries", **of_partner),
        "deliveries of a subscription": at("/ui/deliveries", **of_one),
        "deliveries of a type": at("/ui/deliveries", event_type="order.shipped"),
        **{
            f"deliveries that are {each}": at("/ui/deliveries", state=each)
            for each in ("pending", "completed", "dead-lettered", "cancelled")
        },
        "pending deliveries of a partner": at("/ui/deliveries", state="pending", **of_partner),
        "dead-lettered deliveries of a subscription": at(
            "/ui/deliveries", state="dead-lettered", **of_one
        ),
        "deliveries of an event": at("/ui/deliveries", event=lambda: asked.one(known.events)),
        "deliveries of an entity": at("/ui/deliveries", entity=lambda: asked.one(known.entities)),
        "a delivery": at("/ui/deliveries/{id}", id=lambda: asked.one(known.deliveries)),
        "a delivery that failed": at("/ui/deliveries/{id}", id=lambda: asked.one(known.failed)),
        "a batch": at("/ui/deliveries/{id}", id=lambda: asked.one(known.batches)),
        "retries": at("/ui/retries"),
        "retries of a partner, 72 h": at("/ui/retries", hours="72", **of_partner),
        "what waits": at("/ui/retries/waiting"),
        "what waits of a partner": at("/ui/retries/waiting", **of_partner),
        "dead letters": at("/ui/dead-letters"),
        "dead letters of a partner, all": at("/ui/dead-letters", state="all", **of_partner),
        "undecodable": at("/ui/undecodable"),
        "failure groups": at("/ui/failures"),
        "failure groups since a month": at("/ui/failures", since="30d"),
        "failure groups of all, summed": at("/ui/failures/by-error", state="all", since="30d"),
        "a failure group": at("/ui/failures/{id}", id=lambda: asked.one(asked.groups)),
        "operations": at("/ui/audit"),
        "operations of a type": at("/ui/audit", type="delivery.dead_lettered"),
        "a partner, 30 days": at("/ui/partners/{partner}", **of_partner),
        "API: attempts": at("/v1/attempts"),
        "API: failed attempts": at("/v1/attempts", failed="true"),
        "API: attempts of a type": at("/v1/attempts", event_type="order.shipped"),
        "API: statistics by hour, 30 days": at("/v1/statistics", since=since, step="1h"),
        "API: statistics by minute, a day": at("/v1/statistics", since=day, step="1m"),
        "API: failure groups since a month": at("/v1/failure-groups", since=since, state="open"),
    }
    partners = {
        **{f"overview, {each}": at("/ui/overview", window=each) for each in windows},
        "subscription, 24h": at(
            "/ui/subscriptions/{subscription}", window="24h", subscription=asked.own
        ),
        "deliveries": at("/ui/deliveries"),
        "deliveries that are dead-lettered": at("/ui/deliveries", state="dead-lettered"),
        "retries": at("/ui/retries"),
        "dead letters": at("/ui/dead-letters"),
        "failure groups": at("/ui/failures"),
    }
    return [
        *(Page(name, OPERATOR, path) for name, path in operators.items()),
        *(Page(name, PARTNER, path) for name, path in partners.items()),
    ]


class Tables:
    """The rows of a console's tables.

    Args:
        settings: Names the tables.
        keys: Encrypts secrets.
    """

    def __init__(self, settings: Settings, keys: KeyRing) -> None:
        self.live = LiveTables(settings.topics_names)
        self._names = settings.topics_names
        self._keys = keys
        self._offset = 0

    def fill(self, size: Size) -> dict[str, dict[str, str]]:
        """Put partners, subscriptions and a session of each kind; return the headers of either's requests."""
        names, present = self._names, size.present
        for number in range(size.partners):
            row = Partner(f"partner-{number}", f"Partner {number}", Grant(("*",), ("*",)))
            self._put(names.partners, row.id, write_partner(row), present)
        for number in range(size.subscriptions):
            secret = SigningSecret("generated", b"a signing secret of 32 bytes   .")
            subscription = Subscription(
                id=f"subscription-{number}",
                partner_id=size.partner_of(number),
                endpoint=Endpoint(f"https://hooks-{number}.example.com/in", (secret,)),
                event_types=("pricing.completed", "order.generated", "order.shipped"),
                active_from=present - 90 * DAY,
            )
            value = write_subscription(subscription, self._keys)
            self._put(names.subscriptions, subscription.id, value, present)
        return {
            OPERATOR: self._session("operator", Scope.ADMIN, None, present),
            PARTNER: self._session("partner", Scope.PARTNER_MANAGE, OWN, present),
        }

    def _session(
        self, name: str, scope: Scope, partner_id: str | None, now: Millis
    ) -> dict[str, str]:
        cookie = cookie_text(random_bytes(TOKEN_BYTES))
        text = token_text(scope, random_bytes(TOKEN_BYTES))
        token = ApiToken(f"tok-{name}", scope, partner_id, token_hash(text), now, now + DAY)
        session = Session(
            f"ses-{name}", token_hash(cookie), scope, partner_id, token.id, None, now, now + DAY
        )
        console = self._names.console
        self._put(console, token_key(token.id), write_token(token), now)
        self._put(console, session_key(session.id), write_session(session), now)
        return {"cookie": f"__Host-hookstream={cookie}", "authorization": f"Bearer {text}"}

    def add_failures(self, reader: IndexReader, now: Millis, quiet: Millis) -> list[str]:
        """Put a row for each failure group that the index's errors give; return their ids."""
        subscriptions = self.live.state().current.subscriptions
        owners = {name: each.partner_id for name, each in subscriptions.items()}
        looked = reader.failures(Whose(), 0, deliveries=False)
        found = due(FailureBook(), looked, owners, now, quiet, MOST_GROUPS)
        for group in found.changed:
            row = failure_group_key(group.id), write_failure_group(group)
            self._put(self._names.console, *row, now)
        return [group.id for group in found.changed]

    def _put(self, table: str, key: str, value: bytes, at: Millis) -> None:
        self._offset += 1
        self.live.take([TableRecord(table, key, value, self._offset, at)])


class Took(NamedTuple):
    """Milliseconds of answers."""

    wall: list[float]
    cpu: list[float]


async def _answered(site: Site, page: Page, headers: Mapping[str, str]) -> None:
    target, _, query = page.path().partition("?")

    async def read(most: int) -> bytes:
        del most
        return b""

    headers = {**headers, "host": "console.example", "sec-fetch-site": "none"}
    answer = await site.answer(ApiRequest("GET", target, query, headers, read, "192.0.2.7"))
    if answer.status != 200:
        raise SystemExit(f"{page.name}: {target}?{query} is answered {answer.status}")


async def measured(site: Site, page: Page, headers: Mapping[str, str], requests: int) -> Took:
    """Ask for a page, and return how long each answer took."""
    took = Took([], [])
    for number in range(WARM + requests):
        wall, cpu = time.perf_counter(), time.process_time()
        await _answered(site, page, headers)
        if number >= WARM:
            took.wall.append((time.perf_counter() - wall) * 1_000)
            took.cpu.append((time.process_time() - cpu) * 1_000)
    return took


def _p95(times: list[float]) -> float:
    return sorted(times)[max(0, len(times) * 95 // 100 - 1)]


def _site(console: Console, live: LiveTables) -> tuple[Site, RequestThreads]:
    """Return the pages over a console's services, and the threads that handlers run on."""
    threads = RequestThreads(console.settings.console.threads)
    log, clock = StructuredLogger("warning", "json"), SystemClock.monotonic
    rates = TokenRates(lambda _: _UNBOUNDED, clock, operators=_UNBOUNDED)
    services = cast("ConsoleServices", console)
    dispatcher = Dispatcher(TABLE, services, threads, rates, log, clock, new_id)
    sessions = ConsoleSessions(services, clock)
    live.state()
    return pages_over(dispatcher, services, sessions, threads, log, clock, new_id), threads


async def measure(given: argparse.Namespace, folder: Path) -> int:
    """Fill the index, ask for every page, print the table, and return the exit code."""
    size = Size(given.attempts, given.hours, given.subscriptions, given.partners)
    began = time.perf_counter()
    known = filled(folder, size, given.processes)
    print(f"{size.attempts:,} attempts over {size.hours} hours, {size.subscriptions:,}", end=" ")
    print(f"subscriptions of {size.partners} partners ({time.perf_counter() - began:.0f} s)")
    settings = load(None, {}, {})
    keys = read_ring(_RING, "the benchmark", random_bytes)
    tables = Tables(settings, keys)
    headers = tables.fill(size)
    console = Console(settings, keys, tables.live, folder / "index", size.present)
    quiet = settings.console.failures_quiet
    groups = tables.add_failures(console.index(), size.present, quiet)
    site, threads = _site(console, tables.live)
    # As a console does once its tables are read.
    spare_collector()
    print(f"{len(groups):,} failure groups\n")
    print(f"{f'page, of {given.requests} answers each':<52}{'CPU ms':>8}{'':>8}{'wall ms':>10}")
    print(f"{'':<52}{'p50':>8}{'p95':>8}{'p50':>10}{'p95':>8}")
    who, slow = "", []
    for page in pages(Asked(size, known, groups), size):
        if given.page not in page.name:
            continue
        if page.who != who:
            who = page.who
            print(f"{who}:")
        took = await measured(site, page, headers[who], given.requests)
        numbers = [statistics.median(took.cpu), _p95(took.cpu)]
        wall = f"{statistics.median(took.wall):>10.1f}{_p95(took.wall):>8.1f}"
        print(f"  {page.name:<50}{numbers[0]:>8.1f}{numbers[1]:>8.1f}{wall}", flush=True)
        if numbers[1] > given.bound:
            slow.append(f"{page.name} ({who})")
    threads.close()
    print(f"\nover {given.bound:g} ms: {', '.join(slow) or 'none'}")
    return 1 if slow else 0


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attempts", type=int, default=5_000_000)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--subscriptions", type=int, default=1_000)
    parser.add_argument("--partners", type=int, default=100)
    parser.add_argument("--requests", type=int, default=40)
    parser.add_argument("--bound", type=float, default=100.0, help="milliseconds")
    parser.add_argument("--page", default="", help="only pages whose name has this word")
    parser.add_argument("--processes", type=int, default=2, help="that fill the index")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hookstream-pages-") as made:
        folder = given.folder or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        sys.exit(asyncio.run(measure(given, folder)))


if __name__ == "__main__":
    main()
