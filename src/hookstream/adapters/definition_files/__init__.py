"""Definition files: partners and subscriptions as YAML files, to be reviewed and applied."""

from hookstream.adapters.definition_files.folder import Definitions, read_definitions

__all__ = ["Definitions", "read_definitions"]
