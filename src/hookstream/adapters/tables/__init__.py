"""What the rows of the partners, subscriptions and health tables say, as JSON both ways.

Every value carries `format` (1; 2 where a number in it is one that releases before would round) and an
integer `revision`. Reading is tolerant, since a newer release may have written the row: unknown fields
are ignored. A subscription's value has two parts. The envelope (id, partner, event types, active
interval, state) is readable by every release and without a key; everything else stands in `body`,
which may not be.
"""
