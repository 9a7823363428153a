"""Avro schemas as nodes, read, resolved and rendered."""
