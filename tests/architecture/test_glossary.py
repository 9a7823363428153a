"""One word per thing: what the glossary calls otherwise is no part of a name in the source.

Only names that the source itself gives count (classes, functions, parameters, variables). Words of the glossary's right column with another, plain
meaning (key, stop, status, send) are not held against anybody.
"""

import ast
import re
from collections.abc import Iterator

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
    "park": "defer",
    "parked": "deferred",
    "scribe": "writer",
    "seat": "assignment",
    "seats": "assignment",
    "shelf": "source",
    "standing": "status, state",
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

# Words of vendors: adapters hold what a library calls a message, until they have made a record of it.
IN_ADAPTERS = {"message", "messages"}

# Names that stand for a name of somebody else: a header of Kafka Connect.
NOT_OURS = {"CONNECT_MESSAGE"}


def given_names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield every name that a module gives to something of its own, with its line."""
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
            case _:
                pass


def words(name: str) -> list[str]:
    """Split a name, in whichever case it is written, into lower-case words."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]


def test_the_source_uses_the_words_of_the_glossary() -> None:
    strays = [
        f"{file.relative_to(ROOT)}:{line}: {name}: say {SAY_INSTEAD[word]}"
        for file in sorted((ROOT / "src").rglob("*.py"))
        for name, line in given_names(ast.parse(file.read_text("utf-8")))
        if name not in NOT_OURS
        for word in words(name)
        if word in SAY_INSTEAD and not ("adapters" in file.parts and word in IN_ADAPTERS)
    ]
    assert strays == []
