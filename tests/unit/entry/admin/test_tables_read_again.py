"""Whoever reads the tables again reads the rows that have changed, and no others."""

from dataclasses import dataclass, field, replace

from tests.doubles.api import ApiWorld
from tests.doubles.api_records import KEYS, subscription

from hookstream.entry.admin.tables import StateReader


@dataclass
class NotedKeys:
    """Notes whose secrets are decrypted."""

    opened: list[bytes] = field(default_factory=list)

    def encrypt(self, plaintext: bytes, associated: bytes) -> tuple[str, str]:
        return KEYS.encrypt(plaintext, associated)

    def decrypt(self, key_id: str, ciphertext: str, associated: bytes) -> bytes:
        self.opened.append(associated)
        return KEYS.decrypt(key_id, ciphertext, associated)


def test_only_rows_that_changed_are_read_again_even_where_an_offset_is_the_same() -> None:
    world, keys = ApiWorld(), NotedKeys()
    for name in ("first", "second"):
        world.add(subscription(name))
    names = world.settings.topics_names
    reader = StateReader(names, keys)
    before = reader.state(world.tables.snapshot)
    keys.opened.clear()
    assert reader.state(world.tables.snapshot).current == before.current
    assert keys.opened == []
    rows = world.tables.snapshot[names.subscriptions]
    rows["first"] = replace(rows["first"], timestamp=rows["first"].timestamp + 1)
    assert reader.state(world.tables.snapshot).current == before.current
    assert len(keys.opened) == 1
