"""The log shows an operator what happened, and never a secret."""

import io
import json

import pytest
from tests.doubles.attempts import an_attempt

from hookstream.adapters.telemetry.log import StructuredLogger
from hookstream.core.access.scopes import Scope
from hookstream.core.access.tokens import token_text
from hookstream.core.model.outcome import (
    DeadLetter,
    DeadReason,
    Failed,
    FailureKind,
    RetryAt,
    Throttled,
)
from hookstream.errors import ConfigurationError
from hookstream.pipeline.ports import Logger

FAILED = an_attempt(Failed(FailureKind.STATUS, "Bad Gateway", 502), RetryAt(5))
DEAD = an_attempt(Throttled(429, None), DeadLetter(DeadReason.EXPIRED, "7 days"))


def written(level: str, style: str = "json") -> tuple[Logger, io.StringIO]:
    out = io.StringIO()
    return StructuredLogger(level, style, out=out), out


def lines(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_an_attempt_that_failed_is_one_line_with_its_trace() -> None:
    logger, out = written("info")
    logger.attempt(FAILED)
    (line,) = lines(out)
    assert line.pop("timestamp")
    assert line == {
        "event": "attempt",
        "level": "info",
        "delivery_id": "msg_1",
        "subscription_id": "orders",
        "partner_id": "acme",
        "event_type": "pricing.completed",
        "event_id": "evt-1",
        "attempt": 1,
        "trigger": "initial",
        "outcome": "failed",
        "disposition": "retry",
        "status": 502,
        "error": "Bad Gateway",
        "duration_ms": 20.0,
        "next_due_at": "1970-01-01T00:00:00.005Z",
        "host": "partner.example",
        "trace_id": "ab" * 16,
    }


def test_a_dead_lettered_attempt_is_a_warning() -> None:
    logger, out = written("warning")
    logger.attempt(FAILED)
    logger.attempt(DEAD)
    assert [(line["level"], line["disposition"]) for line in lines(out)] == [
        ("warning", "dead_letter")
    ]


def test_a_delivered_attempt_is_logged_at_debug_only() -> None:
    """It is in the audit topic; ten thousand lines a second would cost more than the deliveries."""
    quiet, nothing = written("info")
    quiet.attempt(an_attempt())
    assert nothing.getvalue() == ""
    talkative, out = written("debug")
    talkative.attempt(an_attempt())
    assert [line["level"] for line in lines(out)] == ["debug"]


@pytest.mark.parametrize(
    ("level", "levels"),
    [
        ("debug", ["info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_levels_below_the_threshold_are_not_written(level: str, levels: list[str]) -> None:
    logger, out = written(level)
    logger.info("worker.starting", listen="127.0.0.1:9464")
    logger.warning("tables.late", seconds=31.0)
    logger.error("partition.stopped", remedy="hookstream partition start")
    assert [line["level"] for line in lines(out)] == levels


def test_a_secret_in_a_log_line_is_redacted() -> None:
    logger, out = written("info")
    logger.info("x", detail="key whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD of whsk_abc123==")
    logger.info(
        "x", detail=f"Bearer {token_text(Scope.PARTNER_MANAGE, bytes(range(32)))}, hs_none"
    )
    logger.info("y", url="https://user:hunter2@partner.example/hook")
    text = out.getvalue()
    assert [line.get("detail") or line.get("url") for line in lines(out)] == [
        "key whsec_*** of whsk_***",
        "Bearer hs_pmg_***, hs_none",
        "https://***partner.example/hook",
    ]
    assert "hunter2" not in text


def test_a_partners_text_cannot_act_on_a_terminal() -> None:
    logger, out = written("info", "console")
    logger.info("x", detail="\x1b]0;owned\x07\r\nforged line")
    assert "\x1b]" not in out.getvalue()
    assert out.getvalue().count("\n") == 1


@pytest.mark.parametrize(("level", "style"), [("loud", "json"), ("info", "xml")])
def test_an_invalid_level_or_style_is_refused(level: str, style: str) -> None:
    with pytest.raises(ConfigurationError, match=r"log\.(level|format) '(loud|xml)'"):
        StructuredLogger(level, style)
