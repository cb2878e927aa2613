"""Papers of a lawful exception: the carrier's claim and the authority's decision, as ledger payloads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coldchain_devices.plan import Paper


@dataclass(frozen=True, slots=True)
class Claim:
    """An exception one party claims (domain §3): code, units and places concerned, interval, evidence."""

    id: str
    code: str
    units: Sequence[str]
    places: Sequence[str]
    from_us: int
    to_us: int
    evidence: Mapping[str, Any]
    by: str

    def paper(self, at_us: int) -> Paper:
        """The document that claims it."""
        payload = {
            "v": 1,
            "doc": "exception-claim",
            "id": self.id,
            "code": self.code,
            "units": list(self.units),
            "places": list(self.places),
            "from_us": self.from_us,
            "to_us": self.to_us,
            "evidence": dict(self.evidence),
            "by": self.by,
        }
        return Paper(at_us, self.by, "document", f"doc/claim/{self.id}", (*self.units, *self.places), _bytes(payload))

    def decided(self, at_us: int, decision: str, by: str, role: str, reason: str) -> Paper:
        """The order that confirms or refuses it, the first one about this claim."""
        payload = {
            "v": 1,
            "order": "claim-decision",
            "claim": self.id,
            "decision": decision,
            "by": by,
            "role": role,
            "reason": reason,
        }
        key = f"order/claim-decision/{self.id}/1"
        return Paper(at_us, by, "order", key, (*self.units, *self.places), _bytes(payload))


def _bytes(payload: Mapping[str, Any]) -> bytes:
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
