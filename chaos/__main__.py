"""Shows what happens when everything around the worker fails: `python -m chaos [storm|isolation|neighbours|outage]`."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chaos import isolation, outage, storm
from chaos.faults import FREEZES, KINDS
from chaos.report import show_isolation, show_outage, show_storm

_NEIGHBOURS_MS = 20.0


def main() -> int:
    """Read the command line, run what it requests, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description="Test the guarantees.")
    parser.set_defaults(run=_storm)
    _add_shared(parser)
    _add_storm(parser)
    kinds = parser.add_subparsers(title="experiments", metavar="")
    _add(kinds, "storm", _storm, "faults at random (what runs unless told)", _add_storm)
    _add(kinds, "isolation", _isolation, "a thousand endpoints in trouble", _add_isolation)
    _add(kinds, "neighbours", _neighbours, "twenty endpoints, two hanging", _add_neighbours)
    _add(kinds, "outage", _outage, "one endpoint down for ten minutes", _add_outage)
    given = parser.parse_args()
    good, figures = given.run(given)
    if given.json is not None:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0 if good else 1


Ran = tuple[bool, dict[str, Any]]


def _storm(given: argparse.Namespace) -> Ran:
    figures = storm.play(
        storm.Ask(
            deliveries=given.deliveries,
            seconds=given.seconds,
            seed=given.seed,
            workers=given.workers,
            endpoints=given.endpoints,
            rate=given.rate,
            faults=given.faults.split(","),
            member_session=given.member_session,
            folder=given.folder,
        )
    )
    show_storm(figures)
    return figures["clean"], figures


def _isolation(given: argparse.Namespace) -> Ran:
    many = given.endpoints
    ask = isolation.Ask(
        endpoints=many,
        hung=many // 10,
        dead=many // 20,
        rate=given.rate,
        flood_limit=given.flood_limit,
        seconds=given.seconds,
        timeout=given.timeout,
        max_in_flight=given.max_in_flight,
        workers=given.workers,
        seed=given.seed,
        folder=given.folder,
        p99_at_most=None,
    )
    figures = isolation.play(ask)
    show_isolation(figures)
    return figures["reached"], figures


def _neighbours(given: argparse.Namespace) -> Ran:
    ask = isolation.Ask(
        endpoints=20,
        hung=2,
        dead=0,
        rate=200.0,
        flood_limit=0.0,
        seconds=given.seconds,
        timeout=15.0,
        max_in_flight=512,
        workers=1,
        seed=given.seed,
        folder=given.folder,
        p99_at_most=_NEIGHBOURS_MS,
    )
    figures = isolation.play(ask)
    show_isolation(figures)
    return figures["reached"], figures


def _outage(given: argparse.Namespace) -> Ran:
    figures = outage.play(
        outage.Ask(given.compress, given.rate, given.workers, given.seed, given.folder)
    )
    show_outage(figures)
    return figures["reached"], figures


def _add(
    kinds: Any,  # noqa: ANN401 - argparse does not name the type
    name: str,
    run: Callable[[argparse.Namespace], Ran],
    about: str,
    more: Callable[[argparse.ArgumentParser], None],
) -> None:
    parser = kinds.add_parser(name, help=about, description=about)
    parser.set_defaults(run=run)
    _add_shared(parser)
    more(parser)


def _add_shared(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--folder", type=Path, help="keep all files in this folder")
    parser.add_argument("--seed", type=int, default=2026, help="of all random choices")


def _add_storm(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--deliveries", type=int, default=1_000_000, help="to expect, at least")
    parser.add_argument("--seconds", type=float, default=2400, help="of publishing, at most")
    parser.add_argument(
        "--faults", default=",".join(KINDS), help=f"with commas, also {','.join(FREEZES)}"
    )
    parser.add_argument("--rate", type=float, default=1e6, help="deliveries a second, at most")
    parser.add_argument(
        "--member-session", type=float, default=6.0, help="of a worker, seconds (Kafka: 45)"
    )
    parser.add_argument("--workers", type=int, default=3, help="worker processes in the group")
    parser.add_argument("--endpoints", type=int, default=48, help="half of them failing")


def _add_isolation(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--endpoints", type=int, default=1000, help="10 %% hang, 5 %% are down")
    parser.add_argument("--rate", type=float, default=400, help="events a second over all")
    parser.add_argument("--flood-limit", type=float, default=2, help="rate limit of the flooded")
    parser.add_argument("--seconds", type=float, default=60, help="of each span")
    parser.add_argument("--timeout", type=float, default=15, help="seconds of an attempt")
    parser.add_argument("--max-in-flight", type=int, default=128, help="of each worker")
    parser.add_argument("--workers", type=int, default=1, help="worker processes in the group")


def _add_neighbours(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=60, help="of each span")


def _add_outage(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--compress", type=float, default=10, help="divides all times")
    parser.add_argument("--rate", type=float, default=100, help="events a second for the endpoint")
    parser.add_argument("--workers", type=int, default=1, help="worker processes in the group")


if __name__ == "__main__":
    sys.exit(main())
