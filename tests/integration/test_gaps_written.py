"""The row that ends a gap and the job that fills it are written together, by the only writer."""

from pathlib import Path

import pytest
from tests.conftest import Broker
from tests.integration.definitions_world import LEAD, World, make_folder, make_world

from hookstream.adapters.kafka.tables.log import read_tables
from hookstream.core.jobs.job import Job, jobs_of
from hookstream.core.model.subscription import SubscriptionState
from hookstream.core.replay.interval import interval_of_gap
from hookstream.core.replay.request import read_request
from hookstream.entry.admin import gaps
from hookstream.entry.admin.changes import changing
from hookstream.entry.admin.gap_marks import mark_incomplete
from hookstream.entry.admin.gaps import FillOptions
from hookstream.errors import ProducerFenced
from hookstream.settings import Settings, load


@pytest.fixture
def world(
    broker: Broker,
    prefix: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> World:
    made = make_world(broker, prefix, capsys, monkeypatch)
    made.run("apply", str(make_folder(tmp_path)), "--yes", "--no-wait")
    assert made.run("subscriptions", "pause", "orders").code == 0
    return made


def settings_of(world: World) -> Settings:
    return load(
        None,
        {},
        {
            "kafka.bootstrap_servers": world.client["bootstrap.servers"],
            "topics.prefix": world.names.prefix,
            "tables.activation_lead": f"{LEAD}ms",
        },
    )


def jobs(world: World) -> list[Job]:
    rows = read_tables(world.client, [world.names.jobs])[world.names.jobs]
    found, _ = jobs_of({key: row.value for key, row in rows.items() if row.value is not None})
    return found


def test_a_row_and_its_job_are_written_together(world: World) -> None:
    with changing(settings_of(world)) as writer:
        ended = gaps.resume(writer, "orders", None, FillOptions(rate=5.0))
    [gap] = world.subscription("orders").gaps
    [job] = jobs(world)
    assert (gap.filled_by, job.rate, [each.id for each in ended.jobs]) == (job.id, 5.0, [job.id])
    assert gap.end is not None
    assert read_request(job.asked).interval == interval_of_gap(gap.start, gap.end)


def test_of_a_command_that_another_writer_fenced_neither_is_written(world: World) -> None:
    with changing(settings_of(world)) as writer, world.writer(), pytest.raises(ProducerFenced):
        gaps.resume(writer, "orders", None, FillOptions())
    assert (world.subscription("orders").state, jobs(world)) == (SubscriptionState.PAUSED, [])


def test_a_command_waits_on_for_what_it_wrote_though_another_writer_took_over(
    world: World,
) -> None:
    with changing(settings_of(world)) as writer:
        gaps.resume(writer, "orders", None, FillOptions())
        takes_effect = writer.session.takes_effect
        with world.writer() as other:
            writer.session.wait_until(takes_effect)
            assert other.broker_now() > takes_effect
    assert len(jobs(world)) == 1


def test_a_mark_of_lost_records_is_written_once(world: World) -> None:
    settings = settings_of(world)
    with changing(settings) as writer:
        [job] = gaps.resume(writer, "orders", None, FillOptions()).jobs
    before = world.subscription("orders")
    for _ in range(2):
        mark_incomplete(settings, "orders", job.id)
    marked = world.subscription("orders")
    assert ([gap.incomplete for gap in marked.gaps], marked.revision) == (
        [True],
        before.revision + 1,
    )
    mark_incomplete(settings, "no such subscription", job.id)
    assert "which may have lost some" in world.run("subscriptions", "show", "orders").out
    # Files have nothing of it, and change nothing of it.
    assert marked.gaps == world.subscription("orders").gaps
