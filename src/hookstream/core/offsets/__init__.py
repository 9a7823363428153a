"""A record becomes an event, and its offset is tracked until it is settled."""
