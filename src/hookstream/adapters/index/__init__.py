"""The index: SQLite files that answer questions about attempts, deliveries and dead letters.

It is a cache of topics for a stated window. Nothing is true because the index says so, and a folder
that is lost is rebuilt.
"""
