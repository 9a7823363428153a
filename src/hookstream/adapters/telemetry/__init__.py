"""Logs, metrics, traces and the health port."""
