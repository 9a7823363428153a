"""Events that are each for one endpoint alone: a cast in which every rate can be chosen."""

from dataclasses import replace

from examples.printprice.generator import events

from chaos.cast import Endpoint, endpoints
from chaos.load import Template, encoded
from chaos.stage import Filed

EVENT_TYPE = "order.generated"

_SEED = 2026
_ENOUGH = 200
"""Events of all types, among which a few dozen are orders."""


def cast_of(kinds: list[str], seed: int) -> list[Endpoint]:
    """Return endpoints that are named after their later failure, and healthy at first."""
    return [replace(each, kind="healthy") for each in endpoints(kinds, seed)]


def filed_for(number: int, more: str = "") -> Filed:
    """Return what the subscription of an endpoint requests: the orders of one customer."""
    pattern = f"pattern:\n  data:\n    customer_id: [{_whose(number)}]\n"
    return Filed("open", f"[{EVENT_TYPE}]", pattern + more)


def templates_for(many: int) -> list[Template]:
    """Return an event for each endpoint, in their order."""
    orders = [each for each in events(_SEED, _ENOUGH) if each.event_type == EVENT_TYPE]
    return list(
        encoded(
            order._replace(data={**order.data, "customer_id": _whose(number)})
            for number, order in ((n, orders[n % len(orders)]) for n in range(many))
        )
    )


def _whose(number: int) -> str:
    return f"cust-{number:04d}"
