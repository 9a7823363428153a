"""Creates jobs that any executor takes over, with other rows in one transaction."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from hookstream.adapters.kafka.jobs import TIME_KEY
from hookstream.adapters.kafka.record_writer import RecordWriter
from hookstream.core.jobs.job import LARGEST_ASKED, Job
from hookstream.core.jobs.lease import handed_back
from hookstream.core.model.record import OutgoingRecord
from hookstream.entry.admin.actor import who
from hookstream.entry.admin.turns import Turn, written_in_turn
from hookstream.entry.cluster import reached
from hookstream.errors import InputRefused
from hookstream.settings import Settings


def offer_job(
    settings: Settings,
    job: Job,
    also: Callable[[Job], Sequence[OutgoingRecord]],
    turn: Turn | None = None,
) -> Job:
    """Create a job without a holder; return it as written. Blocks.

    Args:
        settings: The cluster's.
        job: A new job, whose id no other has.
        also: Returns records that commit with it.
        turn: It is written in this turn; None: nobody else writes it.

    Raises:
        InputRefused: What is asked for takes too much, or what the turn's check raises.
        ConfigurationError: A topic may not be written, or the jobs topic is not stamped by the brokers.
        DependencyUnavailable: The brokers did not answer.
    """
    size = len(job.encode())
    if size > LARGEST_ASKED:
        raise InputRefused(
            f"the request takes {size:,} bytes, and at most {LARGEST_ASKED:,} are stored: split the"
            " conditions over several jobs"
        )
    client, names = reached(settings), settings.topics_names
    with RecordWriter(client) as clock:
        now = clock.broker_time(names.jobs, TIME_KEY)
    offered = replace(handed_back(job, now), asked_by=who())
    row = OutgoingRecord(names.jobs, job.id.encode(), offered.encode())
    turn = turn or Turn(job.id, lambda: None)
    if written_in_turn(settings, turn, lambda: [row, *also(offered)], job.id):
        raise InputRefused("the jobs topic does not take a row as large as this job's")
    return offered
