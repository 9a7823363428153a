# ruff: noqa: TRY004 - one exception type for all: readers of settings catch ValueError
"""The kinds of values of settings, each parsed strictly from TOML and from text.

`from_text` converts the text of an environment variable or flag into a TOML-like value; `read`
validates a value from TOML, JSON or a program. Both raise ValueError with the rest of a sentence
that begins with the setting's name.
"""

import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar
from urllib.parse import urlsplit

from hookstream.core.model.instant import Millis, format_duration, parse_duration
from hookstream.core.model.listen_address import host_and_port

_LONGEST_URL = 2_048

Scalar: TypeAlias = str | int | float | bool
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SettingKind(Generic[T]):
    """How one kind of value is parsed."""

    says: str
    """Its description in the documentation."""
    read: Callable[[object], T]
    from_text: Callable[[str], object] = str


def _read_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be text, not {value!r}")
    return value


def text(*, empty: bool = True, most: int = 4096) -> SettingKind[str]:
    """Text of at most `most` characters."""

    def read(value: object) -> str:
        found = _read_text(value)
        if len(found) > most:
            raise ValueError(f"must have at most {most} characters, not {len(found)}")
        if not found and not empty:
            raise ValueError("must not be empty")
        return found

    return SettingKind("text", read)


def topic_prefix() -> SettingKind[str]:
    """A topic name prefix valid for Kafka, with room for the rest of the name (249 characters in all)."""

    def read(value: object) -> str:
        found = _read_text(value)
        if not re.fullmatch(r"[a-zA-Z0-9_-][a-zA-Z0-9._-]{0,99}", found):
            raise ValueError(
                f"must be 1 to 100 of the characters a-z A-Z 0-9 . _ -, not {value!r}"
            )
        return found

    return SettingKind("1 to 100 of `a-z A-Z 0-9 . _ -`", read)


def optional(kind: SettingKind[T]) -> SettingKind[T | None]:
    """The same kind, or None; empty text in the environment is None."""

    def read(value: object) -> T | None:
        return None if value is None else kind.read(value)

    return SettingKind(kind.says, read, lambda given: kind.from_text(given) if given else None)


def one_of(*words: str) -> SettingKind[str]:
    """One of a few words."""

    def read(value: object) -> str:
        if _read_text(value) not in words:
            raise ValueError(f"must be one of {', '.join(words)}, not {value!r}")
        return str(value)

    return SettingKind(" or ".join(f"`{word}`" for word in words), read)


def flag() -> SettingKind[bool]:
    """True or false."""

    def read(value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError(f"must be true or false, not {value!r}")
        return value

    words = {"true": True, "false": False}
    return SettingKind("`true` or `false`", read, lambda given: words.get(given.lower(), given))


def whole(least: int, most: int) -> SettingKind[int]:
    """A whole number within bounds."""

    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"must be a whole number, not {value!r}")
        if not least <= value <= most:
            raise ValueError(f"must lie between {least} and {most}, not {value}")
        return value

    return SettingKind(f"{least} to {most}", read, _or_as_it_is(int))


def fraction() -> SettingKind[float]:
    """A number from 0 to 1."""

    def read(value: object) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
            raise ValueError(f"must be a number between 0 and 1, not {value!r}")
        return float(value)

    return SettingKind("0 to 1", read, _or_as_it_is(float))


def _or_as_it_is(convert: Callable[[str], object]) -> Callable[[str], object]:
    """Convert text, or leave it unchanged for `read` to reject with a better message."""

    def from_text(given: str) -> object:
        try:
            return convert(given)
        except ValueError:
            return given

    return from_text


def duration(least: Millis, most: Millis) -> SettingKind[Millis]:
    """A duration such as `5s`, in milliseconds."""

    def read(value: object) -> Millis:
        if not isinstance(value, str):
            raise ValueError(f'must be a duration in quotes such as "5s", not {value!r}')
        found = parse_duration(value)
        if not least <= found <= most:
            bounds = f"{format_duration(least)} and {format_duration(most)}"
            raise ValueError(f"must lie between {bounds}, not {value}")
        return found

    return SettingKind(f"duration, {format_duration(least)} to {format_duration(most)}", read)


_SIZES = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "B": 1}


def _size_text(count: int) -> str:
    """Return the shortest text that `size` parses back."""
    for unit in ("GiB", "MiB", "KiB"):
        if count and count % _SIZES[unit] == 0:
            return f"{count // _SIZES[unit]}{unit}"
    return f"{count}B"


def size(least: int, most: int) -> SettingKind[int]:
    """A number of bytes, plain or as `64MiB`."""
    bytes_ = whole(least, most)

    def read(value: object) -> int:
        if not isinstance(value, str):
            return bytes_.read(value)
        for unit, factor in _SIZES.items():
            number = value.removesuffix(unit)
            if number != value and number.isascii() and number.isdigit():
                return bytes_.read(int(number) * factor)
        raise ValueError(f"must be a number of bytes such as 1048576 or 1MiB, not {value!r}")

    return SettingKind(
        f"bytes, {_size_text(least)} to {_size_text(most)}", read, _or_as_it_is(int)
    )


def many(kind: SettingKind[T], *, least: int = 0, most: int = 100) -> SettingKind[tuple[T, ...]]:
    """A list; as text either JSON or items separated by commas."""

    def read(value: object) -> tuple[T, ...]:
        if not isinstance(value, list | tuple):
            raise ValueError(f"must be a list, not {value!r}")
        if not least <= len(value) <= most:
            raise ValueError(f"must have {least} to {most} entries, not {len(value)}")
        return tuple(kind.read(entry) for entry in value)

    def from_text(given: str) -> object:
        if given.lstrip().startswith("["):
            return _json(given)
        return [kind.from_text(part.strip()) for part in given.split(",") if part.strip()]

    return SettingKind(f"list of: {kind.says}", read, from_text)


def ladder() -> SettingKind[tuple[Millis, ...]]:
    """Increasing delays that begin with `0s`."""
    delays = many(duration(0, 30 * 24 * 3_600_000), least=2, most=24)

    def read(value: object) -> tuple[Millis, ...]:
        found = delays.read(value)
        if found[0] != 0:
            raise ValueError(
                "must begin with 0s: redriven and replayed records enter through that tier"
            )
        if any(after <= before for before, after in pairwise(found)):
            raise ValueError("must increase from each delay to the next")
        return found

    return SettingKind("list of rising durations from `0s`", read, delays.from_text)


def networks() -> SettingKind[tuple[str, ...]]:
    """Address ranges in CIDR notation."""

    def read_one(value: object) -> str:
        try:
            return str(ipaddress.ip_network(_read_text(value)))
        except ValueError as error:
            raise ValueError(f"must have address ranges such as 10.1.0.0/16: {error}") from None

    return many(SettingKind("CIDR", read_one))


def listen_address() -> SettingKind[str]:
    """The address that a process listens on, `HOST:PORT`."""

    def read(value: object) -> str:
        found = _read_text(value)
        try:
            host_and_port(found, bare=True)
        except ValueError:
            raise ValueError(
                f"must be an address such as 127.0.0.1:9464, with a port up to 65535, not {value!r}"
            ) from None
        return found

    return SettingKind("`HOST:PORT`", read)


def worker_addresses() -> SettingKind[tuple[str, ...]]:
    """Addresses of workers' health ports, `HOST:PORT`."""

    def read_one(value: object) -> str:
        found = _read_text(value)
        try:
            _, port = host_and_port(found)
        except ValueError:
            port = 0
        if port == 0:
            raise ValueError(f"must have addresses such as worker:9464, not {value!r}")
        return found

    return many(SettingKind("`HOST:PORT`", read_one), most=16)


def topic_globs() -> SettingKind[tuple[str, ...]]:
    """Names of topics, with `*` for any characters."""

    def read_one(value: object) -> str:
        found = _read_text(value)
        if not re.fullmatch(r"[a-zA-Z0-9._*-]{1,249}", found):
            raise ValueError(
                f"must have names of topics, with * for any characters, not {value!r}"
            )
        return found

    return many(SettingKind("name of a topic, `*` for any characters", read_one), most=1_000)


def registry_urls() -> SettingKind[tuple[str, ...]]:
    """Addresses of replicas, without credentials. Error messages repeat no value: it may have some."""

    def read_one(value: object) -> str:
        found = _read_text(value)
        try:
            parts = urlsplit(found)
            valid = parts.scheme in ("http", "https") and bool(parts.hostname)
            _ = parts.port
        except ValueError:
            raise ValueError("must have URLs, and one of them is not a URL") from None
        if not valid or parts.query or parts.fragment or not found.isprintable() or " " in found:
            raise ValueError("must have URLs such as https://registry:8081, without a query")
        if parts.username is not None or parts.password is not None:
            raise ValueError(
                "must not have credentials in a URL: set username, and password or password_file"
            )
        return found.rstrip("/")

    return many(SettingKind("URL", read_one), most=10)


def web_origin() -> SettingKind[str]:
    """Scheme and host of a web server, or nothing. Error messages repeat no value: it may have credentials."""

    def read(value: object) -> str:
        found = _read_text(value)
        if not found:
            return found
        try:
            parts = urlsplit(found)
            valid = parts.scheme in ("http", "https") and bool(parts.hostname)
            _ = parts.port
        except ValueError:
            raise ValueError("must be a URL such as https://hookstream.example") from None
        if not valid or not found.isascii() or not found.isprintable() or " " in found:
            raise ValueError("must be a URL such as https://hookstream.example")
        if parts.username is not None or parts.password is not None:
            raise ValueError("must not have credentials")
        if parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ValueError("must have only scheme and host: https://hookstream.example")
        return f"{parts.scheme}://{parts.netloc}"

    return SettingKind("URL without path", read)


def trace_url() -> SettingKind[str]:
    """An address with `{trace_id}` in it, without credentials; or empty."""

    def read(value: object) -> str:
        found = _read_text(value)
        if not found:
            return found
        try:
            parts = urlsplit(found.replace("{trace_id}", "0", 1))
        except ValueError:
            parts = urlsplit("")
        valid = parts.scheme in ("http", "https") and bool(parts.hostname)
        readable = found.isprintable() and " " not in found and len(found) <= _LONGEST_URL
        if not (valid and readable) or "{trace_id}" not in found:
            raise ValueError("must be a URL such as https://jaeger.example/trace/{trace_id}")
        if parts.username is not None or parts.password is not None:
            raise ValueError("must not have credentials: every viewer of a page sees it")
        return found

    return SettingKind("URL with {trace_id}", read)


def client_settings() -> SettingKind[Mapping[str, Scalar]]:
    """A table of names and plain values; JSON as text. Error messages do not repeat values."""

    def read(value: object) -> Mapping[str, Scalar]:
        if not isinstance(value, dict):
            raise ValueError("must be a table of names and values")
        for name, entry in value.items():
            if not isinstance(entry, str | int | float | bool):
                raise ValueError(
                    f"has a value that is neither text, number nor boolean at {name!r}"
                )
        return dict(value)

    return SettingKind("table of names and values", read, _json)


def path() -> SettingKind[Path | None]:
    """A path; in the settings file relative to its folder, otherwise to the working directory."""

    def read(value: object) -> Path:
        if isinstance(value, Path):
            return value
        found = _read_text(value)
        if not found:
            raise ValueError("must not be empty")
        return Path(found)

    return optional(SettingKind("path", read))


def _json(given: str) -> object:
    try:
        parsed: object = json.loads(given)
    except ValueError as error:
        raise ValueError(f"is not JSON: {error}") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    return parsed
