"""Logs, metrics, traces and the health server."""
