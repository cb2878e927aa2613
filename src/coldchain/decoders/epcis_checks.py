"""What every field of an EPCIS event is checked with: texts, URIs, identifiers, times, numbers, words, extensions."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from coldchain.decoders.epcis_context import IRI, Context
from coldchain.decoders.epcis_times import EXPECTED_OFFSET, OFFSET, time_us
from coldchain.decoders.epcis_vocabulary import Vocabulary, belongs
from coldchain.decoders.errors import escaped
from coldchain.domain.identifiers import IdentifierError, subject_name

MAX_FAULTS = 20
"""Told of one event: whoever has more is told the first."""
LIMIT = 2**43
"""Of quantities: their thousandths stay below 2^53, where every JSON reader agrees."""

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNIT = re.compile(r"[A-Z0-9]{2,3}", re.ASCII)
_HEX = re.compile(r"[0-9A-Fa-f]+")
_FOUND = 120
"""Characters of a value that a fault quotes."""


class Findings:
    """What was found in one event: faults that make it invalid, marks of what is odd and accepted."""

    __slots__ = ("context", "faults", "marks")

    def __init__(self, context: Context) -> None:
        self.context = context
        self.faults: list[tuple[str, str]] = []
        """(JSON pointer, what is expected there and what was found)."""
        self.marks: list[tuple[str, str]] = []
        """(JSON pointer, quality word)."""

    def fault(self, pointer: str, problem: str) -> None:
        if len(self.faults) < MAX_FAULTS:
            self.faults.append((pointer, problem))


Check = Callable[[Any, str, Findings], None]
"""(value, its JSON pointer, where to note what is wrong with it)."""


def shown(value: Any) -> str:
    """A value as a fault tells it: a text quoted and cut, anything else by its kind or as it is."""
    if isinstance(value, str):
        return repr(value if len(value) <= _FOUND else value[:_FOUND] + "…")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)[:_FOUND]
    return {dict: "an object", list: "an array", bool: "true or false"}.get(type(value), "nothing")


def text(value: Any, pointer: str, found: Findings) -> None:
    if not isinstance(value, str) or not value.strip() or CONTROL.search(value):
        found.fault(pointer, f"expected text without control characters, found {shown(value)}")


def uri(value: Any, pointer: str, found: Findings) -> None:
    if not isinstance(value, str) or not IRI.fullmatch(value):
        found.fault(pointer, f"expected a URI, found {shown(value)}")


def identifier(value: Any, pointer: str, found: Findings) -> None:
    """A URI that, where it holds a GS1 key, holds a right one."""
    if not isinstance(value, str) or not IRI.fullmatch(value):
        found.fault(pointer, f"expected a URI, found {shown(value)}")
        return
    try:
        subject_name(value)
    except IdentifierError as error:
        found.fault(pointer, str(error))


def time(value: Any, pointer: str, found: Findings) -> None:
    try:
        time_us(value if isinstance(value, str) else shown(value))
    except ValueError as error:
        found.fault(pointer, str(error))


def offset(value: Any, pointer: str, found: Findings) -> None:
    if not isinstance(value, str) or not OFFSET.fullmatch(value):
        found.fault(pointer, f"{EXPECTED_OFFSET}, found {shown(value)}")


def is_number(value: Any) -> bool:
    return type(value) is int or (type(value) is float and math.isfinite(value))


def number(value: Any, pointer: str, found: Findings) -> None:
    if not is_number(value) or not abs(value) < LIMIT:
        found.fault(pointer, f"expected a number below 2^43, found {shown(value)}")


def unit(value: Any, pointer: str, found: Findings) -> None:
    if not isinstance(value, str) or not _UNIT.fullmatch(value):
        found.fault(pointer, f"expected a UN/ECE unit code of 2 or 3 capitals or digits, found {shown(value)}")


def boolean(value: Any, pointer: str, found: Findings) -> None:
    if not isinstance(value, bool):
        found.fault(pointer, f"expected true or false, found {shown(value)}")


def hexadecimal(value: Any, pointer: str, found: Findings) -> None:
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        found.fault(pointer, f"expected hexadecimal digits, found {shown(value)}")


def any_text(value: Any, pointer: str, found: Findings) -> None:
    if not isinstance(value, str):
        found.fault(pointer, f"expected text, found {shown(value)}")


def word(vocabulary: Vocabulary) -> Check:
    """One of the vocabulary's words in any spelling, or the URI of another (CBV 2.0 §7)."""

    def check(value: Any, pointer: str, found: Findings) -> None:
        if not isinstance(value, str) or not belongs(vocabulary, value) or (":" in value and not IRI.fullmatch(value)):
            found.fault(pointer, f"expected a {vocabulary.what} or the URI of another, found {shown(value)}")

    return check


def one_of(*values: str) -> Check:
    expected = f"{', '.join(values[:-1])} or {values[-1]}"

    def check(value: Any, pointer: str, found: Findings) -> None:
        if value not in values:
            found.fault(pointer, f"expected {expected}, found {shown(value)}")

    return check


def list_of(check: Check, least: int = 0) -> Check:
    """An array, each of its members checked."""

    def check_all(value: Any, pointer: str, found: Findings) -> None:
        if not isinstance(value, list):
            found.fault(pointer, f"expected an array, found {shown(value)}")
        elif len(value) < least:
            found.fault(pointer, "expected at least one member, found an empty array")
        else:
            for place, one in enumerate(value):
                check(one, f"{pointer}/{place}", found)

    return check_all


def distinct(check: Check, least: int = 0) -> Check:
    """An array in which nothing stands twice."""
    check_all = list_of(check, least)

    def check_distinct(value: Any, pointer: str, found: Findings) -> None:
        check_all(value, pointer, found)
        if isinstance(value, list):
            seen: set[str] = set()
            for place, one in enumerate(value):
                if isinstance(one, str):
                    if one in seen:
                        found.fault(f"{pointer}/{place}", f"expected each once, found {shown(one)} again")
                    seen.add(one)

    return check_distinct


def members(
    what: str, fields: Mapping[str, Check], required: tuple[str, ...] = (), *, extensible: bool = True
) -> Check:
    """An object of these fields, the required ones among them; where extensible, of others' fields as well."""

    def check(value: Any, pointer: str, found: Findings) -> None:
        if not isinstance(value, dict):
            found.fault(pointer, f"expected an object, found {shown(value)}")
            return
        for name in required:
            if name not in value:
                found.fault(f"{pointer}/{name}", f"expected in {what}, found nothing")
        for name, one in value.items():
            checked = fields.get(name)
            if checked is not None:
                checked(one, f"{pointer}/{name}", found)
            elif extensible:
                extension(name, one, pointer, found, f"one of {', '.join(fields)}")
            else:
                found.fault(f"{pointer}/{escaped(name)}", f"expected only {', '.join(fields)} in {what}")

    return check


def extension(name: str, value: Any, pointer: str, found: Findings, expected: str) -> None:
    """A field of others: its name has a declared prefix, and so has every prefixed name within."""
    where = f"{pointer}/{escaped(name)}"
    if ":" not in name:
        found.fault(where, f"expected {expected} or a name with a prefix, found {shown(name)}")
    elif found.context.full_name(name) is None:
        found.fault(where, f"expected a prefix declared in @context, found {shown(name)}")
    else:
        _within(value, where, found)


def _within(value: Any, pointer: str, found: Findings) -> None:
    if isinstance(value, dict):
        for name, one in value.items():
            where = f"{pointer}/{escaped(name)}"
            if ":" in name and found.context.full_name(name) is None:
                found.fault(where, f"expected a prefix declared in @context, found {shown(name)}")
            _within(one, where, found)
    elif isinstance(value, list):
        for place, one in enumerate(value):
            _within(one, f"{pointer}/{place}", found)
