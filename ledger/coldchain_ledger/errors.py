"""One family of errors; each text says what was expected, what was found and where."""


class LedgerError(Exception):
    """Base of every error this package raises on purpose."""


class EntryError(LedgerError):
    """Bytes that are not a ledger entry (ledger §2)."""


class NoteError(LedgerError):
    """A signed note, key or checkpoint that does not parse or verify (ledger §3)."""


class ProofError(LedgerError):
    """A Merkle or index proof that does not hold (ledger §1.3, §5.4)."""


class StoreError(LedgerError):
    """The store cannot give or keep what its contract promises (ledger §3.6, §4.4)."""


class EvidenceError(LedgerError):
    """A receipt or dossier that does not parse or does not hold (ledger §7); `where` names the section or entry."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where = where
        self.what = what
