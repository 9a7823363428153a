"""A development broker on this machine."""
