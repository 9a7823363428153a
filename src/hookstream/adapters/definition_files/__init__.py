"""Definition files: partners and subscriptions as YAML files, to be reviewed and applied."""

from hookstream.adapters.definition_files.folder import (
    Definitions,
    ReadDefinition,
    read_definitions,
)

__all__ = ["Definitions", "ReadDefinition", "read_definitions"]
