"""Who takes part: endpoints with their failures, and by hand which events each is owed.

Nothing of hookstream's own matching is used: what an endpoint is owed is written here a second time,
as plain Python.
"""

import base64
import hashlib
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from hookstream.core.model.json import JsonObject


class Wanted(NamedTuple):
    """What determines who is owed an event."""

    event_type: str
    environment: str
    data: JsonObject


class Ask(NamedTuple):
    """What a subscription requests: in its file, and by hand."""

    partner: str
    types: str
    more: str
    wants: Callable[[Wanted], bool]


PARTNERS: Mapping[str, tuple[str, str]] = {
    # id: granted types, granted environments
    "open": ('["*"]', '["*"]'),
    "live": ('["*"]', "[production]"),
    "orders": ('["order.*", processing.failed]', '["*"]'),
}

_FAST = "pattern:\n  data:\n    strategy: [fastest, nearest]\n"

ASKS = (
    Ask("open", '["*"]', "", lambda _: True),
    Ask("live", '["*"]', "", lambda event: event.environment == "production"),
    Ask(
        "open",
        "[pricing.completed, order.generated]",
        "",
        lambda event: event.event_type in ("pricing.completed", "order.generated"),
    ),
    Ask("open", '["*"]', "", lambda _: True),
    # It requests everything and was granted less.
    Ask(
        "orders",
        '["*"]',
        "",
        lambda event: event.event_type in ("order.generated", "processing.failed"),
    ),
    Ask(
        "open",
        "[routing.decided]",
        _FAST,
        lambda event: (
            event.event_type == "routing.decided"
            and event.data["strategy"] in ("fastest", "nearest")
        ),
    ),
    Ask(
        "open",
        '["*"]',
        "environments: [staging, production]\n",
        lambda event: event.environment in ("staging", "production"),
    ),
)

TROUBLES = ("slow", "flaky", "down", "throttling", "hanging", "gone")
"""How an endpoint may fail; all others are healthy."""


@dataclass(slots=True, frozen=True)
class Endpoint:
    """One endpoint, with its own loopback address and one subscription of its name."""

    name: str
    kind: str
    address: str
    secret: str


def endpoints(kinds: list[str], seed: int) -> list[Endpoint]:
    """Return an endpoint for each kind, named after it."""
    dice = random.Random(seed)
    return [
        Endpoint(
            f"{kind}-{number:04d}",
            kind,
            f"127.1.{number // 250}.{number % 250 + 1}",
            "whsec_" + base64.b64encode(dice.randbytes(32)).decode(),
        )
        for number, kind in enumerate(kinds)
    ]


def ask_of(number: int) -> Ask:
    """Return what the endpoint of that number requests; one that must be called often requests all."""
    return ASKS[number % len(ASKS)]


def kinds_of(many: int) -> list[str]:
    """Return the kinds of a mixed cast: every failure once in twelve, the others healthy."""
    each = [*TROUBLES, *["healthy"] * 6]
    return [each[number % len(each)] for number in range(many)]


def webhook_id(event_type: str, event_id: str, subscription: str) -> str:
    """Return a delivery's permanent id, computed as docs/events.md defines it."""
    hashed = hashlib.sha256(f"v1\0{event_type}\0{event_id}\0{subscription}".encode()).digest()
    return "msg_" + base64.b32encode(hashed[:17]).decode().lower()[:26]


def write_cast(found: list[Endpoint], folder: Path, port: int, *, cycle: float) -> None:
    """Write what the receiver must know."""
    cast = {"port": port, "cycle": cycle, "endpoints": [asdict(each) for each in found]}
    (folder / "cast.json").write_text(json.dumps(cast))
