"""XLSX and CSV files -> tables. Both as they come from offices: titles above headings, GB 18030, semicolons."""

from __future__ import annotations

import csv
import io
import math
import zipfile
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from coldchain.decoders.errors import DecodeError
from coldchain.domain.imports.table import Cell, Row, Table

MAX_BYTES = 5 * 1024 * 1024
MAX_UNPACKED = 100 * 1024 * 1024
"""Of an XLSX, which is a zip: a bomb of a few kilobytes unpacks to gigabytes."""
MAX_ROWS = 20_000
MAX_COLUMNS = 200
_XLSX = b"PK\x03\x04"
_ENCODINGS = ("utf-8-sig", "gb18030")


class SheetError(DecodeError):
    """No readable sheet; the text says what was expected."""


def read_table(data: bytes, sheet: str = "") -> Table:
    """The sheet of that name, or the first one. Raises SheetError."""
    if len(data) > MAX_BYTES:
        raise SheetError(f"expected a file of at most {MAX_BYTES} bytes, found {len(data)}")
    return _read_xlsx(data, sheet) if data.startswith(_XLSX) else _read_csv(data)


def _read_csv(data: bytes) -> Table:
    text = _decoded(data)
    if "\x00" in text:
        raise SheetError("expected an XLSX or CSV file, found neither")
    sample = text[:10_000]
    delimiter = max(",;\t", key=lambda mark: (sample.count(mark), mark == ","))
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise SheetError(f"expected a CSV file: {error}") from error
    return Table("", _rows(rows))


def _decoded(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _as(data, "utf-16")
    for encoding in _ENCODINGS:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise SheetError(
        f"expected an XLSX file, or CSV in UTF-8, UTF-16 or GB 18030; the first bytes are {data[:8].hex()}"
    )


def _as(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise SheetError(f"expected CSV in {encoding}: {error}") from error


def _read_xlsx(data: bytes, sheet: str) -> Table:
    from openpyxl import load_workbook

    _check_size(data)
    try:
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        names = [name for name in book.sheetnames if name in {one.title for one in book.worksheets}]
        if not names or (sheet and sheet not in names):
            raise SheetError(f"expected a sheet named {sheet!r}, found {', '.join(names) or 'none'}")
        name = sheet or names[0]
        rows = _rows(book[name].iter_rows(values_only=True, max_col=MAX_COLUMNS))
        book.close()
    except SheetError:
        raise
    except Exception as error:  # of a damaged file openpyxl raises whatever its parts raise
        raise SheetError(f"expected a readable XLSX file: {type(error).__name__}: {error}"[:300]) from error
    return Table(name, rows)


def _check_size(data: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as parts:
            unpacked = sum(part.file_size for part in parts.infolist())
    except zipfile.BadZipFile as error:
        raise SheetError(f"expected a readable XLSX file: {error}") from error
    if unpacked > MAX_UNPACKED:
        raise SheetError(f"expected an XLSX of at most {MAX_UNPACKED} bytes unpacked, found {unpacked}")


def _rows(rows: Iterable[Iterable[Any]]) -> tuple[Row, ...]:
    found = []
    for number, cells in enumerate(rows, 1):
        row = Row(number, tuple(_cell(value) for value in list(cells)[:MAX_COLUMNS]))
        if row.empty:
            continue
        found.append(row)
        if len(found) > MAX_ROWS:
            raise SheetError(f"expected at most {MAX_ROWS} rows; divide the file")
    return tuple(found)


def _cell(value: Any) -> Cell:
    """A float is the decimal a person typed: 0.1, not its binary neighbour."""
    if isinstance(value, bool) or value is None or isinstance(value, (str, datetime, date)):
        return value
    if isinstance(value, (int, float)) and math.isfinite(value):
        return Decimal(repr(value))
    return str(value)  # a time of day, a duration: the field says what it expected
