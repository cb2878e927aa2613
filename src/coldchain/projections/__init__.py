"""Followers of the ledger: one file per derived view, each a fold over entries."""
