"""One-time links: a driver or a non-member answers one question, and whoever asked records it (design §6)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from coldchain.domain.identifiers import IdentifierError, seal_number
from coldchain.services.chores import HOUR_US, canonical
from coldchain.services.identity import CommandRefused
from coldchain.services.moments import rfc3339
from coldchain.services.principals import Principal, secret_digest
from coldchain_ledger.log import Draft, Outcome

MAX_HOURS = 24 * 30
MAX_COUNT = 1_000_000
MAX_REMARK = 500
MAX_NAME = 100
MAX_LISTED = 20
"""Units a question lists; a page on a phone is no stock list."""


@dataclass(frozen=True, slots=True)
class Link:
    """What is kept of a link: never its secret."""

    digest: bytes
    org: str
    question: Mapping[str, Any]
    created_us: int
    expires_us: int
    used_us: int | None = None

    @property
    def id(self) -> str:
        """Names the answer in the ledger; leads back to neither the secret nor its digest."""
        return hashlib.sha256(b"answer\n" + self.digest).hexdigest()[:32]

    def is_open(self, now_us: int) -> bool:
        return self.used_us is None and now_us < self.expires_us


@dataclass(frozen=True, slots=True)
class Answer:
    """What the answerer states; `None` or "" where he does not."""

    count: int | None
    seal: str
    remark: str
    name: str


class AnswerError(ValueError):
    """An answer that says nothing or is malformed; `field` is which."""

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"{field}: expected {expected}")
        self.field = field


class AnswerLinks(Protocol):
    """What routes and pages may do with links."""

    def issue(self, principal: Principal, about: str, hours: float | None) -> tuple[str, Link]:
        """(path, link). Raises CommandRefused, NotKnown."""
        ...

    def open(self, secret: str, address: str) -> Link:
        """Raises NotKnown for a link that is spent, expired or none; TooManyAttempts after ten of these."""
        ...

    def answer(self, secret: str, address: str, answer: Answer) -> Outcome:
        """The answer is in the ledger and the link is spent. Raises as `open`."""
        ...


def new_link(org: str, question: Mapping[str, Any], hours: float, now_us: int) -> tuple[str, Link]:
    """(secret, link); the secret has 256 random bits and is told once."""
    if not 0 < hours <= MAX_HOURS:
        raise CommandRefused(f"hours: expected up to {MAX_HOURS}, found {hours}")
    secret = secrets.token_urlsafe(32)
    return secret, Link(secret_digest(secret), org, question, now_us, now_us + round(hours * HOUR_US))


def handover_question(handover: Mapping[str, Any]) -> dict[str, Any]:
    """What arrived of a shipment? `handover`: as `queries_parties` gives it. Raises CommandRefused without a shipment.

    The count that was shipped is not told: an answer that repeats it would say nothing.
    """
    if not handover["shipped"]:
        raise CommandRefused(f"handover {handover['handover']}: nobody stated a shipment that could be asked about")
    first = handover["shipped"][0]
    units = sorted({unit for half in handover["shipped"] for unit in half["units"]})
    containers = [unit for unit in units if unit.startswith("cont:")]
    return {
        "about": "handover",
        "id": handover["handover"],
        "giver": handover["giver"],
        "taker": handover["taker"],
        "event": first["event_id"],
        "shipped_at": rfc3339(first["time_us"]),
        "units": units[:MAX_LISTED],
        "units_total": len(units),
        "sealed": containers[0] if len(containers) == 1 else first["vehicle"],
    }


def finding_question(finding: str, rule: str, subject: str, from_us: int) -> dict[str, Any]:
    """What does the answerer know of it?"""
    return {"about": "finding", "id": finding, "rule": rule, "subject": subject, "from": rfc3339(from_us)}


def read_answer(stated: Mapping[str, Any]) -> Answer:
    """An answer from a form or a JSON object; texts are cut of blanks around. Raises AnswerError."""
    texts = {name: stated.get(name, "") for name in ("seal", "remark", "name")}
    for name, limit in (("seal", 40), ("remark", MAX_REMARK), ("name", MAX_NAME)):
        text = texts[name]
        if not isinstance(text, str) or len(text) > limit or "\0" in text:
            raise AnswerError(name, f"text of at most {limit} characters")
        texts[name] = text.strip()
    count = _count(stated.get("received"))
    if count is None and not texts["seal"] and not texts["remark"]:
        raise AnswerError("received", "a number, a seal or a remark: the answer says nothing")
    try:
        seal = seal_number(texts["seal"]) if texts["seal"] else ""
    except IdentifierError as error:
        raise AnswerError("seal", f"the number on the seal ({error})") from error
    return Answer(count, seal, texts["remark"], texts["name"])


def _count(value: Any) -> int | None:
    if value in (None, ""):
        return None
    text = str(value).strip()
    if isinstance(value, bool) or not (text.isascii() and text.isdecimal()) or len(text) > 7 or int(text) > MAX_COUNT:
        raise AnswerError("received", f"a whole number up to {MAX_COUNT}")
    return int(text)


def answer_entry(link: Link, answer: Answer, sealed: Mapping[str, str], now_us: int) -> Draft:
    """The entry, graded `transcribed`: who asked vouches that it was answered so. sealed: digests of `name` and
    `remark`, which may hold personal data and so stay out of the ledger.

    Its key is the link's, so that of two answers at once the ledger takes one.
    """
    of_handover = link.question["about"] == "handover"
    body = _receipt(link, answer, sealed, now_us) if of_handover else _document(link, answer, sealed)
    subjects = link.question["units"] if of_handover else [link.question["subject"]]
    return Draft(
        kind="event" if of_handover else "document",
        by=link.org,
        type="application/json",
        key=f"answer/{link.id}",
        grade="transcribed",
        subjects=tuple(sorted(set(subjects), key=str.encode)),
        payload=canonical(body),
    )


def _document(link: Link, answer: Answer, sealed: Mapping[str, str]) -> dict[str, Any]:
    stated = {"received": answer.count, "seal": answer.seal or None}
    return {
        "v": 1,
        "doc": "answer",
        "id": link.id,
        "finding": link.question["id"],
        "by": link.org,
        **{name: value for name, value in stated.items() if value is not None},
        **{f"{name}_sealed": digest for name, digest in sealed.items()},
    }


def _receipt(link: Link, answer: Answer, sealed: Mapping[str, str], now_us: int) -> dict[str, Any]:
    """The receiving half as an EPCIS document: what was counted of the shipment, not which units."""
    question = link.question
    shipment = f"urn:coldchain:doc:handover/{question['id']}"
    seal = {"seal": answer.seal, "act": "checked", **({"unit": question["sealed"]} if question["sealed"] else {})}
    own = {
        "coldchain:answers": question["event"],
        **({} if answer.count is None else {"coldchain:count": answer.count}),
        **({"coldchain:seals": [seal]} if answer.seal else {}),
        **({"coldchain:driver": sealed["name"]} if "name" in sealed else {}),
        **({"coldchain:remark": sealed["remark"]} if "remark" in sealed else {}),
    }
    event = {
        "type": "TransactionEvent",
        "eventID": f"urn:coldchain:answer:{link.id}",
        "eventTime": rfc3339(now_us - now_us % 1000),
        "eventTimeZoneOffset": "+00:00",
        "action": "OBSERVE",
        "bizStep": "receiving",
        "parentID": shipment,
        "bizTransactionList": [{"bizTransaction": shipment}],
        "sourceList": [_holding("source", question["giver"])],
        "destinationList": [_holding("destination", question["taker"])],
        **own,
    }
    return {
        "@context": [
            "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",
            {"coldchain": "urn:coldchain:vocabulary:"},
        ],
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": event["eventTime"],
        "epcisBody": {"eventList": [event]},
    }


def _holding(kind: str, party: str) -> dict[str, str]:
    """An organisation by its id, anybody else by what the shipment calls him."""
    name = party if ":" in party else f"code:org/{party}"
    return {"type": "possessing_party", kind: f"urn:coldchain:{name}"}
