"""Signed notes against the reference implementation's own vectors, and against everything that is not quite one."""

import base64
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from coldchain_ledger import note as notes
from coldchain_ledger.errors import NoteError
from coldchain_ledger.note import Ed25519Cosigner, Ed25519Signer, MLDSA44Signer, open_note, parse_note, parse_vkey
from coldchain_ledger.treehead import Checkpoint

# golang.org/x/mod/sumdb/note: the key and note its tests and documentation use.
PETER_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
PETER_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
PETER_LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
PETER_NOTE = (PETER_TEXT + "\n" + PETER_LINE).encode()

HEAD = Checkpoint("example.com/log", 7, bytes(range(32))).text()


@pytest.fixture(scope="module")
def peter():
    return Ed25519Signer("PeterNeumann", ed25519.Ed25519PrivateKey.from_private_bytes(PETER_SEED))


@pytest.fixture(scope="module")
def alice():
    return Ed25519Signer.generate("alice.example/log")


def test_we_sign_the_reference_note_byte_for_byte(peter):
    assert peter.vkey() == PETER_VKEY
    assert notes.sign_note(PETER_TEXT, [peter]) == PETER_NOTE


def test_the_reference_note_opens_with_the_reference_key():
    note = open_note(PETER_NOTE, [parse_vkey(PETER_VKEY)])
    assert note.text == PETER_TEXT
    assert [key.vkey() for key in note.verified] == [PETER_VKEY]


def test_no_cut_or_changed_key_text_is_a_key():
    for start in range(len(PETER_VKEY)):
        for end in range(start + 1, len(PETER_VKEY) + 1):
            if (start, end) != (0, len(PETER_VKEY)):
                with pytest.raises(NoteError):
                    parse_vkey(PETER_VKEY[start:end])
    for at, char in enumerate(PETER_VKEY):
        with pytest.raises(NoteError):
            parse_vkey(PETER_VKEY[:at] + chr(ord(char) + 1) + PETER_VKEY[at + 1 :])


@pytest.mark.parametrize("text", ["", "a+b", "a b+c74f20a3+AAAA", PETER_VKEY + "A" * 3_000, "a\udc80+c74f20a3+AAAA"])
def test_text_that_is_no_key_is_refused_with_a_note_error(text):
    with pytest.raises(NoteError):
        parse_vkey(text)


def test_a_key_of_a_type_we_do_not_know_is_refused_by_its_type(peter):
    key = notes.Verifier("x", 0x02, peter.verifier.public_key)
    with pytest.raises(NoteError, match="type 02"):
        parse_vkey(key.vkey())


def test_every_flipped_byte_of_a_note_is_noticed():
    key = parse_vkey(PETER_VKEY)
    for at in range(len(PETER_NOTE)):
        flipped = bytearray(PETER_NOTE)
        flipped[at] ^= 1
        with pytest.raises(NoteError):
            open_note(bytes(flipped), [key])


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\n",
        PETER_TEXT.encode(),
        (PETER_TEXT + "\n").encode(),
        (PETER_TEXT + PETER_LINE).encode(),
        PETER_NOTE[:-1],
        PETER_NOTE + b"\n",
        PETER_NOTE.replace(b"\n\n", b"\r\n\r\n"),
        b"\x00" + PETER_NOTE,
        b"\t" + PETER_NOTE,
        b"\xff" + PETER_NOTE,
        PETER_NOTE.replace("— ".encode(), b"- "),
        PETER_NOTE.replace("— ".encode(), "—  ".encode()),
        PETER_NOTE.replace(b"PeterNeumann", b"Peter+Neumann"),
        PETER_NOTE.replace(b"PeterNeumann", "Peter\u00a0Neumann".encode()),
        PETER_NOTE.replace(b"PeterNeumann x", b" x"),
        PETER_NOTE.replace(b"nAM=", b"nAN="),
        PETER_NOTE.replace(b"nAM=", b"nAM"),
        PETER_NOTE.replace(b"x08go/Z", b"x08go-Z"),
        PETER_NOTE + "— short x08gow==\n".encode(),
        PETER_NOTE + b"\xe2\x80\x94 three words here\n",
        b"x" * notes.MAX_NOTE_BYTES + PETER_NOTE,
    ],
)
def test_what_is_not_exactly_a_note_is_refused(bad):
    with pytest.raises(NoteError):
        parse_note(bad)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "surrogatepass")))
def test_no_bytes_make_the_parser_fail_in_any_other_way(data):
    for candidate in (data, data + PETER_NOTE, PETER_NOTE + data):
        try:
            parse_note(candidate)
        except NoteError:
            continue


def test_text_and_signatures_part_at_the_last_empty_line(peter):
    text = "first\n\nsecond\n\n— third\n"
    note = open_note(notes.sign_note(text, [peter]), [peter.verifier])
    assert note.text == text


def test_unknown_signatures_are_ignored_even_with_a_known_name_or_id(peter, alice):
    namesake = Ed25519Signer.generate("PeterNeumann")
    stranger = base64.b64encode(peter.key_id + bytes(64)).decode()
    data = notes.sign_note(PETER_TEXT, [namesake, alice, peter]) + f"— stranger {stranger}\n".encode()
    assert open_note(data, [peter.verifier]).verified == (peter.verifier,)


def test_one_bad_signature_of_a_known_key_spoils_the_note_beside_good_ones(peter, alice):
    bad = base64.b64encode(alice.key_id + bytes(64)).decode()
    data = notes.sign_note(PETER_TEXT, [peter]) + f"— {alice.name} {bad}\n".encode()
    assert open_note(data, [peter.verifier]).verified
    with pytest.raises(NoteError, match="bad signature by alice"):
        open_note(data, [peter.verifier, alice.verifier])


def test_a_note_nobody_known_signed_is_refused_and_says_who_did(peter, alice):
    with pytest.raises(NoteError, match="PeterNeumann"):
        open_note(PETER_NOTE, [alice.verifier])
    with pytest.raises(NoteError):
        open_note(PETER_NOTE, [])


def test_a_signature_given_twice_counts_once(peter):
    assert len(open_note(PETER_NOTE + PETER_LINE.encode(), [peter.verifier]).verified) == 1


def test_two_keys_under_one_name_and_id_are_not_guessed_between(peter, monkeypatch):
    other = notes.Verifier("PeterNeumann", 1, bytes(32))
    monkeypatch.setattr(notes.Verifier, "key_id", peter.key_id)
    with pytest.raises(NoteError, match="two different keys"):
        open_note(PETER_NOTE, [peter.verifier, other])


def test_a_hundred_signatures_are_read_and_not_one_more():
    data = PETER_NOTE + PETER_LINE.encode() * (notes.MAX_SIGNATURES - 1)
    assert len(parse_note(data).signatures) == notes.MAX_SIGNATURES
    with pytest.raises(NoteError, match="101"):
        parse_note(data + PETER_LINE.encode())


@pytest.mark.parametrize("text", ["", "no line feed", "tab\t\n", "return\r\n"])
def test_text_that_cannot_be_a_note_is_not_signed(peter, text):
    with pytest.raises(NoteError):
        notes.sign_note(text, [peter])


def test_a_note_without_a_signer_is_not_made():
    with pytest.raises(NoteError):
        notes.sign_note(PETER_TEXT, [])


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u2003b", "a\nb", "x" * 256])
def test_such_a_name_is_no_key_name(name):
    with pytest.raises(NoteError):
        Ed25519Signer.generate(name)


@pytest.mark.parametrize("kind", [Ed25519Signer, Ed25519Cosigner, MLDSA44Signer])
def test_a_signer_comes_back_from_its_private_key(kind):
    signer = kind.generate("example.com/log")
    again = kind.from_private_pem("example.com/log", signer.private_pem())
    assert again.vkey() == signer.vkey()
    note = notes.sign_note(HEAD, [again])
    assert open_note(note, [parse_vkey(signer.vkey())]).text == HEAD


def test_a_private_key_of_another_type_is_refused():
    p256 = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for pem in (b"", b"garbage", p256):
        with pytest.raises(NoteError):
            Ed25519Signer.from_private_pem("x", pem)


# c2sp.org/tlog-cosignature: its example key and message are elided there, so the message is built here by hand.


def test_a_witness_signs_its_time_before_the_text():
    key = ed25519.Ed25519PrivateKey.generate()
    witness = Ed25519Cosigner("witness.example/w1", key, now_s=lambda: 1_679_315_147)
    signature = witness.sign(HEAD.encode())
    assert signature[:8] == (1_679_315_147).to_bytes(8, "big")
    key.public_key().verify(signature[8:], b"cosignature/v1\ntime 1679315147\n" + HEAD.encode())
    assert witness.verifier.time_s(signature) == 1_679_315_147


def test_a_cosignature_holds_for_no_other_time_text_or_name():
    for kind in (Ed25519Cosigner, MLDSA44Signer):
        witness = kind.generate("w.example")
        text, signature = HEAD.encode(), witness.sign(HEAD.encode())
        assert witness.verifier.verify(text, signature)
        late = (int.from_bytes(signature[:8], "big") + 1).to_bytes(8, "big") + signature[8:]
        beyond = b"\xff" * 8 + signature[8:]
        other = Checkpoint("example.com/log", 8, bytes(range(32))).text().encode()
        for case in ((text, late), (text, beyond), (text, signature[:-1]), (text, b""), (other, signature)):
            assert not witness.verifier.verify(*case)


def test_an_ml_dsa_signature_commits_to_the_signers_name_and_speaks_of_checkpoints_only():
    signer = MLDSA44Signer.generate("log.example")
    signature = signer.sign(HEAD.encode())
    assert len(signature) == 8 + 2420
    key = signer.verifier.public_key
    assert not notes.Verifier("other.example", 0x06, key).verify(HEAD.encode(), signature)
    assert not signer.verifier.verify(b"no checkpoint\n", signature)
    with pytest.raises(NoteError):
        signer.sign(b"no checkpoint\n")


def test_the_ml_dsa_message_is_the_structure_of_the_specification():
    key = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.mldsa").MLDSA44PrivateKey.generate()
    signature = MLDSA44Signer("w", key, now_s=lambda: 5).sign(HEAD.encode())
    message = b"subtree/v1\n\0" + b"\x01w" + (5).to_bytes(8, "big") + b"\x0fexample.com/log"
    message += (0).to_bytes(8, "big") + (7).to_bytes(8, "big") + bytes(range(32))
    key.public_key().verify(signature[8:], message)


def test_without_ml_dsa_in_the_library_such_a_key_is_refused_and_no_signature_called_bad(monkeypatch):
    vkey = MLDSA44Signer.generate("log.example").vkey()
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.mldsa", None)
    monkeypatch.delattr("cryptography.hazmat.primitives.asymmetric.mldsa", raising=False)
    with pytest.raises(NoteError, match="install a newer one"):
        parse_vkey(vkey)


def test_plain_and_cosigning_signatures_of_one_key_are_not_exchangeable():
    key = ed25519.Ed25519PrivateKey.generate()
    plain, witness = Ed25519Signer("n", key), Ed25519Cosigner("n", key)
    assert plain.key_id != witness.key_id
    assert not plain.verifier.verify(HEAD.encode(), witness.sign(HEAD.encode())[8:])
