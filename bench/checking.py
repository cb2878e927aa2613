"""fsck of a ledger of 300-byte entries, and bare SHA-256 over the same bytes (performance §2.3).

The tree alone: every entry read, hashed, and its tiles compared. Everything: headers, keys, chains, index as well. Both
come from one run of `coldchain_ledger.fsck`, which times its steps, with a process for each core.

Found by profiling: of 10 µs an entry on one core, looking its key up took 3 and wrapping rows 1.5. Keys are compared as
a whole since, rows come as the driver gives them; an entry takes 6.8 µs, 1.5 of them in the process that chains.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from bench.ledger_append import draft
from bench.rows import Row
from coldchain.db.engine import make_engine
from coldchain.db.ledger_store import SqlStore
from coldchain.db.migrate import migrate
from coldchain_ledger.fsck import fsck
from coldchain_ledger.keys import parse_vkey
from coldchain_ledger.log import Log, create_log
from coldchain_ledger.note import Ed25519Signer

BATCH = 10_000
PAYLOAD = b"x" * 140
"""Makes entries of some 300 bytes."""


def rows(entries: int, rounds: int) -> list[Row]:
    """The tree alone and everything, each with its ratio to hashing the entries and nothing else."""
    with tempfile.TemporaryDirectory(prefix="coldchain-bench-") as directory:
        store, log = _filled(Path(directory), entries)
        with store.snapshot() as snapshot:
            data = list(snapshot.entries(0, entries))
        reports, hashed = [], []
        for _ in range(rounds):
            hashed.append(entries / _seconds_to_hash(data))
            engine = make_engine(f"sqlite:///{Path(directory) / 'ledger.db'}")  # unused, since fsck forks
            reports.append(fsck(SqlStore(engine), parse_vkey(log.vkey), os.cpu_count() or 1))
            engine.dispose()
        assert all(report.ok and report.entries == entries for report in reports)
    reference = statistics.median(hashed)
    tree = statistics.median(report.tree_entries_per_second for report in reports)
    everything = statistics.median(report.entries_per_second for report in reports)
    size = sum(map(len, data)) / entries
    named = f"{entries:,} entries of {size:.0f} B"
    return [
        Row("SHA-256, hashlib loop", reference, "hashes/s", note=named),
        Row(
            "fsck, the tree alone", tree, "entries/s", "SHA-256", reference, tree / reference,
            "1,000,000/s on 2 cores", tree >= 1_000_000,
        ),
        Row(
            "fsck, everything", everything, "entries/s", "SHA-256", reference, everything / reference,
            "250,000/s on 2 cores", everything >= 250_000,
        ),
    ]  # fmt: skip


def _filled(directory: Path, entries: int) -> tuple[SqlStore, Log]:
    engine = make_engine(f"sqlite:///{directory / 'ledger.db'}")
    migrate(engine)
    signers = [Ed25519Signer.generate("bench.example/log")]
    store = SqlStore(engine)
    create_log(store, signers)
    log = Log(store, signers, lambda: time.time_ns() // 1_000)
    for start in range(0, entries, BATCH):
        log.append([draft(number, PAYLOAD) for number in range(start, min(start + BATCH, entries))])
    return store, log


def _seconds_to_hash(data: Sequence[bytes]) -> float:
    began = time.perf_counter()
    for one in data:
        sha256(one).digest()
    return time.perf_counter() - began
