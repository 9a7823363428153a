"""A worker whose machine shows the wrong time harms no delivery: it waits, or goes by the brokers' time."""

import asyncio
from dataclasses import replace

import pytest
from tests.doubles.endpoint import Switch, status
from tests.doubles.stamped_sink import StampedSink, WrongMachine
from tests.scenarios.world import Worker, World

from hookstream.core.model.instant import DAY, HOUR, MINUTE, SECOND, Millis
from hookstream.core.model.record import OutgoingRecord
from hookstream.pipeline.broker_clock import BrokerClock
from hookstream.pipeline.engine import Ports
from hookstream.pipeline.ports import Acknowledged, RecordSink


async def started(world: World, machine: WrongMachine, *, stamped: bool = True) -> Worker:
    """Start a worker on a machine; acknowledgements have the brokers' time unless the topics keep CreateTime."""

    def altered(outside: Ports) -> Ports:
        outside = kept(outside)
        clock = BrokerClock(machine, outside.logger)
        sink = StampedSink(outside.sink, world.clock, clock, stamped=stamped)
        return replace(outside, clock=clock, agreement=clock, sink=sink)

    kept, world.altered = world.altered, altered
    worker = await world.worker()
    world.altered = kept
    return worker


FAR_OFF = [-100 * DAY, -40 * DAY, -HOUR, -MINUTE, MINUTE, HOUR, 40 * DAY, 100 * DAY]


@pytest.mark.parametrize("ahead", FAR_OFF)
async def test_a_clock_that_is_wrong_from_the_start_sends_and_expires_nothing(
    ahead: Millis,
) -> None:
    """Fifty retries wait in a tier; the wrong worker must have no visible effect."""
    async with World() as world:
        world.subscribe("crm", schedule=(5 * MINUTE, 5 * MINUTE))
        endpoint = Switch(status(500))
        world.endpoints.script("crm", endpoint)
        good = await world.worker()
        world.publish(*(f"e{n}" for n in range(50)))
        await asyncio.sleep(10)
        await good.kill()
        endpoint.behaviour = status(204)
        made, written = len(world.endpoints.requests), len(world.tier_writes())
        audited = world.broker.records(world.topics.attempts)

        machine = WrongMachine(world.clock, ahead)
        await started(world, machine)
        await asyncio.sleep(900)

        assert len(world.endpoints.requests) == made
        assert world.dead() == []
        assert len(world.tier_writes()) == written
        assert world.broker.records(world.topics.attempts) == audited
        assert "clock.wrong" in world.logger.events("error")

        machine.ahead = 0
        await world.until(world.settled)
        assert set(world.accepted("crm").values()) == {1}
        assert len(world.accepted("crm")) == 50
        assert world.dead() == []


@pytest.mark.parametrize("ahead", [-25 * SECOND, -5 * SECOND, 5 * SECOND, 25 * SECOND])
async def test_within_the_bound_times_are_the_brokers(ahead: Millis) -> None:
    """No retry is early, and the signed time is right, though the machine is off."""
    async with World() as world:
        world.subscribe("crm", schedule=(30 * SECOND,))
        world.endpoints.script("crm", status(500), status(204))
        await started(world, WrongMachine(world.clock, ahead))
        world.publish("e1")
        await world.until(world.settled)

        first, second = world.endpoints.requests
        assert 30 <= second.at - first.at < 35
        for request in (first, second):
            signed = int(request.header("webhook-timestamp") or 0)
            ago = asyncio.get_running_loop().time() - request.at
            assert abs(signed - (world.clock.now() / 1000 - ago)) <= 1


@pytest.mark.parametrize("step", [-40 * DAY, -HOUR, -10 * SECOND, 10 * SECOND, HOUR, 40 * DAY])
async def test_a_clock_step_while_it_runs_makes_no_retry_early_and_expires_nothing(
    step: Millis,
) -> None:
    async with World() as world:
        world.subscribe("crm", schedule=(5 * MINUTE,))
        world.endpoints.script("crm", status(500), status(204))
        machine = WrongMachine(world.clock, 0)
        await started(world, machine)
        world.publish("e1")
        await world.until(lambda: len(world.tier_writes()) == 1)
        machine.ahead = step
        await asyncio.sleep(200)
        assert len(world.endpoints.requests) == 1
        machine.ahead = 0
        await world.until(world.settled)

        first, second = world.endpoints.requests
        assert 300 <= second.at - first.at < 340
        assert world.dead() == []


async def test_two_workers_whose_machines_disagree_make_no_retry_early() -> None:
    """The one that writes the due time is 25 s behind, the one that reads it 25 s ahead."""
    async with World() as world:
        world.subscribe("crm", schedule=(30 * SECOND,))
        world.endpoints.script("crm", *[status(500)] * 10, status(204))
        behind = await started(world, WrongMachine(world.clock, -25 * SECOND))
        world.publish(*(f"e{n}" for n in range(10)))
        await world.until(lambda: len(world.tier_writes()) == 10)
        await asyncio.sleep(2)
        assert await behind.terminate()
        await started(world, WrongMachine(world.clock, 25 * SECOND))
        await world.until(world.settled)

        assert world.endpoints.requests[10].at - world.endpoints.requests[0].at >= 30
        assert set(world.accepted("crm").values()) == {1}


async def test_without_a_brokers_time_the_worker_waits_and_then_uses_its_own_clock() -> None:
    async with World() as world:
        world.subscribe("crm")
        await started(world, WrongMachine(world.clock, 0), stamped=False)
        world.publish("e1")
        await asyncio.sleep(20)
        assert world.endpoints.requests == []

        await world.until(world.settled, within=60)

        assert world.accepted("crm") == {"e1": 1}
        assert "clock.unknown" in world.logger.events("error")


async def test_a_failed_request_for_the_brokers_time_is_repeated() -> None:
    """It counted as waiting for its answer: nothing was ever matched or sent."""
    async with World() as world:
        world.subscribe("crm")
        fails = FailingOnce(world)
        world.altered = lambda outside: replace(outside, sink=fails.before(outside.sink))
        await started(world, WrongMachine(world.clock, 0))
        world.publish("e1")
        await world.until(world.settled, within=20)

        assert fails.failed
        assert world.accepted("crm") == {"e1": 1}


class FailingOnce:
    """A RecordSink whose first write to the health table raises."""

    def __init__(self, world: World) -> None:
        self.failed = False
        self._topic = world.topics.health
        self._sink: RecordSink | None = None

    def before(self, sink: RecordSink) -> "FailingOnce":
        self._sink = sink
        return self

    def write(self, record: OutgoingRecord, acknowledged: Acknowledged) -> None:
        if record.topic == self._topic and not self.failed:
            self.failed = True
            raise BufferError("the queue is full")
        assert self._sink is not None
        self._sink.write(record, acknowledged)
