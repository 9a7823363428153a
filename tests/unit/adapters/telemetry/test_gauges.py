"""An executor shows gauges, and is never taken for a worker."""

from hookstream import __version__
from hookstream.adapters.telemetry.gauges import GaugeMetrics


def test_an_executor_shows_its_gauges_and_its_release_and_no_series_of_a_worker() -> None:
    """The alert that no worker answers relies on `hookstream_info`."""
    shown = GaugeMetrics(lambda: {"hookstream_jobs_stalled": 2.0}).exposition().decode()
    assert "\nhookstream_jobs_stalled 2.0\n" in shown
    assert f'hookstream_executor_info{{avro="python",version="{__version__}"}} 1.0' in shown
    assert "hookstream_info" not in shown
    assert "hookstream_attempts" not in shown
