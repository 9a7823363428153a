"""A delivery to start a test from."""

from hookstream.core.model.delivery import Delivery
from hookstream.core.model.instant import DAY
from hookstream.core.model.record import Origin

NOW = 1_700_000_000_000
"""2023-11-14T22:13:20Z."""


def a_delivery(**changes: object) -> Delivery:
    delivery = Delivery(
        "msg_1",
        "orders",
        "acme",
        "pricing.completed",
        "evt-1",
        Origin("printprice.pricing.completed", 0, 7, NOW),
        first_at=NOW,
        expires_at=NOW + 7 * DAY,
        attempt=1,
    )
    for name, value in changes.items():
        setattr(delivery, name, value)
    return delivery
