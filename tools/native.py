"""Builds the native accelerator into this environment, unless one of the present sources is there already.

    python -m tools.native               builds it, or says in one line why hookstream runs without it
    python -m tools.native --required    likewise; exit code 1 if it cannot be built

It needs cargo, and the crates that native/Cargo.toml names. Where either is missing, everything works
without the accelerator, so that is no failure; a binary of other sources is removed then, since nothing
would use it. What cargo makes is kept in .cache/native, and the output of the last build that failed.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Protocol

from hookstream.adapters.avro.accelerator import DISTRIBUTION, MODULE, fingerprint, look_for

ROOT: Final = Path(__file__).parent.parent
SOURCE_VARIABLE: Final = "HOOKSTREAM_NATIVE_SOURCE"
"""What native/src/lib.rs compiles into the binary as the hash of its sources."""

_PATIENCE: Final = 600.0
"""Seconds for one command: a build takes some 20 s of CPU, a machine may be busy."""
_UNREACHABLE: Final = {"CARGO_NET_RETRY": "1", "CARGO_HTTP_TIMEOUT": "15"}
"""A registry that does not answer is given up soon; the environment may say otherwise."""
_LONGEST: Final = 200
"""The most characters of a reason."""
_FITS: Final = (
    "import sys; from pathlib import Path;"
    "from hookstream.adapters.avro.accelerator import MODULE, look_for;"
    "found = look_for(MODULE, Path(sys.argv[1]));"
    "print('error:', found.detail); sys.exit(found.module is None)"
)
"""A program that ends with 0 if what is installed can be used."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended.

    Attributes:
        code: Its exit code; 0: it succeeded.
        output: All that it printed.
    """

    code: int
    output: str


class Commands(Protocol):
    """The programs of the machine."""

    def find(self, name: str) -> str | None:
        """Return the path of a program; None: there is none of that name."""
        ...

    def run(self, command: Sequence[str], environ: Mapping[str, str]) -> Ended:
        """Run a command to its end, with these variables besides the environment's own."""
        ...

    def installed(self) -> bool:
        """Return whether this environment has the accelerator, of whatever sources."""
        ...


class MachineCommands:
    """Fits `Commands`: the programs of this environment, then those on the PATH.

    Args:
        patience: Seconds after which a command is ended, with all that it started.
    """

    def __init__(self, patience: float = _PATIENCE) -> None:
        self._patience = patience

    def find(self, name: str) -> str | None:
        """See `Commands.find`."""
        own = str(Path(sys.executable).parent)
        return shutil.which(name, path=own) or shutil.which(name)

    def run(self, command: Sequence[str], environ: Mapping[str, str]) -> Ended:
        """See `Commands.run`."""
        with subprocess.Popen(  # noqa: S603  what `build` and `main` name
            command,
            env={**_UNREACHABLE, **os.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=self._patience)
            except BaseException as ended:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                if not isinstance(ended, subprocess.TimeoutExpired):
                    raise
                return Ended(1, f"error: {command[0]} has not ended after {self._patience:.0f} s")
        return Ended(process.returncode, output)

    def installed(self) -> bool:
        """See `Commands.installed`."""
        try:
            version(DISTRIBUTION)
        except PackageNotFoundError:
            return False
        return True


def build(root: Path, commands: Commands) -> str | None:
    """Build the accelerator and install it; return in one line why it could not be done.

    Args:
        root: The checkout.
        commands: The programs of the machine.
    """
    sources, made = root / "native", root / ".cache" / "native"
    if commands.find("cargo") is None:
        return "there is no cargo on the PATH"
    maturin = commands.find("maturin")
    if maturin is None:
        return "there is no maturin in this environment (requirements.lock has it)"
    made.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=made, prefix="wheel-") as wheels:
        manifest, target = str(sources / "Cargo.toml"), str(made / "target")
        built = commands.run(
            [
                *(maturin, "build", "--release", "--manifest-path", manifest),
                *("--target-dir", target, "--out", wheels, "--interpreter", sys.executable),
            ],
            {SOURCE_VARIABLE: fingerprint(sources)},
        )
        if built.code:
            log = made / "failed.log"
            log.write_text(built.output, "utf-8")
            return f"{_reason(built.output)} (all of it is in {log.relative_to(root)})"
        wheel = [str(found) for found in Path(wheels).glob("*.whl")]
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
        for command in (
            [*pip, "install", "--no-index", "--no-deps", "--force-reinstall", *wheel],
            [sys.executable, "-c", _FITS, str(sources)],
        ):
            ended = commands.run(command, {})
            if ended.code:
                return _reason(ended.output)
    return None


def _reason(output: str) -> str:
    """Return the first line that names an error, else the last one."""
    lines = [" ".join(line.split()) for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines[-1:] or ["the build failed without a word"])[0][:_LONGEST]


def main(arguments: Sequence[str], commands: Commands, root: Path = ROOT) -> int:
    """Build the accelerator where that is possible, and return the exit code.

    Args:
        arguments: `--required`, or nothing.
        commands: The programs of the machine.
        root: The checkout.
    """
    if look_for(MODULE, root / "native").module is not None:
        return 0
    began = time.monotonic()
    problem = build(root, commands)
    if problem is None:
        print(f"The native accelerator is built: {time.monotonic() - began:.0f} s")
        return 0
    if commands.installed():
        uninstall = ["-m", "pip", "--disable-pip-version-check", "uninstall", "--yes", "--quiet"]
        commands.run([sys.executable, *uninstall, DISTRIBUTION], {})
    print(
        f"hookstream runs without its native accelerator: {problem}; `make accelerator` tries again"
    )
    return 1 if "--required" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], MachineCommands()))
