"""Rate limits in this process: of each caller's requests, and of the records read for partners.

A partner's tokens share one limit; each token of an operator has its own.
"""

from collections.abc import Callable
from threading import Lock

from hookstream.core.access.request_rate import BURST_SECONDS, RequestRate
from hookstream.core.access.scan_rate import ScanRate
from hookstream.core.access.scopes import Caller

OPERATORS_PER_SECOND = 100.0
"""Requests a second of an operator's token."""
_MOST_KEPT = 10_000


class TokenRates:
    """The rates of all callers.

    Args:
        per_second: Returns how many requests a second a partner may make.
        monotonic: Seconds.
        operators: How many requests a second an operator's token may make.
    """

    def __init__(
        self,
        per_second: Callable[[str], float],
        monotonic: Callable[[], float],
        *,
        operators: float = OPERATORS_PER_SECOND,
    ) -> None:
        self._per_second = per_second
        self._monotonic = monotonic
        self._operators = operators
        self._rates: dict[str, RequestRate] = {}

    def take(self, caller: Caller) -> tuple[dict[str, str], int | None]:
        """Return the rate limit headers, and after how many seconds a refused request may be repeated."""
        now = self._monotonic()
        if caller.partner_id is None:
            key, per_second = f"token/{caller.token_id}", self._operators
        else:
            key, per_second = f"partner/{caller.partner_id}", self._per_second(caller.partner_id)
        rate = self._rates.get(key)
        if rate is None:
            if len(self._rates) >= _MOST_KEPT:
                self._rates = {
                    name: each for name, each in self._rates.items() if not each.is_idle(now)
                }
            rate = self._rates[key] = RequestRate()
        state = rate.take(per_second, now)
        headers = {
            "RateLimit-Policy": f'"requests";q={state.limit};w={BURST_SECONDS:.0f}',
            "RateLimit": f'"requests";r={state.remaining};t={state.reset}',
        }
        return headers, state.retry_after


class ScanRates:
    """The rate at which records of the log are read for each partner. May be called from any thread.

    Args:
        per_second: Returns how many a second are read for a partner.
        monotonic: Seconds.
    """

    def __init__(self, per_second: Callable[[str], float], monotonic: Callable[[], float]) -> None:
        self._per_second = per_second
        self._monotonic = monotonic
        self._rates: dict[str, ScanRate] = {}
        self._lock = Lock()

    def wait(self, caller: Caller) -> float:
        """Return for how many seconds nothing more may be read for a caller; 0: reading is allowed."""
        with self._lock:
            rate = self._rates.get(caller.partner_id or "")
            return 0.0 if rate is None else rate.wait(self._monotonic())

    def note(self, caller: Caller, records: int) -> float:
        """Note records that were read for a caller; return for how many seconds no more may be."""
        if caller.partner_id is None:
            return 0.0
        per_second = self._per_second(caller.partner_id)
        with self._lock:
            now = self._monotonic()
            rate = self._rates.get(caller.partner_id)
            if rate is None:
                if len(self._rates) >= _MOST_KEPT:
                    self._rates = {
                        name: each for name, each in self._rates.items() if not each.is_idle(now)
                    }
                rate = self._rates[caller.partner_id] = ScanRate()
            return rate.note(records, per_second, now)
