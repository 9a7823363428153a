"""One word per thing: no name in the code or its tests has a word that the glossary replaces.

Only names that the code itself gives count (modules, classes, functions, parameters, variables). Words of the
glossary's right column with another, plain meaning (key, stop, status, send) are allowed.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.architecture.source_text import classes_named_twice, names_in, text_of
from tests.conftest import ROOT

SAY_INSTEAD = {
    "anew": "again",
    "beginnings": "sequence",
    "company": "neighbours",
    "desk": "session, reader",
    "dialler": "connector",
    "hear": "notify, learn",
    "heard": "notified, learned",
    "hears": "notified, learns",
    "insistence": "write retry",
    "journal": "logger",
    "notice": "operations event",
    "notices": "own records, operations events",
    "obey": "interpret",
    "obeys": "interprets",
    "park": "defer",
    "parked": "deferred",
    "reckon": "account, check",
    "reckoning": "account, results",
    "scribe": "writer",
    "seat": "assignment",
    "seats": "assignment",
    "shelf": "source",
    "standing": "status, state",
    "strangers": "untrusted, foreign",
    "tell": "notify, log",
    "tells": "notifies, logs",
    "told": "notified, logged",
    "untold": "unpublished",
    "ack": "acknowledged, settle",
    "acks": "acknowledged, settle",
    "backfill": "replay",
    "customer": "partner",
    "customers": "partners",
    "destination": "endpoint",
    "destinations": "endpoints",
    "hook": "subscription",
    "hooks": "subscriptions",
    "message": "record",
    "messages": "records",
    "notification": "event",
    "notifications": "events",
    "permission": "grant",
    "permissions": "grants",
    "poison": "dead letter, undecodable",
    "requeue": "redrive",
    "tenant": "partner",
    "tenants": "partners",
}

# Words of vendors: adapters handle what a library calls a message, until it is converted to a record.
IN_ADAPTERS = {"message", "messages"}

# Names of somebody else: a header of Kafka Connect, callbacks of llhttp, arguments of pytest, json and a topic.
NOT_OURS = {
    "CONNECT_MESSAGE",
    "message_timestamp_type",
    "object_pairs_hook",
    "on_message_begin",
    "on_message_complete",
    "warning_message",
}

FOLDERS = ("src", "tests", "chaos", "examples", "benchmarks")

# Words of the print shop that the example invents: its customers, and the message of a finding.
IN_THE_EXAMPLE = {"customer", "message"}
EXAMPLE = ROOT / "examples" / "printprice"


def given_names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield every name that a module gives, also to an argument of a call, with its line."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield name, node.lineno
            case ast.AsyncFunctionDef(name=name):
                yield name, node.lineno
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
                yield name, node.lineno
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield name, node.lineno
            case (
                ast.ExceptHandler(name=str(name))
                | ast.alias(asname=str(name))
                | ast.MatchAs(name=str(name))
            ):
                yield name, node.lineno
            case ast.keyword(arg=str(arg)):
                yield arg, node.value.lineno
            case _:
                pass


@cache
def words(name: str) -> list[str]:
    """Split a name, in whichever case it is written, into lower-case words."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]


def allowed(file: Path, name: str, word: str) -> bool:
    """Return whether a name may have a word that the glossary replaces."""
    return (
        name in NOT_OURS
        or ("adapters" in file.parts and word in IN_ADAPTERS)
        or (EXAMPLE in file.parents and word in IN_THE_EXAMPLE)
    )


def test_names_use_the_words_of_the_glossary() -> None:
    strays = [
        f"{file.relative_to(ROOT)}:{line}: {name}: say {SAY_INSTEAD[word]}"
        for folder in FOLDERS
        for file in sorted((ROOT / folder).rglob("*.py"))
        for name, line in [(file.stem, 1), *names_with_replaced_words(file)]
        for word in words(name)
        if word in SAY_INSTEAD and not allowed(file, name, word)
    ]
    assert strays == []


def names_with_replaced_words(file: Path) -> list[tuple[str, int]]:
    """Return those of the names that a module defines which may have a word that the glossary replaces."""
    replaced = {name for name in names_in(file) if not SAY_INSTEAD.keys().isdisjoint(words(name))}
    if not replaced:
        return []
    return [found for found in given_names(ast.parse(text_of(file))) if found[0] in replaced]


def test_no_class_of_the_source_has_the_name_of_another() -> None:
    twice = classes_named_twice(sorted((ROOT / "src").rglob("*.py")))
    assert {
        name: [f"{file.relative_to(ROOT)}:{line}" for file, line in found]
        for name, found in twice.items()
    } == {}
