"""The `hookstream` command: names its commands and loads each only when it is used."""

import gc

from hookstream.entry.cli.root import root

__all__ = ["main", "root"]


def main() -> None:
    """Run the command line of this process and exit."""
    # Until the command is loaded: modules stay, and collecting among them is a tenth of a worker's start.
    gc.disable()
    root.main(prog_name="hookstream")
