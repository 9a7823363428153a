"""Runs the demo: a broker, a worker that is killed half-way, six partners with typical problems.

1. Start the broker; apply topics, schemas, the mapping of a carrier's records, and definitions; start
   a worker.
2. Publish the first half while the CRM refuses everything and the print shop is down; kill the worker
   with SIGKILL and read its offsets.
3. Start another, publish version 2 of orders and let upstream move to it, publish the rest, repair both
   endpoints, redrive what the CRM refused for good.
4. Pause a partner, publish, and resume it: the gap is replayed. Ask why one of its events arrived late.
   That partner has a token and nothing else: it creates its subscription, sends a test to it, rotates its
   secret, pauses and resumes it through a console's API. So does the CRM redrive.
5. Account for every delivery. Exit code 0 only if each expected one is accounted for.

With `--keep` the broker, a worker, the console and the partners then keep running until Ctrl-C.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import secrets
import signal
import sys
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from confluent_kafka import Producer
from examples.consumers.automation import Automation
from examples.consumers.crm import Crm
from examples.consumers.dashboard import Dashboard
from examples.consumers.order_system import OrderSystem
from examples.consumers.print_shop import PrintShop
from examples.consumers.receiver import Answer, Receiver
from examples.consumers.warehouse import Warehouse
from examples.demo import parcels
from examples.demo.accounting import WANTED, Account, Accounting, AtTheKill, Sent
from examples.demo.log import Log
from examples.demo.screen import (
    Screen,
    show_account,
    show_bodies,
    show_dead_letter,
    show_trace,
)
from examples.demo.stage import AGREED, BY_API, CAST, ROOT, TOO_MUCH, CommandFailed, Stage
from examples.printprice.generator import Happening, as_version_2, events
from rich.console import Console
from rich.live import Live
from rich.text import Text

from hookstream.adapters.dev.broker import BrokerProcess
from hookstream.adapters.dev.kafka_jars import fetch_kafka, find_java
from hookstream.adapters.system import SystemChance
from hookstream.adapters.telemetry.tracers import tracer_of
from hookstream.producer import EventProducer
from hookstream.settings.groups import TracingSettings

EVENTS = 600
SEED = 2026
RATE = 80.0
"""Events a second."""
GONE_AFTER = 400
"""Requests after which the dashboard answers 410."""
MOVE = ("order.generated", 2)
"""The event type that moves to a new version half-way, and that version."""
REFUSALS = 6
"""How often the warehouse refuses an event that it cannot load."""
RESTED = BY_API
"""The partner that is paused at the end."""
REDRIVING = "crm"
IN_THE_PAUSE = 60
"""How many events are published meanwhile."""
PATIENCE = 60.0
"""Seconds to wait at most for the last delivery."""


class Demo:
    """One run."""

    def __init__(self, console: Console, servers: str) -> None:
        """Cast the partners."""
        run = secrets.token_hex(3)
        self.console = console
        self.receivers: dict[str, Receiver] = {
            consumer.receiver.name: consumer.receiver
            for consumer in (
                OrderSystem(),
                Crm(),
                Automation(),
                Dashboard(),
                PrintShop(),
                Warehouse(),
            )
        }
        self.stage = Stage(ROOT / ".cache" / "demo" / run, servers, f"demo-{run}")
        self.log = Log(servers)
        self.accounting = Accounting(self.log, self.stage.prefix, self.receivers)
        self.screen = Screen(console, self.receivers)
        self.sent: list[Sent] = []
        exporter = TracingSettings(exporter="file", ratio=1.0, file=self.stage.spans)
        self.tracer = tracer_of(exporter, SystemChance())
        self.name_by_api = ""
        """The id of the subscription that a partner created."""
        self.mended = False
        self.explained = ""
        """The output of `hookstream explain` for one event of the pause."""
        self.registry = parcels.Registry()

    async def run(self, *, keep: bool) -> bool:
        """Run the whole demo; return whether every delivery is accounted for.

        Args:
            keep: Whether everything that it started stays afterwards, until Ctrl-C.
        """
        for receiver in self.receivers.values():
            receiver.secrets = ["whsec_" + b64encode(secrets.token_bytes(32)).decode()]
            await receiver.start()
        self._give_trouble()
        async with self.registry:
            self.stage.map_parcels(self.registry.url)
            try:
                account, code = await self._play()
                self._show(account)
                if code != 0:
                    self.console.print(f"The worker did not drain in time: exit code {code}")
                if keep:
                    await self._stay()
            finally:
                await self.stage.kill_worker()
                await self.stage.stop_console()
                for receiver in self.receivers.values():
                    await receiver.stop()
        return account.clean and code == 0

    async def _stay(self) -> None:
        """Leave a worker, the console and the partners running until Ctrl-C."""
        stage = self.stage
        await stage.start_worker()
        admin = await stage.hookstream("tokens", "create", "--admin", "--label", "the demo")
        self.console.print(
            f"\nThe console answers at {stage.api} until Ctrl-C (brokers: {stage.servers}). Tokens:"
        )
        for whose, token in (("admin", admin.strip()), *stage.tokens.items()):
            self.console.print(Text(f"  {whose:<12} {token}"), soft_wrap=True)
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await stop.wait()

    async def _play(self) -> tuple[Account, int | None]:
        """Play every scene; return the account, and the worker's exit code."""
        await self._set_up()
        with Live(self.screen, console=self.console, refresh_per_second=4, transient=True):
            killed = await self._first_half()
            await self._second_half()
            account = await self._settle(killed)
        code = await self.stage.stop_worker()
        self.screen.finish(f"drained, exit code {code}")
        return account, code

    def _give_trouble(self) -> None:
        dice = random.Random(SEED)

        async def flaky(_: dict[str, Any], __: int) -> int:
            return 503 if dice.random() < 0.15 else 204

        async def refusing_at_first(_: dict[str, Any], __: int) -> int:
            return 204 if self.mended else 422

        async def down_at_first(_: dict[str, Any], __: int) -> int:
            return 204 if self.mended else 500

        async def slow(_: dict[str, Any], __: int) -> int:
            await asyncio.sleep(0.25)
            return 200

        async def retired(_: dict[str, Any], before: int) -> int:
            return 410 if before >= GONE_AFTER else 204

        self.receivers["order-system"].answer = flaky
        self.receivers["crm"].answer = refusing_at_first
        self.receivers["automation"].answer = slow
        self.receivers["dashboard"].answer = retired
        self.receivers["print-shop"].answer = down_at_first
        self.receivers["warehouse"].answer = _refusing_one_event()

    async def _set_up(self) -> None:
        # At once: the commands that install mostly wait for the broker.
        async with asyncio.TaskGroup() as both:
            both.create_task(self._install())
            both.create_task(self._agree())
        self.screen.step("starting a worker and a console")
        async with asyncio.TaskGroup() as both:
            both.create_task(self.stage.start_worker())
            both.create_task(self.stage.start_console())
            both.create_task(self._admit())
        self.screen.worker = f"pid {self.stage.worker.pid}" if self.stage.worker else "-"
        await self._onboard()

    async def _admit(self) -> None:
        """Give a token to the partners that use the API."""
        for who in (BY_API, REDRIVING):
            await self.stage.admit(who)

    async def _onboard(self) -> None:
        """Let a partner with a token make itself a subscription, and try it."""
        stage, receiver = self.stage, self.receivers[BY_API]
        self.screen.step(f"{BY_API} asks for more than it is granted, and is refused by the API")
        file = stage.request(receiver, TOO_MUCH)
        await stage.as_partner(BY_API, "subscriptions", "create", str(file), refused=True)
        self.screen.step(f"{BY_API} creates its subscription through the API")
        file = stage.request(receiver, CAST[BY_API][2])
        made = json.loads(
            await stage.as_partner(BY_API, "subscriptions", "create", str(file), "--json")
        )
        self.name_by_api = made["subscription"]
        self.accounting.names[self.name_by_api] = BY_API
        receiver.secrets = [each["public_key"] for each in made["signing_secrets"]]
        self.screen.step(f"{BY_API} tests its endpoint, and rotates its signing key")
        await stage.as_partner(BY_API, "subscriptions", "test", self.name_by_api)
        rotation = ("subscriptions", "rotate-secret", self.name_by_api, "--json", "--no-wait")
        rotated = json.loads(await stage.as_partner(BY_API, *rotation))
        receiver.secrets.append(rotated["public_key"])

    async def _agree(self) -> None:
        """Give the receivers of partners the JSON Schemas of their bodies."""
        wanted = sorted({each for bodies in AGREED.values() for each in bodies})
        found = {each: await self.stage.agreed(*each) for each in wanted}
        for who, bodies in AGREED.items():
            self.receivers[who].schemas = [found[each] for each in bodies]

    async def _install(self) -> None:
        stage, screen = self.stage, self.screen
        screen.step("creating upstream's topics, then hookstream's own")
        await asyncio.to_thread(self.log.create, self.accounting.event_topics(), 3)
        await stage.hookstream("dev", "keys", str(stage.folder / "keys.json"))
        await stage.hookstream("topics", "apply", "--yes")
        screen.step("publishing the schemas of six event types")
        await stage.hookstream("schemas", "apply", str(stage.first_schemas()), "--yes")
        screen.step("publishing the mapping of a carrier's records, whose schema is its own")
        await stage.hookstream("schemas", "apply", str(stage.foreign), "--yes")
        screen.step("applying six partners and their subscriptions, until all are active")
        definitions = stage.declare(self.receivers)
        await stage.hookstream("apply", str(definitions), "--yes")

    async def _first_half(self) -> AtTheKill:
        half = list(events(SEED, EVENTS))[: EVENTS // 2]
        self.screen.step("publishing events; the CRM refuses them, the print shop is down")
        await self._publish(half)
        await self._ship(half)
        await self._publish_garbage()
        self.screen.step("killing the worker with SIGKILL")
        await self.stage.kill_worker()
        self.screen.worker = "killed"
        killed = await asyncio.to_thread(self.accounting.at_the_kill)
        await self._publish(list(events(SEED, EVENTS))[EVENTS // 2 : EVENTS // 2 + 40])
        self.screen.step("starting another worker, which takes over")
        await self.stage.start_worker()
        self.screen.worker = f"pid {self.stage.worker.pid}" if self.stage.worker else "-"
        return killed

    async def _second_half(self) -> None:
        self.screen.step(f"publishing version {MOVE[1]} of {MOVE[0]}, to which upstream moves")
        await self.stage.hookstream("schemas", "apply", str(ROOT / "schemas"), "--yes")
        rest = [*map(_moved, list(events(SEED, EVENTS))[EVENTS // 2 + 40 :])]
        await self._publish(rest[:100])
        await self._ship(rest[:100])
        self.screen.step("waiting while deliveries to the CRM are given up")
        await asyncio.sleep(5)
        self.mended = True
        self.screen.step("both endpoints are repaired; publishing the rest")
        await self._publish(rest[100:-IN_THE_PAUSE])
        await asyncio.sleep(1)
        self.screen.step("the CRM redrives its dead letters through the API")
        redrive = ("dlq", "redrive", "--subscription", REDRIVING, "--yes")
        await self.stage.as_partner(REDRIVING, *redrive)
        await self._rest(rest[-IN_THE_PAUSE:])

    async def _rest(self, happenings: list[Happening]) -> None:
        """Pause a partner while events are published, and resume it."""
        self.screen.step(f"pausing {RESTED}, and publishing {len(happenings)} events")
        await self.stage.as_partner(RESTED, "subscriptions", "pause", self.name_by_api)
        before = len(self.sent)
        await self._publish(happenings)
        self.screen.step(f"resuming {RESTED}: the events published in its pause are replayed")
        resume = ("subscriptions", "resume", self.name_by_api, "--yes")
        await self.stage.as_partner(RESTED, *resume)
        wants = WANTED[RESTED]
        missed = next(e for e in self.sent[before:] if wants(e.event_type, e.data))
        self.screen.step("asking what happened to one of them")
        self.explained = await self.stage.hookstream("explain", missed.event_id, self.name_by_api)

    async def _publish(self, happenings: list[Happening]) -> None:
        async with EventProducer(
            self.stage.servers,
            schemas_topic=f"{self.stage.prefix}.schemas",
            topic_prefix=f"{self.stage.prefix}.events.",
            trace_ratio=1.0,
            start_span=self.tracer.produce,
        ) as producer:
            for happening in happenings:
                published = await producer.send(
                    happening.event_type,
                    happening.data,
                    entity_id=happening.entity_id,
                    environment=happening.environment,
                    version=happening.version,
                )
                trace_id = published.traceparent.split("-")[1]
                self.sent.append(
                    Sent(
                        happening.event_type,
                        published.event_id,
                        happening.data,
                        trace_id,
                        happening.version,
                    )
                )
                self.screen.sent = len(self.sent)
                await asyncio.sleep(1 / RATE)

    async def _ship(self, happenings: list[Happening]) -> None:
        """Let the carrier ship the orders among events: its service uses Confluent's serializer."""
        orders = [each.entity_id for each in happenings if each.event_type == MOVE[0]]
        topic = f"{self.stage.prefix}.events.{parcels.TOPIC}"

        def ship() -> list[dict[str, object]]:
            carrier = parcels.Carrier(self.stage.servers, topic, self.registry.url)
            return list(carrier.ship(orders))

        for parcel in await asyncio.to_thread(ship):
            name = str(parcel["trackingId"])
            self.sent.append(Sent(parcels.EVENT_TYPE, name, parcel, "", 1))
        self.screen.sent = len(self.sent)

    async def _publish_garbage(self) -> None:
        """Let some other program write into an event topic."""
        producer = Producer({"bootstrap.servers": self.stage.servers, "log_level": 0})
        producer.produce(f"{self.stage.prefix}.events.pricing.completed", b"not an event at all")
        await asyncio.to_thread(producer.flush, 10)

    async def _settle(self, killed: AtTheKill) -> Account:
        """Wait until everything is accounted for, or patience ends."""
        self.screen.step("waiting for the last deliveries")
        account = Account()
        waited = 0.0
        while waited < PATIENCE:
            account = await asyncio.to_thread(self.accounting.account_for, self.sent, killed)
            if not account.missing and not account.dead & {
                key for key in account.expected if key[0] == "crm"
            }:
                break
            await asyncio.sleep(1)
            waited += 1
        return account

    def _show(self, account: Account) -> None:
        console = self.console
        console.print(self.screen)
        forged = sum(receiver.book.forged for receiver in self.receivers.values())
        show_account(console, len(self.sent), account, forged)
        show_bodies(console, account, self.receivers, MOVE[1])
        redriven = {
            entry.event_id
            for entry in self.receivers["crm"].book.entries
            if entry.trigger == "redrive"
        }
        traced = next((sent for sent in self.sent if sent.event_id in redriven), None)
        if traced is not None:
            console.print("\nOne trace, from the producer to the redrive:")
            show_trace(console, traced.trace_id, self.stage.read_spans())
        if self.explained:
            console.print(f"\nOne event of the pause, as `hookstream explain` has it ({RESTED}):")
            console.print(Text(self.explained.rstrip()), soft_wrap=True)
        if account.dead_letters:
            console.print("\nOne dead letter, as any Kafka tool shows it:")
            show_dead_letter(console, account.dead_letters[0])
        for title, keys in (
            ("missing", account.missing),
            ("unexpected", account.unexpected),
            ("duplicate without a crash", account.unexcused),
            ("not in the form that was asked for", account.misshapen),
        ):
            for key in sorted(keys):
                console.print(f"{title}: {' '.join(key)}")
        for problem in account.not_valid:
            console.print(f"not valid: {problem}")
        good = "Every delivery is accounted for." if account.clean else "NOT accounted for."
        console.print(
            f"\n{good}  The files of the run are in {self.stage.folder}\n"
            f"The console was at {self.stage.api}: `make demo KEEP=1` leaves it running."
        )


def _refusing_one_event() -> Answer:
    """Return answers that refuse `REFUSALS` batches for one event, the last of the first batch of several."""
    refused: Counter[str] = Counter()

    async def answer(batch: dict[str, Any], _: int) -> int:
        ids = [event["id"] for event in batch["events"]]
        if not refused and len(ids) > 1:
            refused[ids[-1]] = 0
        for event_id in refused.keys() & {*ids}:
            refused[event_id] += 1
            return 422 if refused[event_id] <= REFUSALS else 204
        return 204

    return answer


def _moved(happening: Happening) -> Happening:
    """Return an event as upstream writes it after its move."""
    return as_version_2(happening) if happening.event_type == MOVE[0] else happening


@contextlib.contextmanager
def broker(console: Console) -> Iterator[str]:
    """Yield the address of a broker: the one in the environment, else one of our own."""
    given = os.environ.get("HOOKSTREAM_KAFKA__BOOTSTRAP_SERVERS")
    if given:
        yield given
        return
    java = find_java()
    libs = fetch_kafka(Path(ROOT / ".cache" / "kafka"), console.print)
    console.print("Starting Apache Kafka on this machine")
    with BrokerProcess(libs, java) as process:
        yield process.bootstrap_servers


def main() -> int:
    """Run the demo and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave it running until Ctrl-C")
    keep = parser.parse_args().keep
    console = Console()
    code = 1
    with broker(console) as servers:
        try:
            code = 0 if asyncio.run(Demo(console, servers).run(keep=keep)) else 1
        except* CommandFailed as failed:
            for each in failed.exceptions:
                console.print(str(each))
    return code


if __name__ == "__main__":
    sys.exit(main())
