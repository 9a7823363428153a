"""Writes specimens of every persisted format, or reads those of another release.

python -m tests.compatibility write            # specimens of the release that runs
python -m tests.compatibility read FILE        # what the release that runs makes of a file's
"""

import json
import sys
from pathlib import Path

from tests.compatibility.formats import read


def main(arguments: list[str]) -> int:
    """Print specimens with what the running release reads from each."""
    match arguments:
        case ["write"]:
            # Imported only here: the other release may lack it and must still be able to read.
            from tests.compatibility.specimens import specimens  # noqa: PLC0415

            found = {
                name: {"is": specimen, "read": read(name, specimen)}
                for name, specimen in specimens().items()
            }
        case ["read", file]:
            entries = json.loads(Path(file).read_text(encoding="utf-8"))
            found = {
                name: {"is": each["is"], "read": read(name, each["is"])}
                for name, each in entries.items()
            }
        case _:
            sys.stderr.write(__doc__ or "")
            return 2
    sys.stdout.write(json.dumps(found, indent=1, ensure_ascii=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
