"""Partners and subscriptions are applied, paused, enabled and pruned on a real broker."""

import json
import threading
from pathlib import Path

import orjson
import pytest
from tests.conftest import ROOT, Broker
from tests.fuzz.tools import is_control
from tests.integration.definitions_world import (
    LEAD,
    SECRET,
    World,
    declare,
    make_folder,
    make_world,
)

from hookstream.adapters.kafka.scan import LogScan
from hookstream.adapters.kafka.tables.writer import TableChange
from hookstream.adapters.tables.rows import disabled_row, failing_row
from hookstream.core.delivery.signing import parse_secret, write_secret
from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.core.model.subscription import Disabled, Failing, Gap, SubscriptionState
from hookstream.entry.cli import root

EXAMPLES = ROOT / "examples" / "printprice"


@pytest.fixture
def world(
    broker: Broker,
    prefix: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    return make_world(broker, prefix, capsys, monkeypatch)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path)


def test_a_plan_shows_and_changes_nothing(world: World, folder: Path) -> None:
    ended = world.run("plan", str(folder))
    assert ended.code == 3
    assert ended.out == (
        "+ partner acme\n"
        "    name: Acme\n"
        "    grant.event_types: *\n"
        "    grant.environments: *\n"
        "    owner: files:shop\n"
        "+ subscription orders\n"
        "    partner: acme\n"
        "    endpoint.url: https://acme.example/…\n"
        "    endpoint.signing_secrets: env:ORDERS\n"
        "    endpoint.timeout: 15s\n"
        "    event_types: order.generated\n"
        "    versions.order.generated: 1\n"
        "    format: standard\n"
        "    content: full\n"
        "    retry.schedule: 5s 5m 30m 2h 6h 12h 24h 24h\n"
        "    retry.expires_after: 7d\n"
        "    limits.max_in_flight: 32\n"
        "    limits.weight: 1\n"
        "    owner: files:shop\n"
        "2 to create.\n"
    )
    assert world.state().current.subscriptions == {}


def test_what_is_applied_is_active_when_apply_returns(world: World, folder: Path) -> None:
    """The first event that is published after it must match."""
    assert world.run("apply", str(folder), "--yes").code == 0
    with world.writer() as writer:
        returned = writer.broker_now()
    orders = world.subscription("orders")
    assert orders.active_from < returned
    assert (orders.endpoint.secrets[0].key, orders.versions, orders.owner) == (
        bytes(range(32)),
        {"order.generated": 1},
        "files:shop",
    )


def granted(folder: Path, types: str) -> None:
    text = f"{{id: acme, name: Acme, grant: {{event_types: [{types}], environments: ['*']}}}}"
    (folder / "partners" / "acme.yaml").write_text(text)


def test_apply_says_from_when_a_new_and_a_wider_grant_hold_and_returns_then(
    world: World, folder: Path
) -> None:
    (folder / "subscriptions" / "orders.yaml").unlink()
    for types in ("order.generated", "order.generated, pricing.completed"):
        granted(folder, types)
        ended = world.run("apply", str(folder), "--yes", "--json")
        with world.writer() as writer:
            returned = writer.broker_now()
        since = world.state().current.partners["acme"].grants[-1].since
        assert since is not None
        said = to_rfc3339(since)
        assert orjson.loads(ended.out)["takes_effect"] == said
        assert ended.err.endswith(f"It takes effect at {said}\nEverything is active.\n")
        assert since < returned
    # What is taken away holds at once, and nothing is waited for.
    granted(folder, "pricing.completed")
    narrower = world.run("apply", str(folder), "--yes", "--json")
    assert orjson.loads(narrower.out)["takes_effect"] is None
    granted(folder, "'*'")
    at_once = world.run("apply", str(folder), "--yes", "--no-wait")
    assert at_once.err.startswith("It takes effect at ")


def test_applying_again_changes_nothing(world: World, folder: Path) -> None:
    world.run("apply", str(folder), "--yes", "--no-wait")
    before = world.state().rows
    again = world.run("apply", str(folder), "--yes")
    assert (again.code, again.out) == (0, "Nothing to change.\n")
    assert world.state().rows == before


def test_a_generated_secret_is_shown_once_and_stored(world: World, folder: Path) -> None:
    declare(folder, kind="generate")
    first = orjson.loads(world.run("apply", str(folder), "--yes", "--no-wait", "--json").out)
    (made,) = first["signing_secrets"]
    declare(folder, kind="generate", timeout="20s")
    second = orjson.loads(world.run("apply", str(folder), "--yes", "--json").out)
    assert second["signing_secrets"] == []
    (kept,) = world.subscription("orders").endpoint.secrets
    assert kept.key == parse_secret(made["secret"])


DEFERRED = "Workers of earlier releases defer deliveries of {} until they are upgraded"


def batched(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / "subscriptions" / f"{name}.yaml"
        path.write_text(path.read_text().removesuffix("}") + ", batch: {max_events: 100}}")


def test_apply_says_once_which_deliveries_workers_of_earlier_releases_defer(
    world: World, folder: Path
) -> None:
    declare(folder, "quotes")
    plain = world.run("apply", str(folder), "--yes", "--no-wait")
    batched(folder, "orders", "quotes")
    first = world.run("apply", str(folder), "--yes", "--no-wait")
    again = world.run("apply", str(folder), "--yes")
    assert "    batch.max_events: (none) → 100\n    batch.max_wait: (none) → 500ms\n" in first.out
    assert DEFERRED.format("orders, quotes") not in plain.err
    assert (first.err, again.err) == (DEFERRED.format("orders, quotes") + "\n", "")


def test_a_subscription_that_is_created_again_is_deferred_by_earlier_workers_again(
    world: World, folder: Path
) -> None:
    batched(folder, "orders")
    first = orjson.loads(world.run("apply", str(folder), "--yes", "--no-wait", "--json").out)
    gone = world.run("subscriptions", "delete", "orders", "--yes")
    again = orjson.loads(world.run("apply", str(folder), "--yes", "--no-wait", "--json").out)
    assert (first["notes"], again["notes"]) == ([DEFERRED.format("orders")],) * 2
    assert "earlier releases" not in gone.err


def test_json_contains_nothing_that_a_terminal_interprets(world: World, folder: Path) -> None:
    name = "Acme \u202e\u2066 Ltd"
    grant = {"event_types": ["*"], "environments": ["*"]}
    partner = {"id": "acme", "name": name, "grant": grant}
    (folder / "partners" / "acme.yaml").write_text(json.dumps(partner))
    orders = folder / "subscriptions" / "orders.yaml"
    pattern = ', pattern: {"data": {"order_number": ["\\x7f\\u202e"]}}}'
    orders.write_text(orders.read_text().removesuffix("}") + pattern)

    shown = [
        world.run("plan", str(folder), "--json").out,
        world.run("apply", str(folder), "--yes", "--no-wait", "--json").out,
        world.run("partners", "list", "--json").out,
        world.run("partners", "show", "acme", "--json").out,
        world.run("subscriptions", "list", "--json").out,
        world.run("subscriptions", "show", "orders", "--json").out,
    ]

    assert orjson.loads(shown[3])["fields"]["name"] == name
    assert [text.count(r"Acme \u202e\u2066 Ltd") for text in shown] == [1, 1, 1, 1, 0, 0]
    assert [text.count(r"\u007f") for text in shown] == [1, 1, 0, 0, 1, 1]
    assert {char for text in shown for char in text if is_control(char)} == set()


def test_the_examples_can_be_planned(world: World) -> None:
    ended = world.run("plan", str(EXAMPLES))
    assert (ended.code, ended.out.splitlines()[-1], ended.err) == (3, "10 to create.", "")


def test_a_pause_opens_a_gap_and_a_resume_closes_it(world: World, folder: Path) -> None:
    world.run("apply", str(folder), "--yes")
    assert world.run("subscriptions", "pause", "orders").code == 0
    paused = world.subscription("orders")
    (gap,) = paused.gaps
    assert (paused.state, gap.end, gap.reason) == (SubscriptionState.PAUSED, None, "paused")
    done = world.run("subscriptions", "resume", "orders", "--no-replay")
    assert done.code == 0
    resumed = world.subscription("orders")
    (closed,) = resumed.gaps
    assert resumed.state == SubscriptionState.ACTIVE
    assert closed.start == gap.start
    assert closed.end is not None
    assert closed.end - closed.start >= LEAD


def test_a_pause_needs_no_key_and_keeps_the_secret(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.run("apply", str(folder), "--yes", "--no-wait")
    before = world.subscription("orders").endpoint
    monkeypatch.delenv("HOOKSTREAM_KEYS__RING")
    assert world.run("subscriptions", "pause", "orders", "--no-wait").code == 0
    assert world.subscription("orders").endpoint == before


def test_applying_files_undoes_no_pause(world: World, folder: Path) -> None:
    world.run("apply", str(folder), "--yes", "--no-wait")
    world.run("subscriptions", "pause", "orders", "--no-wait")
    declare(folder, timeout="20s")
    ended = world.run("apply", str(folder), "--yes", "--no-wait")
    assert "note: subscription orders: is paused and stays paused" in ended.out
    orders = world.subscription("orders")
    assert (orders.state, orders.endpoint.timeout) == (SubscriptionState.PAUSED, 20_000)


def disable(world: World, since: Millis) -> None:
    verdict = disabled_row(Disabled("orders", since, "failing", "nothing but failures"))
    note = failing_row(Failing("orders", since - 5))
    with world.writer() as writer:
        writer.write([TableChange(world.names.health, *row) for row in (verdict, note)])


def test_a_new_url_clears_the_failing_mark_of_the_old_one(world: World, folder: Path) -> None:
    world.run("apply", str(folder), "--yes", "--no-wait")
    with world.writer() as writer:
        note = failing_row(Failing("orders", 1_764_000_000_000))
        writer.write([TableChange(world.names.health, *note)])
    declare(folder, timeout="20s")
    world.run("apply", str(folder), "--yes", "--no-wait")
    before = list(world.state().failing)
    declare(folder, url="https://acme.example/other")
    world.run("apply", str(folder), "--yes", "--no-wait")

    assert (before, list(world.state().failing)) == (["orders"], [])


def test_enabling_leaves_the_gap_and_clears_the_verdict(world: World, folder: Path) -> None:
    world.run("apply", str(folder), "--yes")
    since = world.subscription("orders").active_from + 1
    disable(world, since)
    listed = orjson.loads(world.run("subscriptions", "list", "--json").out)
    assert [
        (each["id"], each["state"], each["reason"], each["failing_since"]) for each in listed
    ] == [("orders", "disabled", "failing", to_rfc3339(since - 5))]
    assert "failing" in world.run("subscriptions", "list").out
    assert "nothing but failures since" in world.run("subscriptions", "show", "orders").out
    done = world.run("subscriptions", "enable", "orders", "--no-replay", "--no-redrive")
    assert done.code == 0
    assert world.state().failing == {}
    state = world.state().current
    orders = state.subscriptions["orders"]
    assert state.disabled == {}
    assert [(gap.start, gap.reason) for gap in orders.gaps] == [(since - 60_000, "disabled")]
    assert orders.gaps[0] != Gap(since, None, "disabled")


def test_pruning_deletes_what_is_declared_no_more(world: World, folder: Path) -> None:
    declare(folder, "quotes")
    world.run("apply", str(folder), "--yes", "--no-wait")
    (folder / "subscriptions" / "quotes.yaml").unlink()
    assert world.run("apply", str(folder), "--yes").out == "Nothing to change.\n"
    refused = world.run("apply", str(folder), "--yes", "--prune")
    assert (refused.code, refused.out, "--confirm-delete 1" in refused.err) == (2, "", True)
    pruned = world.run("apply", str(folder), "--yes", "--prune", "--confirm-delete", "1")
    assert pruned.out == "- subscription quotes\n1 to delete, 2 unchanged.\n"
    quotes = world.subscription("quotes")
    assert (quotes.state, quotes.endpoint.secrets) == (SubscriptionState.DELETED, ())


@pytest.mark.case("sub-folders")
def test_a_file_that_moved_is_no_deletion(world: World, folder: Path) -> None:
    world.run("apply", str(folder), "--yes", "--no-wait")
    (folder / "subscriptions" / "eu").mkdir()
    (folder / "subscriptions" / "orders.yaml").rename(
        folder / "subscriptions" / "eu" / "orders.YAML"
    )
    ended = world.run("plan", str(folder), "--prune")
    assert (ended.code, ended.out) == (0, "Nothing to change.\n")


def test_a_prune_of_a_wrong_or_empty_folder_deletes_nothing(
    world: World, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    world.run("apply", str(folder), "--yes", "--no-wait")
    empty = tmp_path_factory.mktemp("empty")
    (empty / "subscriptions").mkdir()
    for folder_of, options, why in (
        (empty, (), "--prune: the folder has no name, so it owns nothing"),
        (empty, ("--owner", "shop"), "the folder declares nothing, and 2 would be deleted"),
        (EXAMPLES, ("--owner", "shop"), "says that it is"),
    ):
        ended = world.run("apply", str(folder_of), "--yes", "--prune", *options)
        assert (ended.code, why in ended.err) == (2, True), ended.err
    assert world.subscription("orders").state == SubscriptionState.ACTIVE


def test_a_secret_is_rotated_as_documented(world: World, folder: Path) -> None:
    declare(folder, kind="generate")
    path = folder / "subscriptions" / "orders.yaml"
    one = path.read_text()
    world.run("apply", str(folder), "--yes", "--no-wait")
    (leaked,) = world.subscription("orders").endpoint.secrets
    path.write_text(one.replace("[{generate: true}]", "[{generate: true}, {generate: true}]"))
    begun = world.run("apply", str(folder), "--yes", "--no-wait")
    assert "    signing secret generated-r2: comes\n" in begun.out
    new, old = world.subscription("orders").endpoint.secrets
    assert f"  orders  generated-r2  {write_secret(new.key)}\n" in begun.out
    path.write_text(one)
    ended = world.run("apply", str(folder), "--yes", "--no-wait")
    assert "    signing secret generated: goes\n" in ended.out
    assert (old, world.subscription("orders").endpoint.secrets) == (leaked, (new,))


def test_a_plan_needs_neither_key_ring_nor_secrets(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It checks files where no secret is: in continuous integration."""
    world.run("apply", str(folder), "--yes", "--no-wait")
    monkeypatch.delenv("HOOKSTREAM_KEYS__RING")
    monkeypatch.delenv("ORDERS")
    ended = world.run("plan", str(folder))
    assert (ended.code, ended.err) == (0, "")
    notes = ended.out.splitlines()[:-1]
    assert notes[0] == "note: the environment variable ORDERS is not set: apply needs it"
    assert notes[1].startswith("note: secrets are compared by their names only, without")
    declare(folder, timeout="20s")
    assert world.run("plan", str(folder)).code == 3
    assert world.run("apply", str(folder), "--yes").code == 2


def test_a_deleted_subscription_that_is_applied_again_starts_afresh(
    world: World, folder: Path
) -> None:
    world.run("apply", str(folder), "--yes")
    first = world.subscription("orders")
    disable(world, first.active_from)
    assert world.run("subscriptions", "delete", "orders", "--yes").code == 0
    assert world.run("apply", str(folder), "--yes").code == 0
    again = world.subscription("orders")
    assert again.active_from > first.active_from
    assert (again.state, again.revision) == (SubscriptionState.ACTIVE, 3)
    assert world.state().current.disabled == {}


def test_a_partner_is_deleted_with_its_subscriptions_only_on_request(
    world: World, folder: Path
) -> None:
    world.run("apply", str(folder), "--yes", "--no-wait")
    refused = world.run("partners", "delete", "acme", "--yes")
    assert refused.code == 2
    assert refused.err == (
        "hookstream: partner 'acme' has live subscriptions (orders): "
        "--cascade deletes them as well\n"
    )
    assert world.run("partners", "delete", "acme", "--cascade", "--yes").code == 0
    assert world.state().current.partners == {}
    assert world.subscription("orders").state == SubscriptionState.DELETED


def test_an_outdated_revision_is_a_conflict(world: World, folder: Path) -> None:
    world.run("apply", str(folder), "--yes", "--no-wait")
    world.run("subscriptions", "pause", "orders", "--no-wait")
    ended = world.run("subscriptions", "resume", "orders", "--if-revision", "1")
    assert (ended.code, ended.err) == (
        2,
        "hookstream: subscription 'orders' is at revision 2, not 1\n",
    )


def test_a_plan_that_became_outdated_while_it_was_shown_is_not_written(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.run("apply", str(folder), "--yes", "--no-wait")
    declare(folder, timeout="20s")

    def overtaken(*_: object, **__: object) -> None:
        finished = threading.Thread(target=_pause_behind, args=(world,))
        finished.start()
        finished.join()

    monkeypatch.setattr("hookstream.entry.cli.definitions.click.confirm", overtaken)
    ended = world.run("apply", str(folder))
    assert ended.code == 2
    assert "subscription orders was changed by somebody else since the plan" in ended.err
    assert world.subscription("orders").endpoint.timeout == 15_000


def _pause_behind(world: World) -> None:
    """Pause as another process would, with nothing printed here."""
    with pytest.raises(SystemExit):
        root.main(
            [
                *("--bootstrap-servers", world.client["bootstrap.servers"]),
                *("--prefix", world.names.prefix),
                *("subscriptions", "pause", "orders", "--no-wait"),
            ]
        )


def test_an_older_writer_is_fenced_by_a_command(world: World, folder: Path) -> None:
    with world.writer() as older:
        world.run("apply", str(folder), "--yes", "--no-wait")
        with pytest.raises(Exception, match="another writer took over"):
            older.write([TableChange(world.names.subscriptions, "orders", b"{}")])
    assert world.subscription("orders").revision == 1


def test_every_change_of_a_subscription_is_an_operations_event(world: World, folder: Path) -> None:
    world.run("apply", str(folder), "--yes", "--no-wait")
    world.run("subscriptions", "pause", "orders", "--no-wait")
    world.run("subscriptions", "resume", "orders", "--no-wait")
    world.run("subscriptions", "delete", "orders", "--yes")
    assert len([*LogScan(world.client, world.names.operations).read()]) == 4


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("partition", "start", "orders", "--at", "earliest"), "'orders' is not TOPIC/N"),
        (("partition", "start", "orders/1", "--at", "noon"), "--at: 'noon' is not an RFC 3339"),
        (("subscriptions", "show", "none"), "there is no subscription 'none'"),
        (("subscriptions", "pause", "none"), "there is no subscription 'none'"),
        (("partners", "show", "none"), "there is no partner 'none'"),
    ],
)
def test_what_cannot_be_done_is_reported_in_one_sentence(
    world: World, arguments: tuple[str, ...], sentence: str
) -> None:
    ended = world.run(*arguments)
    assert ended.code == 2
    assert ended.err.startswith(f"hookstream: {sentence}")


def test_files_with_problems_change_nothing(world: World, folder: Path) -> None:
    declare(folder, timeout="1h")
    (folder / "partners" / "acme.yaml").write_text("id: acme\nname: Acme\n")
    ended = world.run("apply", str(folder), "--yes")
    assert ended.code == 2
    assert ended.err.replace(str(folder), "DIR") == (
        "DIR/partners/acme.yaml:1: partner acme: grant: is missing\n"
        "DIR/subscriptions/orders.yaml:1: subscription orders: endpoint.timeout: "
        "must be 100ms to 1m, not 1h\n"
        "2 problems; nothing was changed\n"
    )


def test_a_list_shows_the_status_of_subscriptions(world: World, folder: Path) -> None:
    world.run("apply", str(folder), "--yes")
    assert "orders" in world.run("subscriptions", "list").out
    shown = world.run("subscriptions", "show", "orders").out
    assert "endpoint.signing_secrets" in shown
    assert SECRET not in shown
    assert "acme" in world.run("partners", "list").out
    assert "orders" in world.run("partners", "show", "acme").out
