"""Runs every command that reads topics on untrusted records, and reports what goes wrong."""

import asyncio
import unicodedata
from collections.abc import Sequence

from examples.demo.stage import Stage
from tests.fuzz.drawing import SUBSCRIPTION

COMMANDS: Sequence[tuple[str, ...]] = (
    ("events", "tail", "--from-beginning", "--no-follow", "--where"),
    ("undecodable", "list"),
    ("undecodable", "list", "--json", "--all"),
    ("undecodable", "show", "0@0"),
    ("undecodable", "redrive", "--dry-run"),
    ("dlq", "list"),
    ("dlq", "list", "--json", "--all"),
    ("dlq", "show", "0@0"),
    ("dlq", "redrive", "--dry-run"),
    ("dlq", "list", "--group-by", "error"),
    ("dlq", "list", "--group-by", "host", "--json"),
    ("dlq", "export", "-", "--all"),
    ("dlq", "purge", "--dry-run"),
    ("undecodable", "list", "--group-by", "error"),
    ("undecodable", "export", "-"),
    ("dlq", "jobs"),
    ("jobs", "list"),
    ("jobs", "list", "--json"),
    ("attempts", "list", "--since", "1h"),
    ("attempts", "list", "--since", "1h", "--json"),
    ("deliveries", "list"),
    ("deliveries", "list", "--json", "--since", "1h"),
    ("explain", "1", "--since", "1h"),
    ("explain", "1", SUBSCRIPTION, "--since", "1h", "--json"),
    ("replay", "start", SUBSCRIPTION, "--from", "1h", "--dry-run"),
    ("replay", "start", SUBSCRIPTION, "--from", "1970-01-02T00:00:00Z", "--dry-run", "--json"),
    ("partition", "list"),
    ("schemas", "types"),
    ("hold", "list"),
    ("hold", "list", "--json"),
    ("subscriptions", "list"),
    ("subscriptions", "list", "--json"),
    ("subscriptions", "show", SUBSCRIPTION),
    ("subscriptions", "show", SUBSCRIPTION, "--json"),
    ("subscriptions", "jwks", SUBSCRIPTION),
    ("partners", "list"),
    ("partners", "list", "--json"),
    ("schemas", "list"),
    ("schemas", "show", "order.generated"),
    ("topics", "plan"),
)
SECONDS = 500.0
"""How long a command may take that reads a few records, on a busy machine."""
RECORDS_A_SECOND = 2_000
"""How many it reads at the least."""
_EXIT_CODES = (0, 1, 2, 3)


async def failures(stage: Stage, config: str, records: int) -> list[str]:
    """Return a sentence for each command that crashed, hung, or printed what a terminal interprets."""
    two_at_once = asyncio.Semaphore(2)
    seconds = SECONDS + records / RECORDS_A_SECOND

    async def checked(command: Sequence[str]) -> str | None:
        async with two_at_once:
            why = await _failure(stage, config, command, seconds)
        return None if why is None else f"hookstream {' '.join(command)}: {why}"

    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(checked(command)) for command in COMMANDS]
    return [why for task in running if (why := task.result()) is not None]


async def _failure(
    stage: Stage, config: str, command: Sequence[str], seconds: float
) -> str | None:
    process = await stage.launch("--config", config, *command)
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.communicate()
        return f"it did not end within {seconds:g} s"
    said = (out + err).decode(errors="replace")
    if process.returncode not in _EXIT_CODES or "Traceback (most recent call last)" in said:
        return f"exit code {process.returncode}: {said[-1_500:]}"
    interpreted = sorted({char for char in said if is_control(char)})
    if interpreted:
        return f"it printed {', '.join(map(ascii, interpreted))}"
    return None


def is_control(char: str) -> bool:
    """Return whether a terminal may interpret a character instead of showing it."""
    return char not in "\n\t" and unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp")
