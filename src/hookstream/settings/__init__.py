"""All settings, read strictly from flags, environment and file into immutable groups."""

from hookstream.settings.groups import Settings
from hookstream.settings.load import load, sources

__all__ = ["Settings", "load", "sources"]
