"""The row that ends a gap and the job that fills it are written together, by the only writer."""

import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from tests.conftest import Broker
from tests.integration.dead_letters_world import delivery
from tests.integration.definitions_world import (
    KEYS,
    LEAD,
    World,
    declare,
    make_folder,
    make_world,
)

from hookstream.adapters.kafka.lookups import ask_offsets
from hookstream.adapters.kafka.tables.log import read_tables
from hookstream.adapters.kafka.tables.writer import TableChange
from hookstream.adapters.kafka.transactions import JobWriter
from hookstream.adapters.tables.rows import disabled_row
from hookstream.adapters.tables.subscriptions import write_subscription
from hookstream.core.jobs.job import LARGEST_ASKED, Job, jobs_of
from hookstream.core.jobs.lease import held
from hookstream.core.model.delivery_headers import dead_letter_headers
from hookstream.core.model.instant import Millis
from hookstream.core.model.outcome import DeadReason
from hookstream.core.model.record import OutgoingRecord
from hookstream.core.model.subscription import Disabled, SubscriptionState
from hookstream.core.redrive.job import RedriveRequest
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.replay.interval import interval_of_gap
from hookstream.core.replay.request import KIND, read_request
from hookstream.entry.admin import gaps
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.gap_marks import mark_incomplete
from hookstream.entry.admin.gaps import FillOptions
from hookstream.entry.admin.tables import at_revision
from hookstream.entry.admin.writing import attempt_change
from hookstream.errors import Contended, InputRefused
from hookstream.settings import Settings, load

RESUME = partial(gaps.resume, subscription_id="orders", revision=None, options=FillOptions())


@pytest.fixture
def world(
    broker: Broker,
    prefix: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> World:
    made = make_world(broker, prefix, capsys, monkeypatch)
    made.run("apply", str(make_folder(tmp_path)), "--yes")
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
    ended = attempt_change(
        settings_of(world), partial(RESUME, options=FillOptions(rate=5.0))
    ).result
    [gap] = world.subscription("orders").gaps
    [job] = jobs(world)
    assert (gap.filled_by, job.rate, [each.id for each in ended.jobs]) == (job.id, 5.0, [job.id])
    assert gap.end is not None
    assert read_request(job.asked).interval == interval_of_gap(gap.start, gap.end)


def appended_and_ends(world: World) -> tuple[Millis, Millis]:
    """Return when the brokers appended the row of the resumed subscription, and when its gap ends."""
    rows = read_tables(world.client, [world.names.subscriptions])[world.names.subscriptions]
    [gap] = world.subscription("orders").gaps
    assert gap.end is not None
    return rows["orders"].timestamp, gap.end


def test_a_gap_ends_after_its_row_was_appended_however_long_the_change_takes(world: World) -> None:
    """Workers treat what comes between both as in the gap, and its replay as after it: nobody delivers that."""
    begun = []

    def slowly(writer: ChangeWriter) -> None:
        begun.append(writer.session.now)
        RESUME(writer)
        writer.session.wait_until(writer.session.now + LEAD)

    attempt_change(settings_of(world), slowly)
    appended, end = appended_and_ends(world)
    assert end - appended >= LEAD
    assert len(begun) == 2


def test_a_change_that_brokers_append_too_late_is_begun_again_with_more_time(world: World) -> None:
    """Without a lead every row is late at first."""
    leads = []

    def resumed(writer: ChangeWriter) -> None:
        RESUME(writer)
        leads.append(writer.session.takes_effect - writer.session.now)

    attempt_change(replaced_lead(settings_of(world), 0), resumed)
    appended, end = appended_and_ends(world)
    assert end > appended
    assert leads[0] == 0
    assert leads == sorted(set(leads))


def replaced_lead(settings: Settings, lead: Millis) -> Settings:
    return replace(settings, tables=replace(settings.tables, activation_lead=lead))


def test_of_a_command_that_another_writer_fenced_each_time_neither_is_written(
    world: World,
) -> None:
    begun = []

    def overtaken(writer: ChangeWriter) -> None:
        begun.append(writer.state)
        RESUME(writer)
        with world.writer():
            pass

    with pytest.raises(Contended, match="took over the tables 4 times"):
        attempt_change(settings_of(world), overtaken)
    assert len(begun) >= 4
    assert (world.subscription("orders").state, jobs(world)) == (SubscriptionState.PAUSED, [])


def test_of_a_job_that_asks_for_more_than_is_kept_neither_is_written(world: World) -> None:
    large = Job("replay-1", KIND, {"subscription": "o" * LARGEST_ASKED}, 0)
    resumed = replace(world.subscription("orders"), state=SubscriptionState.ACTIVE)

    def resume_with_it(writer: ChangeWriter) -> None:
        writer.write_subscription(resumed, "resumed", 0, jobs=[large])

    with pytest.raises(InputRefused, match="at most"):
        attempt_change(settings_of(world), resume_with_it, KEYS)
    assert (world.subscription("orders").state, jobs(world)) == (SubscriptionState.PAUSED, [])


def test_a_command_that_another_writer_fenced_begins_again_on_what_that_wrote(
    world: World,
) -> None:
    revisions = []

    def overtaken_once(writer: ChangeWriter) -> None:
        found = at_revision(writer.state, "orders", None)
        revisions.append(found.revision)
        RESUME(writer)
        if len(revisions) == 1:
            row = write_subscription(replace(found, revision=found.revision + 1), KEYS)
            with world.writer() as other:
                other.write([TableChange(world.names.subscriptions, "orders", row)])

    attempt_change(settings_of(world), overtaken_once, KEYS)
    # If the other's write took longer than the lead leaves for writing, the act was called again with a longer lead
    # on the same snapshot, before the commit that is fenced (`EqualWriting._attempt`).
    assert list(dict.fromkeys(revisions)) == [revisions[0], revisions[0] + 1]
    after = world.subscription("orders")
    assert (after.state, after.revision) == (SubscriptionState.ACTIVE, revisions[0] + 2)
    assert len(jobs(world)) == 1


def test_a_command_waits_on_for_what_it_wrote_though_another_writer_took_over(
    world: World,
) -> None:
    session = attempt_change(settings_of(world), RESUME).writer.session
    with world.writer() as other:
        session.wait_until(session.takes_effect)
        assert other.broker_now() > session.takes_effect
    assert len(jobs(world)) == 1


def test_a_mark_of_lost_records_is_written_once(world: World) -> None:
    settings = settings_of(world)
    [job] = attempt_change(settings, RESUME).result.jobs
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


def test_with_producers_times_every_command_that_fills_a_gap_says_that_the_split_is_not_exact(
    world: World, tmp_path: Path
) -> None:
    accepts = ("--set", "events.accept_create_time=true")
    disable(world)
    asked = [
        ("subscriptions", "enable", "orders", "--no-redrive", "--yes", "--no-wait"),
        ("subscriptions", "resume", "orders", "--yes", "--no-wait"),
    ]
    said = [world.run(*accepts, *command) for command in asked]
    declare(tmp_path, "late")
    file = tmp_path / "subscriptions" / "late.yaml"
    file.write_text(file.read_text().removesuffix("}") + ", start_from: earliest}")
    said.append(world.run(*accepts, "apply", str(tmp_path), "--yes", "--no-wait"))
    assert [each.code for each in said] == [0, 0, 0], [each.err for each in said]
    assert ["is not exact" in each.out + each.err for each in said] == [True] * 3
    file.write_text(file.read_text().replace("id: late", "id: exact"))
    exact = world.run("apply", str(tmp_path), "--yes", "--no-wait")
    assert "is not exact" not in exact.out + exact.err


def disable(world: World) -> None:
    row = disabled_row(Disabled("orders", time.time_ns() // 1_000_000 - 1_000, "gone", "410"))
    with world.writer() as writer:
        writer.write([TableChange(world.names.health, *row)])


def give_up(world: World) -> None:
    """Have the endpoint of a subscription disabled, and a delivery of it given up for that."""
    now = time.time_ns() // 1_000_000
    disable(world)
    admin = AdminClient(dict(world.client))
    config = {"message.timestamp.type": "LogAppendTime"}
    topic = world.names.dead_letters
    admin.create_topics([NewTopic(topic, 1, 1, config=config)])[topic].result(30)
    ask_offsets(admin, [(topic, 0)], "latest", 30, "the end of a new topic")
    dead = delivery(0, "orders")
    headers = dead_letter_headers(dead, (), DeadReason.DISABLED, "gone", written_at=now)
    producer = Producer(dict(world.client))
    producer.produce(topic, b"-", b"orders", headers=list(headers))
    assert producer.flush(10) == 0


def test_enabling_beside_a_redrive_enables_and_says_that_what_was_given_up_stays_open(
    world: World,
) -> None:
    give_up(world)
    now = time.time_ns() // 1_000_000
    request = RedriveRequest(RedriveSource.DEAD_LETTERS, {}, {0: 1})
    other = held(request.job("redrive-1", now, 1), "somebody", now)
    with JobWriter(dict(world.client), world.names.job(other.id)) as writer:
        writer.write([OutgoingRecord(world.names.jobs, other.id.encode(), other.encode())])
    ended = world.run("subscriptions", "enable", "orders", "--redrive", "--no-replay")
    said = "Its dead letters stay open: redrive-1 is already redriving"
    assert (ended.code, said in ended.err) == (1, True)
    assert world.state().current.disabled == {}
    assert [job.id for job in jobs(world)] == ["redrive-1"]
