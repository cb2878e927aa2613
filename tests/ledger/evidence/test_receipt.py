"""Receipts: the tlog-proof file, and what the verifier says of it."""

import pytest

from coldchain_ledger import strictb64
from coldchain_ledger.errors import EvidenceError
from coldchain_ledger.log import Draft, Log, create_log
from coldchain_ledger.memory import MemoryStore
from coldchain_ledger.note import Ed25519Signer, MLDSA44Signer
from coldchain_ledger.receipt import encode_receipt, parse_receipt
from coldchain_ledger.verify import log_policy, verify_receipt

SIGNER = Ed25519Signer.generate("log.example/cold")
POLICY = log_policy(SIGNER.verifier)
SIZE = 300


@pytest.fixture(scope="module")
def store():
    kept = MemoryStore()
    create_log(kept, [SIGNER])
    log = Log(kept, [SIGNER], clock=lambda: 1_700_000_000_000_000)
    log.append([Draft("document", "acme", "text/plain", f"doc/{i}", "declared", (), b"%d" % i) for i in range(SIZE)])
    return kept


@pytest.fixture(scope="module")
def log(store):
    return Log(store, [SIGNER], clock=lambda: 1_700_000_000_000_000)


def entry_of(store, index):
    with store.snapshot() as snapshot:
        return snapshot.entry(index)


@pytest.mark.parametrize("index", [0, 1, 255, 256, 299])
def test_a_receipt_with_its_entry_is_verified(log, store, index):
    report = verify_receipt(log.receipt(index), entry_of(store, index), POLICY)
    assert [s.status for s in report.steps[:3]] == ["verified"] * 3
    assert (report.exit_code, len(report.steps)) == (0, 9)


def test_a_receipt_reads_back_and_is_the_file_of_the_specification(log):
    receipt = parse_receipt(log.receipt(7))
    assert encode_receipt(receipt.index, receipt.proof, receipt.note) == log.receipt(7)
    lines = log.receipt(7).decode().split("\n")
    assert lines[:2] == ["c2sp.org/tlog-proof@v1", "index 7"]
    assert lines[2 : 2 + len(receipt.proof)] == [strictb64.encode(p) for p in receipt.proof]
    assert lines[2 + len(receipt.proof) :] == ["", *log.checkpoint().decode().split("\n")]


def test_a_receipt_for_another_entry_is_broken_at_that_entry(log, store):
    report = verify_receipt(log.receipt(7), entry_of(store, 8), POLICY)
    assert report.exit_code == 1
    assert report.steps[2].where == "entry 7"


def test_every_flipped_byte_of_a_receipt_is_noticed(log, store):
    receipt, entry = log.receipt(200), entry_of(store, 200)
    for at in range(len(receipt)):
        flipped = bytearray(receipt)
        flipped[at] ^= 1
        assert verify_receipt(bytes(flipped), entry, POLICY).exit_code == 1, f"byte {at}"


def test_without_key_or_entry_a_receipt_is_not_verified_and_not_broken(log, store):
    for entry, policy in ((None, POLICY), (entry_of(store, 7), None), (None, None)):
        assert verify_receipt(log.receipt(7), entry, policy).exit_code == 3


def test_a_receipt_under_someone_elses_checkpoint_is_broken(log, store):
    stranger = log_policy(MLDSA44Signer.generate("log.example/cold").verifier)
    report = verify_receipt(log.receipt(7), entry_of(store, 7), stranger)
    assert report.steps[1].where == "checkpoint"
    assert report.exit_code == 1


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda r: b"", "receipt"),
        (lambda r: r.replace(b"\n\n", b"\n"), "receipt"),
        (lambda r: r.replace(b"@v1", b"@v2"), "first line"),
        (lambda r: r.replace(b"index 7", b"extra AAAA\nindex 7"), "index line"),
        (lambda r: r.replace(b"index 7", b"index 07"), "index line"),
        (lambda r: r.replace(b"index 7\n", b""), "index line"),
        (lambda r: r.replace(b"index 7\n", b"index 7\nAAAA\n"), "proof hash 1"),
        (lambda r: b"c2sp.org/tlog-proof@v1\nindex 7\n" + (b"A" * 43 + b"=\n") * 64 + b"\nnote", "proof"),
        (lambda r: r + b"x" * 2_000_000, "receipt"),
    ],
)
def test_what_is_not_exactly_a_receipt_is_refused_by_the_part_at_fault(log, change, where):
    with pytest.raises(EvidenceError) as caught:
        parse_receipt(change(log.receipt(7)))
    assert caught.value.where == where
