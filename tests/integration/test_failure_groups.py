"""Failure groups on a real broker: of several consoles one writes each change, with its event, or nothing."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product

import pytest
from tests.conftest import ROOT
from tests.doubles.failing import QUIET, errors_of, looked, seen_at
from tests.integration.definitions_world import KEYS, World

from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.published import own_schemas
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.kafka.scan import LogScan
from hookstream.adapters.tables.console_rows import ConsoleTable
from hookstream.core.access.scopes import Caller, Scope
from hookstream.core.failures.book import MOST_OF_SUBSCRIPTION, Looked
from hookstream.core.failures.groups import Act, Actor, Errors, GroupState, SeenErrors
from hookstream.core.model.event import Identified
from hookstream.entry.admin.failures import act_on, write_due
from hookstream.entry.admin.tokens import read_console
from hookstream.entry.admin.writing import EqualWriting
from hookstream.errors import Conflict, Contended
from hookstream.settings import Settings, load

CONSOLES = 3
WORDS = ["".join(letters) for letters in product("abcdefgh", repeat=3)]

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def world(console_world: World) -> World:
    return console_world


def settings_of(servers: str, prefix: str) -> Settings:
    return load(None, {}, {"kafka.bootstrap_servers": servers, "topics.prefix": prefix})


def settings_in(world: World) -> Settings:
    return settings_of(world.client["bootstrap.servers"], world.names.prefix)


def seen() -> Looked:
    """Return what every console's index has: as many errors of the one subscription as may have groups."""
    found: dict[Errors, SeenErrors] = {
        errors_of(word, "orders"): seen_at(number + 1)
        for number, word in enumerate(WORDS[:MOST_OF_SUBSCRIPTION])
    }
    return looked(found, {})


def write_all(settings: Settings, found: Looked) -> list[int]:
    """Look as a console does until nothing changes; return how many changed by each look."""
    sizes = []
    with EqualWriting(settings, KEYS, console=True) as writing:
        while True:
            try:
                due = writing.attempt(lambda writer: write_due(writer, found, QUIET)).result
            except Contended:
                # The next look finds the same.
                continue
            sizes.append(len(due.changed))
            if not due.changed:
                return sizes


def groups(world: World) -> ConsoleTable:
    return read_console(settings_in(world))


def changes(world: World) -> Counter[tuple[str, str, int]]:
    """Return how often each change of a group is on the operations topic."""
    codec = AvroCodec(SchemaBook(own_schemas()))
    found: Counter[tuple[str, str, int]] = Counter()
    for record in LogScan(world.client, world.names.operations).read():
        identified = codec.identify(record)
        assert isinstance(identified, Identified)
        if identified.revision.event_type == "subscription.failures_changed":
            fields = codec.fields(identified, record)
            assert isinstance(fields, dict)
            data = fields["data"]
            assert isinstance(data, dict)
            found[str(data["group_id"]), str(data["change"]), int(str(data["revision"]))] += 1
    return found


def test_of_consoles_that_see_the_same_at_once_each_change_is_written_once(world: World) -> None:
    found = seen()
    with ThreadPoolExecutor(CONSOLES) as consoles:
        settings = settings_in(world)
        sizes = [*consoles.map(lambda _: write_all(settings, found), range(CONSOLES))]
    written = groups(world).failures.groups()
    assert len(written) == len(found.errors) == sum(map(sum, sizes))
    assert {(each.state, each.revision) for each in written} == {(GroupState.OPEN, 1)}
    assert changes(world) == {(each.id, "opened", 1): 1 for each in written}


def kill_while(world: World, is_under_way: Callable[[], bool]) -> None:
    """Run a console that opens groups, and kill it with SIGKILL once it is under way."""
    command = [sys.executable, "-m", "tests.integration.test_failure_groups"]
    arguments = [world.client["bootstrap.servers"], world.names.prefix]
    process = subprocess.Popen([*command, *arguments], cwd=ROOT)  # noqa: S603  our own module
    try:
        deadline = time.monotonic() + 120
        while not is_under_way() and process.poll() is None:
            assert time.monotonic() < deadline
    finally:
        process.kill()
        process.wait()


def test_a_console_that_is_killed_leaves_each_change_with_its_event_or_neither(
    world: World,
) -> None:
    kill_while(world, lambda: len(groups(world).failures) >= 2)
    before = groups(world).failures.groups()
    assert len(before) < len(seen().errors), "it was not interrupted, so this test shows nothing"
    assert changes(world) == {(each.id, "opened", 1): 1 for each in before}
    write_all(settings_in(world), seen())
    after = groups(world).failures.groups()
    assert len(after) == len(seen().errors)
    assert changes(world) == {(each.id, "opened", 1): 1 for each in after}


def test_of_two_people_who_act_at_once_one_is_refused(world: World) -> None:
    settings = settings_in(world)
    write_all(settings, looked({errors_of("a", "orders"): seen_at(1)}))
    [group] = groups(world).failures.groups()

    def act(caller: Caller) -> str:
        with EqualWriting(settings, KEYS, console=True) as writing:
            try:
                writing.attempt(
                    partial(
                        act_on,
                        caller=caller,
                        name=group.id,
                        act=Act.ACKNOWLEDGE,
                        note=caller.token_id,
                        revision=1,
                    )
                )
            except Conflict as refused:
                return str(refused)
            return ""

    callers = [
        Caller("tok-operator", Scope.OPERATOR_WRITE, None),
        Caller("tok-partner", Scope.PARTNER_MANAGE, "acme"),
    ]
    with ThreadPoolExecutor(2) as people:
        said = [*people.map(act, callers)]
    [after] = groups(world).failures.groups()
    won = said.index("")
    assert "is at revision 2, not 1" in said[1 - won]
    assert (after.state, after.revision, after.note) == (
        GroupState.ACKNOWLEDGED,
        2,
        callers[won].token_id,
    )
    assert after.actor is (Actor.OPERATOR, Actor.PARTNER)[won]
    assert changes(world) == {(group.id, "opened", 1): 1, (group.id, "acknowledged", 2): 1}


def _one_by_one(settings: Settings) -> None:
    """Open the groups of a console that is killed: one in each transaction, so that it dies between two or in one."""
    every = seen()
    with EqualWriting(settings, KEYS, console=True) as writing:
        for errors, each in every.errors.items():
            one = looked({errors: each}, {})
            writing.attempt(lambda writer, one=one: write_due(writer, one, QUIET))  # type: ignore[misc]


if __name__ == "__main__":
    _one_by_one(settings_of(sys.argv[1], sys.argv[2]))
