"""A dossier that proves that nothing about a subject was left out; what a forger of one meets (ledger §7.3 step 4)."""

import base64
import io
import json
from hashlib import sha256

import pytest

from coldchain_ledger.evidence import write_dossier
from coldchain_ledger.index import IndexProof, MapProof
from coldchain_ledger.log import Draft, Log, create_log
from coldchain_ledger.memory import MemoryStore
from coldchain_ledger.note import Ed25519Signer
from coldchain_ledger.tiles import TileReader
from coldchain_ledger.verify import log_policy, verify_dossier

SIGNER = Ed25519Signer.generate("log.example/cold")
POLICY = log_policy(SIGNER.verifier)
PALLET, OTHER = "sscc:169012340000000013", "sscc:169012340000000020"
MANY = tuple(f"case:{n:05d}" for n in range(450))


def paper(number, *subjects, **changed):
    draft = {"kind": "document", "type": "text/plain", "grade": "transcribed", "payload": b"paper %d" % number}
    return Draft(**{**draft, "by": "acme", "key": f"doc/{number}", "subjects": subjects, **changed})


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def log(store):
    """Five papers about the pallet, the fourth by way of a list stored aside; three about another."""
    create_log(store, [SIGNER])
    log = Log(store, [SIGNER], clock=lambda: 1_700_000_000_000_000)
    named = [(PALLET,), (OTHER,), (PALLET, OTHER), (PALLET,), (*MANY, PALLET), (OTHER,), (PALLET,)]
    log.append([paper(number, *subjects) for number, subjects in enumerate(named)])
    return log


def written(store, indices, chains=None):
    out = io.BytesIO()
    with store.snapshot() as snapshot:
        write_dossier(snapshot, indices, out, chains)
    return out.getvalue()


def check(data, policy=POLICY):
    return verify_dossier(io.BytesIO(data), policy)


def step(data, number):
    return check(data).steps[number - 1]


def dump(line):
    return json.dumps(line, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def forged(data, change):
    """The dossier after `change(lines)`, every checksum made right again."""
    header, *entries, line, proof = map(json.loads, data.splitlines())
    change(entries, line, proof)
    line["sha256"] = sha256(dump({k: v for k, v in line.items() if k != "sha256"})[:-1]).hexdigest()
    rest = b"".join(map(dump, [*entries, line, proof]))
    return dump({**header, "entries": len(entries), "sha256": sha256(rest).hexdigest()}) + rest


def test_the_writer_brings_all_entries_about_the_subject_and_the_verifier_proves_it(log, store):
    data = written(store, [0], log.prove_subjects([PALLET]))
    report = check(data)
    chains, files = report.steps[3], report.steps[6]
    assert (report.exit_code, chains.status, files.status) == (0, "verified", "verified")
    assert f"all 5 entries that name {PALLET}, up to the index at entry 7" in chains.detail
    assert "rests on the log's word" in chains.detail
    assert [json.loads(line)["index"] for line in data.splitlines()[1:-2]] == [0, 2, 3, 4, 6, 7]


def test_an_index_that_is_the_newest_entry_serves_again(log, store):
    first, second = log.prove_subjects([PALLET]), log.prove_subjects([OTHER])
    assert (first.index, second.index, log.edge().size) == (7, 7, 8)
    assert step(written(store, [0], second), 4).status == "verified"
    log.append([paper(9)])
    assert log.prove_subjects([PALLET]).index == 9


def test_that_no_entry_names_something_can_be_proven_as_well(log, store):
    data = written(store, [0], log.prove_subjects(["sscc:none", OTHER]))
    assert "no entry names sscc:none" in step(data, 4).detail
    assert f"all 3 entries that name {OTHER}" in step(data, 4).detail


def test_entries_after_the_index_are_carried_and_said_to_be_open(log, store):
    chains = log.prove_subjects([PALLET])
    log.append([paper(8, PALLET), paper(9, OTHER)])
    data = written(store, [0], chains)
    assert step(data, 4).status == "verified"
    assert "1 later ones are carried, and whether there are more is open" in step(data, 4).detail


def test_a_dossier_that_proves_no_chain_says_so(log, store):
    assert "entries about a subject that were left out would not show" in step(written(store, [0, 3]), 4).detail


def left_out(store, chains, *dropped):
    """What an operator would write who wants entries forgotten: everything right but that they are missing."""
    whole = written(store, [0], chains)
    with store.snapshot() as snapshot:
        size, kept = snapshot.edge().size, []

        def change(entries, line, proof):
            entries[:] = [entry for entry in entries if entry["index"] not in dropped]
            kept.extend(entry["index"] for entry in entries)
            hashes = TileReader(size, snapshot.tile).multi_proof(kept)
            proof["proof"] = [base64.b64encode(one).decode() for one in hashes]
            proof["sha256"] = sha256(b"".join(hashes)).hexdigest()
            if 4 in dropped:
                line["files"] = []

        return forged(whole, change)


@pytest.mark.parametrize("dropped", [0, 3, 4, 6])
def test_an_entry_left_out_of_a_chain_is_broken_though_all_that_is_carried_is_true(log, store, dropped):
    report = check(left_out(store, log.prove_subjects([PALLET]), dropped))
    assert (report.exit_code, report.steps[2].status, report.steps[3].status) == (1, "verified", "failed")
    assert report.steps[3].where == "chains and files"
    assert "carried 4 entries" in report.steps[3].detail
    assert "the index has 5 entries" in report.steps[3].detail


def test_the_index_entry_left_out_or_another_in_its_place_is_broken(log, store):
    chains = log.prove_subjects([PALLET])
    assert "no index entry that is carried" in step(left_out(store, chains, 7), 4).detail
    assert "no index entry that is carried" in step(written(store, [0], IndexProof(6, chains.proofs)), 4).detail


def test_a_proof_of_another_subject_or_another_index_does_not_fit(log, store):
    old = log.prove_subjects([PALLET, OTHER])
    log.append([paper(9, PALLET)])
    new = log.prove_subjects([PALLET])
    for chains in (
        IndexProof(old.index, {PALLET: old.proofs[OTHER]}),
        IndexProof(old.index, new.proofs),
        IndexProof(new.index, {PALLET: old.proofs[PALLET]}),
        IndexProof(new.index, {PALLET: MapProof((), None)}),
    ):
        assert step(written(store, [0], chains), 4).status == "failed"


def test_a_file_that_is_not_carried_leaves_open_what_it_would_tell(log, store):
    data = written(store, [4], log.prove_subjects([PALLET]))
    report = check(forged(data, lambda _entries, line, _proof: line.update(files=[])))
    assert [report.steps[n].status for n in (3, 6)] == ["not checked", "not checked"]
    assert "entry 4" in report.steps[6].detail


def test_a_file_that_is_not_what_its_entry_says_or_belongs_to_none_is_broken(log, store):
    stray = base64.b64encode(b"case:1\n").decode()
    data = written(store, [4], log.prove_subjects([PALLET]))
    report = check(forged(data, lambda _e, line, _p: line.update(files=sorted([stray, *line["files"]]))))
    assert (report.exit_code, report.steps[6].where) == (1, "chains and files")
    assert sha256(b"case:1\n").hexdigest() in report.steps[6].detail


@pytest.mark.parametrize(
    "change",
    [
        lambda _e, line, _p: line["chains"].append(line["chains"][0]),
        lambda _e, line, _p: line["chains"][0].update(terminal="AAAA"),
        lambda _e, line, _p: line["chains"][0].update(siblings=["AAAA"]),
        lambda _e, line, _p: line["chains"][0].update(more=1),
        lambda _e, line, _p: line["chains"].append("chain"),
        lambda _e, line, _p: line["files"].append(line["files"][0]),
        lambda _e, line, _p: line["files"].append(7),
    ],
)
def test_a_line_of_another_form_is_refused_with_every_checksum_right(log, store, change):
    data = forged(written(store, [4], log.prove_subjects([PALLET])), change)
    assert (check(data).exit_code, step(data, 1).where) == (1, "chains and files")


def test_a_flipped_byte_anywhere_is_broken_and_names_its_part(store):
    create_log(store, [SIGNER])
    log = Log(store, [SIGNER], clock=lambda: 1_700_000_000_000_000)
    log.append([paper(1, PALLET), paper(2, OTHER), paper(3, PALLET)])
    data = written(store, [], log.prove_subjects([PALLET, "sscc:none"]))
    start = data.index(b'{"chains"')
    parts = {"header": (0, data.index(b"\n")), "chains and files": (start, data.index(b"\n", start))}
    for at in range(len(data)):
        for mask in (1 << at % 8, 3):  # 3 makes the 1 of a format a 2
            flipped = bytearray(data)
            flipped[at] ^= mask
            assert check(bytes(flipped)).exit_code == 1, f"byte {at}"
            assert check(bytes(flipped), None).exit_code == 1, f"byte {at} without a key"
            for part, (first, last) in parts.items():
                if first <= at <= last:
                    assert next(s.where for s in check(bytes(flipped)).steps if s.status == "failed") == part, at


def test_published_findings_are_told_as_published_and_not_as_checked(log, store):
    body = {"id": "f1", "n": 1, "rule": "P2 x-1", "subject": PALLET, "verdict": "UNOBSERVED", "state": "suspected"}
    finding = paper(20, PALLET, kind="finding", payload=json.dumps({**body, "entries": [0, 5]}).encode())
    other = paper(21, PALLET, kind="finding", payload=b"[" * 5_000)
    log.append([finding, other])
    verdicts = step(written(store, [0, 7, 8]), 8)
    assert verdicts.status == "not checked"
    assert f"P2 x-1 {PALLET} UNOBSERVED suspected" in verdicts.detail
    assert "Of the 2 entries named as what they rest on, 1 are carried" in verdicts.detail
    assert step(written(store, [0]), 8).detail == "no finding is carried"
