"""A port in front of another one that raises an unexpected exception where a test requests it."""

from collections.abc import Callable
from types import MethodType
from typing import Any, cast


class Raising:
    """Passes everything on to `inner`, but for the calls of one method that `when` chooses.

    Args:
        inner: The wrapped port.
        method: The method that raises.
        error: Makes the exception, a new one each time.
        when: Given the number of the call, from 1.
    """

    def __init__(
        self,
        inner: object,
        method: str,
        error: Callable[[], Exception],
        when: Callable[[int], bool] = lambda _: True,
    ) -> None:
        self._inner = inner
        self._method = method
        self._error = error
        self._when = when
        self.calls = 0
        self.raised = 0

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  as the wrapped port has it
        found = getattr(self._inner, name)
        if name != self._method:
            if isinstance(found, MethodType):
                # Found at once from now on: a worker asks for some of them thousands of times.
                self.__dict__[name] = found
            return found

        def call(*arguments: object, **named: object) -> object:
            self.calls += 1
            if self._when(self.calls):
                self.raised += 1
                raise self._error()
            return cast("Callable[..., object]", found)(*arguments, **named)

        self.__dict__[name] = call
        return call
