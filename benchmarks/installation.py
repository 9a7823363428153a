"""An installation: a folder with its settings, and hookstream's own commands as processes.

Every process here ends with this one, however this one ends: the kernel sees to it (`setpriv`).
"""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_PIECE = 1 << 16
_KIB_OF_MIB = 1_024


@dataclass(slots=True, frozen=True)
class Ran:
    """What a process took, its start included."""

    seconds: float
    cpu_seconds: float
    peak_mib: float


class Installation:
    """What one run has of hookstream: it shares nothing with any other."""

    def __init__(self, folder: Path, settings: str) -> None:
        """Write the settings, which name `keys.json` of the folder; nothing runs yet."""
        self.environ = dict(os.environ)
        """Of every command; signing secrets are handed over in it."""
        self._folder = folder
        self._config = folder / "hookstream.toml"
        self._config.write_text(settings)

    def prepare(self, definitions: Path) -> None:
        """As `begin`, and return when all that is declared is active."""
        self.begin()
        self.apply(definitions)

    def begin(self) -> None:
        """Make keys and topics, and publish schemas."""
        self.run("dev", "keys", str(self._folder / "keys.json"))
        self.run("topics", "apply", "--yes")
        self.run("schemas", "apply", str(ROOT / "schemas"), "--yes")

    def apply(self, definitions: Path) -> None:
        """Return when all that is declared is active."""
        self.run("apply", str(definitions), "--yes")

    def start_worker(
        self,
        log: Path,
        environ: Mapping[str, str] | None = None,
        program: Sequence[str] = (sys.executable, "-m", "hookstream"),
    ) -> subprocess.Popen[bytes]:
        """Start a worker, which is not ready yet.

        Args:
            log: Its output is appended to this file.
            environ: Variables that it alone has.
            program: What replaces `hookstream` in the command.
        """
        command = [*program, "--config", str(self._config), "worker"]
        with log.open("ab") as said:
            return subprocess.Popen(
                lasting_as_long_as_we_do(command),
                cwd=ROOT,
                env={**self.environ, **(environ or {})},
                stdout=said,
                stderr=said,
            )

    def start(self, log: Path, *arguments: str, niceness: int = 0) -> subprocess.Popen[bytes]:
        """Start a command at a lower priority; its output is appended to a file.

        It has a session of its own: Linux weighs sessions first, and niceness within them only.
        """
        command = ["nice", "-n", str(niceness), *self._command(arguments)]
        with log.open("ab") as said:
            process = subprocess.Popen(
                lasting_as_long_as_we_do(command),
                cwd=ROOT,
                env=self.environ,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        _lower_session(process.pid, niceness)
        return process

    def run(self, *arguments: str) -> str:
        """Run a command to its end and return what it printed; end where it failed."""
        done = subprocess.run(
            lasting_as_long_as_we_do(self._command(arguments)),
            cwd=ROOT,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise SystemExit(f"hookstream {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def measured(self, *arguments: str) -> Ran:
        """Run a command to its end and return what it took; end where it failed. Its output is dropped."""
        began = time.monotonic()
        process = subprocess.Popen(
            lasting_as_long_as_we_do(self._command(arguments)),
            cwd=ROOT,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        with process.stdout or contextlib.nullcontext() as printed:
            while printed is not None and printed.read(_PIECE):
                pass
        _, status, used = os.wait4(process.pid, 0)
        took = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"hookstream {' '.join(arguments)} ended with {process.returncode}")
        return Ran(took, used.ru_utime + used.ru_stime, used.ru_maxrss / _KIB_OF_MIB)

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "hookstream", "--config", str(self._config), *arguments]


def _lower_session(pid: int, niceness: int) -> None:
    """Give a process's session a priority below ours, where the kernel weighs sessions."""
    ours = Path("/proc/self/autogroup")
    if ours.exists():
        lower = int(ours.read_text().split()[-1]) + niceness
        Path(f"/proc/{pid}/autogroup").write_text(str(min(lower, 19)))


def lasting_as_long_as_we_do(command: Sequence[str | Path]) -> list[str]:
    """Return a command whose process is killed when this one ends, by SIGKILL too.

    The kernel counts the thread that starts it as the parent: start processes in the main thread.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise SystemExit(
            "setpriv is missing, which ends our processes with us: it is util-linux's"
        )
    return [setpriv, "--pdeathsig", "KILL", *map(str, command)]


def last_words(log: Path) -> str:
    """Return the end of a log, as much as helps."""
    return log.read_text(errors="replace")[-3000:] if log.exists() else ""
