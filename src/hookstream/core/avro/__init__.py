"""Avro schemas: parsed into nodes, and compiled to render values as JSON."""
