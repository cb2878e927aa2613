"""What the devices themselves vouch for in a dossier: signatures (ledger §7.3 step 5) and message chains (step 6)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import attrgetter
from typing import Any

from coldchain_ledger.errors import EvidenceError, LedgerError
from coldchain_ledger.evidence import JOSE, Carried
from coldchain_ledger.jws import Message, PublicKey, load_key, parse_message, signature_holds
from coldchain_ledger.steps import NotChecked

TOLD_GAPS = 5  # as many as a person reads; the rest is counted


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """A key by ledger position: good for entries after `enrolled_at`, and after `revoked_at` only through the chain."""

    kid: str
    public_key: PublicKey
    enrolled_at: int
    revoked_at: int | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """A device's message and the index the ledger gave it."""

    index: int
    message: Message

    @property
    def place(self) -> tuple[int, int]:
        """Where the device says it stands in its chain."""
        return self.message.boot, self.message.seq


def check_signatures(entries: Sequence[Carried]) -> str:
    """Step 5: every message is signed by a key that was enrolled before it and not revoked, by ledger position.

    A message recorded after its key was revoked counts only if one recorded before the revocation reaches it through
    `prev` (design §6). Raises EvidenceError, or NotChecked where a key's enrolment is not carried.
    """
    keys, received = device_keys(entries), messages(entries)
    foreign = sum(1 for carried in entries if carried.entry.type == JOSE) - len(received)
    unknown = sorted({r.message.kid for r in received if r.message.kid not in keys})
    checked = [r for r in received if r.message.kid in keys]
    vouched = {kid: _vouched_in_time(key, checked) for kid, key in keys.items()}
    for each in checked:
        _check_signature(each, keys[each.message.kid], vouched[each.message.kid])
    held = f"{len(checked)} messages are signed by {len({r.message.kid for r in checked})} enrolled keys"
    if not received and not foreign:
        raise NotChecked("no signed message is carried")
    if unknown:
        raise NotChecked(f"{held}; the enrolment of {', '.join(unknown[:TOLD_GAPS])} is not carried")
    if foreign:
        raise NotChecked(f"{held}; {foreign} entries are signed by others than devices")
    return f"{held}; a revocation that is not carried would not show"


def check_chains(entries: Sequence[Carried]) -> str:
    """Step 6: the messages of each device follow one another by seq and `prev`.

    Raises EvidenceError where two claim one place or a link does not hold, and NotChecked, with the gaps, where
    messages between are not carried.
    """
    devices: dict[str, list[Received]] = defaultdict(list)
    for each in messages(entries):
        devices[each.message.device].append(each)
    if not devices:
        raise NotChecked("no device message is carried")
    gaps: list[str] = []
    for device, received in sorted(devices.items()):
        gaps += [f"{device} {gap}" for gap in _check_chain(sorted(received, key=attrgetter("place", "index")))]
    total = sum(map(len, devices.values()))
    if gaps:
        more = f" and {len(gaps) - TOLD_GAPS} more" if len(gaps) > TOLD_GAPS else ""
        raise NotChecked(f"{total} messages, of which no link fails; not carried: {', '.join(gaps[:TOLD_GAPS])}{more}")
    return f"{total} messages of {len(devices)} devices follow one another without gaps, each from its very first"


def device_keys(entries: Iterable[Carried]) -> dict[str, DeviceKey]:
    """Keys by `kid`, from the identity entries. Raises EvidenceError for an unreadable one."""
    keys: dict[str, DeviceKey] = {}
    for carried in entries:
        if carried.entry.kind == "identity":
            try:
                _read_identity(keys, carried.index, json.loads(carried.entry.payload))
            except (LedgerError, ValueError, RecursionError, KeyError, TypeError, AttributeError) as exc:
                raise EvidenceError(carried.where, f"not an identity entry of this format: {exc!r}") from exc
    return keys


def messages(entries: Iterable[Carried]) -> list[Received]:
    """The device messages, in ledger order. Raises EvidenceError for one whose key is not its device, boot and seq."""
    received: list[Received] = []
    for carried in entries:
        if carried.entry.type != JOSE or not carried.entry.key.startswith("tm/"):
            continue
        try:
            message = parse_message(carried.entry.payload)
        except LedgerError as exc:
            raise EvidenceError(carried.where, str(exc)) from exc
        key = f"tm/{message.device}/{message.boot}/{message.seq}"
        if carried.entry.key not in (key, f"{key}#{message.digest.hex()[:16]}"):
            raise EvidenceError(carried.where, f"filed as {carried.entry.key!r:.120}; the message is {key}")
        received.append(Received(carried.index, message))
    return received


def _read_identity(keys: dict[str, DeviceKey], index: int, body: dict[str, Any]) -> None:
    kid, operation = body["kid"], body["op"]
    if operation == "revoke":
        key = keys.get(kid)
        if key is not None and key.revoked_at is None:
            keys[kid] = replace(key, revoked_at=index)
    elif operation in ("enrol", "rotate") and body["public_key"]:  # an account without a key of its own signs nothing
        if kid in keys:
            raise LedgerError(f"{kid} is enrolled by entry {keys[kid].enrolled_at} already")
        if kid.rpartition("#")[0] != body["device"]:
            raise LedgerError(f"{kid} is not a key of device {body['device']}")
        keys[kid] = DeviceKey(kid, load_key(body["alg"], body["public_key"]), index)


def _check_signature(received: Received, key: DeviceKey, vouched: set[bytes]) -> None:
    where, message = f"entry {received.index}", received.message
    if received.index < key.enrolled_at:
        raise EvidenceError(where, f"recorded before entry {key.enrolled_at} enrolled its key {key.kid}")
    if key.revoked_at is not None and received.index > key.revoked_at and message.digest not in vouched:
        raise EvidenceError(where, f"recorded after entry {key.revoked_at} revoked its key {key.kid}")
    if not signature_holds(message, key.public_key):
        raise EvidenceError(where, f"the signature does not hold under {key.kid} of entry {key.enrolled_at}")


def _vouched_in_time(key: DeviceKey, checked: Sequence[Received]) -> set[bytes]:
    """Digests of the messages that one recorded before the key's revocation reaches through `prev`."""
    by_digest = {r.message.digest: r.message for r in checked}
    vouched: set[bytes] = set()
    for start in checked:
        message = start.message if key.revoked_at is not None and start.index < key.revoked_at else None
        while message is not None and message.prev not in vouched:
            vouched.add(message.prev)
            message = by_digest.get(message.prev)
    return vouched


def _check_chain(received: Sequence[Received]) -> list[str]:
    """The gaps in one device's messages, sorted by place. Raises EvidenceError where a link does not hold."""
    carried = {r.message.digest: r for r in received}
    first = received[0]
    if not first.message.prev and first.message.seq:
        raise EvidenceError(f"entry {first.index}", f"{_told(first)} names no message before it")
    gaps = [f"what was before {_told(first)}"] if first.message.prev else []
    for before, after in pairwise(received):
        if not _follows(before, after, carried.get(after.message.prev)):
            gaps.append(f"what was between {_told(before)} and {_told(after)}")
    return gaps


def _follows(before: Received, after: Received, named: Received | None) -> bool:
    """Whether `after` comes right after `before`; False where messages between them are not carried.

    `named` is the carried message that `after` gives as the one before it. Raises EvidenceError for a broken link.
    """
    (boot, seq), (next_boot, next_seq) = before.place, after.place
    follows_in_boot = (next_boot, next_seq) == (boot, seq + 1)
    where = f"entry {after.index}"
    if after.place == before.place:
        raise EvidenceError(where, f"{_told(after)} is claimed by entry {before.index} too, with other bytes")
    if named is before and not follows_in_boot and next_seq:
        raise EvidenceError(where, f"{_told(after)} names {_told(before)} as the one before it")
    if named is not before and (named is not None or follows_in_boot or not after.message.prev):
        found = _told(named) if named else after.message.prev.hex() or "none"
        raise EvidenceError(where, f"{_told(after)} does not follow {_told(before)}; the one it names is {found}")
    return named is before


def _told(received: Received) -> str:
    return f"boot {received.message.boot} seq {received.message.seq} (entry {received.index})"
