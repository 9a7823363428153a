"""Operators' commands through a console's API: its answers are read back into the values that views print."""
