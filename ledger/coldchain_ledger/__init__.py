"""An append-only ledger anyone can verify: RFC 6962 tree, C2SP notes, tiles and proofs."""
