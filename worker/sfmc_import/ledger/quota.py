"""The steps of the quota in Redis: permits for calls, what was used, and the circuit breaker."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from sfmc_import.ledger.arguments import milliseconds
from sfmc_import.permits import (
    CALLS_OF_A_START,
    FAILURES_THAT_OPEN,
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    SHARES,
    Circuit,
    Permits,
    QuotaLimits,
    Share,
)


class RedisQuota:
    """Implements sfmc_import.permits.QuotaLedger; `run` runs a step of the ledger, by `clock` a zone rule holds."""

    def __init__(
        self, run: Callable[[str, dict[str, Any]], Any], limits: QuotaLimits, clock: Callable[[], float]
    ) -> None:
        self._run, self._limits, self._clock = run, limits, clock
        self._zone = ZoneInfo(limits.time_zone)

    def take(self, share: Share, need: int, want: int, mid: str, used: Mapping[str, int]) -> Permits:
        """See sfmc_import.permits.QuotaLedger.take."""
        limits = self._limits
        offset = datetime.fromtimestamp(self._clock(), UTC).astimezone(self._zone).utcoffset()
        arguments = {
            "account": limits.account,
            "share": share,
            "shares": SHARES,
            "together": CALLS_OF_A_START,
            "need": need,
            "want": want,
            "limit": limits.calls_per_minute,
            "used": used,
            "mid": mid,
            "offset": milliseconds(0.0 if offset is None else offset.total_seconds()),
            "budget_day": limits.per_day,
            "budget_year": limits.per_year,
            "policy": limits.when_spent,
        }
        answer = orjson.loads(self._run("take_permits", arguments))
        # Lua writes an empty list as an empty object.
        circuits = {each["scope"]: _circuit(each) for each in answer["circuits"] or ()}
        return Permits(
            count=int(answer["permits"]),
            wait=answer["wait"],
            why=answer["why"],
            circuits=circuits,
            budget=answer.get("budget") or "",
        )

    def probe(self, scope: str, probe: str) -> Circuit:
        """See sfmc_import.permits.QuotaLedger.probe."""
        arguments = {"scope": scope, "probe": probe, "probe_ms": milliseconds(self._limits.probe_seconds)}
        return _circuit(orjson.loads(self._run("probe_circuit", arguments | {"account": self._limits.account})))

    def report(
        self,
        scope: str,
        probe: str,
        epoch: int,
        outcome: str,
        *,
        code: str = "",
        text: str = "",
        asked: float = 0.0,
        by: str = "",
    ) -> Circuit:
        """See sfmc_import.permits.QuotaLedger.report."""
        arguments = {
            "account": self._limits.account,
            "scope": scope,
            "probe": probe,
            "epoch": epoch,
            "outcome": outcome,
            "code": code,
            "text": text,
            "by": by,
            "asked": milliseconds(asked),
            "threshold": FAILURES_THAT_OPEN,
            "pause": milliseconds(FIRST_PAUSE_SECONDS),
            "longest_pause": milliseconds(LONGEST_PAUSE_SECONDS),
        }
        return _circuit(orjson.loads(self._run("report_circuit", arguments)))


def _circuit(fields: Mapping[str, Any]) -> Circuit:
    return Circuit(
        epoch=int(fields["epoch"]),
        failures=int(fields["failures"]),
        left=fields.get("left"),
        is_probe=fields.get("state") == "probe",
        code=fields.get("code") or "",
        text=fields.get("text") or "",
        by=fields.get("by") or "",
    )
