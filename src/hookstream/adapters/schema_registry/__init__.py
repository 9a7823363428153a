"""Registries of schemas with Confluent's HTTP API."""
