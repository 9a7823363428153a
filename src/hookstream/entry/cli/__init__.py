"""The `hookstream` command: names its commands and loads each only when it is used."""

from hookstream.entry.cli.root import root

__all__ = ["main", "root"]


def main() -> None:
    """Run the command line of this process and exit."""
    root.main(prog_name="hookstream")
