"""The kinds of jobs that executors know."""

from collections.abc import Mapping

from hookstream.entry.admin.purges import purge_kind
from hookstream.entry.admin.redrives import redrive_kind
from hookstream.entry.admin.replays import replay_kind
from hookstream.pipeline.job_kind import JobKind
from hookstream.settings import Settings


def job_kinds(settings: Settings) -> Mapping[str, JobKind]:
    """Return every kind of job by its name. A new kind is added here, and every executor runs it."""
    kinds: tuple[JobKind, ...] = (
        redrive_kind(settings),
        purge_kind(settings),
        replay_kind(settings),
    )
    return {kind.name: kind for kind in kinds}
