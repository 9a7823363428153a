"""Avro: reading and writing events, schemas, and what the command line shows of them."""
