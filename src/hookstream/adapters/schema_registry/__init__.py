"""Schema registries with Confluent's HTTP API."""
