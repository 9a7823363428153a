"""Requests by how long they took: what a histogram of fixed buckets still says."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.statistics.attempts import (
    BOUNDS_MS,
    BUCKETS,
    AttemptCounts,
    CountedAttempts,
    bucket_of,
    quantile,
    total_of,
)

durations = st.lists(st.integers(0, 90_000_000), min_size=1, max_size=60)


def counted(took_us: list[int], failed: int = 0) -> CountedAttempts:
    buckets = [0] * BUCKETS
    for each in took_us:
        buckets[bucket_of(each)] += 1
    return CountedAttempts(0, failed, buckets)


@given(durations, st.sampled_from([0.5, 0.95, 1.0]))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(took: list[int], share: float) -> None:
    true = sorted(took)[math.ceil(len(took) * share) - 1]
    found = quantile(counted(took).buckets, share)
    assert found is not None
    if true > BOUNDS_MS[-1] * 1_000:
        assert found == BOUNDS_MS[-1]
    else:
        assert bucket_of(max(1, round(found * 1_000))) == bucket_of(max(1, true))


@pytest.mark.parametrize(
    ("took_us", "bucket"),
    [(0, 0), (5_000, 0), (5_001, 1), (60_000_000, BUCKETS - 2), (60_000_001, BUCKETS - 1)],
)
def test_a_request_of_exactly_a_bound_is_below_it(took_us: int, bucket: int) -> None:
    assert bucket_of(took_us) == bucket


def test_of_no_requests_there_is_no_quantile() -> None:
    assert quantile([0] * BUCKETS, 0.5) is None
    assert (AttemptCounts().p50, AttemptCounts().p95, AttemptCounts().attempts) == (None, None, 0)


@given(durations, durations)
def test_counts_of_parts_add_up_to_those_of_the_whole(one: list[int], two: list[int]) -> None:
    parts = [AttemptCounts(), AttemptCounts()]
    parts[0].add(counted(one, 1))
    parts[1].add(counted(two, 2))
    whole = AttemptCounts()
    whole.add(counted(one + two, 3))
    assert total_of(parts) == whole
    assert whole.attempts == len(one) + len(two)
