"""Reads the mappings of a folder, `mappings/<name>.yaml`, with the foreign schemas that they name.

A foreign schema is a copy of its owner's, in a file below the folder of mappings. Each file there is read,
named by a mapping, or reported.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hookstream.adapters.avro.published import fingerprint_of
from hookstream.adapters.avro.schema_text import read_tree
from hookstream.adapters.definition_files.documents import documents_of, is_definition
from hookstream.adapters.definition_files.yaml_text import Document, FileRefused
from hookstream.adapters.file_tree import DISK, FileTree, shown
from hookstream.core.avro.reader import read_schema
from hookstream.core.catalog.lint import EVENT_TYPE, MAX_VERSION
from hookstream.core.catalog.mapped_envelope import mapped_envelope
from hookstream.core.catalog.mapped_schema import event_schema, foreign_breaches, record_name
from hookstream.core.catalog.mapping_plan import DeclaredMapping
from hookstream.core.catalog.publication import DeclaredSchema, Finding
from hookstream.core.catalog.safety import hostile
from hookstream.core.model.envelope import MAX_ENVIRONMENT_LENGTH, MAX_ID_LENGTH
from hookstream.core.model.header_names import WIRE_FORMAT
from hookstream.core.model.header_reading import is_upstreams
from hookstream.core.model.json import JsonObject
from hookstream.core.model.mapping import (
    MAX_TOPICS,
    TOPIC_GLOB,
    ConstantSource,
    EnvelopeSource,
    FieldSource,
    HeaderSource,
    Mapping,
    TimeUnit,
    applies,
    is_exact,
    source_of,
)
from hookstream.core.planning.reading import FieldReader, shortened
from hookstream.errors import InputRefused

FOLDER: Final = "mappings"
MAX_MAPPINGS: Final = 1_000
MAX_VERSIONS: Final = 20

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_RECORD = re.compile(r"(?=.{1,400}\Z)[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_SUBJECT = re.compile(r"[\x21-\x7e]{1,400}")
_TYPE = re.compile(rf"(?=.{{1,200}}\Z){EVENT_TYPE.pattern}")
_FILE = re.compile(r"(?!/)[^\x00-\x1f]{1,400}\.avsc")
_PLACEHOLDER: Final = ConstantSource("-")


@dataclass(slots=True, frozen=True)
class MappingFiles:
    """The mappings that a folder declares."""

    mappings: tuple[DeclaredMapping, ...]
    problems: tuple[Finding, ...]
    notes: tuple[Finding, ...]


def read_mapping_files(folder: Path, tree: FileTree = DISK) -> MappingFiles:
    """Read every mapping of a folder, in the order of their paths.

    Args:
        folder: The folder that contains `mappings/`.
        tree: The tree of the files.

    Raises:
        InputRefused: It has too many files.
    """
    reading = _Reading(folder, tree)
    others: list[Path] = []
    for found in tree.files_below(folder / FOLDER, most=MAX_MAPPINGS * MAX_VERSIONS):
        if found.problem:
            reading.report(found.path, found.problem)
        elif is_definition(found.path):
            reading.file(found.path)
        else:
            others.append(found.path)
    for path in others:
        reading.other(path)
    return MappingFiles(tuple(reading.mappings), tuple(reading.problems), tuple(reading.notes))


class _Reading:
    """One reading of a folder, which collects mappings and problems."""

    def __init__(self, folder: Path, tree: FileTree) -> None:
        self._folder = folder
        self._tree = tree
        self.mappings: list[DeclaredMapping] = []
        self.problems: list[Finding] = []
        self.notes: list[Finding] = []
        self._named: set[str] = set()
        """The real paths of the schemas that a mapping names."""

    def report(self, path: Path, what: str, line: int = 0) -> None:
        """Add a problem with a file."""
        where = shown(path.relative_to(self._folder))
        self.problems.append(Finding(f"{where}:{line}" if line else where, what))

    def other(self, path: Path) -> None:
        """Report a schema that no mapping names; note anything else."""
        if self._tree.real(path) in self._named:
            return
        if path.suffix.lower() == ".avsc":
            self.report(path, "is not read: no mapping names it as the schema of a version")
        else:
            where = shown(path.relative_to(self._folder))
            self.notes.append(Finding(where, "is not read: it is not a mapping"))

    def file(self, path: Path) -> None:
        """Read a mapping."""
        try:
            documents = documents_of(path, self._tree)
        except FileRefused as refused:
            self.report(path, refused.why, refused.line)
            return
        if path.parent != self._folder / FOLDER or not _NAME.fullmatch(path.stem):
            self.report(
                path,
                f"is not where a mapping must be: {FOLDER}/<name>.yaml, its name of lower-case"
                " letters, digits, `.`, `_` and `-`",
            )
        elif len(documents) > 1:
            self.report(path, "must contain one mapping")
        elif any(each.mapping.name == path.stem for each in self.mappings):
            self.report(path, f"there is another file of the mapping {path.stem}")
        else:
            self._mapping(path, documents[0])

    def _mapping(self, path: Path, document: Document) -> None:
        before = len(self.problems)

        def report(field: str, why: str) -> None:
            self.report(path, f"{field}: {why}" if field else why, document.line(field))

        mapping, files = _read(path.stem, FieldReader(document.value, "", report))
        trees = self._trees(path, files, report)
        if len(self.problems) > before:
            return
        where = shown(path.relative_to(self._folder))
        schemas = [
            schema
            for version, (field, tree) in trees.items()
            if (schema := _schema(mapping, version, tree, where, _of(field, report)))
        ]
        if len(self.problems) > before:
            return
        for version, (_, tree) in trees.items():
            _check_sources(mapping, tree, report, version)
        if len(self.problems) == before:
            self.mappings.append(DeclaredMapping(where, mapping, tuple(schemas)))

    def _trees(
        self, path: Path, files: dict[int, tuple[str, str]], report: Callable[[str, str], None]
    ) -> dict[int, tuple[str, JsonObject]]:
        """Return the foreign schemas by version, with the place of each in the mapping."""
        found: dict[int, tuple[str, JsonObject]] = {}
        for version, (field, name) in files.items():
            file = path.parent / name
            if ".." in Path(name).parts:
                report(field, "must be below the mapping's folder")
                continue
            self._named.add(self._tree.real(file))
            try:
                found[version] = field, read_tree(file, self._tree)
            except InputRefused as refused:
                report(field, f"{name} {refused}")
        return found


def _of(field: str, report: Callable[[str, str], None]) -> Callable[[str], None]:
    return lambda why: report(field, why)


def _schema(
    mapping: Mapping, version: int, tree: JsonObject, where: str, wrong: Callable[[str], None]
) -> DeclaredSchema | None:
    """Return the event schema of a version, unless its foreign schema must not be used."""
    problems = hostile(tree) or foreign_breaches(tree) or _chosen(mapping, tree)
    for why in problems:
        wrong(why)
    if problems:
        return None
    made = event_schema(tree, mapping, version)
    for why in hostile(made):
        wrong(why)
    if hostile(made):
        return None
    return DeclaredSchema(
        where, mapping.event_type, version, fingerprint_of(made), made, mapped=True
    )


def _chosen(mapping: Mapping, tree: JsonObject) -> list[str]:
    """Return why the mapping would never apply to records of a schema."""
    name = record_name(tree)
    if mapping.record is not None and mapping.record != name:
        return [f"is the schema of {name}, but the mapping is for {mapping.chosen_by}"]
    if all(map(is_exact, mapping.topics)) and not any(
        applies(mapping, topic, name) for topic in mapping.topics
    ):
        topic = mapping.topics[0]
        why = f"{topic}-value, {name} or {topic}-{name}, and not {mapping.subject}"
        return [f"is the schema of {name}, whose subject on {topic} is {why}"]
    return []


def _check_sources(
    mapping: Mapping,
    tree: JsonObject,
    report: Callable[[str, str], None],
    version: int,
) -> None:
    found = mapped_envelope(mapping, read_schema(tree))
    if isinstance(found, list):
        for field, why in found:
            report(field, f"{why} (in the schema of version {version})")


def _read(name: str, reader: FieldReader) -> tuple[Mapping, dict[int, tuple[str, str]]]:
    """Return the mapping, and by version its schema's place in the file and path."""
    topics = reader.texts(
        "topics",
        TOPIC_GLOB,
        "a topic's name, in which * and ? are wildcards",
        most=MAX_TOPICS,
    )
    record, subject = _chosen_by(reader)
    files = _versions(reader)
    event_id = _source(reader, "event_id", required=False, constant=0)
    occurred_at = _source(reader, "occurred_at", required=False, constant=0)
    unit = reader.one_of("unit", TimeUnit, TimeUnit.MILLIS) if reader.given("unit") else None
    if unit is not None and occurred_at is None:
        reader.wrong("unit", "says what occurred_at counts, and there is none")
    environment = _source(reader, "environment", constant=MAX_ENVIRONMENT_LENGTH)
    wide = next((glob for glob in topics if not is_exact(glob)), None)
    if isinstance(environment, ConstantSource) and wide is not None:
        reader.wrong(
            "environment",
            f"is a constant, and {wide} matches several topics: one of another environment would be"
            " delivered as this one. Name each topic, or take a field or a header",
        )
    mapping = Mapping(
        name=name,
        topics=topics,
        event_type=reader.text(
            "event_type", _TYPE, "a dotted lower-case name such as order.placed"
        ),
        versions=tuple(files),
        entity_id=_source(reader, "entity_id", constant=MAX_ID_LENGTH) or _PLACEHOLDER,
        environment=environment or _PLACEHOLDER,
        event_id=event_id,
        occurred_at=occurred_at,
        unit=unit,
        record=record,
        subject=subject,
    )
    reader.finish()
    return mapping, files


def _chosen_by(reader: FieldReader) -> tuple[str | None, str | None]:
    by_record, by_subject = reader.given("record"), reader.given("subject")
    if by_record == by_subject:
        reader.wrong(
            "", "must have one of record and subject" + (", not both" if by_record else "")
        )
        return None, None
    if by_record:
        return reader.text("record", _RECORD, "a record's full name"), None
    return None, reader.text("subject", _SUBJECT, "a subject's name")


def _versions(reader: FieldReader) -> dict[int, tuple[str, str]]:
    found: dict[int, tuple[str, str]] = {}
    for place, each in reader.items("versions", least=1, most=MAX_VERSIONS):
        item = reader.nested(place, each)
        if item.raw("version") is None:
            item.wrong("version", "is missing")
        version = item.whole("version", 0, least=1, most=MAX_VERSION)
        if found and version <= max(found):
            item.wrong("version", "must be larger than the one before it")
        found[version] = f"{place}.schema", item.text("schema", _FILE, "the path of a file .avsc")
        item.finish()
    return found


def _source(
    reader: FieldReader, field: str, *, required: bool = True, constant: int
) -> EnvelopeSource | None:
    """Return the source of a field of the envelope.

    Args:
        reader: The mapping.
        field: The field.
        required: Whether it must be given.
        constant: The longest constant that is allowed; 0: none is.
    """
    raw = reader.raw(field)
    if raw is None:
        if required:
            reader.wrong(field, "is missing: it has no default")
        return None
    try:
        source = source_of(raw)
    except ValueError as why:
        reader.wrong(field, str(why))
        return None
    for problem in _source_problems(source, constant):
        reader.wrong(field, problem)
    return source


def _source_problems(source: EnvelopeSource | None, constant: int) -> Iterator[str]:
    match source:
        case None:
            yield "is none of {field: PATH}, {header: NAME}, {constant: TEXT}"
        case HeaderSource(name=name) if not is_upstreams(name) or name in WIRE_FORMAT:
            yield f"the header {name} is not the producer's to set"
        case ConstantSource() if not constant:
            yield "cannot be a constant: it differs between events"
        case ConstantSource(text=text) if not (0 < len(text) <= constant and text.isprintable()):
            yield f"{shortened(text)} is not printable text of 1 to {constant} characters"
        case HeaderSource() | ConstantSource() | FieldSource():
            return
