"""A request on an open connection of a `Sender` double: it is played in a task, as a socket would call back."""

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any

from hookstream.core.model.outcome import Answer, Withheld
from hookstream.pipeline.ports import Answered


class PlayedExchange:
    """Plays a request, and reports its answer or what was raised."""

    def __init__(
        self,
        sent: Coroutine[Any, Any, Answer | Withheld],
        answered: Answered,
        within: Awaitable[Answer] | None = None,
    ) -> None:
        """Play `sent`, which awaits `within`."""
        self._unstarted = [each for each in (sent, within) if isinstance(each, Coroutine)]
        self._task = asyncio.get_running_loop().create_task(self._play(sent, answered))

    async def _play(
        self, sent: Coroutine[Any, Any, Answer | Withheld], answered: Answered
    ) -> None:
        answer: Answer | Withheld | Exception
        self._unstarted.clear()
        try:
            answer = await sent
        except Exception as error:  # noqa: BLE001  as Answered says
            answer = error
        answered(answer)

    def abandon(self) -> None:
        """As Exchange says."""
        self._task.cancel()
        for each in self._unstarted:
            each.close()
