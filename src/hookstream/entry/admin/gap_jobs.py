"""Makes the jobs of replays that fill gaps; they are written with the rows that name them."""

from dataclasses import replace

from hookstream.core.jobs.job import Job
from hookstream.core.model.instant import Millis
from hookstream.core.planning.gap_fills import GapFill
from hookstream.core.replay.interval import interval_of_gap
from hookstream.core.replay.request import KIND, ReplayRequest


def job_of(subscription_id: str, filling: GapFill, now: Millis, rate: float | None = None) -> Job:
    """Return the job of a replay that fills a part of a gap, free for any executor.

    Args:
        subscription_id: The subscription.
        filling: The part, and the job's id.
        now: The present, by the brokers' clock.
        rate: The most events per second; None: as fast as they are delivered.
    """
    request = filling_request(subscription_id, filling.start, filling.end)
    job = Job(filling.job, KIND, request.document(), now, rate=rate)
    return replace(job, held_until=now)


def filling_request(subscription_id: str, start: Millis, end: Millis) -> ReplayRequest:
    """Return the request of a replay that fills a part of a gap: `start` < record time <= `end`."""
    return ReplayRequest(subscription_id, interval_of_gap(start, end), fills_gap=True)
