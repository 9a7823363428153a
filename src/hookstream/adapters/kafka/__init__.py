"""Kafka: the only package that imports the client library."""
