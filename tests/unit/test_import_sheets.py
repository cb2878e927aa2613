"""Sheets of offices: every cell is understood or told, and the same sheet states the same facts."""

from __future__ import annotations

import io
from contextlib import suppress
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from coldchain.decoders.epcis import decode_epcis
from coldchain.decoders.sheets import SheetError, read_table
from coldchain.domain.imports import cells
from coldchain.domain.imports.facts import facts
from coldchain.domain.imports.kinds import KINDS
from coldchain.domain.imports.mapping import Mapping, MappingError, layout, parse_mapping
from coldchain.domain.imports.reading import Reading, read_sheet
from coldchain.domain.imports.table import Row, Table, cell_name
from coldchain.papers.labels import label_pdf
from coldchain.papers.templates import csv_template, headings, xlsx_template
from coldchain.services.chores import canonical

NUMBERS = st.floats(allow_nan=False, allow_infinity=False).map(lambda number: Decimal(repr(number)))
HEAD = "单据号,日期,集装箱号,品名,厂号,批号,箱数,净重kg,封志号"
LINE = "PL-1,2026-03-01 09:30,MORU0714983,冷冻牛腱,1974,L1,400,10000.5,CN123456"


def table(*lines: str) -> Table:
    return Table("", tuple(Row(n, tuple(c or None for c in line.split(","))) for n, line in enumerate(lines, 1)))


def packing(*lines: str, **more: Any) -> Reading:
    return read_sheet(parse_mapping({"kind": "packing-list", **more}), table(*lines))


def microseconds(*parts: int, hours: int = 8) -> int:
    return round(datetime(*parts, tzinfo=timezone(timedelta(hours=hours))).timestamp() * 1e6)  # type: ignore[arg-type, misc]


class TestCells:
    @pytest.mark.parametrize(
        ("cell", "expected"),
        [
            ("2026-03-02", (2026, 3, 2, 12)),
            ("2026/3/2 8:05", (2026, 3, 2, 8, 5)),
            ("2026.3.2", (2026, 3, 2, 12)),
            ("2026年3月2日 14时30分", (2026, 3, 2, 14, 30)),
            ("２０２６-03-02", (2026, 3, 2, 12)),
            (datetime(2026, 3, 2, 9, 30), (2026, 3, 2, 9, 30)),  # noqa: DTZ001
            (datetime(2026, 3, 2), (2026, 3, 2, 12)),  # noqa: DTZ001
            (date(2026, 3, 2), (2026, 3, 2, 12)),
        ],
    )
    def test_a_local_time_is_read_in_the_senders_zone_and_a_bare_date_is_its_noon(
        self, cell: Any, expected: tuple[int, ...]
    ) -> None:
        assert cells.instant(cell, cells.LOCALE) == microseconds(*expected)

    def test_a_time_with_its_offset_needs_no_zone(self) -> None:
        assert cells.instant("2026-03-02T00:00:00Z", cells.LOCALE) == microseconds(2026, 3, 2, hours=0)

    def test_a_date_that_could_be_two_is_refused_until_the_map_says_which(self) -> None:
        with pytest.raises(cells.CellError, match="day first or month first"):
            cells.instant("03/04/2026", cells.LOCALE)
        assert cells.printed_date("03/04/2026", cells.Locale(order="dmy")) == "2026-04-03"
        assert cells.printed_date("03/04/2026", cells.Locale(order="mdy")) == "2026-03-04"

    @pytest.mark.parametrize("cell", ["2026-02-30", "yesterday", "1899-12-30", "9999-01-01", Decimal(46000), True])
    def test_what_is_no_date_is_refused(self, cell: Any) -> None:
        with pytest.raises(cells.CellError, match="expected a date"):
            cells.instant(cell, cells.LOCALE)

    def test_numbers_are_read_as_people_write_them(self) -> None:
        assert cells.kilograms("10,000.5", cells.LOCALE) == Decimal("10000.5")
        assert cells.kilograms("10.000,5", cells.Locale(decimal_comma=True)) == Decimal("10000.5")
        assert cells.count(Decimal("400.0"), cells.LOCALE) == 400
        assert cells.celsius("－18.5", cells.LOCALE) == Decimal("-18.5")

    @pytest.mark.parametrize(
        ("read", "cell"),
        [
            (cells.count, "1.5"),
            (cells.count, "-1"),
            (cells.count, "many"),
            (cells.count, "NaN"),
            (cells.count, "1e12"),
            (cells.kilograms, "0.0005"),
            (cells.kilograms, "-2"),
            (cells.celsius, "180"),
            (cells.celsius, datetime(2026, 1, 1)),  # noqa: DTZ001
        ],
    )
    def test_a_number_that_cannot_be_meant_is_refused(self, read: Any, cell: Any) -> None:
        with pytest.raises(cells.CellError, match="expected"):
            read(cell, cells.LOCALE)

    def test_a_pallet_is_an_sscc_or_a_label_of_our_own(self) -> None:
        assert cells.load("(00)169012345000000025", cells.LOCALE) == "sscc:169012345000000025"
        assert cells.load("169012345000000025", cells.LOCALE) == "sscc:169012345000000025"
        assert cells.load("urn:coldchain:hu:acme/P-1", cells.LOCALE) == "hu:acme/P-1"
        with pytest.raises(cells.CellError, match="check digit"):
            cells.load("169012345000000024", cells.LOCALE)
        with pytest.raises(cells.CellError, match="hu:acme/P-0001"):
            cells.load("pallet 7", cells.LOCALE)

    @given(st.text(max_size=40) | NUMBERS | st.booleans() | st.datetimes() | st.dates())
    def test_no_cell_raises_anything_but_its_own_error(self, cell: Any) -> None:
        for kind in KINDS.values():
            for field in kind.fields:
                with suppress(cells.CellError):
                    field.read(cell, cells.LOCALE)


class TestSheets:
    def test_a_title_above_the_headings_is_skipped(self) -> None:
        reading = packing("某某公司装箱单", HEAD, LINE)
        assert reading.layout.heading_row == 2
        assert [record.row for record in reading.records] == [3]
        assert reading.records[0].get("container") == "cont:MORU0714983"

    def test_headings_are_known_however_they_are_spelled(self) -> None:
        reading = packing("Document no. *,DATE,Container,Product,Plant No,Batch,CARTONS,net weight (KG),seal", LINE)
        assert not reading.faults
        assert set(reading.layout.places) >= {"document", "time", "container", "lot", "cases", "kg", "seal"}

    def test_a_map_names_a_provinces_own_headings_and_says_what_every_row_leaves_out(self) -> None:
        reading = packing(
            "柜子,何时,货,数量",
            "MORU0714983,2026-03-01,牛腱,10",
            columns={"柜子": "container", "何时": "time", "货": "product", "数量": "cases"},
            constants={"plant": "1974", "lot": "L9"},
        )
        assert not reading.faults
        assert reading.records[0].get("plant") == "1974"

    def test_each_fault_is_told_by_its_cell(self) -> None:
        bad = "PL-1,someday,MORU0714984,冷冻牛腱,1974,L1,4.5,x,CN1"
        reading = packing(HEAD, LINE, bad)
        assert [(fault.cell, fault.field) for fault in reading.faults] == [
            ("B3", "time"),
            ("C3", "container"),
            ("G3", "cases"),
            ("H3", "kg"),
        ]
        assert "check digit 3" in reading.faults[1].reason
        assert reading.rows == 2

    def test_a_row_that_counts_goods_without_naming_their_lot_is_told(self) -> None:
        reading = packing(HEAD, "PL-1,2026-03-01,MORU0714983,牛腱,1974,,10,,")
        assert [fault.field for fault in reading.faults] == ["lot|produced"]
        reading = packing(HEAD, "PL-1,2026-03-01,MORU0714983,,1974,L1,10,,")
        assert [fault.field for fault in reading.faults] == ["gtin|plant+product"]

    def test_a_row_without_an_amount_is_told(self) -> None:
        reading = packing(HEAD, "PL-1,2026-03-01,MORU0714983,牛腱,1974,L1,,,")
        assert [fault.field for fault in reading.faults] == ["cases|kg"]

    def test_the_good_lines_of_a_paper_with_a_bad_one_are_held_back(self) -> None:
        other = LINE.replace("PL-1", "PL-2")
        reading = packing(HEAD, LINE, LINE.replace("400", "x"), other)
        assert [record.row for record in reading.held] == [2]
        assert [record.row for record in reading.records] == [4]

    def test_a_sheet_that_lacks_a_column_is_refused_with_the_heading_it_should_have(self) -> None:
        with pytest.raises(
            MappingError, match="no column for container: expected a heading such as Container or 集装箱号"
        ):
            packing("单据号,日期,品名", "1,2026-03-01,x")
        with pytest.raises(MappingError, match="expected headings such as"):
            packing("a,b", "1,2")

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ([], "expected an object"),
            ({}, "kind: expected one of declaration"),
            ({"kind": "menu"}, "found 'menu'"),
            ({"kind": "tally", "colums": {}}, "colums: expected one of"),
            ({"kind": "tally", "columns": {"x": "weigth"}}, "columns.x: expected a field of tally"),
            ({"kind": "tally", "columns": {"x": 1}}, "columns: expected an object of texts"),
            ({"kind": "tally", "constants": {"y": "1"}}, "constants.y"),
            ({"kind": "tally", "zone": "Beijing"}, "zone: expected an offset"),
            ({"kind": "tally", "zone": "+15:00"}, "zone: expected an offset"),
            ({"kind": "tally", "dates": "mixed"}, "dates: expected ymd, dmy or mdy"),
            ({"kind": "tally", "heading_row": 99}, "heading_row: expected 0 to 30"),
            ({"kind": "tally", "heading_row": True}, "heading_row"),
            ({"kind": "tally", "decimal_comma": 1}, "decimal_comma"),
            ({"kind": "tally", "sheet": 3}, "sheet"),
        ],
    )
    def test_a_map_that_says_nothing_usable_is_refused_by_its_entry(self, body: Any, words: str) -> None:
        with pytest.raises(MappingError, match=words):
            parse_mapping(body)

    def test_a_map_kept_and_read_again_is_the_same(self) -> None:
        body = {"kind": "tally", "columns": {"数": "cases"}, "zone": "-03:30", "dates": "dmy", "decimal_comma": True}
        mapping = parse_mapping(body)
        assert parse_mapping(mapping.stated()) == mapping

    def test_addresses_are_those_of_a_spreadsheet(self) -> None:
        assert [cell_name(7, place) for place in (0, 25, 26, 701, 702)] == ["A7", "Z7", "AA7", "ZZ7", "AAA7"]


class TestFiles:
    def test_an_xlsx_and_its_csv_say_the_same(self) -> None:
        book = Workbook()
        sheet = book.worksheets[0]
        for line in (HEAD, LINE):
            sheet.append(line.split(","))
        sheet["G2"], sheet["H2"] = 400, 10000.5
        out = io.BytesIO()
        book.save(out)
        mapping = parse_mapping({"kind": "packing-list"})
        rows = [read_sheet(mapping, read_table(data)).records for data in (out.getvalue(), f"{HEAD}\n{LINE}".encode())]
        assert [record.values for record in rows[0]] == [record.values for record in rows[1]]

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    def test_a_csv_is_read_in_any_usual_spelling(self, encoding: str, delimiter: str) -> None:
        text = f"{HEAD}\n{LINE}\n".replace(",", delimiter)
        reading = read_sheet(parse_mapping({"kind": "packing-list"}), read_table(text.encode(encoding)))
        assert reading.records[0].get("product") == "冷冻牛腱"

    @pytest.mark.parametrize("data", [b"", b"PK\x03\x04broken", b"\x00\x01\x02", b"\xff\xfe\x00"])
    def test_what_is_no_sheet_is_refused_as_such(self, data: bytes) -> None:
        with pytest.raises((SheetError, MappingError)):
            read_sheet(parse_mapping({"kind": "tally"}), read_table(data))

    def test_a_sheet_that_is_not_there_is_named(self) -> None:
        out = io.BytesIO()
        Workbook().save(out)
        with pytest.raises(SheetError, match="expected a sheet named 'March', found Sheet"):
            read_table(out.getvalue(), "March")

    def test_a_bomb_is_refused_before_it_is_unpacked(self) -> None:
        import zipfile

        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as parts:
            parts.writestr("xl/workbook.xml", bytes(110 * 1024 * 1024))
        assert len(out.getvalue()) < 1024 * 1024
        with pytest.raises(SheetError, match="unpacked"):
            read_table(out.getvalue())

    @given(st.binary(max_size=400))
    def test_no_bytes_raise_anything_but_a_sheet_error(self, data: bytes) -> None:
        with suppress(SheetError):
            read_table(data)


ROWS: dict[str, dict[str, str]] = {
    "declaration": {
        "declaration": "224820261012345678",
        "product": "牛腱",
        "plant": "1974",
        "lot": "L1",
        "cases": "1200",
    },
    "packing-list": {"container": "MORU0714983", "product": "牛腱", "plant": "1974", "lot": "L1", "cases": "1200"},
    "tally": {
        "container": "MORU0714983",
        "pallet": "hu:acme/P-1",
        "product": "牛腱",
        "plant": "1974",
        "lot": "L1",
        "cases": "48",
        "site": "loc:w1",
        "seal": "CN123456",
        "seal_state": "完好",
    },
    "receipt": {"pallet": "hu:acme/P-1", "room": "room:w1/a", "sender": "acme", "receiver": "w1", "vehicle": "veh:T-1"},
    "dispatch": {
        "pallet": "hu:acme/P-1",
        "room": "room:w1/a",
        "sender": "w1",
        "receiver": "shop",
        "vehicle": "veh:T-1",
    },
    "sale": {
        "from_pallet": "hu:acme/P-1",
        "product": "牛腱",
        "plant": "1974",
        "lot": "L1",
        "cases": "2",
        "room": "room:w1/a",
        "sender": "shop",
        "receiver": "consumer",
    },
    "stock-count": {"room": "room:w1/a", "product": "牛腱", "plant": "1974", "produced": "2026-01-02", "kg": "12.5"},
    "opening-stock": {
        "room": "room:w1/a",
        "pallet": "hu:acme/P-2",
        "product": "x",
        "plant": "1",
        "lot": "2",
        "cases": "3",
    },
    "temperatures": {"place": "room:w1/a", "probe": "p1", "celsius": "-18.4"},
    "exception-claims": {"id": "C1", "code": "E2", "from": "2026-03-01", "to": "2026-03-02", "units": "hu:acme/P-1"},
}


def filled(kind: str, language: str, **changed: str) -> tuple[Mapping, Table]:
    """A sheet made of the kind's own template, one row filled in."""
    values = {"time": "2026-03-01 10:00", "document": "N-1", **ROWS[kind], **changed}
    one = KINDS[kind]
    names = headings(one, "zh" if language == "zh" else "en")
    row = tuple(values.get(field.name) for field in one.fields)
    return Mapping(one), Table("", (Row(1, tuple(names)), Row(2, row)))


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("kind", KINDS)
class TestKinds:
    def test_a_template_filled_in_states_facts_that_are_valid_events_or_claims(self, kind: str, language: str) -> None:
        mapping, sheet = filled(kind, language)
        reading = read_sheet(mapping, sheet)
        assert not reading.faults
        found = facts("acme", mapping, reading.records)
        assert found
        for fact in found:
            if fact.event is None:
                assert fact.body["doc"] == "exception-claim"
            else:
                (event,) = decode_epcis(canonical(fact.body), "acme")
                assert event.event_id.startswith("urn:uuid:")

    def test_the_same_row_states_the_same_bytes_and_another_paper_another_event(self, kind: str, language: str) -> None:
        mapping, sheet = filled(kind, language)
        once, again = (facts("acme", mapping, read_sheet(mapping, sheet).records) for _ in range(2))
        assert [canonical(fact.body) for fact in once] == [canonical(fact.body) for fact in again]
        if "document" in {field.name for field in KINDS[kind].fields}:
            other = facts("acme", mapping, read_sheet(*filled(kind, language, document="N-2")).records)
            assert not {canonical(fact.body) for fact in once} & {canonical(fact.body) for fact in other}

    def test_the_template_says_in_its_file_what_its_headings_are(self, kind: str, language: str) -> None:
        chosen = "zh" if language == "zh" else "en"
        names = headings(KINDS[kind], chosen)
        book = load_workbook(io.BytesIO(xlsx_template(KINDS[kind], chosen)))
        assert [cell.value for cell in book.worksheets[0][1]] == names
        assert len(book.worksheets) == 2
        assert csv_template(KINDS[kind], chosen).decode("utf-8-sig").strip() == ",".join(names)
        found = layout(Mapping(KINDS[kind]), read_table(csv_template(KINDS[kind], chosen)))
        assert list(found.places) == [field.name for field in KINDS[kind].fields]


def test_lines_of_one_lot_add_up() -> None:
    mapping = parse_mapping({"kind": "packing-list"})
    reading = read_sheet(mapping, table(HEAD, LINE, LINE))
    (fact,) = facts("acme", mapping, reading.records)
    assert fact.event is not None
    assert [(one["quantity"], one.get("uom")) for one in fact.event["childQuantityList"]] == [
        (800, None),
        (20001, "KGM"),
    ]
    assert fact.rows == (2, 3)


def test_another_count_under_the_same_number_keeps_the_events_id() -> None:
    mapping = parse_mapping({"kind": "packing-list"})
    ids = set()
    for line in (LINE, LINE.replace("400", "401")):
        (fact,) = facts("acme", mapping, read_sheet(mapping, table(HEAD, line)).records)
        assert fact.event is not None
        ids.add(fact.event["eventID"])
    assert len(ids) == 1


def test_goods_with_a_slash_in_their_name_are_one_lot_and_no_other() -> None:
    mapping = parse_mapping({"kind": "packing-list"})
    lots = set()
    for product in ("a/b", "a%2Fb", "a"):
        reading = read_sheet(mapping, table(HEAD, LINE.replace("冷冻牛腱", product)))
        (event,) = decode_epcis(canonical(facts("acme", mapping, reading.records)[0].body), "acme")
        lots.add(event.quantities[0].item)
    assert len(lots) == 3


def test_a_thousand_lots_in_one_room_are_several_events_that_each_fit_an_entry() -> None:
    mapping = Mapping(KINDS["stock-count"])
    head = tuple(headings(KINDS["stock-count"], "en"))
    names = [field.name for field in KINDS["stock-count"].fields]
    rows = [Row(1, head)]
    for number in range(1000):
        said = {"time": "2026-03-01", "room": "room:w1/a", "product": "冷冻牛腱", "plant": "1974", "lot": f"L{number}"}
        rows.append(Row(number + 2, tuple({**said, "cases": "4"}.get(name) for name in names)))
    found = facts("acme", mapping, read_sheet(mapping, Table("", tuple(rows))).records)
    assert len(found) == 5
    assert max(len(canonical(fact.body)) for fact in found) < 60_000
    assert len({fact.event["eventID"] for fact in found if fact.event}) == 5


def test_a_label_is_a_page_with_a_qr_code_of_the_name_an_import_takes() -> None:
    once, again = label_pdf(["hu:acme/P-1", "hu:acme/P-2"]), label_pdf(["hu:acme/P-1", "hu:acme/P-2"])
    assert once.startswith(b"%PDF-")
    assert once.count(b"/Type /Page\n") == 2
    assert once == again
