"""Compiled templates are kept beside Python's own bytecode, so that a console starts without compiling them.

Compiling takes 0.4 s of CPU, reading what it gave 0.012 s.
"""

import contextlib
import os
import sys
from collections.abc import Sequence
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from jinja2.bccache import Bucket, BytecodeCache

_FOLDER = Path(__file__).parent / "__pycache__"


class CompiledTemplates(BytecodeCache):
    """Templates as they were compiled last, for as long as nothing that they were made of changes.

    As Python's bytecode they may be read by everybody, and nothing is kept where the installation cannot be
    written, or where the interpreter is asked not to (`PYTHONDONTWRITEBYTECODE`).

    Args:
        made_by: The modules that say how templates are compiled, and what becomes of a constant in one.
        folder: Where they are kept. It is trusted as the installation is: what lies there is executed.
    """

    def __init__(self, made_by: Sequence[Path], folder: Path = _FOLDER) -> None:
        self._folder = folder
        made = sha256(f"{version('jinja2')} {version('markupsafe')}".encode())
        for module in made_by:
            made.update(module.read_bytes())
        self._made_by = made.hexdigest()

    def get_source_checksum(self, source: str) -> str:
        """Return what a compiled template must have been made of."""
        return sha256(f"{self._made_by} {source}".encode()).hexdigest()

    def load_bytecode(self, bucket: Bucket) -> None:
        """Take a template that is kept and whole: a machine that lost its power may have kept a part."""
        try:
            kept = self._file(bucket).read_bytes()
        except OSError:
            return
        try:
            bucket.bytecode_from_string(kept)
        except Exception:  # noqa: BLE001  whatever is wrong with it, it is compiled again
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a template, if there is a place for it."""
        if sys.dont_write_bytecode:
            return
        file = self._file(bucket)
        # Whole or not at all, however many processes start at once. One that is killed may leave its part.
        part = file.with_suffix(f".{os.getpid()}")
        with contextlib.suppress(OSError):
            part.write_bytes(bucket.bytecode_to_string())
            part.replace(file)

    def _file(self, bucket: Bucket) -> Path:
        return self._folder / f"template-{bucket.key}.jinja"
