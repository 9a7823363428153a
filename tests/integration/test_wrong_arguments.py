"""Whatever a command is given, it ends with a documented code and a sentence, never a traceback."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from tests.conftest import ROOT, Broker
from tests.integration.definitions_world import RING, World, make_folder, make_world

from hookstream.adapters.kafka.tables import log
from hookstream.entry.cli.root import root

SEEDS = range(4)
CODES = {0, 1, 2, 3}

# They run until they are interrupted, or fetch Kafka; their refusals are tested elsewhere.
ENDLESS = {("worker",), ("jobs", "run"), ("dev", "broker"), ("dev", "fetch")}
ENDLESS_OPTIONS = {"--follow", "--help"}

WORDS = [
    "",
    " ",
    "-",
    "--",
    "x",
    "é",
    "half \udcff",
    "\x1b[2J\u202e",
    "x" * 5_000,
    "0",
    "-1",
    "1e400",
    "9" * 30,
    "NaN",
    "١٢",
    "2026-13-45T00:00:00Z",
    "10000-01-01T00:00:00Z",
    "1970-01-01T00:00:00Z",
    "99999999999d",
    "2h",
    "3@1042",
    "0@99999999999999999999",
    "t-0@-1",
    "a/b",
    "nosuch/7",
    "nosuch/999999",
    "orders",
    "ORDERS",
    "acme",
    "order.generated",
    "*",
    "[red]",
    "../../etc/passwd",
    "{}",
]


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if isinstance(found, click.Group):
            yield from commands(found, (*path, name))
        elif (*path, name) not in ENDLESS:
            yield (*path, name)


def command_at(path: Sequence[str]) -> click.Command:
    found: click.Command = root
    for name in path:
        assert isinstance(found, click.Group)
        below = found.get_command(click.Context(found), name)
        assert below is not None
        found = below
    return found


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Files and folders that no command accepts, and some that are nearly right."""
    folder = tmp_path_factory.mktemp("careless")
    made = [folder / "missing", folder, folder / ("x" * 300)]
    contents = {
        "empty": b"",
        "blank": b"\n\n \n",
        "nul": b"\x00" * 100,
        "latin": "grüße".encode("latin-1"),
        "utf-16": '{"a": 1}'.encode("utf-16"),
        "deep": b"[" * 100_000,
        "wide": b'{"type": "order.generated", "data": ' + b"9" * 10_000 + b"}\n",
        "lines": b'{}\n[]\nnull\n1\n"x"\n{"type": 1}\n{"type": "order.generated"}\n',
        "crlf": b'\xef\xbb\xbf{"type": "order.generated",\r\n"data": {}}\r\n',
    }
    for name, content in contents.items():
        made.append(folder / name)
        made[-1].write_bytes(content)
    documents = {
        "empty.yaml": b"",
        "tabs.yaml": b"id:\tacme\n\tname: x\n",
        "anchors.yaml": b"a: &a [x]\nb: [*a, *a]\n",
        "bomb.yaml": b"".join(
            b"a%d: &a%d [%s]\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 9)
        ),
        "twice.yaml": b"id: a\nid: b\n",
        "crlf.yaml": b"\xef\xbb\xbfid: acme\r\nname: Acme\r\n",
        "types.yaml": b"id: 7\npartner: [x]\nendpoint: no\nevent_types: {}\n",
        "list.yaml": b"- id: a\n",
        "huge.yaml": b"id: " + b"9" * 10_000 + b"\n",
        "latin.json": "{'grüße'}".encode("latin-1"),
        "v1.avsc": b'{"type": "record"}',
        "v2.avsc": b'{"type": "record", "name": "x", "fields": [{"name": 1, "type": 7}],'
        b' "eventType": "a.b", "eventVersion": 2}',
        "v3.avsc": b'{"type": {"type": {"type": "record"}}, "fields": {"a": null}}',
    }
    for kind in ("partners", "subscriptions", "a.b"):
        (folder / "definitions" / kind).mkdir(parents=True)
        for name, content in documents.items():
            (folder / "definitions" / kind / name).write_bytes(content)
    (folder / "definitions" / "hookstream.yaml").write_bytes(b"name: [shop]\n")
    sound = folder / "sound"
    sound.mkdir()
    return [*map(str, made), str(folder / "definitions"), str(make_folder(sound)), str(ROOT)]


def drawn(chance: random.Random, path: tuple[str, ...], places: list[str]) -> list[str]:
    """Return wrong arguments: wrong values, too many, too few."""
    given: list[str] = []
    for parameter in command_at(path).params:
        words = places if isinstance(parameter.type, click.Path | click.File) else WORDS
        if isinstance(parameter.type, click.Choice) and chance.random() < 0.8:
            words = [*map(str, parameter.type.choices)]
        if isinstance(parameter, click.Option):
            name = parameter.opts[0]
            if name in ENDLESS_OPTIONS or chance.random() < 0.6:
                continue
            given += [name] if parameter.is_flag else [name, chance.choice(words)]
        elif chance.random() < 0.95:
            given.append(chance.choice(words))
    if path == ("events", "tail"):
        given.append("--no-follow")
    if chance.random() < 0.1:
        given.append(chance.choice([*WORDS, "--nosuch"]))
    return given


def run(world: World, arguments: Sequence[str]) -> Result:
    options = [
        *("--bootstrap-servers", world.client["bootstrap.servers"]),
        *("--prefix", world.names.prefix),
        *("--set", "tables.activation_lead=0s"),
    ]
    environ = {"HOOKSTREAM_KEYS__RING": RING.decode(), "ORDERS": ""}
    return CliRunner(env=environ).invoke(root, [*options, *arguments], input="y\n")


@pytest.fixture
def world(
    broker: Broker,
    prefix: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    made = make_world(broker, prefix, capsys, monkeypatch)
    # The console topic is missing, and does not appear: each command would wait two seconds for it.
    monkeypatch.setattr(log, "_APPEAR_SECONDS", 0.0)
    return made


@pytest.mark.parametrize("path", [*commands(root)], ids=" ".join)
def test_a_careless_command_line_ends_with_a_sentence(
    world: World, path: tuple[str, ...], places: list[str], tmp_path: Path
) -> None:
    for seed in SEEDS:
        chance = random.Random(f"{path} {seed}")
        given = drawn(chance, path, [*places, str(tmp_path / "new")])
        ended = run(world, [*path, *given])
        context = (
            f"{path} {[each[:200] for each in given]}: {ended.exit_code}\n{ended.output[-2000:]}"
        )
        assert ended.exit_code in CODES, context
        assert ended.exception is None or isinstance(ended.exception, SystemExit), context
        assert "Traceback" not in ended.output, context
        assert "defect of hookstream" not in ended.output, context
        assert ended.exit_code != 2 or ended.stderr.strip(), context
