"""Avro: reading and writing events and schemas, and showing them on the command line."""
