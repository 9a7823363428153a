"""`python -m hookstream` is the `hookstream` command."""

from hookstream.entry.cli import main

if __name__ == "__main__":
    main()
