"""A process that writes one row again and again, as a console does: one writer, kept open.

Prints one line of JSON when it is done: how many writes it made, and what each took in milliseconds.
"""

import json
import sys
import time
from functools import partial

from hookstream.adapters.kafka.tables.equal_writer import NothingWritten
from hookstream.core.model.hold import ALL, HoldKind
from hookstream.entry.admin.holds import set_hold
from hookstream.entry.admin.writing import EqualWriting
from hookstream.errors import Contended
from hookstream.settings import load


def write(name: str, servers: str, prefix: str, count: int) -> None:
    """Write the row so many times; one that is contended is tried again, as its answer says."""
    settings = load(None, {}, {"kafka.bootstrap_servers": servers, "topics.prefix": prefix})
    took: list[float] = []
    contended = 0
    with EqualWriting(settings, console=True) as writing:
        while len(took) < count:
            reason = f"{name} {len(took)}"
            act = partial(set_hold, kind=HoldKind.EVERYTHING, name=ALL, reason=reason)
            began = time.monotonic()
            try:
                writing.attempt(act)
            except (Contended, NothingWritten):
                contended += 1
            else:
                took.append(round((time.monotonic() - began) * 1_000, 1))
    sys.stdout.write(json.dumps({"took": took, "contended": contended}))


if __name__ == "__main__":
    write(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
