"""What organisations hand in themselves: EPCIS documents, exception claims and the decisions on them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from coldchain.domain.continuity.supervision import ORDER, parse_supervision
from coldchain.domain.events import Event
from coldchain.domain.exceptions import ClaimError, parse_claim, parse_decision, parse_paper
from coldchain.services.chores import canonical
from coldchain.services.identity import CommandRefused
from coldchain_ledger.log import Draft


def captured(org: str, document: bytes, events: Sequence[Event], quality: Mapping[str, Any] | None = None) -> Draft:
    """The entry of an EPCIS document: its bytes, as they came, under their hash; what is odd about it as quality."""
    return Draft(
        kind="event",
        by=org,
        type="application/json",
        key=f"ev/{hashlib.sha256(document).hexdigest()}",
        grade="declared",
        subjects=tuple(sorted({name for event in events for name in event.names}, key=str.encode)),
        payload=document,
        quality=quality,
    )


def document_entry(org: str, body: Mapping[str, Any]) -> Draft:
    """The entry of an exception claim (`"doc": "exception-claim"`), of a paper that confirms one (`"doc":
    "exception-paper"`), of a decision on one (`"order": "claim-decision"`), or of supervision that begins or ends
    (`"order": "customs-supervision"`).

    Whether a claim has its minimum evidence is for continuity to judge: an insufficient one is recorded and says what
    it lacks. Raises CommandRefused for anything else.
    """
    body = {"v": 1, **body}
    try:
        match body.get("doc"), body.get("order"):
            case "exception-claim", _:
                claim = parse_claim(body, org, 0)
                subjects = {_paper(claim.claim_id), *claim.units, *claim.places}
                return _entry("document", org, f"doc/claim/{claim.claim_id}", subjects, body)
            case "exception-paper", _:
                digest, confirmed = parse_paper(body, org, 0)
                key = f"doc/paper/{confirmed.claim_id}/{digest}"
                return _entry("document", org, key, {_paper(confirmed.claim_id)}, body, confirmed.grade)
            case _, "claim-decision":
                key = f"order/claim-decision/{body.get('claim')}/{body.get('n', 1)}"
                return _entry("order", org, key, {_paper(parse_decision(body, key, org, 0).claim_id)}, body)
            case _, "customs-supervision":
                key = f"order/{ORDER}/{body.get('id')}/{body.get('n', 1)}"
                return _entry("order", org, key, {act.unit for act in parse_supervision(body, key, org)}, body)
    except ClaimError as error:
        raise CommandRefused(str(error)) from error
    raise CommandRefused(
        'expected {"doc": "exception-claim" or "exception-paper", …} or {"order": "claim-decision" or'
        ' "customs-supervision", …}'
    )


def _paper(claim: str) -> str:
    return f"doc:claim/{claim}"


def _entry(
    kind: str, org: str, key: str, subjects: set[str], body: Mapping[str, Any], grade: str = "declared"
) -> Draft:
    return Draft(
        kind=kind,
        by=org,
        type="application/json",
        key=key,
        grade=grade,
        subjects=tuple(sorted(subjects, key=str.encode)),
        payload=canonical(body),
    )
