"""A file that may not be read is named with the reason, and nothing is changed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SETTINGS = '[kafka]\nbootstrap_servers = "127.0.0.1:1"\n'


def plan(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `plan` without root's right to read everything."""
    bound = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else []
    return subprocess.run(  # noqa: S603  our own command
        [
            *bound,
            sys.executable,
            "-m",
            "hookstream",
            "--config",
            "hookstream.toml",
            "plan",
            "here",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("closed", "said"),
    [
        ("here/partners/a.yaml", "here/partners/a.yaml: cannot be read: Permission denied"),
        ("here/partners", "here/partners cannot be read: Permission denied"),
        ("hookstream.toml", "'hookstream.toml' is not readable"),
    ],
)
def test_what_may_not_be_read_is_named(tmp_path: Path, closed: str, said: str) -> None:
    (tmp_path / "here" / "partners").mkdir(parents=True)
    (tmp_path / "here" / "partners" / "a.yaml").write_text("id: a\n")
    (tmp_path / "hookstream.toml").write_text(SETTINGS)
    there = tmp_path / closed
    there.chmod(0)
    try:
        answer = plan(tmp_path)
    finally:
        there.chmod(0o700)

    assert answer.returncode == 2
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr
