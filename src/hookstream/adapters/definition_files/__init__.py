"""Definition files: partners and subscriptions as YAML files, to be reviewed and applied."""

from hookstream.adapters.definition_files.folder import Checks, Definitions, read_definitions

__all__ = ["Checks", "Definitions", "read_definitions"]
