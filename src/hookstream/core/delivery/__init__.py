"""Turns a delivery into a request: body, signature and address check."""
