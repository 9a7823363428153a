"""Of several exceptions that end a process, none is lost."""

import asyncio

import pytest
from tests.doubles.logger import BookkeepingLogger

from hookstream.entry.process import causes_of, raise_first
from hookstream.errors import ConfigurationError, DependencyUnavailable


async def test_all_that_failed_in_nested_task_groups_is_found_in_its_order() -> None:
    both_wait = asyncio.Barrier(2)

    async def fail(error: Exception) -> None:
        await both_wait.wait()
        raise error

    async def nested(error: Exception) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail(error))

    async def both() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail(MemoryError("none left")))
            tasks.create_task(nested(ConfigurationError("no permission")))

    with pytest.raises(ExceptionGroup) as caught:
        await both()

    assert sorted(map(str, causes_of(caught.value))) == ["no permission", "none left"]


def test_the_first_failure_is_raised_and_every_other_one_is_logged() -> None:
    failures = [
        ConfigurationError("no permission"),
        DependencyUnavailable("no broker"),
        ValueError("a defect"),
    ]
    logger = BookkeepingLogger()
    with pytest.raises(ConfigurationError, match="no permission"):
        raise_first(failures, logger, "jobs")
    assert [(level, event) for level, event, _ in logger.lines] == [("error", "jobs.failed")] * 2
    said = [(fields["detail"], "stack" in fields) for _, _, fields in logger.lines]
    assert said == [("no broker", False), ("ValueError('a defect')", True)]


def test_where_nothing_failed_nothing_is_raised() -> None:
    logger = BookkeepingLogger()
    raise_first([], logger, "jobs")
    assert logger.lines == []
