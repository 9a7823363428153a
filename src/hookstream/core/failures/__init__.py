"""Failure groups: errors of one subscription that look alike, and what is done about them."""
