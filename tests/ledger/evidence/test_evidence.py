"""Dossiers: written from a log, carried away, checked by someone who trusts nobody but their own key."""

import base64
import io
import json
from hashlib import sha256
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from coldchain_ledger import evidence
from coldchain_ledger.checkpoint import parse_policy
from coldchain_ledger.errors import EvidenceError, LedgerError
from coldchain_ledger.evidence import parse_dossier, save_dossier, write_dossier
from coldchain_ledger.log import Draft, Log, create_log
from coldchain_ledger.memory import MemoryStore
from coldchain_ledger.note import Ed25519Cosigner, Ed25519Signer, MLDSA44Signer, signature_line
from coldchain_ledger.verify import log_policy, verify_dossier

SIGNER = Ed25519Signer.generate("log.example/cold")
QUANTUM_SAFE = MLDSA44Signer.generate("log.example/cold")
POLICY = log_policy(SIGNER.verifier)


def paper(number):
    return Draft("document", "acme", "text/plain", f"doc/{number}", "transcribed", ("loc:w1",), b"paper %d" % number)


def logged(*drafts):
    store = MemoryStore()
    create_log(store, [SIGNER, QUANTUM_SAFE])
    outcomes = Log(store, [SIGNER, QUANTUM_SAFE], clock=lambda: 1_700_000_000_000_000).append(drafts)
    assert {outcome.status for outcome in outcomes} == {"added"}
    return store


def dossier_of(store, indices):
    out = io.BytesIO()
    with store.snapshot() as snapshot:
        write_dossier(snapshot, indices, out)
    return out.getvalue()


def check(data, policy=POLICY):
    return verify_dossier(io.BytesIO(data), policy)


def statuses(report):
    return {step.number: step.status for step in report.steps}


def test_an_untouched_dossier_is_verified_and_says_what_it_did_not_check(truck, portal):
    drafts = [truck.enrolment(), portal.enrolment(), truck.say(), portal.say(), truck.say(), paper(1)]
    truck.restart()
    drafts.append(truck.say())
    report = check(dossier_of(logged(*drafts), range(len(drafts))))
    checked = {1, 2, 3, 5, 6}  # the steps this form of dossier has something for
    assert statuses(report) == {n: "verified" if n in checked else "not checked" for n in range(1, 10)}
    assert report.exit_code == 0


def test_a_dossier_is_the_lines_its_format_names(truck):
    store = logged(truck.enrolment(), truck.say(), paper(1), paper(2))
    header, first, second, proof = map(json.loads, dossier_of(store, [0, 3]).splitlines())
    with store.snapshot() as snapshot:
        note, data = snapshot.edge().note, snapshot.entry(3)
    rest = dossier_of(store, [0, 3]).split(b"\n", 1)[1]
    assert header == {
        "format": "coldchain-dossier/1",
        "origin": "log.example/cold",
        "checkpoint": note.decode(),
        "checkpoint_sha256": sha256(note).hexdigest(),
        "entries": 2,
        "sha256": sha256(rest).hexdigest(),
    }
    assert (first["index"], second["index"]) == (0, 3)
    assert base64.b64decode(second["entry"]) == data
    assert second["sha256"] == sha256((3).to_bytes(8, "big") + data).hexdigest()
    assert len(proof["proof"]) == 2


def test_a_flipped_byte_anywhere_is_broken_and_names_the_entry_or_the_section(truck):
    data = dossier_of(logged(truck.enrolment(), truck.say(), paper(1), paper(2), paper(3)), [1, 3])
    ends = [at for at, byte in enumerate(data) if byte == ord("\n")]
    names = ["header", "entry 0", "entry 1", "entry 3", "proof"]
    start = 0
    for name, end in zip(names, ends, strict=True):
        number = data.find(b'"index":', start, end) + len(b'"index":')
        for at in range(start, end + 1):
            flipped = bytearray(data)
            flipped[at] ^= 1 << at % 8
            report = check(bytes(flipped))
            assert report.exit_code == 1, f"byte {at}"
            assert check(bytes(flipped), None).exit_code == 1, f"byte {at} without a key"
            where = next(step.where for step in report.steps if step.status == "failed")
            if name.startswith("entry") and at in (number - 1, number):  # a digit was hit or added
                assert where.startswith(("entry", "line")), f"byte {at}"
            else:
                assert where == name, f"byte {at}"
        start = end + 1


@pytest.mark.parametrize("byte", [b"\n", b"\r", b'"', b"\\", b"\x80", b"\x00", b"{"])
def test_a_byte_that_tears_or_ends_an_entry_line_still_names_its_index(truck, byte):
    data = dossier_of(logged(truck.enrolment(), truck.say(), paper(1), paper(2), paper(3)), [1, 3])
    starts = [data.index(b'{"entry":"', at) for at in (0, data.index(b'"index":0'), data.index(b'"index":1'))]
    for index, start in zip((0, 1, 3), starts, strict=True):
        number = data.index(b'"index":', start) + len(b'"index":')
        for at in range(start, data.index(b"\n", start)):
            if at == number or data[at : at + 1] == byte:  # the index itself may be gone; nothing was changed
                continue
            assert where_broken(data[:at] + byte + data[at + 1 :]) == f"entry {index}", f"byte {at}"


def test_an_entry_line_torn_into_many_does_not_take_the_name_of_the_next():
    data = dossier_of(logged(*map(paper, range(9))), [2, 7])
    assert where_broken(data.replace(b'"index":2,"sha256":"', b"\n\n\n")) == "line 2"
    assert where_broken(data.replace(b'"entry":"', b'"entry":"\n\n\n', 1)) == "entry 2"


def where_broken(data):
    with pytest.raises(EvidenceError) as caught:
        parse_dossier(io.BytesIO(data))
    return caught.value.where


def resealed(data, change):
    """The dossier after `change(lines)`, with every checksum made right again: what a forger would do."""
    header, *entries, proof = map(json.loads, data.splitlines())
    lines = change(header, entries, proof)
    header, entries, proof = lines
    for line in entries:
        body = line["index"].to_bytes(8, "big") + base64.b64decode(line["entry"])
        line["sha256"] = sha256(body).hexdigest()
    proof["sha256"] = sha256(b"".join(map(base64.b64decode, proof["proof"]))).hexdigest()
    rest = b"".join(dump(line) for line in [*entries, proof])
    header["checkpoint_sha256"] = sha256(header["checkpoint"].encode()).hexdigest()
    header["entries"], header["sha256"] = len(entries), sha256(rest).hexdigest()
    return dump(header) + rest


def dump(line):
    return json.dumps(line, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def edited(header, entries, proof):
    data = base64.b64decode(entries[-1]["entry"]).replace(b"paper", b"forge")
    entries[-1]["entry"] = base64.b64encode(data).decode()
    return header, entries, proof


def moved(header, entries, proof):
    entries[-1]["index"] -= 1
    return header, entries, proof


def dropped(header, entries, proof):
    return header, entries[1:], proof


def swapped(header, entries, proof):
    entries[0]["entry"], entries[1]["entry"] = entries[1]["entry"], entries[0]["entry"]
    return header, entries, proof


def other_proof(header, entries, proof):
    return header, entries, {"proof": [*proof["proof"][:-1], base64.b64encode(bytes(32)).decode()]}


def longer_proof(header, entries, proof):
    return header, entries, {"proof": [*proof["proof"], base64.b64encode(bytes(32)).decode()]}


@pytest.mark.parametrize("change", [edited, moved, dropped, swapped, other_proof, longer_proof])
def test_a_forger_who_mends_every_checksum_fails_at_inclusion(change):
    data = dossier_of(logged(*map(paper, range(9))), [2, 3, 7])
    assert resealed(data, lambda *lines: lines) == data
    for policy in (POLICY, None):
        report = check(resealed(data, change), policy)
        assert report.steps[2].status == "failed"
        assert report.exit_code == 1


def test_another_checkpoint_in_the_header_fails_by_its_signature():
    def inflated(header, entries, proof):
        header["checkpoint"] = header["checkpoint"].replace("\n9\n", "\n10\n")
        return header, entries, proof

    def renamed(header, entries, proof):
        header["origin"] = "log.example/other"
        return header, entries, proof

    data = dossier_of(logged(*map(paper, range(9))), [2])
    assert check(resealed(data, inflated)).steps[1].where == "checkpoint"
    assert check(resealed(data, renamed)).steps[1].where == "header"


def test_without_a_key_nothing_is_broken_and_nothing_is_verified():
    report = check(dossier_of(logged(paper(1)), [0]), None)
    assert statuses(report) == {1: "verified"} | dict.fromkeys(range(2, 10), "not checked")
    assert report.exit_code == 3


def test_a_key_of_another_log_verifies_nothing():
    other = log_policy(Ed25519Signer.generate("log.example/cold").verifier)
    report = check(dossier_of(logged(paper(1)), [0]), other)
    assert (report.exit_code, report.steps[1].status) == (1, "failed")
    assert check(dossier_of(logged(paper(1)), [0]), log_policy(QUANTUM_SAFE.verifier)).exit_code == 0


def test_a_policy_with_a_quorum_wants_the_witness_and_tells_when_it_saw_the_log():
    witness = Ed25519Cosigner("w.example", ed25519.Ed25519PrivateKey.generate(), now_s=lambda: 1_700_000_000)
    policy = parse_policy(f"log {SIGNER.vkey()}\nwitness w1 {witness.vkey()}\nquorum w1\n".encode())

    def cosigned(header, entries, proof):
        text = header["checkpoint"].rsplit("\n\n", 1)[0] + "\n"
        header["checkpoint"] += signature_line(text, witness)
        return header, entries, proof

    data = dossier_of(logged(paper(1), paper(2)), [0])
    assert check(data, policy).exit_code == 1
    report = check(resealed(data, cosigned), policy)
    assert report.exit_code == 0
    assert "w1 at 2023-11-14T22:13:20+00:00" in report.steps[8].detail
    assert check(resealed(data, cosigned), POLICY).exit_code == 0


def test_the_entries_that_enrol_and_revoke_a_signing_key_come_along(truck, portal):
    drafts = [paper(1), truck.enrolment(), portal.enrolment(), truck.say(), portal.say(), truck.revocation()]
    data = dossier_of(logged(*drafts), [3])
    assert [carried.index for carried in parse_dossier(io.BytesIO(data)).entries] == [1, 3, 5]


def test_a_dossier_about_a_cloned_and_revoked_key_is_evidence_and_says_what_does_not_count(truck):
    """The ledger records the rule breaks of devices; a dossier that carries them is true (design §1.5)."""
    clone = type(truck)("T1", truck.key)
    drafts = [truck.enrolment(), truck.say(), truck.say()]
    copy = clone.say("-3.0").payload
    drafts.append(truck.filed(copy, f"tm/T1/1/0#{sha256(copy).hexdigest()[:16]}"))
    drafts += [truck.revocation(), truck.say(prev="")]
    report = check(dossier_of(logged(*drafts), range(len(drafts))))
    signatures, chains = report.steps[4:6]
    assert (report.exit_code, signatures.status, chains.status) == (0, "verified", "not checked")
    assert "1 messages do not count: entry 5 (entry 4 revoked its key)" in signatures.detail
    assert "T1 boot 1 seq 0 (entry 1 and entry 3)" in chains.detail
    assert "1 links do not hold: T1 boot 1 seq 2 (entry 5) names no message before it" in chains.detail


def test_a_message_that_the_log_holds_but_no_enrolled_key_signed_is_broken(truck, portal):
    enrolment = truck.enrolment()
    truck.key = ed25519.Ed25519PrivateKey.generate()
    forged = check(dossier_of(logged(enrolment, truck.say()), [1]))
    stranger = check(dossier_of(logged(enrolment, portal.say()), [1]))
    for report in (forged, stranger):
        assert (report.exit_code, report.steps[4].status, report.steps[4].where) == (1, "failed", "entry 1")


def test_a_dossier_of_everything_and_of_any_part_is_verified():
    store = logged(*map(paper, range(40)))
    for indices in ([0], [39], range(40), range(0, 40, 7), [5, 6]):
        report = check(dossier_of(store, indices))
        assert report.exit_code == 0
        assert (report.steps[4].status, report.steps[5].status) == ("not checked", "not checked")


def test_a_dossier_appears_whole_or_not_at_all(tmp_path, truck):
    store = logged(truck.enrolment(), truck.say())
    path = tmp_path / "case.jsonl"
    with store.snapshot() as snapshot:
        assert save_dossier(snapshot, [1], path) == 2
        with pytest.raises(LedgerError):
            save_dossier(snapshot, [1, 99], path)
    assert path.read_bytes() == dossier_of(store, [1])


def test_there_is_no_dossier_of_nothing_or_of_no_log():
    with logged(paper(1)).snapshot() as snapshot, pytest.raises(EvidenceError):
        write_dossier(snapshot, [], io.BytesIO())
    with MemoryStore().snapshot() as snapshot, pytest.raises(LedgerError):
        write_dossier(snapshot, [0], io.BytesIO())


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda d: b"", "header"),
        (lambda d: d[:-1], "proof"),
        (lambda d: d + b"\n", "proof"),
        (lambda d: d + b" ", "proof"),
        (lambda d: b"\n" + d, "header"),
        (lambda d: d.replace(b"\n", b"\r\n"), "header"),
        (lambda d: d.replace(b'"entries":2', b'"entries":2.0'), "header"),
        (lambda d: d.replace(b'"entries":2', b'"entries":true'), "header"),
        (lambda d: d.replace(b'"entries":2', b'"entries":0'), "header"),
        (lambda d: d.replace(b'"entries":2', b'"entries":1000001'), "header"),
        (lambda d: d.replace(b'"entries":2', b'"entries":' + b"9" * 5_000), "header"),
        (lambda d: d.replace(b'"entries":2', b'"entries":1'), "header"),
        (lambda d: d.replace(b'"entries":2', b'"entries":3'), "header"),
        (lambda d: d.replace(b'"entries":2', b'"entries": 2'), "header"),
        (lambda d: d.replace(b'"entries":2', b'"entries":2,"entries":2'), "header"),
        (lambda d: d.replace(b'"entries":2', b'"entries":2,"note":"free"'), "header"),
        (lambda d: d.replace(b"coldchain-dossier/1", b"coldchain-dossier/2"), "header"),
        (lambda d: d.replace(b'"origin":"log', b'"origin":"\\u006cog'), "header"),
        (lambda d: d.replace(b"\\n3\\n", b"\\ud800\\n3\\n"), "header"),
        (lambda d: b"[" * 100_000 + d, "header"),
        (lambda d: b"x" * 3_000_000, "header"),
        (lambda d: d.replace(b'"index":1', b'"index":-1'), "line 3"),
        (lambda d: d.replace(b'"index":1', b'"index":0'), "entry 0"),
        (lambda d: d.replace(b'"index":1', b'"index":99999999999999999999999'), "line 3"),
        (lambda d: d.replace(b'"index":1', b'"index":1' + b" " * 100_000), "line 3"),
        (lambda d: d.replace(b'"proof":[', b'"proof":[7,'), "proof"),
        (lambda d: d.replace(b'"proof":[', b'"proof":["AAAA",'), "proof"),
        (lambda d: d.replace(b'"proof":[', b'"proof":[' + b"[" * 990 + b"]" * 990 + b","), "proof"),
    ],
)
def test_what_is_not_exactly_a_dossier_is_refused_by_the_part_at_fault(change, where):
    data = dossier_of(logged(paper(1), paper(2), paper(3)), [0, 1])
    changed = change(data)
    assert changed != data
    assert where_broken(changed) == where


def test_a_dossier_larger_than_memory_is_refused_before_it_is_read(monkeypatch):
    data = dossier_of(logged(*map(paper, range(9))), range(9))
    monkeypatch.setattr(evidence, "MAX_DOSSIER_BYTES", len(data) - 1)
    with pytest.raises(EvidenceError):
        parse_dossier(io.BytesIO(data))
    monkeypatch.setattr(evidence, "MAX_DOSSIER_BYTES", len(data))
    assert all(a.index < b.index for a, b in pairwise(parse_dossier(io.BytesIO(data)).entries))
