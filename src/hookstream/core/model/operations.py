"""The types of hookstream's own events on the operations topic, and who may receive them."""

OPERATIONS_ENVIRONMENT = "operations"
"""The `environment` of these events."""

OPERATIONS_EVENTS = frozenset(
    {
        "delivery.dead_lettered",
        "endpoint.disabled",
        "endpoint.recovered",
        "hold.changed",
        "hookstream.access",
        "log.event_id_conflict",
        "log.gap",
        "partition.skipped",
        "subscription.changed",
        "subscription.failures_changed",
    }
)
"""They match by exact name only, and only subscriptions of the partner they concern (their
`data.partner_id`) or of an operator. A failed delivery of one does not emit another."""

OWN_PREFIXES = ("hookstream.", *{f"{name.partition('.')[0]}." for name in OPERATIONS_EVENTS})
"""No `*` matches types with these prefixes: a newer release may have own events unknown here. So a new own event
has one of them: workers of earlier releases would send one of another prefix to every partner with `*`."""
