"""One cell -> one value of the type its field asks for, or a sentence that says what was expected."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from coldchain.domain.identifiers import IdentifierError, check_digit, hs_code, subject_name
from coldchain.domain.imports.table import Cell

MAX_TEXT = 200
_LIMIT = 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEARS = (1990, 2100)
"""Goods recorded here were frozen after one and are sold before the other: a cell outside is a typing error."""


class CellError(ValueError):
    """What a cell should have held; the text ends a sentence that begins with the cell and its value."""


class Locale(NamedTuple):
    """How a sender writes numbers and dates."""

    zone: timezone = timezone(timedelta(hours=8))
    order: str = "ymd"
    """`ymd`, `dmy` or `mdy`: of dates that are text. 03/04/2026 is no date until somebody says which."""
    decimal_comma: bool = False


LOCALE = Locale()
Reader = Callable[[Cell, Locale], Any]


def text(cell: Cell, locale: Locale) -> str:
    """Printable, at most 200 characters, full-width forms folded (NFKC)."""
    found = unicodedata.normalize("NFKC", _spelled(cell)).strip()
    if not found.isprintable():
        raise CellError("expected text without control characters")
    if len(found) > MAX_TEXT:
        raise CellError(f"expected at most {MAX_TEXT} characters, found {len(found)}")
    return found


def count(cell: Cell, locale: Locale) -> int:
    """A whole number of cases."""
    found = _number(cell, locale)
    if found != found.to_integral_value() or found < 0:
        raise CellError("expected a whole number, 0 or more")
    return int(found)


def kilograms(cell: Cell, locale: Locale) -> Decimal:
    found = _number(cell, locale)
    if found < 0 or found.normalize().as_tuple().exponent < -3:  # type: ignore[operator]
        raise CellError("expected kilograms, 0 or more, with at most three decimals")
    return found


def celsius(cell: Cell, locale: Locale) -> Decimal:
    found = _number(cell, locale)
    if not -100 <= found <= 100:
        raise CellError("expected degrees Celsius between -100 and 100")
    return found


def instant(cell: Cell, locale: Locale) -> int:
    """Microseconds since 1970. A date alone is its noon in the sender's zone: nobody wrote down the hour."""
    if isinstance(cell, str) and (stamp := _iso_with_offset(cell)) is not None:
        return _microseconds(stamp)
    return _microseconds(_moment(cell, locale))


def printed_date(cell: Cell, locale: Locale) -> str:
    """A date on a label, `2026-03-02`."""
    return _moment(cell, locale).date().isoformat()


def identifier(kind: str) -> Reader:
    """A name of that subject kind; the bare value is enough where the kind has one spelling."""

    def read(cell: Cell, locale: Locale) -> str:
        found = text(cell, locale).replace(" ", "")
        spelled = found if ":" in found else f"{kind}:{found.upper() if kind == 'cont' else found}"
        try:
            name = subject_name(spelled)
        except IdentifierError as error:
            raise CellError(str(error)) from error
        if not name.startswith(f"{kind}:"):
            raise CellError(f"expected a {kind}: name, found {name}")
        return name

    return read


def customs_code(cell: Cell, locale: Locale) -> str:
    """The digits of an HS code, 10 or 13. A cell that holds a number lost the zero that codes of meat and fish begin
    with."""
    found = text(cell, locale)
    lost = isinstance(cell, Decimal) and len(found) in (9, 12)
    try:
        return hs_code(f"0{found}" if lost else found)
    except IdentifierError as error:
        raise CellError(str(error)) from error


def load(cell: Cell, locale: Locale) -> str:
    """A pallet: an SSCC, or a handling unit's own label `hu:<org>/<id>`."""
    found = text(cell, locale).replace(" ", "")
    if re.fullmatch(r"(\(00\))?[0-9]{18}", found):
        return _named(f"sscc:{found[-18:]}")
    name = _named(found) if ":" in found else ""
    if not name.startswith(("sscc:", "hu:")):
        raise CellError("expected an SSCC of 18 digits or a label such as hu:acme/P-0001")
    return name


def place(cell: Cell, locale: Locale) -> str:
    """A room, a vehicle or a site."""
    found = text(cell, locale)
    name = _named(found if ":" in found else f"loc:{found}")
    if not name.startswith(("room:", "veh:", "loc:")):
        raise CellError("expected a room:, veh: or loc: name")
    return name


def organisation(cell: Cell, locale: Locale) -> str:
    """Who: an organisation's id here, or any name events call it by."""
    found = text(cell, locale)
    return _named(found if ":" in found else f"code:org/{found}")


def gtin(cell: Cell, locale: Locale) -> str:
    """A GTIN of 8, 12, 13 or 14 digits, as 14. A spreadsheet that took it for a number has dropped its zeros."""
    found = text(cell, locale).replace(" ", "")
    if not re.fullmatch(r"[0-9]{8,14}", found):
        raise CellError("expected a GTIN of 8 to 14 digits")
    padded = found.zfill(14)
    if padded[-1] != (right := check_digit(padded[:-1])):
        raise CellError(f"expected check digit {right} (GS1 modulo 10)")
    return padded


def exception_code(cell: Cell, locale: Locale) -> str:
    found = text(cell, locale).upper()
    if not re.fullmatch(r"E([1-9]|1[01])", found):
        raise CellError("expected an exception code, E1 to E11")
    return found


def names(cell: Cell, locale: Locale) -> tuple[str, ...]:
    """Subject names divided by commas, semicolons or line ends."""
    found = _spelled(cell).replace("\n", ";")
    return tuple(sorted({_named(part.strip()) for part in re.split("[,;，；、]", found) if part.strip()}))


_STATES: Mapping[str, str] = {
    "intact": "intact",
    "完好": "intact",
    "broken": "broken",
    "破损": "broken",
    "absent": "absent",
    "缺失": "absent",
    "duplicate": "duplicate",
    "重复": "duplicate",
}


def seal_state(cell: Cell, locale: Locale) -> str:
    found = text(cell, locale).lower()
    if found not in _STATES:
        raise CellError(f"expected one of {', '.join(_STATES)}")
    return _STATES[found]


def _named(found: str) -> str:
    try:
        return subject_name(found)
    except IdentifierError as error:
        raise CellError(str(error)) from error


def _spelled(cell: Cell) -> str:
    """As a person reads it: a spreadsheet's 1974 is no 1974.0."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, Decimal):
        return format(cell.normalize() if cell != cell.to_integral_value() else cell.to_integral_value(), "f")
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == datetime.min.time() else cell.isoformat(sep=" ")
    return "" if cell is None else str(cell)


def _number(cell: Cell, locale: Locale) -> Decimal:
    if isinstance(cell, (bool, date)):
        raise CellError("expected a number")
    if isinstance(cell, Decimal):
        found = cell
    else:
        plain = text(cell, locale).replace(" ", "")
        if locale.decimal_comma:
            plain = plain.replace(".", "").replace(",", ".")
        elif re.fullmatch(r"-?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?", plain):
            plain = plain.replace(",", "")
        try:
            found = Decimal(plain)
        except InvalidOperation as error:
            raise CellError("expected a number") from error
    if not found.is_finite() or abs(found) >= _LIMIT:
        raise CellError("expected a number below 10^9")
    return found


_DATE = re.compile(
    r"([0-9]{1,4})\s*[-/.年]\s*([0-9]{1,2})\s*[-/.月]\s*([0-9]{1,4})\s*日?"
    r"(?:[T\s]+([0-9]{1,2})[:时]([0-9]{1,2})分?(?::([0-9]{1,2}))?)?"
)


def _moment(cell: Cell, locale: Locale) -> datetime:
    """By the sender's wall clock; noon where no hour is stated."""
    if isinstance(cell, datetime):
        found = cell.replace(tzinfo=locale.zone, hour=cell.hour if cell.time() != datetime.min.time() else 12)
    elif isinstance(cell, date):
        found = datetime(cell.year, cell.month, cell.day, 12, tzinfo=locale.zone)
    else:
        found = _parsed(text(cell, locale), locale)
    if not _YEARS[0] <= found.year <= _YEARS[1]:
        raise CellError(f"expected a date between {_YEARS[0]} and {_YEARS[1]}")
    return found


def _parsed(found: str, locale: Locale) -> datetime:
    expected = "expected a date such as 2026-03-02 or 2026-03-02 14:30"
    match = _DATE.fullmatch(found)
    if match is None:
        raise CellError(expected)
    parts = [match[1], match[2], match[3]]
    order = "ymd" if len(match[1]) == 4 else locale.order
    if len(parts[order.index("y")]) != 4:
        raise CellError(f"{expected}; for day first or month first the map must say `dates`")
    year, month, day = (int(parts[order.index(part)]) for part in "ymd")
    hour, minute, second = (int(part or 0) for part in (match[4] or 12, match[5], match[6]))
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=locale.zone)
    except ValueError as error:
        raise CellError(f"{expected} ({error})") from error


def _iso_with_offset(found: str) -> datetime | None:
    try:
        stamp = datetime.fromisoformat(found.strip())
    except ValueError:
        return None
    return stamp if stamp.tzinfo is not None and _YEARS[0] <= stamp.year <= _YEARS[1] else None


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
