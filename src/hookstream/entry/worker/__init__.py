"""The worker process: wiring, tables and health."""
