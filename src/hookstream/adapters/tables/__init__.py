"""Reads and writes the JSON rows of the partners, subscriptions and health tables.

Every value has a `format` (1; 2 if it has a number that earlier releases would round) and an integer
`revision`. Reading is tolerant, since a newer release may have written the row: unknown fields are
ignored. A subscription's value has two parts. The envelope (id, partner, event types, active
interval, state) is readable by every release and without a key; everything else is in `body`, which
may be unreadable.
"""
