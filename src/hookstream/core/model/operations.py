"""hookstream's own events on the operations topic: which there are, and whom they may reach."""

OPERATIONS_ENVIRONMENT = "operations"
"""The environment that these events name."""

OPERATIONS_EVENTS = frozenset(
    {
        "delivery.dead_lettered",
        "endpoint.disabled",
        "endpoint.recovered",
        "hold.changed",
        "log.event_id_conflict",
        "log.gap",
        "partition.skipped",
        "subscription.changed",
    }
)
"""They match by their names only, and only subscriptions of the partner that they are about (their
`data.partner_id`) or of an operator. No failure of delivering one raises another."""

OWN_PREFIXES = (
    "hookstream.",
    "endpoint.",
    "delivery.",
    "subscription.",
    "log.",
    "hold.",
    "partition.",
)
"""No `*` takes in a type that begins so: a newer release may have own events that are not known here."""
