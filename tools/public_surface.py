"""Lists what others rely on, as far as the code shows it, so that a change is seen before it is released.

    python -m tools.public_surface            writes tools/public_surface.txt
    python -m tools.public_surface --check    prints how the code differs from it; exit code 1 if it does

A line is one promise: a command or an option, an exit code, a key of `--json`, a setting with its default,
a metric with its labels, a topic or group, a header, a field of a persisted record, a public name of
Python. Keys of `--json` are those that functions below `entry/` return in documents written out there.
How the code is laid out plays no part.
"""

import ast
import dataclasses
import difflib
import importlib
import inspect
import json
import re
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import get_args

import click
import msgspec
from tests.compatibility.specimens import specimens

from hookstream.adapters.telemetry.metrics import COUNTS, GAUGES, PrometheusMetrics
from hookstream.adapters.telemetry.subscription_series import SUBSCRIPTION_METRICS
from hookstream.core.model.topics import Topics
from hookstream.entry.api.problems import ProblemKind
from hookstream.entry.api.table import TABLE
from hookstream.entry.cli import root
from hookstream.entry.cli.root import exit_code
from hookstream.settings import Settings, groups

ROOT = Path(__file__).parent.parent
SURFACE = Path(__file__).with_suffix(".txt")
SOURCE = ROOT / "src" / "hookstream"

_HEADER = re.compile(
    r"(hs|webhook|hookstream)-[a-z]+(-[a-z]+)*-?|__connect\.[a-z.]+|trace(parent|state)"
)
_KEY = re.compile(r"[a-z][a-z0-9_]*")
_SHOWS = re.compile(r"Json|dict\[str|Mapping\[str")
"""What a function returns whose text keys stand in the output of a command."""


def surface() -> list[str]:
    """Return every line, sorted."""
    return sorted(
        {
            *_commands(),
            *_exit_codes(),
            *_settings(),
            *_metrics(),
            *_api(),
            *_topics(),
            *_of_code(),
            *_persisted(),
            *_python("hookstream.producer"),
            *_python("hookstream.receiver"),
            *_python("hookstream.errors"),
        }
    )


def _commands() -> Iterator[str]:
    context = click.Context(root, info_name="hookstream")
    yield from _parameters("hookstream", root)
    yield from _below("hookstream", root, context)


def _below(name: str, group: click.Group, context: click.Context) -> Iterator[str]:
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        if command is None:
            continue
        called = f"{name} {word}"
        yield f"command: {called}"
        yield from _parameters(called, command)
        if isinstance(command, click.Group):
            below = click.Context(command, info_name=word, parent=context)
            yield from _below(called, command, below)


def _parameters(name: str, command: click.Command) -> Iterator[str]:
    for parameter in command.params:
        spelt = "/".join([*parameter.opts, *parameter.secondary_opts])
        words = [
            *(["required"] if parameter.required else []),
            *(["flag"] if isinstance(parameter, click.Option) and parameter.is_flag else []),
            *(["repeatable"] if parameter.multiple or parameter.nargs == -1 else []),
        ]
        yield f"{parameter.param_type_name}: {name} {spelt} {' '.join(words)}".rstrip()


def _exit_codes() -> Iterator[str]:
    for name, kind in _public(importlib.import_module("hookstream.errors")):
        if inspect.isclass(kind) and issubclass(kind, Exception):
            yield f"exit code: {name} {exit_code(kind.__new__(kind))}"


def _settings() -> Iterator[str]:
    for group in dataclasses.fields(Settings):
        named = groups.NAMED_GROUPS.get(group.name)
        made = getattr(Settings(), group.name) if named is None else named()
        name = group.name if named is None else f"{group.name}.<name>"
        for setting in dataclasses.fields(made):
            says = setting.metadata[groups.KIND].says
            default = getattr(made, setting.name)
            yield f"setting: {name}.{setting.name}: {says} = {default!r}"


def _metrics() -> Iterator[str]:
    for each in vars(PrometheusMetrics()).values():
        if name := getattr(each, "name", None):
            labels = getattr(each, "labels", None) or (getattr(each, "label", ""),)
            yield f"metric: {name} {' '.join(labels)}".rstrip()
    for name in (*COUNTS, *GAUGES):
        yield f"metric: {name}"
    for name, (_, labels) in SUBSCRIPTION_METRICS.items():
        yield f"metric: {name} {' '.join(labels)}"


def _api() -> Iterator[str]:
    structs: list[type] = []
    for route in TABLE.routes:
        parts = {"query": route.query, "body": route.body, "answer": route.answer}
        named = [f"{what} {each.__name__}" for what, each in parts.items() if each is not None]
        yield f"api: {route.method} {route.path} by {route.scope}: {route.status} {' '.join(named)}"
        structs += [each for each in parts.values() if each is not None]
    for struct in _with_parts(structs):
        for field in msgspec.structs.fields(struct):
            needed = "required" if field.required else "optional"
            yield f"api: {struct.__name__}.{field.encode_name} {needed}"
    for problem in ProblemKind:
        yield f"api: problem {problem.reason} {problem.status}"


def _with_parts(structs: list[type]) -> set[type]:
    """Return types with all the types of their fields."""
    found: set[type] = set()
    while structs:
        struct = structs.pop()
        if struct not in found:
            found.add(struct)
            for field in msgspec.structs.fields(struct):
                structs += _structs_in(field.type)
    return found


def _structs_in(kind: object) -> Iterator[type]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
    for each in get_args(kind):
        yield from _structs_in(each)


def _topics() -> Iterator[str]:
    for name, value in vars(Topics("PREFIX")).items():
        if name != "prefix":
            yield f"topic or group: {name} {value}"


def _of_code() -> Iterator[str]:
    """Yield what the modules themselves show; each is parsed once."""
    for path in sorted(SOURCE.rglob("*.py")):
        nodes = [*ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
        yield from _headers(nodes)
        # What pages give their templates is no promise.
        if path.is_relative_to(SOURCE / "entry") and not path.is_relative_to(
            SOURCE / "entry/pages"
        ):
            yield from _json_keys(nodes)


def _headers(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant):
            text = node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
            if isinstance(text, str) and _HEADER.fullmatch(text.lower()):
                yield f"header: {text.lower()}"


def _json_keys(nodes: list[ast.AST]) -> Iterator[str]:
    """Yield the keys that functions of the command line put into the documents which they return."""
    for node in nodes:
        if (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.returns is not None
            and _SHOWS.search(ast.unparse(node.returns))
        ):
            yield from (f"json key: {key}" for key in _keys(node))


def _keys(function: ast.AST) -> Iterator[str]:
    for node in ast.walk(function):
        for key in node.keys if isinstance(node, ast.Dict) else ():
            text = key.value if isinstance(key, ast.Constant) else None
            if isinstance(text, str) and _KEY.fullmatch(text):
                yield text


def _persisted() -> Iterator[str]:
    """Yield the fields of each kind of record that stays in a topic, as this code writes it."""
    for name, document in specimens().items():
        kind = name.split(":")[0]
        yield from (f"persisted: {kind} {path}" for path in _paths(document, ""))


def _paths(document: object, at: str) -> Iterator[str]:
    if isinstance(document, str):
        document = _inside(document)
    if isinstance(document, dict):
        for key, value in document.items():
            yield from _paths(value, f"{at}.{key}" if at else str(key))
    elif isinstance(document, list):
        for value in document:
            match value:
                case [str(header), str() | None]:
                    yield f"{at}[{header}]"
                case _:
                    yield from _paths(value, f"{at}[]")
    else:
        yield at or "text"


def _inside(text: str) -> object:
    """Return the JSON document that a text holds, or None where it holds another text."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _python(name: str) -> Iterator[str]:
    for called, member in _public(importlib.import_module(name)):
        yield f"python: {name}.{called}{_signature(member)}"
        if inspect.isclass(member):
            for method, value in _of_class(name, member):
                if not method.startswith("_") and callable(value):
                    yield f"python: {name}.{called}.{method}{_signature(value)}"
                elif isinstance(value, property):
                    yield f"python: {name}.{called}.{method}"


def _of_class(package: str, kind: type) -> Iterator[tuple[str, object]]:
    """Yield the members of a class, those of its public bases included."""
    for each in inspect.getmro(kind):
        if _within(package, each):
            yield from vars(each).items()


def _public(module: ModuleType) -> Iterator[tuple[str, object]]:
    for name, member in inspect.getmembers(module):
        if (
            _within(module.__name__, member)
            and not name.startswith("_")
            and name in getattr(module, "__all__", [name])
        ):
            yield name, member


def _within(package: str, member: object) -> bool:
    place = str(getattr(member, "__module__", None))
    return place == package or place.startswith(f"{package}.")


def _signature(member: object) -> str:
    if isinstance(member, type) and issubclass(member, Enum):
        # Not its signature: how a value is looked up is Python's, and differs between its releases.
        return f": {' | '.join(each.name for each in member)}"
    try:
        signature = str(inspect.signature(member))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return ""
    # Releases of Python differ in how they show an unpacked TypedDict, and where Path is defined.
    signature = re.sub(r"\*<class '([^']+)'>", r"Unpack[\1]", signature)
    signature = signature.replace("typing.Unpack", "Unpack").replace("pathlib._local.", "pathlib.")
    return re.sub(r"hookstream\.[a-z_.]+\.", "", signature)


def main(arguments: list[str]) -> int:
    """Write the file, or compare with it; return the exit code."""
    lines = [line + "\n" for line in surface()]
    if arguments == ["--check"]:
        before = SURFACE.read_text(encoding="utf-8").splitlines(keepends=True)
        found = list(difflib.unified_diff(before, lines, "committed", "this code", n=0))
        sys.stdout.writelines(found)
        return 1 if found else 0
    if arguments:
        sys.stderr.write(__doc__ or "")
        return 2
    SURFACE.write_text("".join(lines), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
