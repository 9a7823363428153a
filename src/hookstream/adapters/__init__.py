"""Adapters to the outside: each file wraps one vendor and translates its exceptions."""
