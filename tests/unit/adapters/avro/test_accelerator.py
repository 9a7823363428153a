"""Which implementation turns Avro into JSON, and what a process says where it cannot be the one that is required."""

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest
from tests.conftest import ROOT

from hookstream.adapters.avro import accelerator
from hookstream.adapters.avro.accelerator import (
    CONTRACT,
    FoundAccelerator,
    Implementation,
    checkout_of,
    choose,
    fingerprint,
    implementation,
    look_for,
)
from hookstream.errors import ConfigurationError

MODULE = ModuleType("an_accelerator")
THERE = FoundAccelerator(MODULE, f"1.2.3 has contract {CONTRACT}")
MISSING = FoundAccelerator(None, "is not installed")


@pytest.fixture
def importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose modules can be imported; the module `built` is forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("built", None)


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Sources as `native/` has them."""
    folder = tmp_path / "native"
    (folder / "src").mkdir(parents=True)
    (folder / "Cargo.toml").write_text("[package]\n")
    (folder / "src" / "lib.rs").write_text("fn one() {}\n")
    return folder


def module(folder: Path, text: str) -> None:
    (folder / "built.py").write_text(dedent(text))


def built_from(folder: Path, source: str) -> None:
    module(folder, f'CONTRACT, SOURCE, __version__ = {CONTRACT}, "{source}", "1.2.3"')


def test_without_a_wish_the_accelerator_runs_where_it_is_there() -> None:
    chosen = choose(None, THERE)
    assert chosen == Implementation(MODULE, f"hookstream-native 1.2.3 has contract {CONTRACT}")
    assert chosen.name == "native"


@pytest.mark.parametrize("wish", [None, ""])
def test_without_a_wish_python_runs_where_it_is_not(wish: str | None) -> None:
    chosen = choose(wish, MISSING)
    assert chosen == Implementation(None, "hookstream-native is not installed")
    assert chosen.name == "python"


@pytest.mark.parametrize("found", [THERE, MISSING])
def test_python_runs_where_it_is_required(found: FoundAccelerator) -> None:
    assert choose("0", found) == Implementation(None, "HOOKSTREAM_NATIVE is 0")


def test_the_accelerator_runs_where_it_is_required() -> None:
    assert choose("1", THERE) == Implementation(MODULE, "HOOKSTREAM_NATIVE is 1")


def test_an_accelerator_that_is_required_and_missing_is_an_error_with_a_remedy() -> None:
    with pytest.raises(ConfigurationError) as refused:
        choose("1", MISSING)
    assert str(refused.value) == (
        "HOOKSTREAM_NATIVE is 1, but hookstream-native is not installed: install that of this release"
        " (`make accelerator` in a checkout, `pip install ./native` elsewhere; both need Rust), or unset"
        " HOOKSTREAM_NATIVE to run without it"
    )


@pytest.mark.parametrize("wish", ["2", "yes", "true", " 1", "01"])
def test_any_other_wish_is_an_error_that_names_the_two(wish: str) -> None:
    with pytest.raises(ConfigurationError, match=r"set it to 1 .* or 0 .*, or unset it"):
        choose(wish, THERE)


def test_the_environment_is_read_whenever_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOKSTREAM_NATIVE", "0")
    assert implementation() == Implementation(None, "HOOKSTREAM_NATIVE is 0")
    monkeypatch.setenv("HOOKSTREAM_NATIVE", "maybe")
    with pytest.raises(ConfigurationError, match="'maybe'"):
        implementation()


def test_a_module_of_the_same_contract_is_used(importable: Path) -> None:
    built_from(importable, "")
    found = look_for("built", None)
    assert (found.module, found.detail) == (sys.modules["built"], f"1.2.3 has contract {CONTRACT}")


def test_a_module_of_another_contract_is_not_used(importable: Path) -> None:
    module(importable, f'CONTRACT, __version__ = {CONTRACT + 1}, "9.0.0"')
    needs = f"9.0.0 has contract {CONTRACT + 1}, this release of hookstream needs {CONTRACT}"
    assert look_for("built", None) == FoundAccelerator(None, needs)


def test_a_module_without_a_contract_is_not_used(importable: Path) -> None:
    module(importable, "")
    needs = f"of an unknown release has contract None, this release of hookstream needs {CONTRACT}"
    assert look_for("built", None) == FoundAccelerator(None, needs)


def test_a_module_that_is_not_there_is_not_used() -> None:
    assert look_for("built", None) == MISSING


def test_a_module_that_cannot_be_loaded_is_not_used_and_the_reason_is_one_line(
    importable: Path,
) -> None:
    module(importable, 'raise ImportError("libc.so.6:\\n version not found " + "x" * 1_000)')
    found = look_for("built", None)
    assert found.module is None
    assert found.detail.startswith("cannot be loaded: ImportError: libc.so.6: version not found x")
    assert len(found.detail) < 300


def test_in_a_checkout_only_a_binary_of_its_present_sources_is_used(
    importable: Path, sources: Path
) -> None:
    built_from(importable, fingerprint(sources))
    assert look_for("built", sources).module is sys.modules["built"]
    (sources / "src" / "lib.rs").write_text("fn two() {}\n")
    stale = f"1.2.3 was built from other sources than {sources} has now"
    assert look_for("built", sources) == FoundAccelerator(None, stale)


def test_in_a_checkout_a_binary_that_does_not_say_its_sources_is_not_used(
    importable: Path, sources: Path
) -> None:
    module(importable, f"CONTRACT = {CONTRACT}")
    assert look_for("built", sources).module is None


def test_the_hash_of_the_sources_changes_with_every_file_and_its_name(sources: Path) -> None:
    hashes = [fingerprint(sources)]
    (sources / "src" / "program.rs").write_text("")
    hashes.append(fingerprint(sources))
    (sources / "src" / "program.rs").rename(sources / "src" / "walk.rs")
    hashes.append(fingerprint(sources))
    (sources / "Cargo.toml").write_text("[package]\n\n")
    hashes.append(fingerprint(sources))
    assert len(set(hashes)) == len(hashes)


def test_what_is_made_from_the_sources_does_not_change_their_hash(sources: Path) -> None:
    before = fingerprint(sources)
    (sources / "Cargo.lock").write_text("made")
    (sources / "target" / "release").mkdir(parents=True)
    (sources / "target" / "release" / "made.rs").write_text("made")
    assert fingerprint(sources) == before


def test_a_checkout_is_recognized_and_an_installation_is_none(tmp_path: Path) -> None:
    assert checkout_of(Path(accelerator.__file__)) in {ROOT / "native", None}
    installed = tmp_path / "lib" / "python3.11" / "site-packages"
    assert checkout_of(installed / "hookstream" / "adapters" / "avro" / "accelerator.py") is None
    (tmp_path / "native").mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    inside = tmp_path / "src" / "hookstream" / "adapters" / "avro" / "accelerator.py"
    assert checkout_of(inside) == tmp_path / "native"
