"""`make setup` takes the system's Python only in place of one that is of the same version and was built plainly."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.conftest import ROOT

INTERPRETER = """\
#!/bin/sh
case "$2" in
*--enable-optimizations*) exit {plain} ;;
*version_info*) echo {version} ;;
*ensurepip*) exit {without_venv} ;;
*) exit 9 ;;
esac
"""


@dataclass(frozen=True)
class Interpreter:
    """What one Python says of itself."""

    version: str = "3 11"
    plain: bool = False
    """Whether it was built without profile-guided optimization."""
    without_venv: bool = False

    def write(self, path: Path) -> Path:
        text = INTERPRETER.format(
            plain=int(self.plain), version=self.version, without_venv=int(self.without_venv)
        )
        path.write_text(text)
        path.chmod(0o755)
        return path


@pytest.mark.parametrize(
    ("of_path", "of_system", "taken"),
    [
        (Interpreter(plain=True), Interpreter(), True),
        (Interpreter(), Interpreter(), False),
        (Interpreter(plain=True), Interpreter("3 12"), False),
        (Interpreter(plain=True), Interpreter(without_venv=True), False),
        (Interpreter(plain=True), None, False),
    ],
    ids=["plain", "optimized", "another version", "no venv", "no system's"],
)
def test_the_systems_python_is_taken_where_it_is_as_good_and_quicker(
    tmp_path: Path, of_path: Interpreter, of_system: Interpreter | None, *, taken: bool
) -> None:
    of_path.write(tmp_path / "python3")
    system = tmp_path / "of-system"
    if of_system is not None:
        of_system.write(system)
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SYSTEM_PYTHON": str(system)}

    chosen = subprocess.run(  # noqa: S603
        ["/bin/sh", ROOT / "tools" / "python.sh"],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )

    assert chosen.stdout.strip() == (str(system) if taken else "python3")
