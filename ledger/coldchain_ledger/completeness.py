"""That no entry about a subject was left out of a dossier (ledger §5, §7.3 step 4), and files it refers to (step 7).

A dossier that proves it carries one more line, before the proof:

    {"chains":[{"name":<subject>,"siblings":[<base64 hash>,...],"terminal":<base64 of key and value, or empty>},...],
     "files":[<base64>,...],"index":<i>,"sha256":<hex, of this line without this field>}

`index` is the `index` entry, itself carried, whose root the chains are proven by: they are complete up to it. `files`
are the subject lists that carried entries refer to by hash. Names and files are sorted, each stands there once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Any

from coldchain_ledger import strictb64
from coldchain_ledger.entry import Entry, parse_subject_list
from coldchain_ledger.errors import EvidenceError, LedgerError, ProofError
from coldchain_ledger.index import MapProof, extend_chain, parse_index_payload, verify_map_proof
from coldchain_ledger.merkle import HASH_BYTES, leaf_hash
from coldchain_ledger.steps import NotChecked
from coldchain_ledger.store import Head

SECTION = "chains and files"
"""How reports name the line."""
_KEY_BYTES, _LEAF_BYTES = 32, 32 + 8 + 8 + 32
_CHAIN = {"name": str, "siblings": list, "terminal": str}


@dataclass(frozen=True, slots=True)
class Complete:
    """What a dossier carries for it."""

    index: int
    """The `index` entry that the chains are proven by."""
    chains: Mapping[str, MapProof]
    """By subject."""
    files: Mapping[bytes, bytes]
    """By SHA-256."""

    def fields(self) -> dict[str, Any]:
        """The line's, checksum included."""
        chains = [
            {
                "name": name,
                "siblings": [strictb64.encode(sibling) for sibling in proof.siblings],
                "terminal": strictb64.encode(b"".join(proof.terminal or ())),
            }
            for name, proof in sorted(self.chains.items())
        ]
        files = sorted(strictb64.encode(data) for data in self.files.values())
        fields = {"chains": chains, "files": files, "index": self.index}
        return {**fields, "sha256": _digest(fields)}


def parse_complete(line: Mapping[str, Any]) -> Complete:
    """Of a sound line. Raises LedgerError."""
    digest = _digest({name: value for name, value in line.items() if name != "sha256"})
    if digest != line["sha256"]:
        raise LedgerError(f"sha256 of chains and files is {digest}, not {line['sha256'][:64]!r}")
    chains = [_chain(item) for item in line["chains"]]
    files = [strictb64.decode(str(text), "file", LedgerError) for text in line["files"]]
    for what, found in (("names", [name for name, _ in chains]), ("files", line["files"])):
        if any(a >= b for a, b in pairwise(found)):
            raise LedgerError(f"{what} are not sorted, each once")
    return Complete(line["index"], dict(chains), {sha256(data).digest(): data for data in files})


class Naming:
    """Which entries name what, as far as their subject lists are carried."""

    def __init__(self, files: Mapping[bytes, bytes]) -> None:
        self._files = files
        self.used: set[bytes] = set()
        """Files that entries refer to."""

    def names(self, where: str, entry: Entry) -> Sequence[str] | None:
        """The entry's subjects; None where its list is not carried. Raises EvidenceError for a list that is none."""
        digest = entry.subjects_digest
        if digest is None:
            return entry.subjects
        blob = self._files.get(digest[1])
        if blob is None:
            return None
        self.used.add(digest[1])
        try:
            return parse_subject_list(blob, digest)
        except LedgerError as exc:
            raise EvidenceError(where, str(exc)) from exc


def check_complete(complete: Complete | None, entries: Mapping[int, tuple[Entry, bytes]]) -> str:
    """Step 4: of every subject with a chain, all entries before the index entry are carried.

    entries: (parsed, bytes) by index, proven to be in the log. Raises EvidenceError where one was left out, NotChecked
    where there are no chains.
    """
    if complete is None or not complete.chains:
        raise NotChecked("no index proof is carried: entries about a subject that were left out would not show")
    root = _index_root(complete.index, entries)
    links, later = _links(complete, entries)
    told = []
    for name, proof in complete.chains.items():
        try:
            stated = verify_map_proof(root, name, proof)
        except ProofError as exc:
            raise EvidenceError(SECTION, str(exc)) from exc
        found = extend_chain(None, links[name]) if links[name] else None
        if found != stated:
            raise EvidenceError(SECTION, f"{name}: carried {_told(found)}; the index has {_told(stated)}")
        told.append(f"all {found.count} entries that name {name}" if found else f"no entry names {name}")
    more = (
        f"; {later} later ones are carried, and whether there are more is open"
        if later
        else "; later ones are not looked for"
    )
    return (
        f"{', '.join(told)}, up to the index at entry {complete.index}{more}."
        " That this index is right rests on the log's word: whoever recomputes the log can show it wrong"
    )


def check_files(complete: Complete | None, entries: Mapping[int, tuple[Entry, bytes]]) -> str:
    """Step 7: every file carried has a hash that a carried entry gives, and every file referred to is carried."""
    naming = Naming(complete.files if complete else {})
    lists = {
        index: naming.names(f"entry {index}", entry) for index, (entry, _) in entries.items() if entry.subjects_digest
    }
    unused = set(complete.files if complete else ()) - naming.used
    if unused:
        raise EvidenceError(SECTION, f"no carried entry refers to file {min(unused).hex()}")
    lacking = [index for index, names in lists.items() if names is None]
    if lacking:
        raise NotChecked(f"entry {lacking[0]} refers to a file that is not carried; {len(lacking)} entries do")
    if not lists:
        raise NotChecked("no carried entry refers to a file; what was typed or signed stands in the entries themselves")
    return f"the subject lists of {len(lists)} entries have the hashes that their entries give"


def _index_root(index: int, entries: Mapping[int, tuple[Entry, bytes]]) -> bytes:
    carried = entries.get(index)
    if carried is None or carried[0].kind != "index":
        raise EvidenceError(
            SECTION, f"entry {index}, by which the chains are proven, is no index entry that is carried"
        )
    try:
        root, size, _ = parse_index_payload(carried[0].payload)
    except ProofError as exc:
        raise EvidenceError(f"entry {index}", str(exc)) from exc
    if size != index:
        raise EvidenceError(f"entry {index}", f"it is an index of size {size}; it covers the entries before it")
    return root


def _links(
    complete: Complete, entries: Mapping[int, tuple[Entry, bytes]]
) -> tuple[dict[str, list[tuple[int, bytes]]], int]:
    """(index, leaf hash) of the entries before the index entry, by subject; and how many entries after it name one."""
    naming, later = Naming(complete.files), 0
    links: dict[str, list[tuple[int, bytes]]] = {name: [] for name in complete.chains}
    for index, (entry, data) in sorted(entries.items()):
        names = naming.names(f"entry {index}", entry)
        if names is None:
            raise NotChecked(f"the subject list of entry {index} is not carried: whom it names is open")
        named = links.keys() & set(names)
        if index < complete.index:
            for name in named:
                links[name].append((index, leaf_hash(data)))
        else:
            later += bool(named)
    return links, later


def _chain(item: Any) -> tuple[str, MapProof]:
    if not isinstance(item, dict) or {name: type(value) for name, value in item.items()} != _CHAIN:
        raise LedgerError(f"a chain is not an object of exactly {', '.join(_CHAIN)}")
    siblings = tuple(strictb64.decode(str(text), "sibling", LedgerError, HASH_BYTES) for text in item["siblings"])
    leaf = strictb64.decode(item["terminal"], "terminal", LedgerError)
    if len(leaf) not in (0, _LEAF_BYTES):
        raise LedgerError(f"a terminal has {len(leaf)} bytes; key and value are {_LEAF_BYTES}")
    return item["name"], MapProof(siblings, (leaf[:_KEY_BYTES], leaf[_KEY_BYTES:]) if leaf else None)


def _digest(fields: Mapping[str, Any]) -> str:
    return sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _told(head: Head | None) -> str:
    return "none" if head is None else f"{head.count} entries, the last {head.last}, head {head.digest.hex()[:16]}…"
