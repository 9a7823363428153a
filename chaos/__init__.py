"""Tests the guarantees on real Kafka while processes are killed. Never imported by the product."""
