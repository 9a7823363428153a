"""The figures of a run as text."""

from typing import Any


def show_storm(figures: dict[str, Any]) -> None:
    """Print what a storm came to."""
    lines = [
        ("events in the log", figures["events"]),
        ("deliveries expected", figures["expected"]),
        ("received", figures["received"]),
        ("lost", len(figures["lost"])),
        ("dead-lettered instead, all in the topic", figures["dead_expected"]),
        ("open dead letters, by reason", figures["dead_letters"]),
        ("not owed: appended after a 410", figures["after_disabling"]),
        ("ids that belong to no delivery", len(figures["unexpected"])),
        ("duplicates", figures["duplicates"]),
        ("- unsettled at a crash", figures["explained_by_crashes"]),
        ("- unsettled when their partition moved", figures["explained_by_moves"]),
        ("- of an attempt whose answer did not arrive", figures["explained_by_silence"]),
        ("- not explained", len(figures["unexplained"])),
        ("deliveries unsettled at the crashes", sum(figures["unsettled"].values())),
        (
            "partitions moved, deliveries unsettled then",
            _slashed(figures, "moves", "unsettled_at_moves"),
        ),
        ("requests, verified, forged", _slashed(figures, "requests", "verified", "forged")),
        ("ids that do not follow from the body", figures["strange_ids"]),
        ("records written to tiers", figures["tier_records"]),
        ("deliveries a second", figures["per_second"]),
        ("workers' exit codes at the end", list(figures["exit_codes"].values())),
        ("workers that ended by themselves", len(figures["ended_by_themselves"])),
    ]
    for name, value in lines:
        print(f"{name:42} {value}")
    for name, peaks in figures["worker_peak_mib"].items():
        print(f"{f'peak memory of {name}, MiB':42} {max(peaks)} ({len(peaks)} processes)")
    for place, idle in figures["longest_silence"].items():
        print(f"{place}: idle for {idle['seconds']} s at most")
    print(f"\n{'fault':20} {'of':24} {'ready after':>12} {'delivering after':>17}")
    for fault in figures["faults"]:
        again = fault["delivering_after"]
        print(
            f"{fault['kind']:20} {fault['whom']:24} {fault['ready_after']:>10} s"
            f" {'-' if again is None else again:>15} s"
        )
    for title in ("lost", "unexpected", "unexplained", "ended_by_themselves"):
        for each in figures[title][:20]:
            print(f"{title}: {each}")
    print("\nNothing is lost." if figures["clean"] else "\nNOT clean.")


def _slashed(figures: dict[str, Any], *names: str) -> str:
    return " / ".join(str(figures[name]) for name in names)


def show_isolation(figures: dict[str, Any]) -> None:
    """Print what an isolation experiment came to."""
    print(
        f"{'healthy endpoints':24} {'due':>8} {'arrived':>8} {'p50':>9} {'p99':>9} {'longest':>9}"
    )
    for title in ("quiet", "troubled"):
        _show_span(title, figures[title])
    print(
        f"p99 with failing neighbours / quiet: {figures['ratio']}; hanging attempts would fill the in-flight"
    )
    print(
        f"cap {figures['pressure']} times; peak memory of workers {figures['worker_peak_mib']} MiB"
    )
    wanted = f"p99 ≤ {figures['p99_to_reach_ms']} ms, all arrived"
    print(f"{'Reached' if figures['reached'] else 'MISSED'}: {wanted}")


def show_outage(figures: dict[str, Any]) -> None:
    """Print what an outage came to."""
    for name in (
        "outage_s",
        "deliveries_of_the_endpoint",
        "not_arrived",
        "beyond_the_schedule",
        "latest_against_the_schedule_s",
    ):
        print(f"{name.replace('_', ' '):32} {figures[name]}")
    print(f"{'the others':24} {'due':>8} {'arrived':>8} {'p50':>9} {'p99':>9} {'longest':>9}")
    for title, span in figures["others"].items():
        _show_span(title, span)
    print("Reached." if figures["reached"] else "MISSED.")


def _show_span(title: str, span: dict[str, Any]) -> None:
    print(
        f"{title:24} {span['due']:8} {span['arrived']:8} {span['p50_ms']:6} ms"
        f" {span['p99_ms']:6} ms {span['longest_ms']:6} ms"
    )
