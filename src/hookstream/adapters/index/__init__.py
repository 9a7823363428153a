"""The index: SQLite files that answer questions about attempts, deliveries and dead letters.

It is a cache of topics for a stated window. It is never the source of truth, and a lost folder is
rebuilt.
"""
