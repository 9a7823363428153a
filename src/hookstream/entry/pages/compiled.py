"""Compiled templates are kept beside Python's own bytecode, so that a console starts without compiling them.

Compiling takes half a second of CPU, reading what it gave a tenth of that.
"""

import contextlib
import pickle
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket, FileSystemBytecodeCache

_FOLDER = Path(__file__).parent / "__pycache__"


class CompiledTemplates(FileSystemBytecodeCache):
    """Templates as they were compiled last, for as long as nothing that they were made of changes.

    As with Python's bytecode, nothing is kept where the installation cannot be written, or where the
    interpreter is asked not to (`PYTHONDONTWRITEBYTECODE`).

    Args:
        made_by: The modules that set how templates are compiled; a constant in one is written by their code.
        folder: Where they are kept. It is trusted as the installation is: what lies there is executed.
    """

    def __init__(self, made_by: Sequence[Path], folder: Path = _FOLDER) -> None:
        super().__init__(str(folder), "template-%s.jinja")
        made = sha256(jinja2.__version__.encode())
        for module in made_by:
            made.update(module.read_bytes())
        self._made_by = made.hexdigest()

    def get_source_checksum(self, source: str) -> str:
        """Return what a compiled template must have been made of."""
        return sha256(f"{self._made_by} {source}".encode()).hexdigest()

    def load_bytecode(self, bucket: Bucket) -> None:
        """Take a template that is kept, if it can be read: a machine that lost its power may have kept a part."""
        try:
            super().load_bytecode(bucket)
        except (OSError, EOFError, pickle.UnpicklingError):
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a template, if there is a place for it."""
        if sys.dont_write_bytecode:
            return
        with contextlib.suppress(OSError):
            super().dump_bytecode(bucket)
