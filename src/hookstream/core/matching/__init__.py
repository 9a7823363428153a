"""Matching: which subscriptions an event is delivered to, and at which version."""
