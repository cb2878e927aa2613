"""Checkpoints, and the policy that says whose signatures make one believable."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given
from hypothesis import strategies as st

from coldchain_ledger.checkpoint import (
    MAX_POLICY_BYTES,
    Checkpoint,
    Cosignature,
    open_checkpoint,
    parse_checkpoint,
    parse_policy,
)
from coldchain_ledger.errors import NoteError
from coldchain_ledger.note import Ed25519Cosigner, Ed25519Signer, MLDSA44Signer, sign_note, signature_line

ROOT = bytes(range(32))
HEAD = Checkpoint("example.com/log", 7, ROOT)


def key_of(name):
    """The same each time: names of cases are made of keys, and every process must know them by the same names."""
    return ed25519.Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32))


LOG = Ed25519Signer("example.com/log", key_of("log"))
WITNESSES = {
    name: Ed25519Cosigner(f"{name}.example", key_of(name), now_s=lambda: 1_700_000_000)
    for name in ("X1", "X2", "X3", "Y1", "Y2")
}
KEYS = "".join(f"witness {name} {key.vkey()}\n" for name, key in WITNESSES.items())
TWO_LEVELS = f"""# the example of the specification
log {LOG.vkey()}   https://example.com/log/

{KEYS}\tgroup X-witnesses 2 X1 X2 X3
group Y-witnesses any  Y1\tY2
group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


def cosigned(*names):
    return sign_note(HEAD.text(), [LOG, *(WITNESSES[name] for name in names)])


def test_a_checkpoint_is_three_lines():
    assert HEAD.text() == "example.com/log\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
    assert parse_checkpoint(HEAD.text()) == HEAD


@given(st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_every_checkpoint_reads_back(size, root):
    assert parse_checkpoint(Checkpoint("o", size, root).text()) == Checkpoint("o", size, root)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: "",
        lambda t: t[:-1],
        lambda t: t + "\n",
        lambda t: t + "extension\n",
        lambda t: "\n" + t.split("\n", 1)[1],
        lambda t: "x" * 256 + t,
        lambda t: t.replace("7", "07"),
        lambda t: t.replace("7", "+7"),
        lambda t: t.replace("7", "-7"),
        lambda t: t.replace("7", "٧"),
        lambda t: t.replace("7", ""),
        lambda t: t.replace("\n7\n", f"\n{2**63}\n"),
        lambda t: t.replace("\n7\n", "\n" + "9" * 5_000 + "\n"),
        lambda t: t.replace("Hh8=", "Hh9="),
        lambda t: t.replace("Hh8=", "Hh8"),
        lambda t: t.replace("Hh8=", ""),
        lambda t: t.replace("Hh8=", "Hh8hISEh"),
    ],
)
def test_any_other_text_is_no_checkpoint(change):
    with pytest.raises(NoteError):
        parse_checkpoint(change(HEAD.text()))


def test_a_checkpoint_opens_with_the_key_of_its_log_only():
    assert open_checkpoint(cosigned("X1"), LOG.verifier) == HEAD
    with pytest.raises(NoteError):
        open_checkpoint(cosigned(), Ed25519Signer.generate("example.com/log").verifier)


def test_a_key_signs_for_no_origin_but_its_own_name():
    other = Ed25519Signer.generate("example.com/other")
    data = sign_note(HEAD.text(), [other])
    with pytest.raises(NoteError, match=r"example\.com/other"):
        open_checkpoint(data, other.verifier)
    with pytest.raises(NoteError):
        parse_policy(f"log {other.vkey()}\nquorum none\n".encode()).verify(data)


@pytest.mark.parametrize(
    ("names", "final"),
    [
        ((), False),
        (("X1", "X2"), False),
        (("X1", "Y1"), False),
        (("Y1", "Y2"), False),
        (("X1", "X3", "Y2"), True),
        (("X1", "X2", "X3", "Y1", "Y2"), True),
    ],
)
def test_a_quorum_of_groups_is_reached_by_enough_witnesses_of_each(names, final):
    policy = parse_policy(TWO_LEVELS.encode())
    opened = policy.open(cosigned(*names))
    assert opened.checkpoint == HEAD
    assert opened.log == LOG.verifier
    assert opened.cosignatures == tuple(Cosignature(name, 1_700_000_000) for name in sorted(names))
    assert opened.final is final
    if final:
        assert policy.verify(cosigned(*names)) == opened
    else:
        with pytest.raises(NoteError, match="X-and-Y"):
            policy.verify(cosigned(*names))


def test_a_quorum_of_none_needs_the_log_alone_and_a_quorum_of_one_that_witness():
    none = parse_policy(f"log {LOG.vkey()}\nquorum none".encode())
    assert none.verify(cosigned()).final
    one = parse_policy(f"log {LOG.vkey()}\n{KEYS}quorum X2\n".encode())
    assert one.verify(cosigned("X2")).final
    assert not one.open(cosigned("X1")).final


def test_witnesses_without_the_log_are_not_enough():
    data = sign_note(HEAD.text(), list(WITNESSES.values()))
    with pytest.raises(NoteError, match="no log"):
        parse_policy(TWO_LEVELS.encode()).open(data)


def test_a_forged_cosignature_of_a_listed_witness_spoils_the_checkpoint():
    policy = parse_policy(TWO_LEVELS.encode())
    namesake = signature_line(HEAD.text(), Ed25519Cosigner.generate("X1.example"))
    assert policy.open(cosigned("X2") + namesake.encode()).cosignatures == (Cosignature("X2", 1_700_000_000),)
    forged = base64.b64encode(WITNESSES["X1"].key_id + bytes(72)).decode()
    with pytest.raises(NoteError, match="X1"):
        policy.open(cosigned("X2") + f"— X1.example {forged}\n".encode())


def test_a_log_may_sign_with_a_quantum_safe_key_alone():
    log = MLDSA44Signer.generate("example.com/log")
    policy = parse_policy(f"log {log.vkey()}\nlog {LOG.vkey()}\nquorum none\n".encode())
    assert policy.verify(sign_note(HEAD.text(), [log])).log == log.verifier
    assert policy.verify(sign_note(HEAD.text(), [LOG])).log == LOG.verifier


def test_a_policy_takes_thirty_two_of_everything_and_names_in_any_encoding():
    witnesses = [MLDSA44Signer.generate(f"w{i}.example") for i in range(32)]
    lines = [f"witness w{i} {w.vkey()}".encode() for i, w in enumerate(witnesses)]
    lines += [b"group g%d 1 w%d" % (i, i) for i in range(32)]
    lines += [b"group \xff\xfe all " + b" ".join(b"g%d" % i for i in range(32)), b"quorum \xff\xfe"]
    policy = parse_policy(b"log " + LOG.vkey().encode() + b"\n" + b"\n".join(lines) + b"\n")
    assert not policy.open(sign_note(HEAD.text(), [LOG, *witnesses[:-1]])).final
    assert policy.open(sign_note(HEAD.text(), [LOG, *witnesses])).final


def test_groups_nested_thousands_deep_are_judged_without_recursion():
    lines = [f"group g{i} any {'X1' if i == 0 else f'g{i - 1}'}" for i in range(5_000)]
    policy = parse_policy(f"log {LOG.vkey()}\n{KEYS}{chr(10).join(lines)}\nquorum g4999\n".encode())
    assert policy.open(cosigned("X1")).final
    assert not policy.open(cosigned("X2")).final


X1 = f"witness X1 {WITNESSES['X1'].vkey()}\n"
X2 = f"witness X2 {WITNESSES['X2'].vkey()}\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        X1,
        "quorum none\nquorum none\n",
        "quorum X1\n",
        X1 + "quorum X2\n",
        "quorum\n",
        "quorum none extra\n",
        "Quorum none\n",
        "log\nquorum none\n",
        "log notakey\nquorum none\n",
        f"log {LOG.vkey()}\nlog {LOG.vkey()}\nquorum none\n",
        f"log {LOG.vkey()} url more\nquorum none\n",
        f"log {WITNESSES['X1'].vkey()}\nquorum none\n",
        f"witness X1 {LOG.vkey()}\nquorum none\n",
        X1 + X1 + "quorum none\n",
        X1 + X1.replace("X1 ", "Z ") + "quorum none\n",
        X1 + X2.replace("X2 ", "X1 ") + "quorum none\n",
        X1.replace("X1 ", "none ") + "quorum none\n",
        X1 + "group g any\nquorum g\n",
        X1 + "group g any X2\nquorum g\n",
        X1 + "group g any none\nquorum g\n",
        X1 + "group none any X1\nquorum X1\n",
        X1 + "group X1 any X1\nquorum X1\n",
        X1 + "group g 0 X1\nquorum g\n",
        X1 + "group g 2 X1\nquorum g\n",
        X1 + "group g 01 X1\nquorum g\n",
        X1 + "group g -1 X1\nquorum g\n",
        X1 + "group g most X1\nquorum g\n",
        X1 + X2 + "group g any X1 X1\nquorum g\n",
        X1 + X2 + "group g any X1\ngroup h all X1 X2\nquorum h\n",
        "group g any h\ngroup h any g\nquorum g\n",
        "quorum none\r\n",
        "quorum\u2003none\n",
        "quorum none\n\x00",
        "witness \udc80 \udc80+c74f20a3+AAAA\nquorum none\n",
        "#" * MAX_POLICY_BYTES + "\nquorum none\n",
    ],
)
def test_a_policy_that_breaks_a_rule_of_the_format_is_refused(text):
    with pytest.raises(NoteError):
        parse_policy(text.encode("utf-8", "surrogateescape"))


def test_a_bad_policy_line_is_named_by_its_number():
    with pytest.raises(NoteError, match="line 3"):
        parse_policy(f"# first\nlog {LOG.vkey()}\nquorum nobody\n".encode())
