"""Everything that can be set, read strictly from flags, environment and file into frozen groups."""

from hookstream.settings.groups import Settings
from hookstream.settings.load import load

__all__ = ["Settings", "load"]
