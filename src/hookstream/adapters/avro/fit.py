"""Rates how well a value fits a schema's type, and collects all problems with their paths."""

from collections.abc import Callable, Mapping
from typing import Final, Self, TypeAlias

from hookstream.adapters.exact_json import Numeral
from hookstream.core.model.parts import Misfit

MAX_PROBLEMS: Final = 20
"""The most problems of one event that are reported."""

KEPT: Final = 0
"""The delivered value equals the input."""
ALIKE: Final = 1
"""The delivered value is equivalent, in another form: another UTC offset, fewer decimal digits."""
FILLED: Final = 2
"""A missing field has its default."""

_SHOWN: Final = 60
_BITS_A_DIGIT: Final = 3.3219
_BEARABLE_BITS: Final = 10_000


class Fit:
    """The fit of a value so far: the level of its worst part."""

    __slots__ = ("level",)

    def __init__(self) -> None:
        """Start at `KEPT`."""
        self.level = KEPT

    def note(self, level: int) -> None:
        """Count a part."""
        self.level = max(self.level, level)


Take: TypeAlias = Callable[[object, Fit], object]
"""Converts a value to its Avro form and notes its fit; raises `Unfit`."""


class Unfit(Misfit):
    """Raised for a value that does not fit its type; it can carry further problems of the event."""

    def __init__(self, why: str) -> None:
        """Take the reason; `within` adds the path on the way out."""
        super().__init__("", why)
        self._others: list[Unfit] = []

    def within(self, part: str) -> Self:
        """Prepend a part to the path of each problem, and return itself."""
        for other in self._others:
            super(Unfit, other).within(part)
        return super().within(part)

    def also(self, other: "Unfit") -> bool:
        """Add the problems of another; return whether the limit is reached."""
        self._others += (other, *other._others)  # noqa: SLF001  # its own kind
        return len(self._others) + 1 >= MAX_PROBLEMS

    @property
    def problems(self) -> list[str]:
        """Path and reason of each, `MAX_PROBLEMS` at most."""
        shown = (self, *self._others)[:MAX_PROBLEMS]
        return [f"{each.path}: {each.why}" if each.path else each.why for each in shown]

    def __str__(self) -> str:
        """Return path and reason of each."""
        return "; ".join(self.problems)


class Gathered:
    """Collects the problems of a value's parts, so that all are reported, not only the first."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        """Start without problems."""
        self._found: Unfit | None = None

    def add(self, problem: Unfit) -> None:
        """Add a problem.

        Raises:
            Unfit: The limit is reached.
        """
        if self._found is None:
            self._found = problem
        elif self._found.also(problem):
            raise self._found

    def end(self) -> None:
        """Raise the collected problems, if any.

        Raises:
            Unfit: There was a problem.
        """
        if self._found is not None:
            raise self._found


def glimpse(value: object) -> str:
    """Return the start of any value for a message, as plain ASCII of bounded length."""
    match value:
        case Numeral(text):
            return text if len(text) <= _SHOWN else f"a number of {len(text)} characters"
        case str() | bytes():
            return ascii(value[:_SHOWN])[:_SHOWN]
        case bool() | float() | None:
            return str(value)
        case int():
            bits = value.bit_length()
            if bits > _BEARABLE_BITS:
                return f"a whole number of about {int(bits / _BITS_A_DIGIT)} digits"
            return str(value)[:_SHOWN]
        case Mapping():
            return "an object" if value else "{}"
        case list() | tuple():
            return "an array" if value else "[]"
        case _:
            return _glimpse_of_other(value)


def _glimpse_of_other(value: object) -> str:
    try:
        return ascii(value)[:_SHOWN]
    except Exception:  # noqa: BLE001  # the repr of an untrusted value may raise anything
        return f"a {type(value).__name__[:_SHOWN]}"
