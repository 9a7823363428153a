"""On virtual time nothing really waits, nothing is skipped, and no exception is lost."""

import asyncio

import pytest
from tests.doubles import virtual_time
from tests.doubles.virtual_time import NothingWillHappen, VirtualTimeLoop, ties


def loop() -> VirtualTimeLoop:
    """Return the loop of the running test."""
    running = asyncio.get_running_loop()
    assert isinstance(running, VirtualTimeLoop)
    return running


def test_an_hour_in_which_nothing_happens_passes_at_once() -> None:
    async def wait() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    assert virtual_time.run(wait()) == pytest.approx(3600)


def test_a_story_in_which_no_task_will_ever_wake_ends_with_that_error() -> None:
    async def wait() -> None:
        await asyncio.Event().wait()

    with pytest.raises(NothingWillHappen):
        virtual_time.run(wait())


async def test_many_short_sleeps_end_when_one_long_sleep_does() -> None:
    for _ in range(70):
        await asyncio.sleep(0.1)

    assert loop().time() == 7.0


async def test_what_is_waited_for_is_seen_at_the_instant_at_which_it_comes_true() -> None:
    came: list[float] = []
    loop().call_at(10.0, came.append, 10.0)
    loop().call_at(3_600.0, came.append, 3_600.0)

    await loop().until(lambda: bool(came), step=0.05)

    assert (loop().time(), came) == (10.0, [10.0])


async def test_a_condition_is_checked_once_per_step_however_much_happens() -> None:
    looks: list[float] = []

    def look() -> bool:
        looks.append(loop().time())
        return loop().time() >= 1.0

    for number in range(2_000):
        loop().call_at(number / 1_000, int)
    await loop().until(look, step=0.1)

    assert len(looks) <= 12
    assert 1.0 <= loop().time() <= 1.1


async def test_who_waits_gets_the_exception_of_what_is_waited_for() -> None:
    came: list[float] = []
    loop().call_at(1.0, came.append, 1.0)

    with pytest.raises(ZeroDivisionError):
        await loop().until(lambda: bool(came) and 1 / 0 > 1, step=0.05)


async def test_waiting_for_a_condition_that_is_never_true_ends_by_its_timeout() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(60):
            await loop().until(lambda: False, step=0.05)

    assert loop().time() == 60.0


def test_an_unhandled_exception_is_known_to_the_loop() -> None:
    async def forget() -> VirtualTimeLoop:
        loop().call_soon(lambda: 1 // 0)
        await asyncio.sleep(1)
        return loop()

    assert "ZeroDivisionError" in virtual_time.run(forget()).troubles[0]


@pytest.mark.parametrize(
    ("asked", "fired"), [("first", [1, 2, 3, 4]), ("last", [3, 2, 1, 4]), ("0", [1, 3, 2, 4])]
)
def test_timers_of_one_instant_fire_in_the_order_that_is_asked_for(
    asked: str, fired: list[int]
) -> None:
    came: list[int] = []

    async def wait() -> None:
        # The sum of floats is the same instant.
        loop().call_at(0.1 + 0.2, came.append, 1)
        loop().call_at(0.4, came.append, 4)
        loop().call_at(0.3, came.append, 2)
        loop().call_at(0.1 + 0.2, came.append, 3)
        await asyncio.sleep(1)

    virtual_time.run(wait(), ties(asked))

    assert came == fired
