"""Compares the native accelerator with Python on drawn schemas, records and damaged bytes.

    python -m tests.native_parity 1000000 [--seed N]

Of each record both give the same answer: the same event and the same bytes of its body, at its own
version and at a pinned one, or a refusal with the same reason and the same words. What filters ask for is
the same as in the whole body, too, at both versions.
"""

import argparse
import contextlib
import sys
from collections.abc import Sequence
from typing import NamedTuple

from tests.doubles.excerpts import excerpt
from tests.drawn_mappings import BODY_AT, HEADERS, MappedMaker, drawn_mapping
from tests.drawn_records import WideMaker, drawn_paths, records
from tests.properties.test_schema_evolution import evolve

from hookstream.adapters.avro.accelerator import Implementation, implementation
from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.native import NativeFields
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.model.event import Identified, Undecodable
from hookstream.core.model.json import Paths
from hookstream.core.model.outcome import Refused
from hookstream.core.model.record import Record
from hookstream.errors import InputRefused
from hookstream.pipeline.work import Bodies

PYTHON = Implementation(None, "a test compares it")
MOST_VALUES = 200


class Answer(NamedTuple):
    """All that a codec says of a record, as text: 1, 1.0 and True differ, and so does the order of keys."""

    event: str
    own: bytes | Refused | None
    document: str
    pinned: bytes | Refused | None
    part: str
    pinned_part: str


class Tally:
    """What was compared."""

    def __init__(self) -> None:
        self.records = 0
        self.native = 0
        """Events that the accelerator read."""
        self.rendered = 0
        """Events with a body."""
        self.pinned = 0
        """Bodies at a pinned version that the accelerator made, and picked from."""
        self.mapped = 0
        """Bodies of mapped records that it made."""


def answer(
    codec: AvroCodec,
    record: Record,
    paths: Paths,
    tally: Tally | None = None,
    own: int = 1,
    mapped: Identified | None = None,
) -> Answer:
    """Return what a codec says of a record at its own version, 1 or 2, and at the other one.

    `mapped`: what a mapping identifies it as.
    """
    identified = codec.identify(record) if mapped is None else mapped
    assert isinstance(identified, Identified)
    event = codec.decode(identified, record, event_id="position")
    if isinstance(event, Undecodable):
        return Answer(repr(event), None, "", None, "", "")
    if tally is not None:
        tally.native += isinstance(event.fields, NativeFields)
        tally.pinned += codec.body(event, 3 - own) is not None
        tally.mapped += mapped is not None and codec.body(event, own) is not None
    bodies = Bodies(codec, event)
    identity = (event.event_id, event.occurred_at, event.entity_id, event.environment)
    # A part first: once there is a document, it is taken instead.
    part, pinned_part = (part_of(bodies, codec, version, paths) for version in (own, 3 - own))
    return Answer(
        repr((identity, event.revision, event.origin, event.body_at, dict(event.fields))),
        bodies.standard(own),
        repr(codec.document(event, own)),
        bodies.standard(3 - own),
        part,
        pinned_part,
    )


def part_of(bodies: Bodies, codec: AvroCodec, version: int, paths: Paths) -> str:
    """Return what filters ask for of a body, as text."""
    # Where there is a body, something is picked from it.
    event = bodies.event
    picked = codec.excerpt(event, version, paths)
    assert (picked is None) is (codec.body(event, version) is None), (version, paths)
    part = bodies.excerpt(version, paths)
    # More than what is asked for may be there.
    return repr(excerpt(part, paths) if isinstance(part, dict) else part)


def compare(seed: int, native: Implementation, tally: Tally) -> None:
    """Compare both on the records of one drawn schema, or of one that a drawn mapping makes events of.

    Raises:
        AssertionError: They differ; the message has all that the case needs.
    """
    if seed % 4 == 3:
        _compare_mapped(seed, native, tally)
    else:
        _compare_published(seed, native, tally)


def _compare_published(seed: int, native: Implementation, tally: Tally) -> None:
    maker = WideMaker(seed)
    tree = maker.event()
    newer = {**evolve(tree, maker.chance), "eventVersion": 2}
    trees = [tree, newer]
    if maker.chance.random() < 0.5:
        trees.reverse()
    tree = trees[0]
    try:
        book = SchemaBook([tree])
    except InputRefused:
        return
    [schema] = list(book)
    with contextlib.suppress(InputRefused):
        book.publish(trees[1])
    made = [AvroCodec(book, max_values=MOST_VALUES, reads_by=each) for each in (native, PYTHON)]
    paths = drawn_paths(maker.chance, *trees)
    # A record is read without its own body until somebody has asked for such a one.
    is_first = seed % 8 == 0
    for body in records(maker, tree):
        if is_first:
            made[0] = AvroCodec(book, max_values=MOST_VALUES, reads_by=native)
        record = Record("t", 0, 0, 0, None, schema.prefix + body, ())
        case = f"seed {seed}, {trees}, {paths}, {body.hex()}"
        _compare_record(made, record, paths, tally, tree["eventVersion"], None, case)


def _compare_mapped(seed: int, native: Implementation, tally: Tally) -> None:
    maker = MappedMaker(seed)
    made = drawn_mapping(maker)
    if made is None:
        return
    both = [
        AvroCodec(made.book, max_values=MOST_VALUES, reads_by=each) for each in (native, PYTHON)
    ]
    paths = drawn_paths(
        maker.chance, *({"fields": [{"name": "data", "type": each}]} for each in made.trees)
    )
    for body in records(maker, made.tree):
        headers = maker.chance.choice(HEADERS)
        record = Record("t", 0, 0, 1_764_072_000_000, None, bytes(BODY_AT) + body, headers)
        case = f"seed {seed}, {made}, {paths}, {headers}, {body.hex()}"
        own = made.identified.revision.event_version
        _compare_record(both, record, paths, tally, own, made.identified, case)


def _compare_record(
    both: Sequence[AvroCodec],
    record: Record,
    paths: Paths,
    tally: Tally,
    own: int,
    mapped: Identified | None,
    case: str,
) -> None:
    found, expected = (
        answer(codec, record, paths, each, own, mapped)
        for codec, each in zip(both, (tally, None), strict=True)
    )
    tally.records += 1
    tally.rendered += isinstance(expected.own, bytes)
    assert found == expected, case


def main() -> None:
    """Compare as many records as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.native_parity", description=__doc__)
    parser.add_argument("records", type=int)
    parser.add_argument("--seed", type=int, default=1, help="the first one")
    given = parser.parse_args()
    native, tally, seed = implementation(), Tally(), given.seed
    if native.module is None:
        sys.exit(f"nothing is compared: {native.because}")
    while tally.records < given.records:
        compare(seed, native, tally)
        seed += 1
    sys.stdout.write(
        f"{tally.records:,} records, {tally.rendered:,} of them events with a body, {tally.native:,} of these read by the"
        f" accelerator, {tally.pinned:,} pinned by it and picked from, {tally.mapped:,} bodies of mapped records; the next seed is {seed}\n"
    )


if __name__ == "__main__":
    main()
