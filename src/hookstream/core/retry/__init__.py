"""Retry tiers: which tier a deferred delivery is written to, and when a tier record is due."""
