"""What files own is theirs until it is released to the API, and what is released is not theirs."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.conftest import Broker
from tests.integration.definitions_world import World, make_folder, make_world

from hookstream.core.model.partner_limits import PartnerLimits
from hookstream.entry.admin.ownership import OwnedByFiles, refuse_owned_by_files


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


def test_what_is_released_to_the_api_is_refused_to_files_until_it_is_given_back(
    world: World, folder: Path
) -> None:
    world.run("apply", str(folder), "--yes", "--no-wait")
    before = world.subscription("orders")
    for subject in (before, world.state().current.partners["acme"]):
        with pytest.raises(OwnedByFiles, match="the folder shop declares it") as refusal:
            refuse_owned_by_files(subject)
        assert refusal.value.folder == "shop"

    released = world.run("subscriptions", "release", "orders")
    again = world.run("subscriptions", "release", "orders")
    after = world.subscription("orders")
    refused = world.run("apply", str(folder), "--yes", "--no-wait")

    assert released.err == (
        "orders now belongs to the API\n"
        "Remove its file in the folder shop: the next apply refuses the folder until then\n"
    )
    assert again.err == "orders already belongs to the API\n"
    assert before.declared_at == "subscriptions/orders.yaml:1"
    revision = before.revision + 1
    assert after == replace(before, owner="api", declared_at="", revision=revision)
    refuse_owned_by_files(after)
    assert refused.code == 2
    assert "hookstream subscriptions release orders --to files" in refused.err

    assert world.run("subscriptions", "release", "orders", "--to", "files").code == 0
    assert world.run("apply", str(folder), "--yes", "--no-wait").code == 0
    assert world.subscription("orders").owner == "files:shop"
    assert world.run("subscriptions", "release", "orders", "--if-revision", "1").code == 2
    assert world.run("partners", "release", "acme").code == 0
    assert world.state().current.partners["acme"].owner == "api"


def test_the_limits_of_a_partner_are_set_by_files(world: World, folder: Path) -> None:
    (folder / "partners" / "acme.yaml").write_text(
        "{id: acme, name: Acme, grant: {event_types: ['*'], environments: ['*']},"
        " limits: {subscriptions: 3}}"
    )
    world.run("apply", str(folder), "--yes", "--no-wait")
    assert world.state().current.partners["acme"].limits == PartnerLimits(subscriptions=3)
    assert "limits.subscriptions" in world.run("partners", "show", "acme").out
