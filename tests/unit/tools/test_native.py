"""How the native accelerator gets into an environment, and that its absence is one line and no failure."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from tools.native import SOURCE_VARIABLE, Ended, MachineCommands, main

from hookstream.adapters.avro.accelerator import fingerprint

WHY = "hookstream runs without its native accelerator: "
AGAIN = "; `make accelerator` tries again\n"
PROGRAMS = {"cargo": "/bin/cargo", "maturin": "/venv/bin/maturin"}


class Programs:
    """A machine of which a test says what it has, and how its commands end."""

    def __init__(
        self,
        programs: Mapping[str, str] = PROGRAMS,
        failing: Mapping[str, str] | None = None,
        *,
        has_one: bool = False,
    ) -> None:
        self.programs = programs
        self.failing = failing or {}
        """What commands with this word print before they fail."""
        self.has_one = has_one
        self.ran: list[tuple[str, ...]] = []
        self.sources: list[str] = []

    def find(self, name: str) -> str | None:
        return self.programs.get(name)

    def run(self, command: Sequence[str], environ: Mapping[str, str]) -> Ended:
        self.ran.append(tuple(command))
        if "build" in command:
            self.sources.append(environ[SOURCE_VARIABLE])
            Path(command[command.index("--out") + 1], "made.whl").touch()
        for word, output in self.failing.items():
            if word in command:
                return Ended(1, output)
        return Ended(0, "")

    def installed(self) -> bool:
        return self.has_one

    def ran_with(self, word: str) -> list[tuple[str, ...]]:
        return [command for command in self.ran if word in command]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with sources that nothing was built from."""
    (tmp_path / "native").mkdir()
    (tmp_path / "native" / "Cargo.toml").write_text("[package]\n")
    return tmp_path


@pytest.mark.parametrize(
    ("programs", "missing"),
    [
        ({}, "there is no cargo on the PATH"),
        (
            {"cargo": "/bin/cargo"},
            "there is no maturin in this environment (requirements.lock has it)",
        ),
    ],
)
def test_where_a_program_is_missing_one_line_says_so_and_nothing_fails(
    root: Path, capsys: pytest.CaptureFixture[str], programs: dict[str, str], missing: str
) -> None:
    machine = Programs(programs)
    assert main([], machine, root) == 0
    assert (capsys.readouterr().out, machine.ran) == (f"{WHY}{missing}{AGAIN}", [])


def test_whoever_requires_it_gets_an_exit_code(root: Path) -> None:
    assert main(["--required"], Programs({}), root) == 1


def test_where_crates_cannot_be_had_the_first_error_is_the_line_and_all_of_it_is_kept(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = "Updating index\nerror: failed to get `pyo3`\nCaused by:\n  no host\nmaturin failed\n"
    assert main([], Programs(failing={"build": output}), root) == 0
    log = Path(".cache", "native", "failed.log")
    why = f"error: failed to get `pyo3` (all of it is in {log})"
    assert capsys.readouterr().out == f"{WHY}{why}{AGAIN}"
    assert (root / log).read_text("utf-8") == output


def test_a_binary_of_other_sources_is_removed_where_none_can_be_built(root: Path) -> None:
    machine = Programs({}, has_one=True)
    main([], machine, root)
    [uninstall] = machine.ran
    assert uninstall[-4:] == ("uninstall", "--yes", "--quiet", "hookstream-native")


def test_what_is_built_knows_the_hash_of_its_sources_and_is_installed_without_an_index(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = Programs()
    assert main(["--required"], machine, root) == 0
    assert machine.sources == [fingerprint(root / "native")]
    [install] = machine.ran_with("install")
    assert {"--no-index", "--no-deps", "--force-reinstall"} <= set(install)
    assert install[-1].endswith("made.whl")
    assert capsys.readouterr().out.startswith("The native accelerator is built: ")


def test_what_is_made_while_building_stays_outside_of_the_sources(root: Path) -> None:
    machine = Programs()
    main([], machine, root)
    [build] = machine.ran_with("build")
    assert build[build.index("--target-dir") + 1] == str(root / ".cache" / "native" / "target")
    assert [path.name for path in (root / "native").iterdir()] == ["Cargo.toml"]
    assert [*(root / ".cache" / "native").iterdir()] == []


def test_what_was_built_and_cannot_be_used_is_removed(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = Programs(failing={"-c": "error: 0.1.0 has contract 2\n"}, has_one=True)
    assert main(["--required"], machine, root) == 1
    assert capsys.readouterr().out == f"{WHY}error: 0.1.0 has contract 2{AGAIN}"
    assert len(machine.ran_with("uninstall")) == 1


def test_a_command_that_does_not_end_is_ended() -> None:
    endless = [sys.executable, "-c", "import time; time.sleep(600)"]
    ended = MachineCommands(patience=0.0).run(endless, {})
    assert ended == Ended(1, f"error: {sys.executable} has not ended after 0 s")


def test_a_command_has_its_variables_and_a_short_patience_with_registries() -> None:
    program = "import os; print(os.environ['ONE'], os.environ['CARGO_NET_RETRY'])"
    ended = MachineCommands().run([sys.executable, "-c", program], {"ONE": "1"})
    assert (ended.code, ended.output.split()) == (0, ["1", "1"])
