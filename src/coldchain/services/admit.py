"""The way in: attribute, deduplicate, record in one transaction, and only then answer (design §4, steps 3-8)."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

from coldchain.domain.mappings import Gateway
from coldchain.domain.uplinks import Uplink
from coldchain.services.messages import Inbound, Reply
from coldchain.services.ports import Clock
from coldchain.services.rebirth import Rebirths
from coldchain.services.registry import Key, Registry
from coldchain.services.transport import PlainWire, uplink_draft
from coldchain_ledger.entry import parse_entry
from coldchain_ledger.errors import EntryError
from coldchain_ledger.log import Draft, Log, Outcome
from coldchain_ledger.store import Store

MAX_PAYLOAD = 48 * 1024
"""Telemetry §2: larger payloads are refused at every door; a ledger entry ends at 65,535 bytes with its header."""
MAX_COPIES = 4
"""Differing copies of one (device, boot, seq) kept beside the first (design §4.4)."""


class Header(Protocol):
    """What a signed message claims of itself, not yet verified."""

    @property
    def kid(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def alg(self) -> str: ...
    @property
    def typ(self) -> str: ...
    @property
    def boot(self) -> int: ...
    @property
    def seq(self) -> int: ...


class Unattributable(Exception):
    """A message that cannot be laid at anyone's door, with the reason word and what was expected."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(slots=True, init=False)
class Claim:
    """A message that says whose it is, and the key that shows it."""

    inbound: Inbound
    header: Header
    key: Key

    def __init__(self, inbound: Inbound, header: Header, key: Key) -> None:
        self.inbound, self.header, self.key = inbound, header, key


@dataclass(slots=True, init=False)
class Attributed:
    """A message whose sender is known, and the entry it is to become."""

    inbound: Inbound
    device: str
    topic_base: str
    draft: Draft
    content: Any
    """What the wire format made of it; handed on as it is."""
    boot: int | None
    seq: int | None
    """Of a signed message."""

    def __init__(
        self,
        inbound: Inbound,
        device: str,
        topic_base: str,
        draft: Draft,
        content: Any,
        boot: int | None = None,
        seq: int | None = None,
    ) -> None:
        self.inbound, self.device, self.topic_base, self.draft = inbound, device, topic_base, draft
        self.content, self.boot, self.seq = content, boot, seq


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that stays outside the ledger, kept in the `rejected` table."""

    inbound: Inbound
    device: str
    reason: str
    detail: str
    boot: int | None = None
    seq: int | None = None


class Begun(NamedTuple):
    """A batch that `finish` will record."""

    claims: list[Claim | Attributed | Refused]
    reading: Any


class Rejects(Protocol):
    def keep(self, refused: Sequence[Refused], at_us: int) -> None:
        """Keep the refused messages durably, within the cap of their sender, and count every one."""
        ...

    def copies(self, key: str) -> int:
        """How many differing copies of this message the ledger already holds."""
        ...


class Wire(PlainWire, Protocol):
    """The signed wire format (decoders/jws.py), and the unsigned ones of gateways."""

    def parse(self, payload: bytes) -> Header:
        """Raises Unattributable `malformed-jws`."""
        ...

    def begin(self, claims: Sequence[tuple[bytes, Key]]) -> Any:
        """Start to verify and decode payloads; batches are finished in the order they were begun."""
        ...

    def finish(self, reading: Any) -> list[Any]:
        """What each message says, in order, in a form that `on_recorded` knows; None for one whose signature does not
        hold under the key, Unattributable for one that is malformed behind its header. Asked again, it says the
        same."""
        ...

    def subjects(self, content: Any, by: str) -> tuple[tuple[str, ...], Mapping[str, Any] | None]:
        """Names the message speaks about beside its device, and the quality of its entry: None where nothing is odd,
        `message`, `pointer` and `problem` where it is invalid."""
        ...


Recorder = Callable[[Sequence[tuple[int, int, Draft, Any]]], None]
"""Takes (index, at_us, draft, content) of newly recorded messages, in ledger order."""


class Admission:
    """Turns inbound messages into ledger entries and replies; holds no message of its own."""

    def __init__(
        self,
        *,
        store: Store,
        log: Log,
        registry: Registry,
        rejects: Rejects,
        wire: Wire,
        clock: Clock,
        on_recorded: Recorder | None = None,
    ) -> None:
        self._store = store
        self._log = log
        self._registry = registry
        self._rejects = rejects
        self._wire = wire
        self._clock = clock
        self._on_recorded = on_recorded
        self._rebirths = Rebirths()
        self.counts: Counter[str] = Counter()

    def admit(self, batch: Sequence[Inbound]) -> list[Reply | None]:
        """Record the batch; one reply per message, in order. When it raises, nothing may be acknowledged: the same
        batch offered again gives the replies it would have given now."""
        return self.finish(self.begin(batch))

    def begin(self, batch: Sequence[Inbound]) -> Begun:
        """Start on a batch, perhaps while the one before is being recorded: that is when its signatures are checked."""
        with self._store.snapshot() as snapshot:
            self._registry.catch_up(snapshot)
        claims = [self._claim(inbound) for inbound in batch]
        claimed = [(item.inbound.payload, item.key) for item in claims if isinstance(item, Claim)]
        return Begun(claims, self._wire.begin(claimed))

    def finish(self, begun: Begun) -> list[Reply | None]:
        """The rest of `admit`; it may be repeated where it raised."""
        contents = iter(self._wire.finish(begun.reading))
        judged = [self._proved(item, next(contents)) if isinstance(item, Claim) else item for item in begun.claims]
        refused = [item for item in judged if isinstance(item, Refused)]
        attributed = [item for item in judged if isinstance(item, Attributed)]
        answers = dict(zip(map(id, attributed), self._record(attributed), strict=True))
        refused += [answer for answer in answers.values() if isinstance(answer, Refused)]
        if refused:
            self._rejects.keep(refused, self._clock())
            self.counts.update(f"refused:{item.reason}" for item in refused)
        return [self._asking(item, _reply(item, answers.get(id(item)))) for item in judged]

    def _asking(self, item: Attributed | Refused, reply: Reply) -> Reply:
        follows = item.content.follows if isinstance(item, Attributed) and isinstance(item.content, Uplink) else None
        if follows is None or not self._rebirths.ask(reply.topic_base, follows, self._clock()):
            return reply
        return replace(reply, rebirth=follows.node)

    def _claim(self, inbound: Inbound) -> Claim | Attributed | Refused:
        levels = inbound.topic.split("/")
        sender = levels[4] if len(levels) > 5 else levels[-2] if len(levels) > 2 else ""
        if len(inbound.payload) > MAX_PAYLOAD:
            return Refused(inbound, sender, "too-large", f"{len(inbound.payload)} bytes, at most {MAX_PAYLOAD}")
        gateway = self._registry.gateway(sender)
        if gateway is not None:
            return self._carried(gateway, inbound)
        try:
            header = self._wire.parse(inbound.payload)
        except Unattributable as error:
            return Refused(inbound, sender, error.reason, error.detail)
        where = (header.boot, header.seq)
        key = self._registry.key(header.kid)
        if key is None:
            return Refused(inbound, sender, "unknown-key", f"kid {header.kid!r} is not enrolled", *where)
        if not inbound.topic.startswith(key.topic_base + "/") or inbound.topic[len(key.topic_base) + 1 :] not in _DOORS:
            detail = f"topic {inbound.topic!r}, key {key.kid!r} publishes below {key.topic_base}/"
            return Refused(inbound, sender, "wrong-topic", detail, *where)
        if key.alg != header.alg:
            detail = f"alg {header.alg!r}, key {key.kid!r} is enrolled as {key.alg}"
            return Refused(inbound, sender, "bad-signature", detail, *where)
        return Claim(inbound, header, key)

    def _carried(self, gateway: Gateway, inbound: Inbound) -> Attributed | Refused:
        """A payload on a gateway's topic: the broker lets only its account publish there (telemetry §1)."""
        door = f"{gateway.topic_base}/up"
        if inbound.topic != door and not inbound.topic.startswith(door + "/"):
            detail = f"topic {inbound.topic!r}, gateway {gateway.device!r} publishes at {door}"
            return Refused(inbound, gateway.device, "wrong-topic", detail)
        if gateway.closed:
            return Refused(inbound, gateway.device, "closed-gateway", f"gateway {gateway.device!r} is closed")
        topic = inbound.topic[len(door) + 1 :]
        try:
            media_type, uplink = self._wire.plain(inbound.payload, gateway.format, inbound.content_type, topic)
        except Unattributable as error:
            return Refused(inbound, gateway.device, error.reason, error.detail)
        draft = uplink_draft(gateway, self._registry.sources, media_type, uplink, inbound.payload)
        return Attributed(inbound, gateway.device, gateway.topic_base, draft, uplink)

    def _proved(self, claim: Claim, content: Any) -> Attributed | Refused:
        inbound, header, key = claim.inbound, claim.header, claim.key
        if content is None:
            detail = f"does not verify with key {key.kid!r}"
            return Refused(inbound, key.device, "bad-signature", detail, header.boot, header.seq)
        if isinstance(content, Unattributable):
            return Refused(inbound, key.device, content.reason, content.detail)
        draft = self._draft(claim, content)
        return Attributed(inbound, key.device, key.topic_base, draft, content, header.boot, header.seq)

    def _record(self, messages: Sequence[Attributed]) -> list[Outcome | Refused]:
        if not messages:
            return []
        drafts = [message.draft for message in messages]
        try:
            outcomes = self._log.append(drafts)
        except EntryError as error:
            return self._record_apart(messages, error)
        # A crash here leaves the batch committed and unanswered: the sender repeats it and is told the same indices.
        self._hand_on(messages, outcomes)
        answers: list[Outcome | Refused] = list(outcomes)
        for place, outcome in enumerate(outcomes):
            if outcome.status == "conflict":
                answers[place] = self._record_copy(messages[place], outcome)
        return answers

    def _record_apart(self, messages: Sequence[Attributed], error: EntryError) -> list[Outcome | Refused]:
        """One of them fits no entry, whatever is tried: it must not stand in the way of the others."""
        if len(messages) > 1:
            half = len(messages) // 2
            return self._record(messages[:half]) + self._record(messages[half:])
        (message,) = messages
        return [_refused(message, "unrecordable", str(error))]

    def _record_copy(self, message: Attributed, outcome: Outcome) -> Outcome | Refused:
        """Same (device, boot, seq), other bytes: first-come never wins, all copies become disputed (design §4.4).

        Other bytes of the signature alone are no other copy: anybody can respell an ECDSA signature (r, s) as (r, -s).
        """
        draft = message.draft
        digest = hashlib.sha256(message.inbound.payload).hexdigest()
        copy = replace(draft, key=f"{draft.key}#{digest[:16]}")
        with self._store.snapshot() as snapshot:
            first = parse_entry(snapshot.entry(outcome.index))
            known = snapshot.find([copy.key])
        if message.boot is not None and _unsigned(first.payload) == _unsigned(message.inbound.payload):
            return outcome
        if not known and self._rejects.copies(draft.key) >= MAX_COPIES:
            return _refused(message, "disputed", f"more than {MAX_COPIES} differing copies of {draft.key}")
        outcomes = self._log.append([copy])
        self._hand_on([replace(message, draft=copy)], outcomes)
        return outcomes[0]

    def _draft(self, message: Claim, content: Any) -> Draft:
        header, key = message.header, message.key
        subjects: tuple[str, ...] = (f"dev:{key.device}",)
        quality: Mapping[str, Any] | None = None if header.typ in _KINDS else {"message": "unknown-typ"}
        kind = _KINDS.get(header.typ, "telemetry")
        if kind == "event":
            named, quality = self._wire.subjects(content, key.org)
            subjects = tuple(sorted({*subjects, *named}, key=str.encode))
        return Draft(
            kind=kind,
            by=key.org,
            type="application/jose",
            key=f"tm/{key.device}/{header.boot}/{header.seq}",
            grade=key.grade,
            subjects=subjects,
            payload=message.inbound.payload,
            quality=quality,
        )

    def _hand_on(self, messages: Sequence[Attributed], outcomes: Sequence[Outcome]) -> None:
        added = [
            (outcome.index, outcome.at_us, message.draft, message.content)
            for message, outcome in zip(messages, outcomes, strict=True)
            if outcome.status == "added"
        ]
        self.counts.update(outcome.status for outcome in outcomes)
        if added:
            self._registry.skip(added[0][0], len(added))
            if self._on_recorded is not None:
                self._on_recorded(added)


_KINDS = {"senml+json": "telemetry", "epcis+json": "event"}
_DOORS = frozenset({"up", "evt"})


def _unsigned(jws: bytes) -> bytes:
    return jws.rpartition(b".")[0]


def _refused(message: Attributed, reason: str, detail: str) -> Refused:
    return Refused(message.inbound, message.device, reason, detail, message.boot, message.seq)


def _reply(item: Attributed | Refused, answer: Outcome | Refused | None) -> Reply:
    if isinstance(answer, Outcome):
        assert isinstance(item, Attributed)
        return Reply(item.topic_base, "ack", item.boot, item.seq, answer.index, "", "")
    refused = item if isinstance(item, Refused) else answer
    assert isinstance(refused, Refused)
    levels = refused.inbound.topic.split("/")
    base = "/".join(levels[: min(5, len(levels) - 1)])
    digest = hashlib.sha256(refused.inbound.payload).hexdigest()
    return Reply(base, "nack", refused.boot, refused.seq, None, digest, refused.reason)
