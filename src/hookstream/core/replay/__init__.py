"""Replaying the past to one subscription: the interval, its ends, and how much is out at a time."""
