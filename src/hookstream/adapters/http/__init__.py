"""Webhooks over HTTP/1.1."""
