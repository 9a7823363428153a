"""What a command wrote is in effect when it says so."""

from collections.abc import Mapping, Sequence

import pytest
from tests.doubles.clock import NOON, HandClock

from hookstream.adapters.kafka.tables.log import TableRecord
from hookstream.adapters.kafka.tables.writer import TableChange
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import OutgoingRecord
from hookstream.entry.admin.tables import SEALED, StateReader, TablesSession
from hookstream.settings import Settings


class EmptyTables:
    """Tables of brokers whose clock shows noon when a session begins."""

    snapshot: Mapping[str, Mapping[str, TableRecord]] = {}

    def broker_now(self) -> Millis:
        return NOON

    def write(self, changes: Sequence[TableChange], also: Sequence[OutgoingRecord]) -> None: ...


class DozingClock(HandClock):
    """Wakes a waiter early, as a machine that was suspended may."""

    def sleep(self, seconds: float) -> None:
        self.forward(max(1, int(seconds * 500)))


@pytest.mark.parametrize("of", [HandClock, DozingClock])
@pytest.mark.parametrize("passed", [0, 400, 5_000])
def test_who_waits_for_a_change_waits_until_the_brokers_clock_has_passed_it(
    of: type[HandClock], passed: Millis
) -> None:
    # This machine's clock is an hour behind the brokers'.
    clock = of(NOON - 3_600_000)
    settings = Settings()
    reader = StateReader(settings.topics_names, SEALED)
    session = TablesSession(settings, reader, EmptyTables(), clock)
    assert session.takes_effect == NOON + settings.tables.activation_lead
    clock.forward(passed)
    session.wait_until(session.takes_effect)
    took = clock.at - (NOON - 3_600_000)
    assert took > settings.tables.activation_lead
    assert took <= max(passed, settings.tables.activation_lead + 11)
