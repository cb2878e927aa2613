"""The dossier an inspector carries away: `coldchain-dossier/1` and `/2`, strict JSON Lines (ledger §7.2).

Line 1 is the header, then one line per entry in ledger order, and last the compact proof of all of them:

    {"checkpoint":<signed note>,"checkpoint_sha256":<hex>,"entries":<how many>,"format":"coldchain-dossier/1",
     "origin":<origin>,"sha256":<hex, of every byte after this line>}
    {"entry":<base64>,"index":<i>,"sha256":<hex, of the index as 64-bit big-endian and the entry's bytes>}
    {"proof":[<base64 hash>,...],"sha256":<hex, of the hashes joined>}

`/2` has one line more before the proof: chains that show that no entry about a subject was left out, and files
(`coldchain_ledger.completeness`). Every line is canonical JSON (sorted names, no spaces, ASCII): no byte is free. The
checksums prove nothing against a forger. They find damage and say where: the compact proof alone can only say that
something, somewhere, is wrong.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from coldchain_ledger import strictb64
from coldchain_ledger.completeness import SECTION, Complete, parse_complete
from coldchain_ledger.entry import Entry, parse_entry
from coldchain_ledger.errors import EvidenceError, LedgerError, StoreError
from coldchain_ledger.index import IndexProof
from coldchain_ledger.jws import parse_message
from coldchain_ledger.merkle import HASH_BYTES
from coldchain_ledger.note import MAX_NOTE_BYTES
from coldchain_ledger.store import Snapshot
from coldchain_ledger.tiles import MAX_ENTRY_BYTES, TileReader
from coldchain_ledger.treehead import MAX_SIZE, parse_checkpoint

FORMAT = "coldchain-dossier/1"
FORMAT_WITH_CHAINS = "coldchain-dossier/2"
JOSE = "application/jose"
MAX_ENTRIES = 1_000_000  # they are held in memory while they are verified
MAX_DOSSIER_BYTES = 1 << 30  # likewise: what a laptop holds
MAX_HEADER_LINE = 2 * MAX_NOTE_BYTES  # the note, with its line feeds and dashes escaped
MAX_ENTRY_LINE = MAX_ENTRY_BYTES * 4 // 3 + 200

_HEADER = {"checkpoint": str, "checkpoint_sha256": str, "entries": int, "format": str, "origin": str, "sha256": str}
_ENTRY = {"entry": str, "index": int, "sha256": str}
_PROOF = {"proof": list, "sha256": str}
_COMPLETE = {"chains": list, "files": list, "index": int, "sha256": str}
# One damaged byte beside the index leaves one of these; never part of a number, which would name another entry.
_INDEX = re.compile(rb'"index":([0-9]{1,19})[,}]|":([0-9]{1,19}),"sha256"|"index[^0-9]{2}([0-9]{1,19})[^0-9]"sha256"')
_ENTRY_START, _CHAINS_START, _PROOF_START = b'{"entry":"', b'{"chains":[', b'{"proof":['  # of a line, never inside one
_NO_DIGEST = "0" * 64


@dataclass(frozen=True, slots=True)
class Carried:
    """One entry of a dossier: parsed, not yet proven to be in the log."""

    index: int
    data: bytes
    entry: Entry

    @property
    def where(self) -> str:
        """How reports name it."""
        return f"entry {self.index}"


@dataclass(frozen=True, slots=True)
class Dossier:
    """A dossier taken apart. It is undamaged; whether it is true is for `verify` to say."""

    origin: str
    note: bytes
    entries: tuple[Carried, ...]
    """Ascending by index."""
    proof: tuple[bytes, ...]
    """As `merkle.multi_root` takes it."""
    complete: Complete | None = None
    """Chains and files; None in `coldchain-dossier/1`."""


def write_dossier(snapshot: Snapshot, indices: Collection[int], out: BinaryIO, chains: IndexProof | None = None) -> int:
    """Write the dossier of these entries, under the snapshot's checkpoint, to a seekable file; returns how many.

    Entries that enrol or revoke the keys of carried messages come with them, so that signatures can be checked; so do
    subject lists stored aside. With `chains`, all entries come that name its subjects, and the index entry it is of.
    Raises EvidenceError for no entries or too many, StoreError for one there is not.
    """
    edge = snapshot.edge()
    if edge is None:
        raise StoreError("no log was created here")
    if chains is not None:
        indices = {chains.index, *indices, *(i for name in chains.proofs for i in snapshot.indices(name))}
    wanted = sorted({*indices, *_key_entries(snapshot, indices)})
    if not 0 < len(wanted) <= MAX_ENTRIES:
        raise EvidenceError("entries", f"a dossier carries 1 to {MAX_ENTRIES}, not {len(wanted)}")
    files = _files(snapshot, wanted)
    of_format = FORMAT_WITH_CHAINS if chains or files else FORMAT
    start, digest = out.tell(), sha256()

    def write(line: bytes) -> None:
        digest.update(line)
        out.write(line)

    # The header holds a digest of the lines after it: its place is kept first and filled in last.
    out.write(_header_line(of_format, edge.note, len(wanted), _NO_DIGEST))
    for index in wanted:
        write(_entry_line(index, snapshot.entry(index)))
    if of_format == FORMAT_WITH_CHAINS:
        index, proofs = (chains.index, chains.proofs) if chains else (0, {})
        write(_line(Complete(index, proofs, files).fields()))
    write(_proof_line(TileReader(edge.size, snapshot.tile).multi_proof(wanted)))
    out.seek(start)
    out.write(_header_line(of_format, edge.note, len(wanted), digest.hexdigest()))
    out.seek(0, os.SEEK_END)
    return len(wanted)


def save_dossier(snapshot: Snapshot, indices: Collection[int], path: Path, chains: IndexProof | None = None) -> int:
    """As `write_dossier`, to a file that appears whole or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        count = write_dossier(snapshot, indices, file, chains)
        file.flush()
        os.fsync(file.fileno())
    # A crash before this line leaves a .part file, which nothing reads and the next dossier of this name overwrites.
    part.replace(path)
    return count


def parse_dossier(file: BinaryIO) -> Dossier:
    """The dossier in the file, undamaged and read to its end. Raises EvidenceError that names the section or entry."""
    lines = _Lines(file)
    try:
        header = lines.read(MAX_HEADER_LINE, _HEADER)
        note = _check_header(header)
    except LedgerError as exc:
        raise EvidenceError("header", str(exc)) from exc
    lines.digest = sha256()
    entries: list[Carried] = []
    for number in range(2, header["entries"] + 2):
        try:
            entries.append(_carried(lines.read(MAX_ENTRY_LINE, _ENTRY), entries[-1].index if entries else -1))
        except LedgerError as exc:
            counted_more = lines.last.startswith((_CHAINS_START, _PROOF_START))
            raise EvidenceError("header" if counted_more else _name(number, lines), str(exc)) from exc
    complete = _read_complete(lines) if header["format"] == FORMAT_WITH_CHAINS else None
    try:
        proof = _check_proof(lines.read(MAX_DOSSIER_BYTES, _PROOF))
        lines.end()
    except LedgerError as exc:
        other = lines.last.startswith((_ENTRY_START, _CHAINS_START))  # than the header's count and format lead to
        raise EvidenceError("header" if other else "proof", str(exc)) from exc
    digest = lines.digest.hexdigest()
    if digest != header["sha256"]:
        raise EvidenceError("header", f"sha256 of what follows is {digest}, not {header['sha256'][:64]!r}")
    return Dossier(header["origin"], note, tuple(entries), proof, complete)


def _read_complete(lines: _Lines) -> Complete:
    try:
        return parse_complete(lines.read(MAX_DOSSIER_BYTES, _COMPLETE))
    except LedgerError as exc:
        other = lines.last.startswith((_ENTRY_START, _PROOF_START))
        raise EvidenceError("header" if other else SECTION, str(exc)) from exc


class _Lines:
    """Canonical JSON lines of a file, bounded and digested as they are read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = MAX_DOSSIER_BYTES
        self.digest = sha256()
        self.last = b""

    def read(self, limit: int, fields: Mapping[str, type]) -> dict[str, Any]:
        """The next line, an object with exactly these fields of these types. Raises LedgerError."""
        self.last = line = self._file.readline(min(limit, self._left) + 1)
        self._left -= len(line)
        if len(line) > limit or self._left < 0:
            raise LedgerError(f"exceeds the {limit} bytes of such a line or the {MAX_DOSSIER_BYTES} of a dossier")
        if not line.endswith(b"\n"):
            raise LedgerError("the file ends here" if not line else "the file ends inside this line")
        self.digest.update(line)
        try:
            found = json.loads(line)
            canonical = _line(found)
        except (ValueError, RecursionError) as exc:
            raise LedgerError(f"not JSON: {exc}") from exc
        if not isinstance(found, dict) or {name: type(value) for name, value in found.items()} != fields:
            raise LedgerError(f"not an object of exactly {', '.join(fields)}")
        if canonical != line:
            raise LedgerError("not canonical JSON: sorted names, no spaces, ASCII, one spelling of each value")
        return found

    def whole(self) -> bytes:
        """The line last read and, where damage tore it in two, what belongs to it. Nothing can be read after this."""
        line, more = self.last, self._file.readline(MAX_ENTRY_LINE)
        while more and not more.startswith((_ENTRY_START, _CHAINS_START, _PROOF_START)) and len(line) < MAX_ENTRY_LINE:
            line, more = line + more, self._file.readline(MAX_ENTRY_LINE)
        return line

    def end(self) -> None:
        """The file ends here. Raises LedgerError."""
        if self._file.read(1):
            raise LedgerError("bytes follow the last line")


def _name(number: int, lines: _Lines) -> str:
    """How a broken entry line is called: by its index as far as that can be read."""
    index = _INDEX.search(lines.last) or _INDEX.search(lines.whole())
    return f"entry {int(index[index.lastindex or 0])}" if index else f"line {number}"


def _check_header(header: dict[str, Any]) -> bytes:
    """The checkpoint note of a sound header. Raises LedgerError."""
    if header["format"] not in (FORMAT, FORMAT_WITH_CHAINS):
        raise LedgerError(f"format is {header['format'][:60]!r}, not {FORMAT!r} or {FORMAT_WITH_CHAINS!r}")
    if not 0 < header["entries"] <= MAX_ENTRIES:
        raise LedgerError(f"a dossier carries 1 to {MAX_ENTRIES} entries, not {header['entries']}")
    note: bytes = header["checkpoint"].encode("utf-8", "surrogatepass")
    # Signature lines of keys the verifier does not know are covered by this digest alone.
    if sha256(note).hexdigest() != header["checkpoint_sha256"]:
        raise LedgerError("checkpoint_sha256 is not the digest of the checkpoint")
    return note


def _carried(line: dict[str, Any], previous: int) -> Carried:
    """The entry of a sound line that follows the one of index `previous`. Raises LedgerError."""
    index, data = line["index"], strictb64.decode(line["entry"], "entry", LedgerError)
    if not previous < index < MAX_SIZE:
        raise LedgerError(f"index {index} stands after {previous}; they ascend to {MAX_SIZE} at most")
    digest = _entry_digest(index, data)
    if digest != line["sha256"]:
        raise LedgerError(f"sha256 of index and bytes is {digest}, not {line['sha256'][:64]!r}")
    return Carried(index, data, parse_entry(data))


def _check_proof(line: dict[str, Any]) -> tuple[bytes, ...]:
    """The hashes of a sound proof line. Raises LedgerError."""
    hashes = tuple(strictb64.decode(str(text), "hash", LedgerError, HASH_BYTES) for text in line["proof"])
    if sha256(b"".join(hashes)).hexdigest() != line["sha256"]:
        raise LedgerError("sha256 is not the digest of the hashes")
    return hashes


def _header_line(of_format: str, note: bytes, entries: int, digest: str) -> bytes:
    text = note.decode()
    origin = parse_checkpoint(text[: text.rindex("\n\n") + 1]).origin
    return _line(
        {
            "format": of_format,
            "origin": origin,
            "checkpoint": text,
            "checkpoint_sha256": sha256(note).hexdigest(),
            "entries": entries,
            "sha256": digest,
        }
    )


def _entry_line(index: int, data: bytes) -> bytes:
    return _line({"index": index, "entry": strictb64.encode(data), "sha256": _entry_digest(index, data)})


def _proof_line(proof: Sequence[bytes]) -> bytes:
    return _line({"proof": [strictb64.encode(p) for p in proof], "sha256": sha256(b"".join(proof)).hexdigest()})


def _entry_digest(index: int, data: bytes) -> str:
    return sha256(index.to_bytes(8, "big") + data).hexdigest()


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _files(snapshot: Snapshot, indices: Collection[int]) -> dict[bytes, bytes]:
    """Subject lists that these entries refer to, as far as they are kept."""
    digests = [parse_entry(snapshot.entry(index)).subjects_digest for index in indices]
    kept = {digest[1]: snapshot.blob(digest[1]) for digest in digests if digest is not None}
    return {digest: data for digest, data in kept.items() if data is not None}


def _key_entries(snapshot: Snapshot, indices: Collection[int]) -> list[int]:
    """Entries that enrolled or revoked the keys by which these messages say they are signed."""
    kids: set[str] = set()
    for index in indices:
        entry = parse_entry(snapshot.entry(index))
        if entry.type == JOSE:
            try:
                kids.add(parse_message(entry.payload).kid)
            except LedgerError:
                continue  # signed by someone else than a device: the verifier will say that it was not checked
    return list(snapshot.find([f"identity/{step}/{kid}" for kid in kids for step in ("enrol", "revoke")]).values())
