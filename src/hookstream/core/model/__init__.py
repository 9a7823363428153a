"""The nouns: what an event, a subscription, a delivery and an outcome are."""
