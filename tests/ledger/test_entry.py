"""The entry grammar of ledger §2: one spelling for every entry, everything else refused with a place."""

import json
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldchain_ledger.entry import (
    GRADES,
    INTEGER_LIMIT,
    KINDS,
    MAX_DEPTH,
    MAX_ENTRY,
    MAX_HEADER,
    MAX_PAYLOAD,
    MAX_SUBJECTS,
    Entry,
    encode_entry,
    encode_with_list,
    parse_entry,
    parse_subject_list,
    scan_entry,
    subject_list,
)
from coldchain_ledger.errors import EntryError

ENTRY = Entry(
    kind="telemetry",
    by="polar",
    at_us=1_700_000_000_000_000,
    type="application/jose",
    key="tm/truck-1/3/17",
    grade="signed",
    subjects=("dev:truck-1",),
    payload=b"\x00\xff\nanything",
    quality={"flags": ["late"], "gap_s": 7},
)
BYTES = (
    b'{"at":1700000000000000,"by":"polar","grade":"signed","key":"tm/truck-1/3/17","kind":"telemetry",'
    b'"quality":{"flags":["late"],"gap_s":7},"subjects":["dev:truck-1"],"type":"application/jose","v":1}'
    b"\n\x00\xff\nanything"
)
PLAIN = replace(ENTRY, quality=None)
PLAIN_BYTES = BYTES.replace(b'"quality":{"flags":["late"],"gap_s":7},', b"")
"""The common sort, which the parser reads by a shorter path; both paths must be of one mind."""

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
KEY = st.text(st.characters(max_codepoint=127), max_size=8)
NAME = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=[*map(chr, range(32)), "\x7f"]), min_size=1)
NAME = NAME.filter(lambda name: len(name.encode()) <= 128)
VALUE = st.recursive(
    st.integers(1 - INTEGER_LIMIT, INTEGER_LIMIT - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=3),
    max_leaves=8,
)
ENTRIES = st.builds(
    Entry,
    kind=st.sampled_from(sorted(KINDS)),
    by=TEXT,
    at_us=st.integers(0, INTEGER_LIMIT - 1),
    type=TEXT,
    key=TEXT,
    grade=st.sampled_from(sorted(GRADES)),
    subjects=st.sets(NAME, max_size=5).map(lambda names: tuple(sorted(names))),
    payload=st.binary(max_size=40),
    quality=st.none() | st.dictionaries(KEY, VALUE, max_size=3),
)


def test_an_entry_has_the_bytes_the_format_states():
    assert encode_entry(ENTRY) == BYTES
    assert parse_entry(BYTES) == ENTRY
    assert encode_entry(PLAIN) == PLAIN_BYTES
    assert parse_entry(PLAIN_BYTES) == PLAIN


@given(ENTRIES)
def test_what_is_written_is_read_back(entry):
    data = encode_entry(entry)
    assert parse_entry(data) == entry
    assert encode_entry(parse_entry(data)) == data


@given(ENTRIES)
def test_scanning_reads_the_same_fields_as_parsing(entry):
    assert scan_entry(encode_entry(entry)) == (entry.at_us, entry.kind, entry.key, entry.subjects, None)


@given(st.sampled_from([BYTES, PLAIN_BYTES]), st.integers(0, 150), st.integers(0, 7))
def test_scanning_refuses_what_parsing_refuses(original, position, bit):
    changed = bytearray(original)
    changed[position] ^= 1 << bit
    results = []
    for read in (parse_entry, scan_entry):
        try:
            read(bytes(changed))
            results.append("")
        except EntryError as error:
            results.append(str(error))
    assert results[0] == results[1]


@given(ENTRIES)
def test_the_header_is_what_a_canonical_json_writer_makes_of_its_fields(entry):
    header = encode_entry(entry).partition(b"\n")[0]
    canonical = json.dumps(json.loads(header), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert header == canonical.encode()


@given(st.data(), st.sampled_from([BYTES, PLAIN_BYTES]))
def test_no_byte_of_a_header_can_change_unnoticed(data, original):
    header = original.partition(b"\n")[0]
    position = data.draw(st.integers(0, len(header) - 1))
    changed = bytearray(original)
    changed[position] ^= 1 << data.draw(st.integers(0, 7))
    try:
        entry = parse_entry(bytes(changed))
    except EntryError:
        return
    assert encode_entry(entry) == bytes(changed)
    assert entry != parse_entry(original)


@given(st.binary(max_size=60))
def test_any_bytes_are_an_entry_or_an_entry_error(data):
    with suppress(EntryError):
        assert encode_entry(parse_entry(data)) == data


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        (b'"v":1', b'"v":1,"v":1', "not canonical at byte"),
        (b'"v":1', b'"v":2', "header field v: expected 1, found 2"),
        (b'"v":1', b'"v":true', "not canonical at byte"),
        (b'"v":1', b'"v":1.0', "not canonical at byte"),
        (b'"v":1', b'"v": 1', "not canonical at byte"),
        (b'"v":1', b'"v":1,"x":1', "unknown ['x']"),
        (b',"v":1', b"", "missing ['v']"),
        (b'{"at"', b'\xef\xbb\xbf{"at"', "not JSON at character 0"),
        (b'"polar"', b'"\xff"', "not UTF-8 at byte"),
        (b'"polar"', b'"\\u0070olar"', "not canonical at byte"),
        (b'"polar"', b'"\\ud800"', "lone surrogate at character"),
        (b'"polar"', b'"\x01"', "not JSON at character"),
        (b'"polar"', b'""', "header field by"),
        (b'"polar"', b"null", "header field by"),
        (b'"polar"', b'["polar"]', "header field by"),
        (b'"telemetry"', b'"gossip"', "header field kind: 'gossip'"),
        (b'"telemetry"', b'["time"]', "header field kind"),
        (b'"signed"', b'"assumed"', "header field grade: 'assumed'"),
        (b"1700000000000000", b"17e14", "header field at"),
        (b"1700000000000000", b"-1", "header field at"),
        (b"1700000000000000", b"-0", "not canonical at byte 6"),
        (b"1700000000000000", b"01", "not JSON at character"),
        (b"1700000000000000", b"9007199254740992", "header field at"),
        (b"1700000000000000", b"NaN", "header field at"),
        (b"1700000000000000", b"1" * 5000, "not JSON of this grammar"),
        (b"1700000000000000", b"true", "header field at"),
        (b'["late"]', b"[null]", "header field quality.flags[0]"),
        (b'["late"]', b"[1.5]", "header field quality.flags[0]"),
        (b'["late"]', b'{"a":false}', "header field quality.flags.a"),
        (b'["late"]', b'{"\xc3\xa9":1}', "is not ASCII"),
        (b'["late"]', b'{"b":1,"a":1}', "not canonical at byte"),
        (b'["late"]', b'{"a":1,"a":1}', "not canonical at byte"),
        (b'["late"]', b"[" * 8000 + b"]" * 8000, "not JSON of this grammar"),
        (b'["late"]', b"[" * (MAX_DEPTH + 9) + b"]" * (MAX_DEPTH + 9), f"nested over {MAX_DEPTH} deep"),
        (b'{"flags":["late"],"gap_s":7}', b"[]", "header field quality"),
        (b'{"flags":["late"],"gap_s":7}', b"null", "header field quality"),
        (b'["dev:truck-1"]', b'"dev:truck-1"', "header field subjects"),
        (b'["dev:truck-1"]', b"[1]", "header field subjects"),
        (b'["dev:truck-1"]', b'[""]', "header field subjects"),
        (b'["dev:truck-1"]', b'["b","a"]', "'a' after 'b'"),
        (b'["dev:truck-1"]', b'["a","a"]', "'a' after 'a'"),
        (b'["dev:truck-1"]', b'["a\\nb"]', "control character"),
        (b'["dev:truck-1"]', b'["' + b"x" * 129 + b'"]', "over 128 bytes"),
        (b'["dev:truck-1"]', b'["' + "冻".encode() * 43 + b'"]', "over 128 bytes"),
        (b'["dev:truck-1"]', b'{"n":1}', "expected n and sha256"),
        (b'["dev:truck-1"]', b'{"n":0,"sha256":"' + b"0" * 64 + b'"}', "n is 0"),
        (b'["dev:truck-1"]', b'{"n":401,"sha256":"' + b"A" * 64 + b'"}', "subjects.sha256"),
        (b'["dev:truck-1"]', b'{"n":401,"sha256":"' + b"0" * 63 + b'"}', "subjects.sha256"),
        (b'["dev:truck-1"]', b'{"n":401,"sha256":1}', "subjects.sha256"),
        (b"}\n", b"} \n", "not canonical at byte"),
    ],
)
def test_a_header_outside_the_grammar_is_refused_with_its_place(old, new, place):
    assert old in BYTES
    for original in (BYTES, PLAIN_BYTES):
        if old in original:
            with pytest.raises(EntryError) as refusal:
                parse_entry(original.replace(old, new, 1))
            assert place in str(refusal.value)


@pytest.mark.parametrize("data", [b"", b"{}", b"\n", b"[]\n", b"1\n", b'"v"\n', b"{}\n", b"{\n"])
def test_bytes_without_a_header_are_refused(data):
    with pytest.raises(EntryError):
        parse_entry(data)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "gossip"},
        {"by": ""},
        {"key": "\ud800"},
        {"at_us": 1.5},
        {"at_us": True},
        {"subjects": ("b", "a")},
        {"quality": {"a": 1.5}},
        {"quality": {"a": None}},
        {"quality": {1: "a"}},
        {"quality": {"n": INTEGER_LIMIT}},
        {"subjects": ("a",), "subjects_digest": (1, bytes(32))},
        {"subjects": (), "subjects_digest": (401, bytes(31))},
        {"payload": bytes(MAX_PAYLOAD + 1)},
        {"by": "x" * MAX_HEADER},
        {"by": "x" * MAX_HEADER, "subjects": ()},
    ],
)
def test_what_the_parser_would_refuse_is_never_written(change):
    with pytest.raises(EntryError):
        encode_entry(replace(ENTRY, **change))


@pytest.mark.parametrize("original", [ENTRY, PLAIN])
def test_the_largest_header_and_payload_fill_an_entry_exactly(original):
    fixed = len(encode_entry(replace(original, by="x", payload=b""))) - 1
    entry = replace(original, by="x" * (MAX_HEADER - fixed + 1), payload=bytes(MAX_PAYLOAD))
    data = encode_entry(entry)
    assert len(data) == MAX_ENTRY
    assert parse_entry(data) == entry
    with pytest.raises(EntryError, match="header has 16383 bytes"):
        parse_entry(data.replace(b"x", b"xx", 1))
    with pytest.raises(EntryError, match="payload has 49153 bytes"):
        parse_entry(data + b"!")


def test_more_than_400_subjects_are_named_by_count_and_hash():
    names = tuple(f"case:16901234500018/{i:05d}" for i in range(MAX_SUBJECTS + 1))
    data, listed = encode_with_list(ENTRY, ENTRY.at_us, names)
    entry = parse_entry(data)
    assert (entry.subjects, entry.subjects_digest) == ((), (401, sha256(listed).digest()))
    assert parse_subject_list(listed, entry.subjects_digest) == names
    assert encode_with_list(ENTRY, ENTRY.at_us, names[:-1])[1] is None


def test_a_header_that_long_subject_names_overfill_names_them_by_hash():
    names = tuple(f"doc:customs/{i:0116d}" for i in range(130))
    data, listed = encode_with_list(ENTRY, ENTRY.at_us, names)
    assert parse_subject_list(listed, parse_entry(data).subjects_digest) == names
    assert encode_entry(parse_entry(data)) == data
    assert scan_entry(data)[3:] == ((), parse_entry(data).subjects_digest)


def test_a_list_in_the_header_beyond_400_names_is_refused():
    names = [f"{i:03d}" for i in range(MAX_SUBJECTS + 1)]
    listed = json.dumps(names, separators=(",", ":")).encode()
    for original in (BYTES, PLAIN_BYTES):
        with pytest.raises(EntryError, match="at most 400"):
            parse_entry(original.replace(b'["dev:truck-1"]', listed))


@pytest.mark.parametrize("listed", [b"a\nb", b"b\na\n", b"a\na\n", b"a\n\n", b"\xff\n", b"a\n"])
def test_a_subject_list_is_sorted_lines_of_the_stated_number_and_hash(listed):
    with pytest.raises(EntryError):
        parse_subject_list(listed, (2, sha256(listed).digest()))


def test_a_subject_list_of_another_hash_is_refused_with_both():
    with pytest.raises(EntryError, match=f"{'00' * 32} != {sha256(subject_list(['a'])).hexdigest()}"):
        parse_subject_list(subject_list(["a"]), (1, bytes(32)))


def test_the_independent_vectors_are_entries_of_this_grammar(vector_entries):
    assert len(vector_entries) == 300
    for data in vector_entries:
        assert encode_entry(parse_entry(data)) == data
