"""What the devices themselves vouch for in a dossier: signatures (ledger §7.3 step 5) and message chains (step 6)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter
from typing import Any

from coldchain_ledger.errors import EvidenceError, LedgerError
from coldchain_ledger.evidence import JOSE, Carried
from coldchain_ledger.jws import Message, PublicKey, load_key, parse_message, signature_holds
from coldchain_ledger.steps import NotChecked

TOLD = 5  # of each kind, as many as a person reads; the rest is counted


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


@dataclass(frozen=True, slots=True)
class _Breaks:
    """What does not follow in the chains of devices, each in words that name the entries."""

    disputed: list[str]
    broken: list[str]
    gaps: list[str]

    def told(self) -> str:
        """Counts and the first of each kind; empty where there is nothing to tell."""
        kinds = (
            ("places are disputed by differing copies, of which none counts", self.disputed),
            ("links do not hold", self.broken),
            ("gaps, where messages are not carried", self.gaps),
        )
        return "; ".join(f"{len(found)} {kind}: {_first(found)}" for kind, found in kinds if found)


def check_signatures(entries: Sequence[Carried]) -> str:
    """Step 5: every message is signed by a key that was enrolled before it, by ledger position.

    A message recorded after its key was revoked counts only if one recorded before the revocation reaches it through
    `prev` (design §6). The ledger records the others too, so they are told and nothing fails. Raises EvidenceError for
    a signature that does not hold or a key whose enrolment is not carried, NotChecked where nothing is a device's.
    """
    keys, received = device_keys(entries), messages(entries)
    foreign = sum(1 for carried in entries if carried.entry.type == JOSE) - len(received)
    for each in received:
        _check_signature(each, keys.get(each.message.kid))
    held = f"{len(received)} messages are signed by {len({r.message.kid for r in received})} enrolled keys"
    vouched = {kid: _vouched_in_time(key, received) for kid, key in keys.items()}
    late = [r for r in received if not _counts(r, keys[r.message.kid], vouched[r.message.kid])]
    if late:
        told = [f"entry {r.index} (entry {keys[r.message.kid].revoked_at} revoked its key)" for r in late]
        held += f"; {len(late)} messages do not count: {_first(told)}"
    if not received and not foreign:
        raise NotChecked("no signed message is carried")
    if foreign:
        raise NotChecked(f"{held}; {foreign} entries are signed by others than devices")
    return f"{held}; a revocation that is not carried would not show"


def check_chains(entries: Sequence[Carried]) -> str:
    """Step 6: the messages of each device follow one another by seq and `prev`.

    Raises NotChecked where they do not, with every kind of break, how many there are and at which entries: two messages
    that claim one place, a link that does not hold, messages between that are not carried. The ledger records what
    devices say even so; what it means for a device is for a finding to say.
    """
    devices: dict[str, list[Received]] = defaultdict(list)
    for each in messages(entries):
        devices[each.message.device].append(each)
    if not devices:
        raise NotChecked("no device message is carried")
    breaks = _Breaks([], [], [])
    for device, received in sorted(devices.items()):
        _check_chain(device, received, breaks)
    total = sum(map(len, devices.values()))
    if told := breaks.told():
        raise NotChecked(f"{total} messages of {len(devices)} devices do not all follow one another; {told}")
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
    operation = body["op"]
    if operation not in ("enrol", "rotate", "revoke"):  # parties, gateways and what is behind them have no keys
        return
    kid = body["kid"]
    if operation == "revoke":
        key = keys.get(kid)
        if key is not None and key.revoked_at is None:
            keys[kid] = replace(key, revoked_at=index)
    elif body["public_key"]:  # an account without a key of its own signs nothing
        if kid in keys:
            raise LedgerError(f"{kid} is enrolled by entry {keys[kid].enrolled_at} already")
        if kid.rpartition("#")[0] != body["device"]:
            raise LedgerError(f"{kid} is not a key of device {body['device']}")
        keys[kid] = DeviceKey(kid, load_key(body["alg"], body["public_key"]), index)


def _check_signature(received: Received, key: DeviceKey | None) -> None:
    where, message = f"entry {received.index}", received.message
    if key is None:
        raise EvidenceError(where, f"no entry that is carried enrols its key {message.kid!r:.120}")
    if received.index < key.enrolled_at:
        raise EvidenceError(where, f"recorded before entry {key.enrolled_at} enrolled its key {key.kid}")
    if not signature_holds(message, key.public_key):
        raise EvidenceError(where, f"the signature does not hold under {key.kid} of entry {key.enrolled_at}")


def _counts(received: Received, key: DeviceKey, vouched: set[bytes]) -> bool:
    return key.revoked_at is None or received.index < key.revoked_at or received.message.digest in vouched


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


def _check_chain(device: str, received: Sequence[Received], breaks: _Breaks) -> None:
    """Add the breaks in one device's messages."""
    carried = {r.message.digest: r for r in received}
    before: list[Received] = []
    for _, copies in groupby(sorted(received, key=attrgetter("place", "index")), attrgetter("place")):
        at_place = list(copies)
        if len(at_place) > 1:
            breaks.disputed.append(f"{device} {_told(*at_place)}")
        for each in at_place:
            named = carried.get(each.message.prev)
            if broken := _broken_link(before, each, named):
                breaks.broken.append(f"{device} {_told(each)} {broken}")
            elif named is None and each.message.prev:
                since = f"between {_told(*before)} and" if before else "before"
                breaks.gaps.append(f"{device} what was {since} {_told(each)}")
        before = at_place


def _broken_link(before: Sequence[Received], after: Received, named: Received | None) -> str:
    """How the link of `after` to the messages of the place before it does not hold; empty where it does or may.

    `named` is the carried message that `after` gives as the one before it. It may hold where that one is not carried.
    """
    message = after.message
    place_before = before[0].place if before else None
    next_in_boot = place_before == (message.boot, message.seq - 1)
    if not message.prev and (before or message.seq):
        return "names no message before it"
    if named is None:
        return f"does not follow {_told(*before)}; the one it names is {message.prev.hex()}" if next_in_boot else ""
    if named.place != place_before:
        told = f"does not follow {_told(*before)}" if before else "is the first"
        return f"{told}; the one it names is {_told(named)}"
    return f"names {_told(named)} as the one before it" if message.seq and not next_in_boot else ""


def _told(*received: Received) -> str:
    """The place of these messages, which is the same, and their entries."""
    entries = " and ".join(f"entry {r.index}" for r in received)
    return f"boot {received[0].message.boot} seq {received[0].message.seq} ({entries})"


def _first(told: Sequence[str]) -> str:
    more = f" and {len(told) - TOLD} more" if len(told) > TOLD else ""
    return ", ".join(told[:TOLD]) + more
