"""How serious a finding is. The verdict says so itself where its rule has grades; else the kind of rule does."""

from __future__ import annotations

import json
from typing import Literal

from coldchain.domain.segments import BROKEN_PENDING, BROKEN_UNEXPLAINED

Severity = Literal["warning", "alarm", "critical"]
SEVERITIES: tuple[Severity, ...] = ("warning", "alarm", "critical")
"""The most serious last."""

_BY_VERDICT: dict[str, Severity] = {"breach": "alarm", BROKEN_PENDING: "alarm", BROKEN_UNEXPLAINED: "critical"}
_FORGED = ("device disputed", "device prev-mismatch", "device revoked-key")
"""Somebody else may hold the device's key."""


def severity_of(rule: str, verdict: str, detail: str = "{}") -> Severity:
    """detail: the verdict's canonical JSON, whose `severity` counts where it is one of ours."""
    stated = json.loads(detail).get("severity") if '"severity"' in detail else None
    if stated in SEVERITIES:
        return SEVERITIES[SEVERITIES.index(stated)]
    return "alarm" if rule in _FORGED else _BY_VERDICT.get(verdict, "warning")


def rank(severity: str) -> int:
    """Its place among SEVERITIES; below all of them for anything else."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else -1
