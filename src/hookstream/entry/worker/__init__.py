"""The worker process: wiring, tables, health and shutdown."""
