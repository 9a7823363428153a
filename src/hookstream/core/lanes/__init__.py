"""Lanes: what one endpoint bears, and whose turn it is."""
