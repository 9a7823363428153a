"""The console's process: it follows the tables, serves the API, and works on jobs."""
