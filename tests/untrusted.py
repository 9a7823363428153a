"""Draws what an unknown, broken or hostile program may write to a topic."""

import json
from random import Random
from typing import Any

NUMBERS: tuple[Any, ...] = (
    0,
    -1,
    1,
    2**31 - 1,
    2**31,
    2**63 - 1,
    2**63,
    -(2**63),
    10**30,
    1.5,
    -0.0,
    1e308,
)
INSTANTS = (
    "2026-11-28T08:00:00.000Z",
    "1970-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999Z",
    "9999-12-31T23:59:59-14:00",
    "10000-01-01T00:00:00Z",
    "2026-11-28",
    "2026-W48",
    "-1",
    "99999999999999999999",
)
TEXTS = (
    "",
    " ",
    "a",
    "\x00",
    "a\x1b[31mred\x1b]0;title\x07",
    "\u202eabc\u2066",
    "\u2028\r\n\x85",
    "größe",
    "\U0010ffff\ufffe",
    "../../etc",
    "a/b/c",
    "hold/everything/*",
    "nan",
    "null",
    "١٢٣",
    "²",
    "0" * 5_000,
    "9" * 5_000,
    "x" * 70_000,
    "[" * 3_000,
    "1" + "e1" * 40,
    "1e1000000",
    *INSTANTS,
    *(str(number) for number in NUMBERS),
)


def text(random: Random) -> str:
    """A text that reading may stumble over."""
    return random.choice(TEXTS)


def value(random: Random, depth: int = 0) -> Any:  # noqa: ANN401  any JSON
    """Any JSON value, most often a small one."""
    kind = random.randrange(8 if depth < 3 else 5)
    match kind:
        case 0:
            return None
        case 1:
            return random.random() < 0.5
        case 2:
            return random.choice(NUMBERS)
        case 3 | 4:
            return text(random)
        case 5 | 6:
            return [value(random, depth + 1) for _ in range(random.randrange(4))]
        case _:
            return {
                text(random)[:50]: value(random, depth + 1) for _ in range(random.randrange(4))
            }


def changed(random: Random, tree: Any) -> Any:  # noqa: ANN401  any JSON
    """A JSON tree with one place of it replaced, left out, repeated or renamed."""
    if isinstance(tree, dict) and tree and random.random() < 0.85:
        name = random.choice(sorted(tree))
        rest = {key: kept for key, kept in tree.items() if key != name}
        chance = random.random()
        if chance < 0.1:
            return rest
        if chance < 0.15:
            return rest | {text(random)[:80]: tree[name]}
        return tree | {name: changed(random, tree[name])}
    if isinstance(tree, list) and tree and random.random() < 0.85:
        at = random.randrange(len(tree))
        if random.random() < 0.2:
            return tree * random.randrange(4)
        return [*tree[:at], changed(random, tree[at]), *tree[at + 1 :]]
    return value(random)


def changed_bytes(random: Random, sound: bytes) -> bytes:
    """Bytes that were sound, cut, grown, or with some of them changed."""
    mutable = bytearray(sound)
    for _ in range(random.randrange(1, 4)):
        at = random.randrange(len(mutable) + 1)
        match random.randrange(4):
            case 0:
                del mutable[at:]
            case 1:
                mutable[at:at] = random.randbytes(random.randrange(1, 12))
            case 2 if at < len(mutable):
                mutable[at] = random.randrange(256)
            case _:
                del mutable[at : at + random.randrange(1, 9)]
    return bytes(mutable)


def changed_row(random: Random, sound: bytes) -> bytes:
    """A JSON row that was sound."""
    chance = random.random()
    if chance < 0.1:
        return changed_bytes(random, sound)
    if chance < 0.15:
        return random.choice(
            (
                b"",
                b"null",
                b"[]",
                b"{",
                b"\xff",
                b"[" * 100_000,
                b'{"format":' * 5_000,
                b"9" * 9_999,
            )
        )
    tree = json.loads(sound)
    for _ in range(random.randrange(1, 3)):
        tree = changed(random, tree)
    return json.dumps(tree, ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogatepass")


def key(random: Random, *sound: str) -> str:
    """A row's key: most often a sound one."""
    chosen = random.choice(sound)
    if random.random() < 0.7:
        return chosen
    parts = chosen.split("/")
    parts[random.randrange(len(parts))] = text(random)[:6_000]
    return "/".join(parts)
