"""A process that reads a log of its own making into an index, until it is killed or done.

`python -m tests.doubles.index_feeder FOLDER EVENTS`: it goes on from the positions in the folder's files, as
the follower does, and prints `done` at the end.
"""

import sys
from pathlib import Path

from tests.doubles.index_log import (
    ATTEMPTS,
    START,
    IndexLog,
    SilentLog,
    entry_for,
    indexed,
    pending,
    waiting_for,
)

from hookstream.adapters.index.folder import Family
from hookstream.adapters.index.writer import IndexWriter
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.model.instant import HOUR

PIECE = 40


def made(events: int) -> IndexLog:
    """Return a log of two hours in which every third delivery is retried an hour later."""
    log = IndexLog()
    retried = []
    for event in range(events):
        at = START + event * HOUR // events
        failed = event % 3 == 0
        entry = entry_for(
            event,
            at=at + 20,
            subscription=f"shop-{event % 5}",
            outcome="failed" if failed else "delivered",
            disposition="retry" if failed else "complete",
            status=503 if failed else 200,
            error=f"answered 503 to {event}" if failed else None,
            origin_at=at,
        )
        log.append(at + 30, entry, event % 2)
        if failed:
            retried.append((event, at))
    for event, origin_at in retried:
        at = origin_at + HOUR
        entry = entry_for(
            event,
            at=at,
            attempt=2,
            trigger="retry",
            subscription=f"shop-{event % 5}",
            origin_at=origin_at,
        )
        log.append(at, waiting_for(entry, due_at=at, attempt=1))
        log.append(at, entry, event % 2)
    return log


def feed(folder: Path, events: int) -> None:
    """Read the log into the folder."""
    log = made(events)
    writer = IndexWriter(folder, most_bytes=1 << 30, log=SilentLog())
    for hour in reversed(log.hours()):
        known = writer.begin(Family.ATTEMPTS, hour)
        left = [each for each in log.of_hour(hour) if each.offset >= known.get(each.where, 0)]
        for start in range(0, len(left), PIECE):
            some = left[start : start + PIECE]
            writer.attempts(
                hour,
                [indexed(each) for each in some if isinstance(each.what, AuditEntry)],
                [pending(each) for each in some if not isinstance(each.what, AuditEntry)],
                {each.where: each.offset + 1 for each in some},
                ATTEMPTS,
            )
        writer.complete(Family.ATTEMPTS, hour)
    for hour in log.hours():
        writer.begin(Family.ATTEMPTS, hour)
    writer.read_up_to({"read_to": START + 3 * HOUR, "beat": START})
    for _ in range(100):
        writer.maintain()
    writer.close()


if __name__ == "__main__":
    feed(Path(sys.argv[1]), int(sys.argv[2]))
    sys.stdout.write("done\n")
