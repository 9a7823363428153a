"""Parses a definition file into documents with line numbers: YAML or JSON, by its extension."""

import codecs
from pathlib import Path

from hookstream.adapters.definition_files.json_text import read_document
from hookstream.adapters.definition_files.yaml_text import Document, FileRefused, read_documents
from hookstream.adapters.file_tree import DISK, FileTree, shown
from hookstream.core.planning.declared import Problem

MAX_FILE_BYTES = 256 * 1024

_YAML = (".yaml", ".yml")
_JSON = ".json"
_OTHER_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def is_definition(path: Path) -> bool:
    """Return whether a file is read as a definition, by its extension in any case."""
    return path.suffix.lower() in (*_YAML, _JSON)


def documents_of(path: Path, tree: FileTree = DISK) -> list[Document]:
    """Return the documents of a file of a tree; at least one.

    Raises:
        FileRefused: It cannot be read, is not supported YAML or JSON, or declares nothing.
    """
    text = _text(path, tree)
    is_json = path.suffix.lower() == _JSON
    documents = [read_document(text)] if is_json else list(read_documents(text))
    if not documents:
        # A truncated file must not look like a deleted one.
        raise FileRefused("declares nothing: write a definition into it, or delete it")
    return documents


def problem_of(path: Path, refused: FileRefused) -> Problem:
    """Return the problem of a refused file."""
    where = f"{shown(path)}:{refused.line}" if refused.line else shown(path)
    return Problem("", "", refused.why, where)


def _text(path: Path, tree: FileTree) -> str:
    try:
        content = tree.read(path, MAX_FILE_BYTES + 1)
    except OSError as failed:
        raise FileRefused(f"cannot be read: {failed.strerror or failed}") from failed
    if len(content) > MAX_FILE_BYTES:
        raise FileRefused(f"has more than {MAX_FILE_BYTES} bytes")
    for mark, name in _OTHER_MARKS.items():
        if content.startswith(mark):
            raise FileRefused(f"is not UTF-8 but {name}: save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FileRefused("is not UTF-8: save it as UTF-8", line) from error
