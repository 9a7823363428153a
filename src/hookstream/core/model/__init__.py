"""The domain model: events, subscriptions, deliveries, outcomes, and the formats of their headers."""
