"""A file that may not be read is named with the reason, and nothing is changed."""

import json
import os
import subprocess
import sys
from pathlib import Path

SETTINGS = '[kafka]\nbootstrap_servers = "127.0.0.1:1"\n'
CASES = {
    "here/partners/a.yaml": "here/partners/a.yaml: cannot be read: Permission denied",
    "here/partners": "here/partners cannot be read: Permission denied",
    "hookstream.toml": "'hookstream.toml' is not readable",
}
"""What is closed, and what is said of it."""

PLAN_IN_EACH = """
import json, os, sys, tempfile
from hookstream.entry.cli import main

answers = []
for folder in sys.argv[1:]:
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            os.dup2(said.fileno(), 2)
            os.chdir(folder)
            sys.argv = ["hookstream", "--config", "hookstream.toml", "plan", "here"]
            sys.exit(main())
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said.seek(0)
        answers.append((code, said.read().decode()))
print(json.dumps(answers))
"""
"""A process for each folder, forked from one that has the imports."""


def plan_in_each(folders: list[Path]) -> list[tuple[int, str]]:
    """Run `plan` in each folder, without root's right to read everything: its exit code and errors."""
    bound = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else []
    done = subprocess.run(  # noqa: S603  our own command
        [*bound, sys.executable, "-c", PLAN_IN_EACH, *map(str, folders)],
        capture_output=True,
        text=True,
        check=True,
    )
    return [(code, said) for code, said in json.loads(done.stdout)]


def test_what_may_not_be_read_is_named(tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(len(CASES))]
    for folder, closed in zip(folders, CASES, strict=True):
        (folder / "here" / "partners").mkdir(parents=True)
        (folder / "here" / "partners" / "a.yaml").write_text("id: a\n")
        (folder / "hookstream.toml").write_text(SETTINGS)
        (folder / closed).chmod(0)
    try:
        answers = plan_in_each(folders)
    finally:
        for folder, closed in zip(folders, CASES, strict=True):
            (folder / closed).chmod(0o700)

    for (closed, named), (code, said) in zip(CASES.items(), answers, strict=True):
        assert code == 2, (closed, said)
        assert named in said, closed
        assert "Traceback" not in said, said
