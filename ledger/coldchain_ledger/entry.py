"""One ledger entry: a header line in canonical JSON, a line feed, and the payload exactly as received (ledger §2).

The header's fields have one canonical order and one spelling, so parsing ends by writing the header again and comparing
bytes: duplicate or unknown fields, other spacing, other escapes, `1.0` or `-0` all fail at that one comparison.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from itertools import pairwise
from typing import Any, NoReturn, Protocol

from coldchain_ledger.errors import EntryError

FACT_KINDS = frozenset(
    {"telemetry", "event", "document", "order", "identity", "master", "rules", "reject", "time"},
)
CONCLUSION_KINDS = frozenset({"finding", "index"})
KINDS = FACT_KINDS | CONCLUSION_KINDS
GRADES = frozenset({"signed", "transport", "declared", "transcribed", "derived"})

MAX_ENTRY = 65_535
"""Entry bundles carry a 16-bit length (ledger §4.3)."""
MAX_PAYLOAD = 48 * 1024
"""Anything larger is stored aside by hash."""
MAX_HEADER = MAX_ENTRY - MAX_PAYLOAD - 1
"""16,382 bytes: header, line feed and the largest payload fill an entry exactly."""
MAX_SUBJECTS = 400
MAX_SUBJECT_BYTES = 128
INTEGER_LIMIT = 2**53
"""Integers stay below it in absolute value, where every JSON reader agrees."""
MAX_DEPTH = 32
"""§2.1 sets no depth; a fixed one keeps acceptance the same however deep the reader's own stack is."""

_FIELDS = frozenset({"at", "by", "grade", "key", "kind", "subjects", "type", "v"})
_FIELDS_WITH_QUALITY = _FIELDS | {"quality"}
_quote = json.encoder.encode_basestring
"""Spells a string as RFC 8785 §3.2.2.2 does; what it lets through, lone surrogates, fails in UTF-8."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HEX_SHA256 = re.compile(r"[0-9a-f]{64}")

_CHAR = rb"[ !#-\[\]-~]"
"""Printable ASCII that JSON writes as itself."""
_NAME = rb'"%b{1,%d}"' % (_CHAR, MAX_SUBJECT_BYTES)
_PLAIN = re.compile(
    rb'{"at":(0|[1-9]\d{0,14}|[1-8]\d{15}),"by":"(%(text)b)","grade":"(%(grades)b)","key":"(%(text)b)","kind":"(%(kinds)b)",'
    rb'"subjects":\[((?:%(name)b(?:,%(name)b)*)?)\],"type":"(%(text)b)","v":1}\n'
    % {
        b"text": _CHAR + b"+",
        b"name": _NAME,
        b"grades": "|".join(sorted(GRADES)).encode(),
        b"kinds": "|".join(sorted(KINDS)).encode(),
    }
)
"""Canonical headers of the common sort: no escape, no quality, listed subjects."""


@dataclass(slots=True, init=False)
class Entry:
    """A parsed or intended entry. `quality` holds integers below 2^53, strings, and lists or objects of these."""

    kind: str
    by: str
    at_us: int
    """Server receive time, integer microseconds since the epoch, UTC."""
    type: str
    key: str
    grade: str
    subjects: tuple[str, ...]
    payload: bytes
    quality: Mapping[str, Any] | None
    subjects_digest: tuple[int, bytes] | None
    """(count, SHA-256) of the subject list that is stored aside, `subjects` being empty then (ledger §2.3)."""

    def __init__(
        self,
        kind: str,
        by: str,
        at_us: int,
        type: str,  # noqa: A002 (the header's own name for it)
        key: str,
        grade: str,
        subjects: tuple[str, ...],
        payload: bytes,
        quality: Mapping[str, Any] | None = None,
        subjects_digest: tuple[int, bytes] | None = None,
    ) -> None:
        self.kind, self.by, self.at_us, self.type = kind, by, at_us, type
        self.key, self.grade, self.subjects, self.payload = key, grade, subjects, payload
        self.quality, self.subjects_digest = quality, subjects_digest


class Content(Protocol):
    """What an entry says, without when and about whom: of an Entry as of a draft that is to become one."""

    @property
    def kind(self) -> str: ...
    @property
    def by(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def grade(self) -> str: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def quality(self) -> Mapping[str, Any] | None: ...


def encode_entry(entry: Entry) -> bytes:
    """The bytes to store and hash. Raises EntryError where the entry is outside the grammar.

    A subject list too long for the header becomes its count and hash; `encode_with_list` also gives the list.
    """
    if entry.subjects_digest is None:
        return encode_with_list(entry, entry.at_us, entry.subjects)[0]
    if entry.subjects:
        raise EntryError("header field subjects: a digest replaces the list, found both")
    _check(entry, entry.at_us)
    return _join(_header(entry, entry.at_us, _digest_json(*entry.subjects_digest)), entry.payload)


def encode_with_list(content: Content, at_us: int, subjects: Sequence[str]) -> tuple[bytes, bytes | None]:
    """The entry's bytes, and the canonical subject list where it must be stored aside as a blob (ledger §2.3)."""
    _check(content, at_us)
    _check_subjects(subjects)
    if len(subjects) <= MAX_SUBJECTS:
        header = _header(content, at_us, _list_json(subjects))
        if len(header) <= MAX_HEADER or not subjects:
            return _join(header, content.payload), None
    blob = subject_list(subjects)
    header = _header(content, at_us, _digest_json(len(subjects), sha256(blob).digest()))
    return _join(header, content.payload), blob


def parse_entry(data: bytes) -> Entry:
    """Parse strictly: what is returned encodes to exactly `data`. Raises EntryError that says where."""
    plain = _plain(data)
    if plain is None:
        return _parse(data)
    (at, by, grade, key, kind, _, media_type), subjects, header_end = plain
    return Entry(
        kind.decode(),
        by.decode(),
        int(at),
        media_type.decode(),
        key.decode(),
        grade.decode(),
        subjects,
        data[header_end:],
    )


def scan_entry(data: bytes) -> tuple[int, str, str, tuple[str, ...], tuple[int, bytes] | None]:
    """(at_us, kind, key, subjects, subjects_digest), as strict as `parse_entry` and half its time: for whole logs."""
    plain = _plain(data)
    if plain is None:
        entry = _parse(data)
        return entry.at_us, entry.kind, entry.key, entry.subjects, entry.subjects_digest
    (at, _, _, key, kind, _, _), subjects, _ = plain
    return int(at), kind.decode(), key.decode(), subjects, None


def _plain(data: bytes) -> tuple[tuple[bytes, ...], tuple[str, ...], int] | None:
    """Fields, subjects and where the payload starts, of a plain header that is surely right; else `_parse` decides."""
    match = _PLAIN.match(data)
    if match is None:
        return None
    fields, header_end = match.groups(), match.end()
    if header_end > MAX_HEADER + 1 or len(data) - header_end > MAX_PAYLOAD:
        return None
    subjects = _listed(fields[5])
    return None if subjects is None else (fields, subjects, header_end)


@lru_cache(4_096)  # most entries of a log are of a device that speaks again and again
def _listed(names: bytes) -> tuple[str, ...] | None:
    """The subjects between the brackets of a plain header; None where they are too many or out of order."""
    if not names:
        return ()
    subjects = tuple(names[1:-1].decode().split('","'))
    if len(subjects) > 1 and (len(subjects) > MAX_SUBJECTS or any(a >= b for a, b in pairwise(subjects))):
        return None
    return subjects


def _parse(data: bytes) -> Entry:
    header, line_feed, payload = data.partition(b"\n")
    if not line_feed:
        raise EntryError(f"no line feed ends the header within {len(data)} bytes")
    if len(header) > MAX_HEADER:
        raise EntryError(f"header has {len(header)} bytes, at most {MAX_HEADER} are allowed")
    if len(payload) > MAX_PAYLOAD:
        raise EntryError(f"payload has {len(payload)} bytes, at most {MAX_PAYLOAD} are kept in an entry")
    entry = _from_fields(_load(header), payload)
    _check(entry, entry.at_us)
    _check_subjects(entry.subjects)
    if len(entry.subjects) > MAX_SUBJECTS:
        raise EntryError(f"header field subjects: {len(entry.subjects)} names, at most {MAX_SUBJECTS} are listed")
    digest = entry.subjects_digest
    canonical = _header(entry, entry.at_us, _list_json(entry.subjects) if digest is None else _digest_json(*digest))
    if canonical != header:
        _refuse_spelling(header, canonical)
    return entry


def subject_list(subjects: Sequence[str]) -> bytes:
    """The canonical list: names sorted by UTF-8 bytes, one a line (ledger §2.3)."""
    return "".join([f"{name}\n" for name in subjects]).encode()


def parse_subject_list(blob: bytes, digest: tuple[int, bytes]) -> tuple[str, ...]:
    """The names of a list stored aside, checked against the entry's (count, SHA-256). Raises EntryError."""
    count, expected = digest
    found = sha256(blob).digest()
    if found != expected:
        raise EntryError(f"subject list hash mismatch: {expected.hex()} != {found.hex()}")
    try:
        names = tuple(blob.decode().split("\n")[:-1])
    except UnicodeDecodeError as error:
        raise EntryError(f"subject list is not UTF-8 at byte {error.start}") from error
    _check_subjects(names)
    if len(names) != count or subject_list(names) != blob:
        raise EntryError(f"subject list does not hold exactly {count} lines")
    return names


def _load(header: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(header.decode())
    except UnicodeDecodeError as error:
        raise EntryError(f"header is not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise EntryError(f"header is not JSON at character {error.pos}: {error.msg}") from error
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits; arrays nested without end
        raise EntryError(f"header is not JSON of this grammar: {error}") from error
    if type(fields) is not dict:
        raise EntryError(f"header is a JSON {type(fields).__name__}, not an object")
    return fields


def _from_fields(fields: dict[str, Any], payload: bytes) -> Entry:
    if fields.keys() != _FIELDS and fields.keys() != _FIELDS_WITH_QUALITY:
        missing, unknown = sorted(_FIELDS - fields.keys()), sorted(fields.keys() - _FIELDS_WITH_QUALITY)
        raise EntryError(f"header fields missing {missing}, unknown {unknown}")
    if fields["v"] != 1:
        raise EntryError(f"header field v: expected 1, found {fields['v']!r}")
    listed, digest = fields["subjects"], None
    if isinstance(listed, dict):
        digest = _parse_digest(listed)
        listed = []
    elif not isinstance(listed, list):
        raise EntryError(f"header field subjects: expected an array or a digest, found {listed!r}")
    if "quality" in fields and type(fields["quality"]) is not dict:
        raise EntryError(f"header field quality: expected an object, found {fields['quality']!r}")
    return Entry(
        fields["kind"],
        fields["by"],
        fields["at"],
        fields["type"],
        fields["key"],
        fields["grade"],
        tuple(listed),
        payload,
        fields.get("quality"),
        digest,
    )


def _parse_digest(value: dict[str, Any]) -> tuple[int, bytes]:
    if value.keys() != {"n", "sha256"}:
        raise EntryError(f"header field subjects: expected n and sha256, found {sorted(value)}")
    count, digest = value["n"], value["sha256"]
    if not isinstance(digest, str) or not _HEX_SHA256.fullmatch(digest):
        raise EntryError(f"header field subjects.sha256: expected 64 lower-case hex digits, found {digest!r}")
    return count, bytes.fromhex(digest)


def _check(content: Content, at_us: int) -> None:
    for name, text in (("by", content.by), ("type", content.type), ("key", content.key)):
        if not isinstance(text, str) or not text:
            raise EntryError(f"header field {name}: expected text, found {text!r}")
    if not isinstance(content.kind, str) or content.kind not in KINDS:
        raise EntryError(f"header field kind: {content.kind!r} is none of {sorted(KINDS)}")
    if not isinstance(content.grade, str) or content.grade not in GRADES:
        raise EntryError(f"header field grade: {content.grade!r} is none of {sorted(GRADES)}")
    if type(at_us) is not int or not 0 <= at_us < INTEGER_LIMIT:
        raise EntryError(f"header field at: expected integer microseconds in [0, 2^53), found {at_us!r}")
    if content.quality is not None:
        _check_value("quality", content.quality)


def _check_subjects(names: Sequence[str]) -> None:
    previous = ""  # an empty name is thereby out of order
    for name in names:
        if not isinstance(name, str):
            raise EntryError(f"header field subjects: expected text, found {name!r}")
        # UTF-8 keeps code point order, so comparing str is comparing bytes.
        if name <= previous:
            raise EntryError(f"header field subjects: {name!r} after {previous!r}, expected sorted names, each once")
        if not (name.isascii() and len(name) <= MAX_SUBJECT_BYTES) and _utf8_length(name) > MAX_SUBJECT_BYTES:
            raise EntryError(f"header field subjects: {name!r} has over {MAX_SUBJECT_BYTES} bytes")
        if _CONTROL.search(name):  # a line feed would make the canonical list ambiguous
            raise EntryError(f"header field subjects: {name!r} holds a control character")
        previous = name


def _check_value(where: str, value: object, depth: int = 0) -> None:
    """Only what §2.1 allows: integers, strings, arrays and objects; so neither floats nor true, false, null."""
    if isinstance(value, str) or (type(value) is int and -INTEGER_LIMIT < value < INTEGER_LIMIT):
        return
    if depth > MAX_DEPTH:
        raise EntryError(f"header field {where}: nested over {MAX_DEPTH} deep")
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise EntryError(f"header field {where}: key {key!r} is not ASCII text")
            _check_value(f"{where}.{key}", item, depth + 1)
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            _check_value(f"{where}[{position}]", item, depth + 1)
    else:
        raise EntryError(f"header field {where}: {value!r} is not text, an integer below 2^53, an array or an object")


def _header(content: Content, at_us: int, subjects: str) -> bytes:
    quality = "" if content.quality is None else f'"quality":{_canonical(content.quality)},'
    # JCS sorts names by UTF-16 code units; for these ASCII names that is the order written here.
    text = (
        f'{{"at":{at_us},"by":{_quote(content.by)},"grade":{_quote(content.grade)},"key":{_quote(content.key)},'
        f'"kind":{_quote(content.kind)},{quality}"subjects":{subjects},"type":{_quote(content.type)},"v":1}}'
    )
    return _utf8(text)


def _canonical(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=dict)


def _list_json(subjects: Sequence[str]) -> str:
    return f"[{','.join(map(_quote, subjects))}]"


def _digest_json(count: int, digest: bytes) -> str:
    if type(count) is not int or not 0 < count < INTEGER_LIMIT or len(digest) != sha256().digest_size:
        raise EntryError(f"header field subjects: n is {count!r} with a hash of {len(digest)} bytes, not n >= 1 and 32")
    return f'{{"n":{count},"sha256":"{digest.hex()}"}}'


def _join(header: bytes, payload: bytes) -> bytes:
    if len(header) > MAX_HEADER:
        raise EntryError(f"header has {len(header)} bytes, at most {MAX_HEADER} are allowed")
    if len(payload) > MAX_PAYLOAD:
        raise EntryError(f"payload has {len(payload)} bytes, at most {MAX_PAYLOAD} are kept in an entry")
    return b"%b\n%b" % (header, payload)


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise EntryError(f"header holds a lone surrogate at character {error.start}") from error


def _utf8_length(name: str) -> int:
    return len(_utf8(name))


def _refuse_spelling(found: bytes, canonical: bytes) -> NoReturn:
    at = next((i for i, (a, b) in enumerate(zip(found, canonical, strict=False)) if a != b), len(canonical))
    raise EntryError(
        f"header is not canonical at byte {at}: found {found[at : at + 20]!r}, expected {canonical[at : at + 20]!r}"
    )
