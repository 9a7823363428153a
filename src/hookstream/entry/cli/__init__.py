"""The `hookstream` command: lists its subcommands and loads each only when it is used."""

import gc

from hookstream.entry.cli.root import root

__all__ = ["main", "root"]


def main() -> None:
    """Run the command line of this process and exit."""
    # Disabled until the command is loaded: modules are never freed, and collections take a tenth of a
    # worker's start.
    gc.disable()
    root.main(prog_name="hookstream")
