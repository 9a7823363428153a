"""The native accelerator is an addition: nothing depends on it, its sources are pinned, and no stale one is tested."""

import re
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Any

from tests.architecture.source_text import names_in
from tests.conftest import ROOT

from hookstream.adapters.avro.accelerator import CONTRACT, MODULE, look_for

NATIVE = ROOT / "native"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
CRATE: dict[str, Any] = tomllib.loads((NATIVE / "Cargo.toml").read_text("utf-8"))
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")


def crates() -> Iterator[tuple[str, str]]:
    """Yield each crate that the accelerator names, with the versions that it may have."""
    for kind in ("dependencies", "dev-dependencies", "build-dependencies"):
        for name, wanted in CRATE.get(kind, {}).items():
            yield name, wanted if isinstance(wanted, str) else wanted["version"]


def test_hookstream_is_built_and_installed_without_rust() -> None:
    project = PROJECT["project"]
    optional = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(each for group in optional for each in group)]
    assert PROJECT["build-system"]["requires"] == ["hatchling"]
    assert PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["src/hookstream"]
    assert [each for each in wanted if re.match("hookstream|maturin", each)] == []


def test_the_accelerator_has_the_contract_of_this_release() -> None:
    found = re.search(r"const CONTRACT: u32 = (\d+);", (NATIVE / "src" / "lib.rs").read_text())
    assert found is not None
    assert int(found[1]) == CONTRACT


def test_an_accelerator_that_is_installed_here_is_that_of_the_present_sources() -> None:
    """Otherwise the tests would silently run without it: `make accelerator` builds it again, or removes it."""
    found = look_for(MODULE, NATIVE)
    assert found.module is not None or found.detail == "is not installed"


def test_each_contract_and_scenario_that_reads_avro_runs_once_more_in_python() -> None:
    named = re.search(r"^IN_PYTHON = (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert named is not None
    run = [ROOT / path for path in named[1].split()]
    reading = [
        file
        for folder in ("contracts", "scenarios")
        for file in sorted((ROOT / "tests" / folder).glob("*.py"))
        if "AvroCodec" in names_in(file)
    ]
    assert len(reading) > 1
    missed = [file for file in reading if not any(file.is_relative_to(path) for path in run)]
    assert missed == []


def test_each_crate_is_pinned_and_no_lock_names_the_host_of_a_registry() -> None:
    assert [name for name, version in crates() if not version.startswith("=")] == []
    assert "/Cargo.lock" in (NATIVE / ".gitignore").read_text("utf-8").splitlines()


def test_the_accelerator_has_no_unsafe_code_and_one_binary_for_every_python() -> None:
    assert "#![forbid(unsafe_code)]" in (NATIVE / "src" / "lib.rs").read_text("utf-8").splitlines()
    assert "abi3-py311" in CRATE["dependencies"]["pyo3"]["features"]


def test_the_image_gets_all_that_it_copies_and_nothing_that_was_made_here() -> None:
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    listed = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert listed[0] == "*"
    allowed = {line.removeprefix("!") for line in listed if line.startswith("!")}
    assert set(copied) == allowed
    refused = [line for line in listed if not line.startswith(("!", "#"))]
    for made in ("native/target", "native/Cargo.lock", "src/hookstream/__pycache__"):
        assert any(fnmatch(made, line) for line in refused[1:])


def test_the_image_builds_the_accelerator_in_a_stage_whose_compiler_is_not_in_the_image() -> None:
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    [native] = [stage for stage in stages if "maturin build" in stage]
    assert native.startswith("rust:")
    assert " AS native" in native.splitlines()[0]
    assert "--from=native /wheel" in DOCKERFILE
    last = re.findall(r"^COPY --from=(\S+) (\S+) (\S+)$", stages[-1], re.MULTILINE)
    assert last == [("build", "/hookstream", "/hookstream")]
