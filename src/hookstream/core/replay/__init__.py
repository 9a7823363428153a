"""Replaying the past to one subscription: the interval, its ends, and the limit of outstanding deliveries."""
