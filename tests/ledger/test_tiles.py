"""Tiles: their paths byte for byte, the growing edge against the plain tree, proofs read from tiles alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldchain_ledger import merkle, tiles
from coldchain_ledger.errors import EntryError, LedgerError, ProofError, StoreError
from coldchain_ledger.tiles import Frontier, TileReader

LEAVES = [merkle.leaf_hash(b"%d" % i) for i in range(70_000)]
sizes = st.one_of(st.integers(0, 2_000), st.sampled_from([255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 70_000]))


class GrowingTiles(dict):
    """What a store promises of tiles (ledger §4.4): they only grow."""

    def put(self, changed):
        for key, data in changed.items():
            assert data.startswith(self.get(key, b"")), f"tile {key} was rewritten"
            assert 32 <= len(data) <= tiles.TILE_BYTES
            self[key] = data

    def read(self, level, n):
        return self[level, n]


@pytest.fixture(scope="module")
def stored():
    kept = GrowingTiles()
    kept.put(Frontier().append(LEAVES))
    return kept


@pytest.mark.parametrize(
    ("level", "n", "width", "path"),
    [
        (0, 0, 256, "tile/0/000"),
        (0, 5, 1, "tile/0/005.p/1"),
        (2, 1_234_067, 256, "tile/2/x001/x234/067"),
        (63, 1_067, 255, "tile/63/x001/067.p/255"),
        ("entries", 999, 17, "tile/entries/999.p/17"),
        ("entries", 1_000, 256, "tile/entries/x001/000"),
    ],
)
def test_a_tile_has_one_path_and_the_path_names_one_tile(level, n, width, path):
    assert tiles.tile_path(level, n, width) == path
    assert tiles.parse_tile_path(path) == (level, n, width)


@given(st.integers(0, 63) | st.just("entries"), st.integers(0, 2**60), st.integers(1, 256))
def test_every_tile_path_reads_back(level, n, width):
    assert tiles.parse_tile_path(tiles.tile_path(level, n, width)) == (level, n, width)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/0",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/x000/001",
        "tile/0/001/000",
        "tile/0/x001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/../000",
        "tile/Entries/000",
        "tile/0/000\n",
        "tile/0/٠٠٠",
        "tile/0/" + "x999/" * 2_000 + "000",
    ],
)
def test_any_other_spelling_of_a_path_is_refused(path):
    with pytest.raises(ProofError):
        tiles.parse_tile_path(path)


def test_a_tree_of_seventy_thousand_has_the_tiles_the_specification_counts(stored):
    widths = {level: [len(d) // 32 for (at, _), d in sorted(stored.items()) if at == level] for level in range(4)}
    assert widths == {0: [256] * 273 + [112], 1: [256, 17], 2: [1], 3: []}
    assert [tiles.partial_width(level, 70_000) for level in range(4)] == [112, 17, 1, 0]


@given(st.lists(st.integers(0, 700), max_size=8))
def test_however_a_log_is_cut_into_batches_the_edge_is_the_same_tree(batches):
    frontier, kept, size = Frontier(), GrowingTiles(), 0
    for batch in batches:
        before = frontier.copy()
        kept.put(frontier.append(LEAVES[size : size + batch]))
        assert before.size == size
        assert before.root() == merkle.tree_root(LEAVES[:size])
        size += batch
        assert frontier.size == size
        assert frontier.root() == merkle.tree_root(LEAVES[:size])
    whole = GrowingTiles()
    whole.put(Frontier().append(LEAVES[:size]))
    assert kept == whole


@given(sizes, st.integers(0, 600))
def test_an_edge_loaded_from_tiles_goes_on_as_the_one_that_wrote_them(stored, size, more):
    loaded = Frontier.load(size, stored.read)
    grown = LEAVES[size : size + more]
    assert loaded.root() == merkle.tree_root(LEAVES[:size])
    loaded.append(grown)
    assert loaded.root() == merkle.tree_root(LEAVES[: size + len(grown)])


@given(st.data())
def test_proofs_from_tiles_are_the_plain_ones_even_when_the_log_has_grown_since(stored, data):
    size = data.draw(sizes.filter(bool))
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    reader, leaves = TileReader(size, stored.read), LEAVES[:size]
    root = merkle.tree_root(leaves)
    assert reader.root() == root
    assert reader.leaf(index) == LEAVES[index]
    assert reader.inclusion(index) == merkle.inclusion_proof(leaves, index, size)
    merkle.verify_inclusion(index, size, LEAVES[index], reader.inclusion(index), root)
    assert reader.consistency(old) == merkle.consistency_proof(leaves, old, size)
    merkle.verify_consistency(old, size, merkle.tree_root(leaves[:old]), root, reader.consistency(old))


@given(st.sets(st.integers(0, 69_999), min_size=1, max_size=30))
def test_one_proof_of_many_entries_comes_from_tiles_too(stored, wanted):
    reader, indices = TileReader(70_000, stored.read), sorted(wanted)
    proof = reader.multi_proof(indices)
    assert merkle.multi_root([(i, LEAVES[i]) for i in indices], 70_000, proof) == reader.root()


def test_a_proof_reads_each_tile_once():
    kept, reads = GrowingTiles(), []
    kept.put(Frontier().append(LEAVES))
    reader = TileReader(70_000, lambda level, n: reads.append((level, n)) or kept[level, n])
    reader.inclusion(12_345)
    reader.inclusion(12_346)
    assert len(reads) == len(set(reads)) <= 5


def test_a_short_tile_is_an_error_and_not_another_tree(stored):
    with pytest.raises(StoreError, match="0/273"):
        Frontier.load(70_000, lambda level, n: stored[level, n][:-32] if level == 0 else stored[level, n])
    with pytest.raises(StoreError):
        TileReader(70_000, lambda level, n: b"").root()


def test_the_edge_takes_only_whole_hashes():
    with pytest.raises(ProofError):
        Frontier().append([b"short"])
    with pytest.raises(ProofError):
        TileReader(5, lambda level, n: b"".join(LEAVES[:5])).leaf(5)


def test_the_edge_of_an_empty_log_is_the_empty_tree():
    assert Frontier().append([]) == {}
    assert (
        Frontier.load(0, lambda level, n: b"").root() == TileReader(0, lambda level, n: b"").root() == merkle.EMPTY_ROOT
    )


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_a_bundle_gives_back_its_entries(entries):
    assert tiles.parse_bundle(tiles.encode_bundle(entries)) == entries


def test_a_bundle_is_lengths_and_bytes_and_nothing_else():
    assert tiles.encode_bundle([b"abc", b""]) == b"\x00\x03abc\x00\x00"
    assert tiles.parse_bundle(tiles.encode_bundle([b"x" * 65_535])) == [b"x" * 65_535]
    for bad in (b"\x00", b"\x00\x03ab", b"\x00\x01a\x00", b"\x00\x00" * 257):
        with pytest.raises(EntryError):
            tiles.parse_bundle(bad)
    for too_much in ([b"x" * 65_536], [b""] * 257):
        with pytest.raises(LedgerError):
            tiles.encode_bundle(too_much)
