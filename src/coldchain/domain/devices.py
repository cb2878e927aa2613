"""A device's identity and its chain of messages: what was received, what is missing, what counts (design §6).

Every message names the one before it by SHA-256. Stretches received without a hole or a broken link are kept as ranges
with the link at either end, so a device that never lost a message costs one row however long it lives.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from coldchain.domain.fittings import UNSTATED, Fitting, FittingError, read_fitting

GAP = "gap"
MISMATCH = "prev-mismatch"
DISPUTED = "disputed"
BACKWARD = "clock-backward"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an `identity` entry with op `enrol` or `rotate` states."""

    device: str
    org: str
    site: str
    kid: str
    alg: str
    public_key: str
    grade: str
    place: str
    profile: str
    time_floor_us: int
    role: str
    fitting: Fitting = UNSTATED
    """What it says of the sensors."""


@dataclass(frozen=True, slots=True)
class Revocation:
    device: str
    kid: str


def parse_identity(body: Any) -> Enrolment | Revocation | None:
    """The order an `identity` entry gives, or None where it is not one we know: it then changes nothing."""
    if not isinstance(body, Mapping) or not all(isinstance(body.get(name), str) for name in ("device", "kid")):
        return None
    if body.get("op") == "revoke":
        return Revocation(body["device"], body["kid"])
    texts = ("org", "site", "alg", "public_key", "grade", "role")
    floor = body.get("time_floor_us", 0)
    if body.get("op") not in ("enrol", "rotate") or not all(isinstance(body.get(name), str) for name in texts):
        return None
    return Enrolment(
        device=body["device"],
        kid=body["kid"],
        place=body.get("place") or "",
        profile=body.get("profile") or "",
        time_floor_us=floor if type(floor) is int else 0,
        fitting=_fitting(body),
        **{name: body[name] for name in texts},
    )


def _fitting(body: Mapping[str, Any]) -> Fitting:
    """A device is enrolled whatever is wrong with what is said of its sensors."""
    try:
        return read_fitting(body)
    except FittingError:
        return UNSTATED


@dataclass(slots=True, init=False)
class Message:
    """A message as its chain sees it."""

    boot: int
    seq: int
    sha256: bytes
    prev: bytes
    """SHA-256 of the message before; empty for the device's very first."""
    kid: str
    ref: int
    """Its place in the ledger."""
    first_us: int | None
    last_us: int | None
    """Device time it speaks about; None where it states none that can be believed."""

    def __init__(
        self,
        boot: int,
        seq: int,
        sha256: bytes,
        prev: bytes,
        kid: str,
        ref: int,
        first_us: int | None,
        last_us: int | None,
    ) -> None:
        self.boot, self.seq, self.sha256, self.prev = boot, seq, sha256, prev
        self.kid, self.ref, self.first_us, self.last_us = kid, ref, first_us, last_us


@dataclass(slots=True)
class Range:
    """Messages boot/lo..boot/hi: all received, each naming the one before it.

    An end that touches a disputed message, or is one, states nothing: its link and its time are None."""

    boot: int
    lo: int
    hi: int
    first_prev: bytes | None
    """What boot/lo states as its predecessor."""
    last_sha256: bytes | None
    """Hash of boot/hi."""
    first_us: int | None
    last_us: int | None
    reach: int
    """The earliest place in the ledger from which boot/lo can be reached through `prev`."""


class Finding(NamedTuple):
    """Something about a chain that a person should see."""

    kind: str
    boot: int
    seq: int
    """Gap: the first missing one, -1 for a message of an earlier boot nobody has. Else the message itself."""
    upto: int | None
    """Gap: the last missing one, None where it cannot be known. Clock set back: `from_us` is what the message says,
    `to_us` what the one before it had said."""
    from_us: int | None
    to_us: int | None


Position = tuple[int, int]
FindingKey = tuple[str, int, int]


@dataclass(slots=True, init=False)
class Changes:
    """What happened to a chain since its changes were last taken; None marks what is gone."""

    ranges: dict[Position, Range | None]
    grown: list[Range]
    """Of which only the end is another: `hi`, `last_sha256`, `last_us`; unless they are in `ranges` too."""
    findings: dict[FindingKey, Finding | None]
    disputed: list[Position]
    """Places that got a differing copy."""
    held: dict[bytes, Message | None]
    """Messages of a revoked key that do not count, by hash."""
    reached: list[Message]
    """Messages that did not count when they were recorded and do now."""

    def __init__(self) -> None:
        self.ranges, self.grown, self.findings = {}, [], {}
        self.disputed, self.held, self.reached = [], {}, []

    @property
    def eventful(self) -> bool:
        """Whether anything happened but messages following each other."""
        return bool(self.findings or self.disputed or self.held)


class Chain:
    """The set of signed messages of one device. The same set gives the same ranges and findings, whatever the order.

    revoked: kid -> place of its revocation in the ledger. A message signed by it and recorded later counts only if one
    recorded before the revocation reaches it through `prev` (design §6).
    """

    def __init__(
        self,
        ranges: Iterable[Range] = (),
        disputed: Iterable[Position] = (),
        held: Iterable[Message] = (),
        revoked: Mapping[str, int] | None = None,
    ) -> None:
        self.ranges = sorted(ranges, key=lambda r: (r.boot, r.lo))
        self.disputed = set(disputed)
        self.held = {message.sha256: message for message in held}
        self.revoked = dict(revoked or {})
        self._changes = Changes()

    def changes(self) -> Changes:
        taken, self._changes = self._changes, Changes()
        return taken

    def take(self, message: Message) -> None:
        """Add a message recorded now. A second, differing one at its place disputes both."""
        last = self.ranges[-1] if self.ranges else None
        if message.kid in self.revoked and not self._counts(message):
            self.held[message.sha256] = self._changes.held[message.sha256] = message
        elif last is not None and _continues(last, message):
            self._compare_times(last, message.boot, message.seq, message.first_us)
            last.hi, last.last_sha256, last.last_us = message.seq, message.sha256, message.last_us
            grown = self._changes.grown
            if not grown or grown[-1] is not last:
                grown.append(last)
        elif self._covers(message.boot, message.seq):
            self._dispute(message.boot, message.seq)
        else:
            self._insert(message)

    def dispute_loose(self, boot: int, seq: int) -> None:
        """A second, differing copy of a message that is in no chain, such as one that a gateway passed on."""
        self._changes.disputed.append((boot, seq))
        self._changes.findings[DISPUTED, boot, seq] = Finding(DISPUTED, boot, seq, seq, None, None)
        self.disputed.add((boot, seq))

    def top(self) -> Position | tuple[None, None]:
        """The newest (boot, seq) that counts."""
        return (self.ranges[-1].boot, self.ranges[-1].hi) if self.ranges else (None, None)

    def _place(self, boot: int, seq: int) -> int:
        """Index of the first range that starts after boot/seq."""
        return bisect_right(self.ranges, (boot, seq), key=lambda r: (r.boot, r.lo))

    def _covers(self, boot: int, seq: int) -> bool:
        place = self._place(boot, seq)
        return place > 0 and self.ranges[place - 1].boot == boot and self.ranges[place - 1].hi >= seq

    def _successor(self, message: Message) -> Range | None:
        """The range that starts right after the message, in its boot or the next one, and names it."""
        place = self._place(message.boot, message.seq)
        if place == len(self.ranges):
            return None
        right = self.ranges[place]
        follows = right.lo == (message.seq + 1 if right.boot == message.boot else 0)
        return right if follows and right.first_prev == message.sha256 else None

    def _counts(self, message: Message) -> bool:
        if self._covers(message.boot, message.seq):
            return False
        successor = self._successor(message)
        return successor is not None and successor.reach < self.revoked[message.kid]

    def _insert(self, message: Message) -> None:
        """Add a counting message, then those held back that it names, directly or through each other."""
        following: Message | None = message
        while following is not None:
            following = self._held_before(self._add(following))

    def _add(self, message: Message) -> int:
        """Fill a free place. Returns the index of the range it is in now."""
        boot, seq = message.boot, message.seq
        place = self._place(boot, seq)
        before = self._findings_around(place, 1)
        successor = self._successor(message)
        reach = message.ref if successor is None else min(message.ref, successor.reach)
        new = Range(boot, seq, seq, message.prev, message.sha256, message.first_us, message.last_us, reach)
        if (boot, seq - 1) in self.disputed:
            new.first_prev = new.first_us = None
        if (boot, seq + 1) in self.disputed:
            new.last_sha256 = new.last_us = None
        self.ranges.insert(place, new)
        self._changes.ranges[boot, seq] = new
        if successor is not None and successor.boot == boot:
            self._join(place)
        if place > 0 and _continues(self.ranges[place - 1], message):
            place -= 1
            self._join(place)
        self._note(before, place)
        return place

    def _join(self, place: int) -> None:
        """Make one range of two that touch and are linked."""
        left, right = self.ranges[place], self.ranges.pop(place + 1)
        self._compare_times(left, right.boot, right.lo, right.first_us)
        left.hi, left.last_sha256, left.last_us = right.hi, right.last_sha256, right.last_us
        left.reach = min(left.reach, right.reach)
        self._changes.ranges[right.boot, right.lo] = None
        self._changes.ranges[left.boot, left.lo] = left

    def _compare_times(self, left: Range, boot: int, seq: int, first_us: int | None) -> None:
        """Tell of a message that begins before the one before it ended: its clock was set back."""
        if _is_backward(left, first_us):
            self._changes.findings[BACKWARD, boot, seq] = Finding(BACKWARD, boot, seq, seq, first_us, left.last_us)

    def _held_before(self, place: int) -> Message | None:
        """Follow `prev` from a range's start through earlier boots. Where it ends in a message held back that counts
        now, that message is released and returned."""
        start = self.ranges[place]
        while place > 0 and start.lo == 0 and start.first_prev is not None:
            earlier = self.ranges[place - 1]
            if earlier.last_sha256 != start.first_prev:
                break
            if earlier.reach <= start.reach:
                return None
            earlier.reach = start.reach
            self._changes.ranges[earlier.boot, earlier.lo] = earlier
            place, start = place - 1, earlier
        held = self.held.get(start.first_prev or b"")
        if held is None or not self._counts(held):
            return None
        del self.held[held.sha256]
        self._changes.held[held.sha256] = None
        self._changes.reached.append(held)
        return held

    def _dispute(self, boot: int, seq: int) -> None:
        """Set the place apart. Neither copy's links are evidence, so it agrees with every neighbour."""
        self._changes.disputed.append((boot, seq))
        self._changes.findings[DISPUTED, boot, seq] = Finding(DISPUTED, boot, seq, seq, None, None)
        if (boot, seq) in self.disputed:
            return
        self._changes.findings |= {(BACKWARD, boot, seq): None, (BACKWARD, boot, seq + 1): None}
        self.disputed.add((boot, seq))
        place = self._place(boot, seq) - 1
        before = self._findings_around(place, 1)
        whole = self.ranges[place]
        parts = [replace(whole, lo=seq, hi=seq, first_prev=None, last_sha256=None, first_us=None, last_us=None)]
        if whole.lo < seq:
            parts.insert(0, replace(whole, hi=seq - 1, last_sha256=None, last_us=None))
        if whole.hi > seq:
            parts.append(replace(whole, lo=seq + 1, first_prev=None, first_us=None))
        self.ranges[place : place + 1] = parts
        for part in (*parts, *self._loosen_neighbours(boot, seq)):
            self._changes.ranges[part.boot, part.lo] = part
        self._note(before, place)

    def _loosen_neighbours(self, boot: int, seq: int) -> list[Range]:
        place = self._place(boot, seq) - 1
        loosened = []
        if place > 0 and (self.ranges[place - 1].boot, self.ranges[place - 1].hi) == (boot, seq - 1):
            loosened.append(self.ranges[place - 1])
            loosened[-1].last_sha256 = loosened[-1].last_us = None
        if place + 1 < len(self.ranges) and (self.ranges[place + 1].boot, self.ranges[place + 1].lo) == (boot, seq + 1):
            loosened.append(self.ranges[place + 1])
            loosened[-1].first_prev = loosened[-1].first_us = None
        return loosened

    def _note(self, before: dict[FindingKey, Finding], place: int) -> None:
        """The difference at a place that grew or shrank by two ranges at most since `before` was taken."""
        after = self._findings_around(place, 3)
        for key in before.keys() - after.keys():
            self._changes.findings[key] = None
        self._changes.findings.update({key: found for key, found in after.items() if before.get(key) != found})

    def _findings_around(self, place: int, radius: int) -> dict[FindingKey, Finding]:
        """What ranges say about their left edges; a change at a place touches its own and the next one's."""
        found = (self._left_edge(i) for i in range(max(0, place - radius), min(len(self.ranges), place + radius + 1)))
        return {(finding.kind, finding.boot, finding.seq): finding for finding in found if finding is not None}

    def _left_edge(self, i: int) -> Finding | None:
        right = self.ranges[i]
        left = self.ranges[i - 1] if i > 0 else None
        since_us = left.last_us if left is not None else None
        same_boot = left is not None and left.boot == right.boot
        first_missing = left.hi + 1 if left is not None and same_boot else 0
        if first_missing < right.lo:
            return Finding(GAP, right.boot, first_missing, right.lo - 1, since_us, right.first_us)
        if left is not None and _is_backward(left, right.first_us) and left.last_sha256 == right.first_prev:
            return Finding(BACKWARD, right.boot, right.lo, right.lo, right.first_us, left.last_us)
        if right.first_prev is None or (left is not None and left.last_sha256 in (None, right.first_prev)):
            return None
        if left is not None and (same_boot or not right.first_prev):
            return Finding(MISMATCH, right.boot, right.lo, right.lo, right.first_us, right.first_us)
        if left is None and not right.first_prev:
            return None
        after = (right.boot, -1) if left is None else (left.boot, left.hi + 1)
        return Finding(GAP, *after, None, since_us, right.first_us)


def _is_backward(left: Range, first_us: int | None) -> bool:
    return first_us is not None and left.last_us is not None and first_us < left.last_us


def _continues(left: Range, message: Message) -> bool:
    """Whether the message comes right after the range and says so."""
    return left.boot == message.boot and left.hi + 1 == message.seq and left.last_sha256 == message.prev
