"""Signed notes (c2sp.org/signed-note, ledger §3.1, §3.3): signing, parsing, opening.

A note is text, an empty line, and signature lines. Its text means nothing until `open_note` has verified a signature.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from coldchain_ledger import strictb64
from coldchain_ledger.errors import NoteError
from coldchain_ledger.keys import (
    KEY_ID_BYTES,
    Ed25519Cosigner,
    Ed25519Signer,
    MLDSA44Signer,
    Signer,
    Verifier,
    check_name,
    parse_vkey,
)

__all__ = [
    "Ed25519Cosigner",
    "Ed25519Signer",
    "MLDSA44Signer",
    "Note",
    "Signature",
    "Signer",
    "Verifier",
    "open_note",
    "parse_note",
    "parse_vkey",
    "sign_note",
    "signature_line",
]

MAX_SIGNATURES = 100  # the specification asks for 16 at least; the reference implementation stops at 100 too
MAX_NOTE_BYTES = 1_000_000  # 100 ML-DSA-44 signature lines are 330 kB; a checkpoint is 200 bytes

_DASH = "— "  # U+2014 and a space open every signature line
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line."""

    name: str
    key_id: bytes
    value: bytes
    """What stands behind the key id; its meaning is the key type's."""


@dataclass(frozen=True, slots=True)
class Note:
    """A note taken apart."""

    text: str
    signatures: tuple[Signature, ...]
    verified: tuple[Verifier, ...] = ()
    """Keys whose signature was checked, in the order asked; empty from `parse_note`, which checks none."""


def sign_note(text: str, signers: Sequence[Signer]) -> bytes:
    """The note: `text` with one signature line per signer. Raises NoteError for a text that cannot be one."""
    if not signers:
        raise NoteError("a note needs at least one signer")
    _check_text(text)
    return (text + "\n" + "".join(signature_line(text, signer) for signer in signers)).encode()


def signature_line(text: str, signer: Signer) -> str:
    """One signature line with its LF. A note with the line appended is the note with one more signature."""
    return f"{_DASH}{signer.name} {strictb64.encode(signer.key_id + signer.sign(text.encode()))}\n"


def parse_note(data: bytes) -> Note:
    """Text and signature lines, unverified. Raises NoteError that says what is wrong."""
    if len(data) > MAX_NOTE_BYTES:
        raise NoteError(f"a note of {len(data)} bytes; at most {MAX_NOTE_BYTES} are read")
    try:
        whole = data.decode()
    except UnicodeDecodeError as exc:
        raise NoteError(f"note is not UTF-8 at byte {exc.start}") from exc
    head, empty_line, tail = whole.rpartition("\n\n")
    if not empty_line or not tail.endswith("\n"):
        raise NoteError("a note is text, an empty line and signature lines that each end in LF")
    text = head + "\n"
    _check_text(whole)
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteError(f"{len(lines)} signature lines; at most {MAX_SIGNATURES} are read")
    return Note(text, tuple(_parse_line(line) for line in lines))


def open_note(data: bytes, verifiers: Iterable[Verifier]) -> Note:
    """The note with `verified` naming every given key that signed it; there is at least one.

    Raises NoteError when a known key's signature is bad, even beside good ones, or when no known key signed. Lines of
    unknown keys are ignored, also when only name or only id is known (ledger §3.3).
    """
    known: dict[tuple[str, bytes], Verifier] = {}
    for verifier in verifiers:
        other = known.setdefault((verifier.name, verifier.key_id), verifier)
        if other != verifier:
            raise NoteError(f"two different keys are named {verifier.name} with id {verifier.key_id.hex()}")
    note = parse_note(data)
    verified: list[Verifier] = []
    for signature in note.signatures:
        signed_by = known.get((signature.name, signature.key_id))
        if signed_by is None:
            continue
        if not signed_by.verify(note.text.encode(), signature.value):
            raise NoteError(f"bad signature by {signature.name} (key {signature.key_id.hex()})")
        if signed_by not in verified:
            verified.append(signed_by)
    if not verified:
        raise NoteError(f"none of the {len(known)} known keys signed; signatures are by {_names(note)}")
    return replace(note, verified=tuple(verified))


def _parse_line(line: str) -> Signature:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != _DASH.strip():
        raise NoteError(f"not a signature line: {line[:80]!r}")
    name = parts[1]
    check_name(name)
    value = strictb64.decode(parts[2], f"signature by {name}", NoteError)
    if len(value) <= KEY_ID_BYTES:
        raise NoteError(f"signature by {name} has {len(value)} bytes; key id and signature are more")
    return Signature(name, value[:KEY_ID_BYTES], value[KEY_ID_BYTES:])


def _check_text(text: str) -> None:
    control = _CONTROL.search(text)
    if control:
        raise NoteError(f"control character {control[0]!r} at character {control.start()} of a note")
    if not text.endswith("\n"):
        raise NoteError("note text does not end in LF")


def _names(note: Note) -> str:
    return ", ".join(f"{s.name} ({s.key_id.hex()})" for s in note.signatures[:5])
