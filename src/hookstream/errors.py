"""Every exception that hookstream raises on purpose has one root and one of three families.

What is expected while events flow (a 503, a record that does not decode) is a value, not an
exception. Three cases remain: the configuration or the input must be fixed, a dependency must
come back, or an invariant is broken and the process must end before it does harm.
"""

from collections.abc import Sequence


class HookstreamError(Exception):
    """The root: catching it catches everything that hookstream raises on purpose."""


class ConfigurationError(HookstreamError):
    """Raised when settings, files, arguments or the cluster's set-up must be changed.

    The message names what is wrong, where, and the remedy. Exit code 2.
    """


class InputRefused(ConfigurationError):
    """Raised when the input of a person or a program is refused; the text names the problem and its place."""


class EventRefused(InputRefused):
    """Raised when an event is not valid. It has every problem, each with its path."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class Conflict(InputRefused):
    """Raised when the object of a change has changed since it was read (revision mismatch)."""


class Contended(Conflict):
    """Raised when other writers took over again and again, so that nothing was written. Exit code 1.

    The input is valid and may be tried again unchanged.
    """


class AccessRefused(InputRefused):
    """Raised when a caller may not do what it asks for. Its text reveals no more than the caller may know."""


class DependencyUnavailable(HookstreamError):
    """Raised when a broker, registry or endpoint that is needed now cannot be reached. Exit code 1."""


class InvariantBroken(HookstreamError):
    """Raised when continuing could lose a delivery: the process ends with nothing settled."""


class ProducerFenced(InvariantBroken):
    """Raised when another process took over this producer's transactional id."""
