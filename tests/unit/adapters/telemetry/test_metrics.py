"""What the worker counts is what Prometheus reads."""

from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families
from tests.doubles.attempts import an_attempt

from hookstream import __version__
from hookstream.adapters.telemetry.metrics import GAUGES, MAX_VALUES, PrometheusMetrics
from hookstream.adapters.telemetry.subscription_series import OTHER
from hookstream.core.model.attempt import AttemptRecord
from hookstream.core.model.delivery import Trigger
from hookstream.core.model.outcome import (
    Cancel,
    DeadLetter,
    DeadReason,
    Failed,
    FailureKind,
    Outcome,
    RetryAt,
)
from hookstream.pipeline.ports import Metrics


def samples(metrics: PrometheusMetrics) -> dict[str, float]:
    """Every sample of ours, as `name{label="value",...}`."""
    found = {}
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return {name: value for name, value in found.items() if name.startswith("hookstream_")}


def counts(metrics: PrometheusMetrics, *prefixes: str) -> dict[str, float]:
    return {
        name: value for name, value in samples(metrics).items() if name.startswith(tuple(prefixes))
    }


def test_a_delivered_attempt_is_counted_by_type_trigger_and_outcome() -> None:
    metrics = PrometheusMetrics()
    port: Metrics = metrics
    port.attempt(an_attempt())
    assert counts(metrics, "hookstream_attempts", "hookstream_dispositions") == {
        'hookstream_attempts_total{event_type="pricing.completed",kind="",'
        'outcome="delivered",trigger="initial"}': 1,
        'hookstream_dispositions_total{disposition="complete",event_type="pricing.completed",'
        'reason=""}': 1,
    }


def test_a_failed_attempt_shows_how_it_failed_and_what_followed() -> None:
    """Timeouts and refused connections are two different calls at night."""
    metrics = PrometheusMetrics()
    failed = Failed(FailureKind.TIMEOUT, "no response in time")
    metrics.attempt(an_attempt(failed, RetryAt(5), trigger=Trigger.RETRY))
    metrics.attempt(an_attempt(failed, DeadLetter(DeadReason.ATTEMPTS_EXHAUSTED, "9 of 9")))
    of = 'event_type="pricing.completed"'
    assert counts(metrics, "hookstream_attempts", "hookstream_dispositions") == {
        f'hookstream_attempts_total{{{of},kind="timeout",outcome="failed",trigger="retry"}}': 1,
        f'hookstream_attempts_total{{{of},kind="timeout",outcome="failed",trigger="initial"}}': 1,
        f'hookstream_dispositions_total{{disposition="retry",{of},reason=""}}': 1,
        f'hookstream_dispositions_total{{disposition="dead_letter",{of},'
        'reason="attempts_exhausted"}': 1,
    }


def test_a_delivery_that_ends_without_an_attempt_counts_no_attempt() -> None:
    metrics = PrometheusMetrics()
    metrics.attempt(an_attempt(None, Cancel("deleted")))
    assert counts(metrics, "hookstream_attempt") == {}
    assert list(counts(metrics, "hookstream_dispositions").values()) == [1]


def test_durations_fall_into_the_buckets_they_belong_to() -> None:
    metrics = PrometheusMetrics()
    for microseconds in (5_000, 5_001, 70_000_000):
        metrics.attempt(an_attempt(duration_us=microseconds))
    found = samples(metrics)
    name = "hookstream_attempt_duration_seconds_bucket"
    edges = ("0.005", "0.01", "60.0", "+Inf")
    buckets = [found[f'{name}{{le="{edge}",outcome="delivered"}}'] for edge in edges]
    assert buckets == [1, 2, 2, 3]
    assert found['hookstream_attempt_duration_seconds_count{outcome="delivered"}'] == 3
    assert round(found['hookstream_attempt_duration_seconds_sum{outcome="delivered"}']) == 70


def test_latency_is_never_negative() -> None:
    """Broker's and worker's clocks differ by a little; a negative sum would be a reset counter."""
    metrics = PrometheusMetrics()
    metrics.delivered("pricing.completed", -3)
    name = 'hookstream_delivery_latency_seconds_sum{event_type="pricing.completed"}'
    assert samples(metrics)[name] == 0


def test_counters_that_raise_alerts_start_at_zero() -> None:
    """Prometheus sees no increase in a series that begins with its first count."""
    metrics = PrometheusMetrics()
    metrics.records("printprice.x", 1)
    before = counts(metrics, "hookstream_dead_letters", "hookstream_undecodable", "hookstream_g")
    metrics.attempt(an_attempt(None, DeadLetter(DeadReason.GONE, "410")))
    metrics.undecodable("malformed")
    metrics.undecodable("unreadable_state")
    metrics.gap("printprice.x", 40)
    after = counts(metrics, "hookstream_dead_letters", "hookstream_undecodable", "hookstream_g")
    assert set(before.values()) == {0}
    assert after.keys() == before.keys()
    assert {name: count for name, count in after.items() if count} == {
        'hookstream_dead_letters_total{reason="gone"}': 1,
        'hookstream_undecodable_total{reason="malformed"}': 1,
        'hookstream_undecodable_total{reason="unreadable_state"}': 1,
        'hookstream_gaps_total{topic="printprice.x"}': 1,
        'hookstream_gap_records_total{topic="printprice.x"}': 40,
    }


def test_records_deferrals_and_gaps_are_counted() -> None:
    metrics = PrometheusMetrics()
    metrics.records("printprice.x", 2)
    metrics.records("printprice.x", 3)
    metrics.deferral("lane_full")
    metrics.gap("printprice.x", 40)
    assert counts(metrics, "hookstream_r", "hookstream_def", "hookstream_g") == {
        'hookstream_records_total{topic="printprice.x"}': 5,
        'hookstream_deferrals_total{reason="lane_full"}': 1,
        'hookstream_gaps_total{topic="printprice.x"}': 1,
        'hookstream_gap_records_total{topic="printprice.x"}': 40,
    }


def test_gauges_are_read_at_each_scrape() -> None:
    metrics = PrometheusMetrics()
    lag = iter([1.5, 2.5])
    metrics.observe(lambda: {"hookstream_lag_seconds": next(lag)})
    assert [samples(metrics)["hookstream_lag_seconds"] for _ in range(2)] == [1.5, 2.5]


def test_event_types_beyond_the_bound_share_one_series() -> None:
    """A producer that makes up event types must not be able to fill Prometheus."""
    metrics = PrometheusMetrics()
    for number in range(MAX_VALUES + 50):
        metrics.attempt(an_attempt(event_type=f"type.n{number}"))
        metrics.records(f"topic-{number}", 1)
        metrics.unmatched(f"type.n{number}")
    names = ("attempts", "records", "unmatched_events")
    found = counts(metrics, *(f"hookstream_{name}_total" for name in names))
    assert len(found) == len(names) * (MAX_VALUES + 1)
    assert found[f'hookstream_unmatched_events_total{{event_type="{OTHER}"}}'] == 50
    assert found[f'hookstream_records_total{{topic="{OTHER}"}}'] == 50


def test_the_release_what_turns_avro_into_json_and_the_process_have_metrics() -> None:
    text = PrometheusMetrics(avro="native").exposition().decode()
    assert f'hookstream_info{{avro="native",version="{__version__}"}} 1.0' in text
    assert "process_resident_memory_bytes" in text


def test_every_gauge_has_a_help_text() -> None:
    assert all(text.endswith(".") for text in GAUGES.values())


def whose(subscription: str, partner: str = "acme", **more: str) -> str:
    labels = {"partner": partner, "subscription": subscription, **more}
    return "{" + ",".join(f'{name}="{labels[name]}"' for name in sorted(labels)) + "}"


def of_subscription(subscription_id: str, outcome: Outcome | None = None) -> AttemptRecord:
    """A delivered attempt for a subscription; with an outcome, one that was retried."""
    record = an_attempt() if outcome is None else an_attempt(outcome, RetryAt(5))
    return replace(record, delivery=replace(record.delivery, subscription_id=subscription_id))


def test_a_subscription_s_attempts_are_counted_by_outcome_and_name_its_partner() -> None:
    metrics = PrometheusMetrics()
    failed = Failed(FailureKind.TIMEOUT, "no response in time")
    metrics.attempt(of_subscription("crm", failed))
    arrived = replace(of_subscription("crm"), started_at=5_000, duration_us=250_000)
    metrics.attempt(arrived)
    exhausted = DeadLetter(DeadReason.ATTEMPTS_EXHAUSTED, "9 of 9")
    metrics.attempt(replace(of_subscription("mis"), outcome=failed, disposition=exhausted))
    metrics.observe_breakers(lambda: {"mis"})

    of = "hookstream_subscription_"
    assert counts(metrics, of) == {
        f"{of}attempts_total{whose('crm', outcome='failed')}": 1,
        f"{of}attempts_total{whose('crm', outcome='delivered')}": 1,
        f"{of}attempts_total{whose('mis', outcome='failed')}": 1,
        f"{of}delivered_total{whose('crm')}": 1,
        f"{of}delivered_total{whose('mis')}": 0,
        f"{of}dead_letters_total{whose('mis', reason='attempts_exhausted')}": 1,
        f"{of}last_success_timestamp_seconds{whose('crm')}": 5.25,
        f"{of}breaker_open{whose('crm')}": 0,
        f"{of}breaker_open{whose('mis')}": 1,
    }


def test_the_first_subscriptions_keep_their_series_and_the_rest_share_one() -> None:
    metrics = PrometheusMetrics(subscriptions=2)
    for name in ("a", "b", "c", "d", "a", "c"):
        metrics.attempt(of_subscription(name))
    metrics.observe_breakers(lambda: {"b", "c", "never-attempted"})

    assert counts(metrics, "hookstream_subscription_delivered") == {
        f"hookstream_subscription_delivered_total{whose('a')}": 2,
        f"hookstream_subscription_delivered_total{whose('b')}": 1,
        f"hookstream_subscription_delivered_total{whose(OTHER, OTHER)}": 3,
    }
    assert counts(metrics, "hookstream_subscription_breaker") == {
        f"hookstream_subscription_breaker_open{whose('a')}": 0,
        f"hookstream_subscription_breaker_open{whose('b')}": 1,
        f"hookstream_subscription_breaker_open{whose(OTHER, OTHER)}": 2,
    }


def test_series_by_subscription_can_be_left_out() -> None:
    metrics = PrometheusMetrics(subscriptions=0)
    metrics.attempt(an_attempt())
    assert counts(metrics, "hookstream_subscription") == {}


def test_tests_are_no_subscription_s_traffic() -> None:
    metrics = PrometheusMetrics()
    metrics.attempt(an_attempt(trigger=Trigger.TEST))
    assert counts(metrics, "hookstream_subscription") == {}
