"""Executors take over from each other on a real broker, and each dead letter is redriven once."""

import signal
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import Producer
from tests.conftest import Broker
from tests.e2e.forked_stage import BlockingProcess
from tests.executor_processes import executors, row_of, until
from tests.integration.dead_letters_world import NOW, World, delivery, make_world

from hookstream.adapters.kafka.tables.log import read_tables
from hookstream.core.jobs.job import Job, JobState
from hookstream.core.jobs.lease import handed_back, held
from hookstream.core.model.delivery_headers import dead_letter_headers
from hookstream.core.model.outcome import DeadReason
from hookstream.core.redrive.job import RedriveRequest
from hookstream.core.redrive.ledger import read_ledger
from hookstream.core.redrive.marks import Position, RedriveSource

pytestmark = pytest.mark.timeout(400)

LETTERS = 3_000
RATE = 100.0
RUNS_NOTHING = "hookstream_jobs_running 0.0"


@pytest.fixture
def world(broker: Broker, prefix: str, capsys: pytest.CaptureFixture[str]) -> World:
    return make_world(broker, prefix, capsys)


def die(world: World, count: int) -> None:
    """Put dead letters into the log, as workers do."""
    producer = Producer(world.client)
    event = world.event()
    for number in range(count):
        dead = delivery(number)
        headers = dead_letter_headers(
            dead, (), DeadReason.ATTEMPTS_EXHAUSTED, "exhausted!", written_at=NOW
        )
        producer.produce(
            world.names.dead_letters, event, b"crm-orders", number % 2, headers=list(headers)
        )
        producer.poll(0)
    assert producer.flush(60) == 0


def asked(count: int, rate: float | None) -> Job:
    """A redrive of all dead letters, which nobody works on yet."""
    now = round(time.time() * 1000)
    request = RedriveRequest(RedriveSource.DEAD_LETTERS, {}, {0: (count + 1) // 2, 1: count // 2})
    return handed_back(request.job("redrive-1", now, count, rate), now)


def redriven(world: World) -> Counter[bytes | None]:
    """How often each delivery is in `retry.0s`, as consumers that read what is committed see it."""
    return Counter(record.key for record in world.door())


def test_each_dead_letter_is_redriven_once_though_holders_are_killed_and_frozen(
    world: World, tmp_path: Path
) -> None:
    die(world, LETTERS)
    world.write(world.names.jobs, ("redrive-1", asked(LETTERS, RATE).encode()))
    with executors(world, tmp_path, 3) as running:
        running.kill_holder("redrive-1")
        frozen = running.freeze_holder("redrive-1")
        running.kill_holder("redrive-1")
        again = running.freeze_holder("redrive-1")
        running.until_done("redrive-1")
        until(lambda: frozen.lines("job.lost") + again.lines("job.lost") >= 1, "nothing was lost")
        # The row says that it is done a moment before its holder goes on to nothing.
        until(lambda: RUNS_NOTHING in running.alive[0].metrics(), "it still runs")
        shown = running.alive[0].metrics()
        codes = [each.end() for each in running.alive]
    job = row_of(world, "redrive-1")
    door = redriven(world)
    rows = read_tables(world.client, [world.names.jobs])[world.names.jobs]
    ledger, problems = read_ledger({key: row.value or b"" for key, row in rows.items()}, {})
    assert (set(door.values()), len(door)) == ({1}, LETTERS)
    assert (job.done, job.rate, problems, codes) == (LETTERS, RATE, [], [0, 0, 0])
    assert all(not ledger.is_open(RedriveSource.DEAD_LETTERS, place) for place in _places(LETTERS))
    assert "hookstream_info" not in shown


def _places(count: int) -> list[Position]:
    return [Position(number % 2, number // 2) for number in range(count)]


def test_an_interrupted_command_hands_its_job_back_and_jobs_run_goes_on_at_its_rate(
    world: World, tmp_path: Path
) -> None:
    die(world, 60)
    said = tmp_path / "said"
    with said.open("wb") as log:
        command = (*world.options, "dlq", "redrive", "--yes", "--rate", "6")
        process = BlockingProcess(command, log)
    try:
        until(lambda: bool(_jobs(world)) and _jobs(world)[0].done > 0, "it does not begin")
        process.send_signal(signal.SIGINT)
        code = process.wait(60)
    finally:
        process.kill()
        process.wait(30)
    (left,) = _jobs(world)
    assert (code, left.state, left.holder, left.rate) == (1, JobState.RUNNING, "", 6.0)
    assert f"hookstream jobs resume {left.id}" in said.read_text()
    with executors(world, tmp_path, 1) as running:
        began = time.monotonic()
        running.until_done(left.id)
        took = time.monotonic() - began
        assert running.alive[0].end() == 0
    assert (set(redriven(world).values()), len(redriven(world))) == ({1}, 60)
    assert took > (60 - left.done) / 6 - 2


def _jobs(world: World) -> list[Job]:
    rows = read_tables(world.client, [world.names.jobs])[world.names.jobs]
    return [row_of(world, key) for key in rows if "/" not in key]


def test_a_cancel_takes_effect_while_an_executor_works(world: World, tmp_path: Path) -> None:
    die(world, 200)
    world.write(world.names.jobs, ("redrive-1", asked(200, 5.0).encode()))
    with executors(world, tmp_path, 1) as running:
        running.until_progress("redrive-1")
        ended = world.run("jobs", "cancel", "redrive-1")
        count = len(redriven(world))
        # It is fenced before the row says why: it may look at the row before that.
        executor = running.alive[0]
        until(lambda: executor.lines("job.ended") + executor.lines("job.lost") == 1, "it goes on")
        assert executor.end() == 0
    job = row_of(world, "redrive-1")
    assert (ended.code, job.state, job.done, len(redriven(world))) == (
        0,
        JobState.CANCELLED,
        count,
        count,
    )
    assert "cancelled by" in job.reason
    assert world.run("jobs", "resume", "redrive-1").code == 1


def test_a_stalled_job_is_listed_with_exit_code_one_and_resumed(world: World) -> None:
    die(world, 4)
    dead = held(asked(4, None), "gone:1:ab", NOW)
    world.write(world.names.jobs, ("redrive-1", dead.encode()))
    listed = world.run("jobs", "list")
    shown = world.run("jobs", "show", "redrive-1", "--json").json
    assert (listed.code, "stalled" in listed.out, shown["stalled"]) == (1, True, True)
    assert "hookstream jobs resume redrive-1" in listed.err
    resumed = world.run("jobs", "resume", "redrive-1", "--json")
    assert (resumed.code, resumed.json["state"], len(redriven(world))) == (0, "done", 4)
    assert world.run("jobs", "list").code == 0
    again = world.run("jobs", "show", "nothing")
    assert (again.code, "there is no job nothing" in again.err) == (2, True)


def test_executors_go_on_with_a_job_that_an_operator_leaves_to_them_and_with_no_other(
    world: World, tmp_path: Path
) -> None:
    """A release before leases wrote one row, and the other job has failed."""
    die(world, 4)
    before_leases = replace(asked(4, None), held_until=None)
    request = RedriveRequest(RedriveSource.UNDECODABLE, {}, {})
    failed = request.job("failed", NOW, 0).ended(JobState.FAILED, "a mark was unreadable")
    rows = ("redrive-1", before_leases.encode()), ("failed", failed.encode())
    world.write(world.names.jobs, *rows)
    with executors(world, tmp_path, 1) as running:
        until(lambda: running.alive[0].lines("jobs.starting") == 1, "it does not start")
        freed = world.run("jobs", "resume", "failed", "--detach")
        running.until_done("failed")
        assert running.alive[0].end() == 0
    assert (freed.code, row_of(world, "redrive-1"), redriven(world)) == (0, before_leases, {})
