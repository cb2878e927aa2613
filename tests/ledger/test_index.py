"""Subject chains and the map against an independent reader's vectors, and proofs that cannot be bent (ledger §5)."""

from base64 import b64decode, b64encode
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldchain_ledger.entry import parse_entry
from coldchain_ledger.errors import ProofError
from coldchain_ledger.index import (
    EMPTY_SUBTREE,
    MapProof,
    SubjectMap,
    extend_head,
    index_payload,
    map_proof,
    map_root,
    parse_index_payload,
    verify_map_proof,
)
from coldchain_ledger.merkle import leaf_hash, tree_root
from coldchain_ledger.store import Head

HEADS = {f"case:16901234500018/{i:05d}": extend_head(None, i, leaf_hash(b"%d" % i)) for i in range(60)}
MAP = SubjectMap(HEADS.items())
NAME = "case:16901234500018/00007"
ABSENT = [f"sscc:{i:018d}" for i in range(300)]


@pytest.fixture(scope="module")
def heads_by_size(vector_entries):
    heads, states = {}, []
    for index, data in enumerate(vector_entries):
        states.append(dict(heads))
        for subject in parse_entry(data).subjects:
            heads[subject] = extend_head(heads.get(subject), index, leaf_hash(data))
    return [*states, heads]


def test_map_roots_at_every_size_are_those_of_the_independent_reader(index_vectors, heads_by_size):
    assert index_vectors["map"]
    for size, expected in index_vectors["map"].items():
        heads = heads_by_size[int(size)]
        assert (len(heads), map_root(heads.items())) == (expected["subjects"], b64decode(expected["root"])), size


def test_tree_roots_at_every_size_are_those_of_the_independent_reader(index_vectors, vector_entries):
    leaves = [leaf_hash(data) for data in vector_entries]
    assert index_vectors["tree_roots"]
    for size, expected in index_vectors["tree_roots"].items():
        assert tree_root(leaves[: int(size)]) == b64decode(expected), size


def test_chains_are_those_of_the_independent_reader(index_vectors, heads_by_size):
    expected = {
        name: Head(chain["count"], chain["last"], b64decode(chain["head"]))
        for name, chain in index_vectors["chains_at_300"].items()
    }
    assert heads_by_size[300] == expected


def test_every_subject_of_every_vector_size_is_provable_and_no_other(index_vectors, heads_by_size):
    for size, expected in index_vectors["map"].items():
        heads, root = heads_by_size[int(size)], b64decode(expected["root"])
        subjects = SubjectMap(heads.items())
        for name, head in heads.items():
            assert verify_map_proof(root, name, subjects.prove(name)) == head
        for name in ABSENT[:50]:
            assert verify_map_proof(root, name, subjects.prove(name)) is None


def test_absence_ends_at_an_empty_subtree_or_at_another_subjects_leaf():
    proofs = [MAP.prove(name) for name in ABSENT]
    assert {proof.terminal is None for proof in proofs} == {True, False}
    assert all(verify_map_proof(MAP.root, name, proof) is None for name, proof in zip(ABSENT, proofs, strict=True))


@given(st.sets(st.integers(0, 5000), max_size=80), st.integers(0, 5000))
def test_any_map_proves_exactly_what_it_holds(members, asked):
    heads = {f"dev:{i}": extend_head(None, i, leaf_hash(b"%d" % i)) for i in members}
    name = f"dev:{asked}"
    assert verify_map_proof(map_root(heads.items()), name, map_proof(heads.items(), name)) == heads.get(name)


def test_the_order_of_the_subjects_does_not_matter():
    assert map_root(reversed(HEADS.items())) == MAP.root


def test_the_empty_map_is_an_empty_subtree_and_proves_absence():
    assert map_root([]) == EMPTY_SUBTREE == bytes(32)
    assert verify_map_proof(bytes(32), NAME, MapProof((), None)) is None


def test_a_map_of_one_subject_is_that_leaf():
    proof = map_proof([(NAME, HEADS[NAME])], NAME)
    assert proof.siblings == ()
    assert verify_map_proof(map_root([(NAME, HEADS[NAME])]), NAME, proof) == HEADS[NAME]


def test_a_proof_of_one_subject_says_nothing_about_another():
    proof = MAP.prove(NAME)
    others = [name for name in [*HEADS, *ABSENT] if name != NAME]
    for name in others:
        try:
            assert verify_map_proof(MAP.root, name, proof) is None
            assert name not in HEADS
        except ProofError:
            pass


@pytest.mark.parametrize("name", [NAME, *ABSENT[:30]])
def test_no_bit_of_a_proof_can_change(name):
    proof = MAP.prove(name)
    expected = verify_map_proof(MAP.root, name, proof)
    for changed in bent(proof):
        try:
            assert verify_map_proof(MAP.root, name, changed) == expected
        except ProofError:
            continue
        pytest.fail(f"accepted {changed}")


def bent(proof):
    siblings, terminal = proof.siblings, proof.terminal
    for at, sibling in enumerate(siblings):
        yield replace(proof, siblings=(*siblings[:at], flip(sibling), *siblings[at + 1 :]))
        yield replace(proof, siblings=siblings[:at] + siblings[at + 1 :])
    yield replace(proof, siblings=(*siblings, EMPTY_SUBTREE))
    yield replace(proof, siblings=(*siblings, bytes([1] * 32)))
    yield replace(proof, siblings=(*siblings, b"short"))
    yield replace(proof, siblings=siblings + (bytes([1] * 32),) * 256)
    if terminal is not None:
        key, value = terminal
        yield replace(proof, terminal=None)
        yield replace(proof, terminal=(key, flip(value)))
        yield replace(proof, terminal=(flip(key), value))
        yield replace(proof, terminal=(key, value[:-1]))
        yield replace(proof, terminal=(key, bytes(8) + value[8:]))
    else:
        yield replace(proof, terminal=(bytes(32), bytes(48)))


def flip(data):
    return data[:-1] + bytes([data[-1] ^ 1])


def test_an_empty_subtree_beside_the_end_of_a_path_is_not_a_compressed_path():
    single = map_proof([(NAME, HEADS[NAME])], NAME)
    with pytest.raises(ProofError, match="not compressed"):
        verify_map_proof(MAP.root, NAME, replace(single, siblings=(EMPTY_SUBTREE,)))


def test_a_member_cannot_be_denied_by_another_leaf_of_the_same_map():
    """A leaf that is really in the map but on another path must not pass for the end of this subject's path."""
    proof = MAP.prove(NAME)
    for other in HEADS:
        if other != NAME:
            with pytest.raises(ProofError):
                verify_map_proof(MAP.root, NAME, replace(proof, terminal=MAP.prove(other).terminal))


def test_an_index_payload_has_one_spelling():
    payload = index_payload(MAP.root, 60, len(MAP))
    assert payload == b'{"root":"%b","size":60,"subjects":60}' % b64encode(MAP.root)
    assert parse_index_payload(payload) == (MAP.root, 60, 60)


@pytest.mark.parametrize(
    "change",
    [
        (b'"size":60', b'"size":60.0'),
        (b'"size":60', b'"size":true'),
        (b'"size":60', b'"size":-1'),
        (b'"size":60', b'"size": 60'),
        (b'"size":60', b'"size":"60"'),
        (b'"size":60,', b""),
        (b'"size":60', b'"size":60,"x":1'),
        (b"=", b""),
        (b'"root":"', b'"root":"AA'),
        (b'"root"', b'"r00t"'),
        (b"{", b"[" * 100_000),
        (b"{", b"\xff"),
    ],
)
def test_an_index_payload_spelt_otherwise_is_refused(change):
    payload = index_payload(MAP.root, 60, 60)
    assert payload.replace(*change, 1) != payload
    with pytest.raises(ProofError):
        parse_index_payload(payload.replace(*change, 1))


def test_an_index_payload_with_a_short_root_is_refused():
    with pytest.raises(ProofError):
        parse_index_payload(index_payload(b"short", 60, 60))
