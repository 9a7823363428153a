"""Makes writes outside the tables' writer exactly once, even if several processes are asked to.

Whoever takes a turn fences all others of its name: what it then reads is all that any of them wrote, and
none of them writes any more. So it checks, and writes, and nothing comes between.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hookstream.adapters.kafka.transactions import JobWriter
from hookstream.adapters.system import SystemChance
from hookstream.core.model.record import OutgoingRecord
from hookstream.entry.cluster import reached
from hookstream.errors import Contended, ProducerFenced
from hookstream.settings import Settings

_TRIES = 4
_PAUSE_SECONDS = 0.1
"""The longest pause before the second try, or as long as the first took, if that is more; doubled each time.
Its length is drawn, or two processes would fence each other in step."""
_LONGEST_PAUSE_SECONDS = 10.0


@dataclass(slots=True, frozen=True)
class Turn:
    """One at a time of all processes, for writes that concern the same."""

    name: str
    """What they concern: `partner.acme`, `key.<hash>`."""
    check: Callable[[], None]
    """Reads what was written up to now, and raises if nothing is to be written. May be called several times."""
    has_job: Callable[[str], bool] = lambda _: False
    """Reads what was written up to now, and returns whether there is a job."""


def written_in_turn(
    settings: Settings,
    turn: Turn,
    records: Callable[[], Sequence[OutgoingRecord]],
    job_id: str,
) -> Sequence[int]:
    """Write records in one transaction once it is this process's turn. Blocks.

    Args:
        settings: The cluster.
        turn: The turn.
        records: Returns what is written; called after the turn's check.
        job_id: The job that the records create: where another process came between, it shows whether they
            were written.

    Returns:
        As `JobWriter.write`.

    Raises:
        HookstreamError: What the check or `records` raises; nothing was written.
        Contended: Others took over each time; nothing was written.
        DependencyUnavailable: The brokers did not answer.
    """
    transactional_id = settings.topics_names.job(f"turn.{turn.name}")
    chance, is_unknown, took = SystemChance(), False, 0.0
    for begun in range(_TRIES):
        if begun:
            # Where brokers are slow, a short pause would only fence the others again.
            most = max(_PAUSE_SECONDS, took) * 2 ** (begun - 1)
            time.sleep(min(most, _LONGEST_PAUSE_SECONDS) * chance.fraction())
        began = time.monotonic()
        try:
            with JobWriter(reached(settings), transactional_id) as writer:
                # Whatever was left open ended when the writer was opened: now it shows.
                if is_unknown and turn.has_job(job_id):
                    return ()
                is_unknown = False
                turn.check()
                try:
                    return writer.write(records())
                finally:
                    is_unknown = writer.is_unknown
        except ProducerFenced:
            took = time.monotonic() - began
    if is_unknown and turn.has_job(job_id):
        return ()
    raise Contended(
        f"other processes took over {_TRIES} times during this write: nothing was written. Try again"
    )
