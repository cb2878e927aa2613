"""Verifying evidence, offline, by the numbered procedure of ledger §7.3.

The verifier brings the trust: a policy made from its own key or its own policy file. Nothing in the file is believed
before step 2 has tied it to that policy.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import BinaryIO

from coldchain_ledger.checkpoint import Checkpoint, Opened, Policy, parse_checkpoint
from coldchain_ledger.completeness import check_complete, check_files
from coldchain_ledger.devicechain import check_chains, check_signatures
from coldchain_ledger.entry import Entry
from coldchain_ledger.errors import EvidenceError, NoteError, ProofError
from coldchain_ledger.evidence import Dossier, parse_dossier
from coldchain_ledger.keys import Verifier
from coldchain_ledger.merkle import leaf_hash, multi_root, verify_inclusion
from coldchain_ledger.note import parse_note
from coldchain_ledger.published import check_published
from coldchain_ledger.receipt import Receipt, parse_receipt
from coldchain_ledger.steps import NotChecked, Report

NO_KEY = "no key was given to check it by (--log-vkey or --policy)"


def log_policy(verifier: Verifier) -> Policy:
    """The policy that believes one log and asks for no witness."""
    return Policy(logs=[verifier], quorum="none")


def verify_dossier(file: BinaryIO, policy: Policy | None) -> Report:
    """Run the procedure on a dossier. Without a policy, damage still shows and nothing is proven."""
    check, report = _DossierCheck(file, _Trust(policy)), Report()
    report.run("parse", check.parse)
    report.run("checkpoint", check.checkpoint, needs=1)
    report.run("inclusion", check.inclusion, needs=1)
    report.run("subject chains", check.subject_chains, needs=3)
    report.run("device signatures", lambda: check_signatures(check.dossier.entries), needs=3)
    report.run("device chains", lambda: check_chains(check.dossier.entries), needs=3)
    report.run("documents", check.files, needs=3)
    report.run("verdicts", lambda: check_published(check.dossier.entries), needs=3)
    report.run("time stamps", check.trust.time_stamps, needs=2)
    return report


def verify_receipt(data: bytes, entry: bytes | None, policy: Policy | None) -> Report:
    """Run the procedure on a receipt and the entry's bytes; without the bytes inclusion stays unchecked."""
    check, report = _ReceiptCheck(data, entry, _Trust(policy)), Report()
    report.run("parse", check.parse)
    report.run("checkpoint", check.checkpoint, needs=1)
    report.run("inclusion", check.inclusion, needs=1)
    for name in ("subject chains", "device signatures", "device chains", "documents", "verdicts"):
        report.leave_open(name, "a receipt is about inclusion alone")
    report.run("time stamps", check.trust.time_stamps, needs=2)
    return report


class _Trust:
    """The checkpoint of the evidence, and whether the verifier's policy stands behind it."""

    def __init__(self, policy: Policy | None) -> None:
        self._policy = policy
        self._opened: Opened | None = None
        self.checkpoint: Checkpoint | None = None
        """Set once the note could be read, signed or not."""

    def open(self, note: bytes, origin: str | None = None) -> str:
        """Step 2. `origin` is what the file says elsewhere."""
        try:
            checkpoint = parse_checkpoint(parse_note(note).text)
            if origin not in (None, checkpoint.origin):
                raise EvidenceError("header", f"origin is {origin!r:.100}, the checkpoint's {checkpoint.origin!r}")
            if self._policy is None:
                self.checkpoint = checkpoint
                raise NotChecked(f"{NO_KEY}; the file names log {checkpoint.origin!r}")
            self._opened = self._policy.verify(note)
        except NoteError as exc:
            raise EvidenceError("checkpoint", str(exc)) from exc
        self.checkpoint = checkpoint
        witnesses = ", ".join(cosignature.witness for cosignature in self._opened.cosignatures) or "no witness"
        key = self._opened.log.key_id.hex()
        return f"{checkpoint.origin} at size {checkpoint.size}, signed by key {key}, cosigned by {witnesses}"

    def included(self, detail: str) -> str:
        """Step 3's result: `detail`, unless nobody vouches for the root it was checked against."""
        if self._opened is None:
            raise NotChecked(f"{detail}, but {NO_KEY}")
        return detail

    def time_stamps(self) -> str:
        """Step 9, as far as witnesses' clocks tell."""
        if self._opened is None or self._policy is None:
            raise NotChecked(NO_KEY)
        if not self._policy.witnesses:
            raise NotChecked(
                "no witness was given to check cosignatures by (--policy), and no RFC 3161 stamp is carried"
            )
        if not self._opened.cosignatures:
            raise NotChecked("no witness of the policy cosigned, and no RFC 3161 stamp is carried")
        seen = ", ".join(f"{c.witness} at {_utc(c.time_s)}" for c in self._opened.cosignatures)
        return f"the checkpoint was seen by {seen}"


class _DossierCheck:
    """Steps of a dossier; each uses what the ones before it set."""

    dossier: Dossier

    def __init__(self, file: BinaryIO, trust: _Trust) -> None:
        self._file = file
        self.trust = trust

    def parse(self) -> str:
        self.dossier = parse_dossier(self._file)
        return f"{len(self.dossier.entries)} entries, undamaged"

    def checkpoint(self) -> str:
        return self.trust.open(self.dossier.note, self.dossier.origin)

    def inclusion(self) -> str:
        head = _readable(self.trust)
        leaves = [(carried.index, leaf_hash(carried.data)) for carried in self.dossier.entries]
        try:
            root = multi_root(leaves, head.size, self.dossier.proof)
        except ProofError as exc:
            raise EvidenceError("proof", str(exc)) from exc
        if root != head.root:
            what = f"entries and proof lead to root {root.hex()}, the checkpoint has {head.root.hex()}"
            raise EvidenceError("entries or proof", what)
        first, last = leaves[0][0], leaves[-1][0]
        return self.trust.included(f"{len(leaves)} entries, {first} to {last}, are in the log of size {head.size}")

    def subject_chains(self) -> str:
        return check_complete(self.dossier.complete, self._by_index())

    def files(self) -> str:
        return check_files(self.dossier.complete, self._by_index())

    def _by_index(self) -> dict[int, tuple[Entry, bytes]]:
        return {carried.index: (carried.entry, carried.data) for carried in self.dossier.entries}


class _ReceiptCheck:
    """Steps of a receipt; each uses what the ones before it set."""

    _receipt: Receipt

    def __init__(self, data: bytes, entry: bytes | None, trust: _Trust) -> None:
        self._data = data
        self._entry = entry
        self.trust = trust

    def parse(self) -> str:
        self._receipt = parse_receipt(self._data)
        return f"receipt of entry {self._receipt.index}"

    def checkpoint(self) -> str:
        return self.trust.open(self._receipt.note)

    def inclusion(self) -> str:
        head, receipt = _readable(self.trust), self._receipt
        if self._entry is None:
            raise NotChecked("the entry itself was not given (--entry)")
        try:
            verify_inclusion(receipt.index, head.size, leaf_hash(self._entry), receipt.proof, head.root)
        except ProofError as exc:
            raise EvidenceError(f"entry {receipt.index}", str(exc)) from exc
        return self.trust.included(f"entry {receipt.index} is in the log of size {head.size}")


def _readable(trust: _Trust) -> Checkpoint:
    if trust.checkpoint is None:
        raise NotChecked("rests on step 2, which failed")
    return trust.checkpoint


def _utc(time_s: int) -> str:
    try:
        return datetime.fromtimestamp(time_s, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return f"{time_s} s after 1970, a time no calendar here has"
