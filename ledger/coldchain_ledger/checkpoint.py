"""Signed checkpoints and whom to believe: the trust policy of c2sp.org/tlog-policy (ledger §3.4, §6.4).

A receipt is provisional with the log's signature and final with the policy's quorum of witnesses (ledger §6.5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from coldchain_ledger.errors import NoteError
from coldchain_ledger.keys import COSIGNATURE_ED25519, COSIGNATURE_MLDSA44, ED25519, Verifier, parse_vkey
from coldchain_ledger.note import Note, open_note
from coldchain_ledger.treehead import Checkpoint, parse_checkpoint

__all__ = [
    "Checkpoint",
    "Cosignature",
    "Group",
    "Opened",
    "Policy",
    "open_checkpoint",
    "parse_checkpoint",
    "parse_policy",
]

LOG_TYPES = (ED25519, COSIGNATURE_MLDSA44)
WITNESS_TYPES = (COSIGNATURE_ED25519, COSIGNATURE_MLDSA44)
NO_QUORUM = "none"  # tlog-policy: the predefined name that asks for no cosignature
MAX_POLICY_BYTES = 1_000_000  # the specification asks for 32 logs and 32 witnesses; with ML-DSA keys they are 120 kB

_FORBIDDEN = re.compile(rb"[^\t\n\x20-\x7e\x80-\xff]")
_BLANKS = re.compile(r"[ \t]+")
_DECIMAL = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A witness saw the checkpoint and found it consistent with all it saw before."""

    witness: str
    time_s: int
    """When, in seconds since the epoch, by the witness's clock."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A checkpoint signed by a log the policy lists."""

    checkpoint: Checkpoint
    log: Verifier
    cosignatures: tuple[Cosignature, ...]
    final: bool
    """Whether the cosignatures reach the policy's quorum."""


@dataclass(frozen=True, slots=True)
class Group:
    """At least `needed` of `members` (witnesses or earlier groups)."""

    needed: int
    members: tuple[str, ...]


@dataclass(slots=True)
class Policy:
    """The logs and witnesses a verifier believes, and how many of them it takes."""

    logs: list[Verifier] = field(default_factory=list)
    witnesses: dict[str, Verifier] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    """In order of definition: a group's members come before it."""
    quorum: str = ""

    def verify(self, note_bytes: bytes) -> Opened:
        """The checkpoint, signed by a listed log and cosigned by the quorum; NoteError otherwise."""
        opened = self.open(note_bytes)
        if not opened.final:
            seen = ", ".join(c.witness for c in opened.cosignatures) or "no witness"
            raise NoteError(f"quorum {self.quorum!r} is not reached: cosigned by {seen}")
        return opened

    def open(self, note_bytes: bytes) -> Opened:
        """The checkpoint, signed by a listed log; `final` says whether the quorum is reached. Raises NoteError."""
        note = open_note(note_bytes, [*self.logs, *self.witnesses.values()])
        checkpoint = parse_checkpoint(note.text)
        log = next((key for key in self.logs if key in note.verified and key.name == checkpoint.origin), None)
        if log is None:
            raise NoteError(f"no log of the policy named {checkpoint.origin} signed this checkpoint")
        cosigned = {name for name, key in self.witnesses.items() if key in note.verified}
        times = tuple(Cosignature(name, _time_s(note, self.witnesses[name])) for name in sorted(cosigned))
        return Opened(checkpoint, log, times, self._reached(cosigned))

    def _reached(self, names: set[str]) -> bool:
        """Whether these witnesses are a quorum."""
        reached = {NO_QUORUM, *names}
        for name, group in self.groups.items():
            if sum(member in reached for member in group.members) >= group.needed:
                reached.add(name)
        return self.quorum in reached


def open_checkpoint(note_bytes: bytes, verifier: Verifier) -> Checkpoint:
    """The checkpoint `verifier`'s log signed; its origin is the key's name. Raises NoteError."""
    checkpoint = parse_checkpoint(open_note(note_bytes, [verifier]).text)
    if checkpoint.origin != verifier.name:
        raise NoteError(f"the checkpoint is of log {checkpoint.origin}; the key is of {verifier.name}")
    return checkpoint


def parse_policy(data: bytes) -> Policy:
    """The policy a file states (c2sp.org/tlog-policy). Raises NoteError that names the line."""
    bad = _FORBIDDEN.search(data)
    if bad or len(data) > MAX_POLICY_BYTES:
        found = f"byte {bad[0].hex()} at {bad.start()}" if bad else f"{len(data)} bytes"
        raise NoteError(
            f"a policy is at most {MAX_POLICY_BYTES} bytes of text without control characters; found {found}"
        )
    policy = Policy()
    # Names are opaque octets: this decoding keeps different octets different.
    for number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), 1):
        words = _BLANKS.split(line.strip(" \t"))
        if not words[0] or words[0].startswith("#"):
            continue
        try:
            _read_line(policy, words[0], words[1:])
        except NoteError as exc:
            raise NoteError(f"policy line {number}: {exc}") from exc
    if not policy.quorum:
        raise NoteError("a policy has exactly one quorum line; this one has none")
    return policy


def _read_line(policy: Policy, keyword: str, words: list[str]) -> None:
    match keyword, words:
        case "log", [vkey] | [vkey, _]:
            policy.logs.append(_new_key(vkey, LOG_TYPES, policy.logs))
        case "witness", [name, vkey] | [name, vkey, _]:
            _check_new(policy, name)
            policy.witnesses[name] = _new_key(vkey, WITNESS_TYPES, list(policy.witnesses.values()))
        case "group", [name, needed, *members] if members:
            _check_new(policy, name)
            policy.groups[name] = _group(policy, needed, members)
        case "quorum", [name] if not policy.quorum:
            if name != NO_QUORUM:
                _check_defined(policy, name)
            policy.quorum = name
        case _:
            raise NoteError(f"not a policy line: {' '.join([keyword, *words])[:80]!r}")


def _new_key(vkey: str, types: tuple[int, ...], others: list[Verifier]) -> Verifier:
    verifier = parse_vkey(vkey)
    if verifier.algorithm not in types:
        raise NoteError(f"key {verifier.name} is of type {verifier.algorithm:#04x}, wrong for this line")
    if any(other.public_key == verifier.public_key for other in others):
        raise NoteError(f"the public key of {verifier.name} stands on an earlier line already")
    return verifier


def _group(policy: Policy, needed: str, members: list[str]) -> Group:
    taken = {member for group in policy.groups.values() for member in group.members}
    for at, member in enumerate(members):
        _check_defined(policy, member)
        if member in taken or member in members[:at]:
            raise NoteError(f"{member!r} is a member already; one witness may count only once")
    count = {"any": 1, "all": len(members)}.get(needed)
    if count is None:
        count = int(needed) if _DECIMAL.fullmatch(needed) else 0
    if not 1 <= count <= len(members):
        raise NoteError(f"a group of {len(members)} needs any, all or 1 to {len(members)} of them, not {needed[:20]!r}")
    return Group(count, tuple(members))


def _check_new(policy: Policy, name: str) -> None:
    if name == NO_QUORUM or name in policy.witnesses or name in policy.groups:
        raise NoteError(f"the name {name!r} is taken")


def _check_defined(policy: Policy, name: str) -> None:
    if name not in policy.witnesses and name not in policy.groups:
        raise NoteError(f"{name!r} is not defined on an earlier line")


def _time_s(note: Note, key: Verifier) -> int:
    value = next(s.value for s in note.signatures if (s.name, s.key_id) == (key.name, key.key_id))
    return key.time_s(value) or 0
