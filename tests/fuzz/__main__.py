"""Writes untrusted records to a real broker and checks a real worker and every command.

`python -m tests.fuzz --records 1000000 --seed 7`; exit code 1 if a record ends a worker, has no final
state, or makes a command crash or hang.
"""

import argparse
import asyncio
import logging
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.conftest import ROOT
from tests.fuzz.run import Ask, Failed, fuzz

from hookstream.adapters.dev.broker import BrokerProcess
from hookstream.adapters.dev.kafka_jars import fetch_kafka, find_java


def main() -> int:
    """Read the command line, run, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description="Write untrusted records."
    )
    parser.add_argument("--records", type=int, default=1_000_000, help="how many are written")
    parser.add_argument("--seed", type=int, default=None, help="of the generated records")
    parser.add_argument(
        "--round", type=int, default=10_000, help="records of a round, after which all is checked"
    )
    parser.add_argument("--memory-mb", type=int, default=600, help="memory limit of the worker")
    given = parser.parse_args()
    # What the producer kit logs about untrusted rows is not tested here.
    logging.getLogger("hookstream.producer").setLevel(logging.CRITICAL)
    seed = int(time.time()) if given.seed is None else given.seed
    ask = Ask(given.records, seed, given.round, given.memory_mb)
    print(f"{ask.records:,} records of seed {seed}", flush=True)
    servers = os.environ.get("HOOKSTREAM_KAFKA__BOOTSTRAP_SERVERS")
    try:
        with tempfile.TemporaryDirectory(prefix="hookstream-fuzz-") as folder:
            if servers:
                asyncio.run(fuzz(ask, servers, Path(folder), _show))
            else:
                libs = fetch_kafka(ROOT / ".cache" / "kafka", _show)
                with BrokerProcess(libs, find_java()) as broker:
                    asyncio.run(fuzz(ask, broker.bootstrap_servers, Path(folder), _show))
    except Failed as failed:
        print(f"seed {seed}: {failed}", flush=True)
        return 1
    print("Nothing ended a worker, every record was settled.", flush=True)
    return 0


def _show(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
