"""How well a value fits a type of a schema, and why it does not: all problems, each with its path."""

from collections.abc import Callable, Mapping
from typing import Final, Self, TypeAlias

from hookstream.adapters.exact_json import Numeral
from hookstream.core.model.parts import Misfit

MAX_PROBLEMS: Final = 20
"""Problems of one event that are named."""

KEPT: Final = 0
"""What would be delivered equals what was given."""
ALIKE: Final = 1
"""It means the same, in another form: another offset of a time, a decimal of fewer digits."""
FILLED: Final = 2
"""A field that was not given has its default."""

_SHOWN: Final = 60
_BITS_A_DIGIT: Final = 3.3219
_BEARABLE_BITS: Final = 10_000


class Fit:
    """How well a value fits so far: its worst part counts."""

    __slots__ = ("level",)

    def __init__(self) -> None:
        """Begin with a value that is kept."""
        self.level = KEPT

    def note(self, level: int) -> None:
        """Count a part."""
        self.level = max(self.level, level)


Take: TypeAlias = Callable[[object, Fit], object]
"""Takes a value over as Avro has it and notes how well it fits; raises `Unfit`."""


class Unfit(Misfit):
    """Raised for a value that does not fit its type, with whatever else is wrong with the event."""

    def __init__(self, why: str) -> None:
        """Start with why; the path is added on the way out."""
        super().__init__("", why)
        self._others: list[Unfit] = []

    def within(self, part: str) -> Self:
        """Return itself, one step further out."""
        for other in self._others:
            super(Unfit, other).within(part)
        return super().within(part)

    def also(self, other: "Unfit") -> bool:
        """Take the reasons of another over; return whether there is no room for more."""
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
    """The problems of a value's parts, of which all are named and not the first alone."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        """Begin without any."""
        self._found: Unfit | None = None

    def add(self, problem: Unfit) -> None:
        """Keep a problem.

        Raises:
            Unfit: There are as many as are named.
        """
        if self._found is None:
            self._found = problem
        elif self._found.also(problem):
            raise self._found

    def end(self) -> None:
        """Raise what was found.

        Raises:
            Unfit: There was a problem.
        """
        if self._found is not None:
            raise self._found


def glimpse(value: object) -> str:
    """Return a value's beginning for a message: plain ASCII, bounded, whatever it is."""
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
    except Exception:  # noqa: BLE001  # a value from outside writes itself as it likes
        return f"a {type(value).__name__[:_SHOWN]}"
