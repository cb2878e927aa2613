"""The tree against the published vectors, and against RFC 6962 §2.1 written down once more as plain recursion."""

import base64
import json
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldchain_ledger import merkle
from coldchain_ledger.errors import ProofError

VECTOR_COUNT = 196

TWELVE_BYTE_ROOTS = "consistency/additional/sizes-are-equal-one-and-proof-is-empty.json"
"""Expects success for 12-byte roots; every hash of ours has 32 bytes (ledger §1.3)."""

LEAVES = [merkle.leaf_hash(b"%d" % i) for i in range(70)]


def holds(case):
    proof = [base64.b64decode(p) for p in case["proof"] or []]
    try:
        if "leafIdx" in case:
            leaf, root = (base64.b64decode(case[k] or "") for k in ("leafHash", "root"))
            merkle.verify_inclusion(case["leafIdx"], case["treeSize"], leaf, proof, root)
        else:
            root1, root2 = (base64.b64decode(case[k] or "") for k in ("root1", "root2"))
            merkle.verify_consistency(case["size1"], case["size2"], root1, root2, proof)
    except ProofError:
        return False
    return True


def test_every_published_vector_is_judged_as_published_but_the_one_with_short_roots(shared_vectors):
    folder = shared_vectors / "vectors" / "merkle"
    cases = {str(path.relative_to(folder)): json.loads(path.read_text()) for path in folder.rglob("*.json")}
    assert len(cases) == VECTOR_COUNT
    differing = {name for name, case in cases.items() if holds(case) == case["wantErr"]}
    assert differing == {TWELVE_BYTE_ROOTS}


def rfc_root(leaves):
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return sha256(b"\x01" + rfc_root(leaves[:k]) + rfc_root(leaves[k:])).digest()


def rfc_path(m, leaves):
    if len(leaves) == 1:
        return []
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if m < k:
        return [*rfc_path(m, leaves[:k]), rfc_root(leaves[k:])]
    return [*rfc_path(m - k, leaves[k:]), rfc_root(leaves[:k])]


def rfc_subproof(m, leaves, whole):
    if m == len(leaves):
        return [] if whole else [rfc_root(leaves)]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if m <= k:
        return [*rfc_subproof(m, leaves[:k], whole), rfc_root(leaves[k:])]
    return [*rfc_subproof(m - k, leaves[k:], False), rfc_root(leaves[:k])]


def test_the_empty_tree_has_the_hash_of_nothing():
    assert merkle.tree_root([]) == merkle.EMPTY_ROOT == sha256(b"").digest()


def test_a_leaf_that_looks_like_a_node_is_not_one():
    left, right = LEAVES[:2]
    assert merkle.leaf_hash(left + right) != merkle.node_hash(left, right)


def test_every_root_and_proof_up_to_seventy_leaves_is_the_one_of_the_rfc():
    for size in range(1, len(LEAVES) + 1):
        root = rfc_root(LEAVES[:size])
        assert merkle.tree_root(LEAVES[:size]) == root
        for index in range(size):
            proof = merkle.inclusion_proof(LEAVES, index, size)
            assert proof == rfc_path(index, LEAVES[:size])
            merkle.verify_inclusion(index, size, LEAVES[index], proof, root)
        for old in range(1, size + 1):
            proof = merkle.consistency_proof(LEAVES, old, size)
            assert proof == rfc_subproof(old, LEAVES[:size], True)
            merkle.verify_consistency(old, size, rfc_root(LEAVES[:old]), root, proof)


@given(st.data())
def test_a_proof_holds_for_no_other_leaf_index_size_or_hash(data):
    size = data.draw(st.integers(2, 70))
    index = data.draw(st.integers(0, size - 1))
    root, proof = merkle.tree_root(LEAVES[:size]), merkle.inclusion_proof(LEAVES, index, size)
    at = data.draw(st.integers(0, len(proof) - 1))
    spoilt = [*proof[:at], bytes(32), *proof[at + 1 :]]
    other = data.draw(st.integers(0, size - 1).filter(lambda i: i != index))
    for bad in (
        (other, size, LEAVES[index], proof, root),
        (index, size, LEAVES[other], proof, root),
        (index, size, LEAVES[index], spoilt, root),
        (index, size, LEAVES[index], proof[:-1], root),
        (index, size, LEAVES[index], [*proof, bytes(32)], root),
        (index, size, LEAVES[index], proof, bytes(32)),
    ):
        with pytest.raises(ProofError):
            merkle.verify_inclusion(*bad)


@pytest.mark.parametrize(
    ("size1", "size2", "proof"),
    [(0, 0, []), (0, 5, []), (5, 4, []), (5, 5, [LEAVES[0]]), (3, 5, []), (4, 8, [b"short"]), (-1, 5, [])],
)
def test_a_consistency_proof_of_the_wrong_shape_is_refused(size1, size2, proof):
    with pytest.raises(ProofError):
        merkle.verify_consistency(size1, size2, LEAVES[0], LEAVES[0], proof)


def test_equal_sizes_need_equal_roots():
    merkle.verify_consistency(5, 5, LEAVES[0], LEAVES[0], [])
    with pytest.raises(ProofError):
        merkle.verify_consistency(5, 5, LEAVES[0], LEAVES[1], [])


def test_proofs_are_given_only_for_leaves_there_are():
    for ask in ((5, 5), (-1, 5), (0, 71)):
        with pytest.raises(ProofError):
            merkle.inclusion_proof(LEAVES, *ask)
    with pytest.raises(ProofError):
        merkle.consistency_proof(LEAVES, 5, 71)


@given(st.sets(st.integers(0, 69), min_size=1), st.integers(1, 70))
def test_one_proof_of_many_leaves_leads_to_the_root_with_as_few_hashes_as_can_be(wanted, size):
    indices = sorted(i for i in wanted if i < size) or [0]
    ranges = merkle.multi_ranges(indices, size)
    proof = [merkle.tree_root(LEAVES[low:high]) for low, high in ranges]
    leaves = [(i, LEAVES[i]) for i in indices]
    assert merkle.multi_root(leaves, size, proof) == merkle.tree_root(LEAVES[:size])
    separate = {span for i in indices for span in merkle.inclusion_ranges(i, size)}
    assert set(ranges) <= separate
    with pytest.raises(ProofError):
        merkle.multi_root(leaves, size, [*proof, bytes(32)])


@pytest.mark.parametrize("indices", [[], [3, 3], [4, 2], [-1], [70]])
def test_a_proof_of_many_leaves_needs_ascending_indices_within_the_tree(indices):
    with pytest.raises(ProofError):
        merkle.multi_ranges(indices, 70)
