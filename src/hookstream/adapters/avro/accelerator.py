"""Chooses the implementation that turns Avro into JSON: a compatible native accelerator, else Python.

`hookstream-native` is a separate distribution, which hookstream never requires. Both implementations
give the same results and the same reasons; only the time differs. The accelerator is used if its module
can be loaded and has the contract of this release. In a checkout it must also have been built from the
present sources in `native/`, so that no test runs a stale binary.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Final

from hookstream.errors import ConfigurationError

CONTRACT: Final = 4
"""The version of the calls between this release and the accelerator, `hookstream_native.CONTRACT`.

Both are raised together, whenever a call, its result or a reason changes.
"""

MODULE: Final = "hookstream_native"
DISTRIBUTION: Final = MODULE.replace("_", "-")
VARIABLE: Final = "HOOKSTREAM_NATIVE"
"""The environment variable that requires the accelerator (`1`) or Python (`0`)."""

_SOURCES: Final = (".rs", ".toml")
"""The extensions of files from which the accelerator is built."""
_MADE: Final = frozenset({"target", ".cache"})
"""Folders of build output."""
_LONGEST: Final = 200
"""The most characters of a reason why the module cannot be loaded."""


@dataclass(frozen=True, slots=True)
class FoundAccelerator:
    """The accelerator that was found on this machine.

    Attributes:
        module: The loaded module; None if no usable one was found.
        detail: Its release and contract, or why there is none; follows the name of the distribution.
    """

    module: ModuleType | None
    detail: str


@dataclass(frozen=True, slots=True)
class Implementation:
    """The chosen implementation, for logs and metrics.

    Attributes:
        module: The accelerator; None: Python.
        because: The reason for the choice, without a full stop.
    """

    module: ModuleType | None
    because: str

    @property
    def name(self) -> str:
        """`native` or `python`."""
        return "python" if self.module is None else "native"


def look_for(name: str, sources: Path | None) -> FoundAccelerator:
    """Load the accelerator's module, and return it if it may be used.

    Args:
        name: The module's name.
        sources: The folder `native/` of the checkout that runs; None outside of one.
    """
    try:
        module = import_module(name)
    except ModuleNotFoundError:
        return FoundAccelerator(None, "is not installed")
    except Exception as problem:  # noqa: BLE001  a binary for another system, or a damaged one
        why = " ".join(str(problem).split())[:_LONGEST]
        return FoundAccelerator(None, f"cannot be loaded: {type(problem).__name__}: {why}")
    release = getattr(module, "__version__", "of an unknown release")
    contract = getattr(module, "CONTRACT", None)
    if contract != CONTRACT:
        return FoundAccelerator(
            None, f"{release} has contract {contract}, this release of hookstream needs {CONTRACT}"
        )
    if sources is not None and getattr(module, "SOURCE", None) != fingerprint(sources):
        return FoundAccelerator(
            None, f"{release} was built from other sources than {sources} has now"
        )
    return FoundAccelerator(module, f"{release} has contract {contract}")


def choose(wish: str | None, found: FoundAccelerator) -> Implementation:
    """Return the implementation to use.

    Args:
        wish: The value of `HOOKSTREAM_NATIVE`; None or empty: the accelerator if one was found.
        found: The accelerator that was found.

    Raises:
        ConfigurationError: The accelerator is required but cannot be used, or the wish is neither 0 nor 1.
    """
    match wish:
        case None | "":
            return Implementation(found.module, f"{DISTRIBUTION} {found.detail}")
        case "0":
            return Implementation(None, f"{VARIABLE} is 0")
        case "1" if found.module is None:
            raise ConfigurationError(
                f"{VARIABLE} is 1, but {DISTRIBUTION} {found.detail}: install that of this release"
                " (`make accelerator` in a checkout, `pip install ./native` elsewhere; both need Rust), or"
                f" unset {VARIABLE} to run without it"
            )
        case "1":
            return Implementation(found.module, f"{VARIABLE} is 1")
        case other:
            raise ConfigurationError(
                f"{VARIABLE} is {other[:_LONGEST]!r}: set it to 1 (require {DISTRIBUTION}) or 0 (run"
                " without it), or unset it (run with it if it fits)"
            )


def implementation() -> Implementation:
    """Return the implementation of this process, by its environment.

    Raises:
        ConfigurationError: See `choose`.
    """
    return choose(os.environ.get(VARIABLE), _FOUND)


def fingerprint(sources: Path) -> str:
    """Return a hash of all files from which the accelerator is built; Cargo.lock is not one of them.

    Args:
        sources: The folder `native/`.
    """
    found = hashlib.sha256()
    for file in sorted(source_files(sources)):
        content = file.read_bytes()
        found.update(f"{file.relative_to(sources).as_posix()}\n{len(content)}\n".encode())
        found.update(content)
    return found.hexdigest()


def source_files(sources: Path) -> Iterator[Path]:
    """Yield the files from which the accelerator is built, in any order."""
    for folder, folders, names in os.walk(sources):
        folders[:] = [name for name in folders if name not in _MADE]
        yield from (Path(folder, name) for name in names if name.endswith(_SOURCES))


def checkout_of(file: Path) -> Path | None:
    """Return the folder `native/` of the checkout that contains a module of hookstream; None outside of one.

    Args:
        file: The path of a module of this package.
    """
    root = file.resolve().parents[4]
    sources = root / "native"
    return sources if (root / "pyproject.toml").is_file() and sources.is_dir() else None


_FOUND: Final = look_for(MODULE, checkout_of(Path(__file__)))
