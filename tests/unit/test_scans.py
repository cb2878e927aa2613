"""What scanners send and people type: names, and what else a label says."""

from __future__ import annotations

import re
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import pytest
from biip.gs1_messages import GS1Message
from hypothesis import given
from hypothesis import strategies as st

from coldchain.decoders.scans import named, read_scan
from coldchain.domain.identifiers import IdentifierError, check_digit, subject_name

GS = "\x1d"
YEAR = 2026
SSCC = "169012345000000025"
GTIN = "16901234500018"
GLN = "6901234500011"
GRAI = "06901234510010PLT0000001"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (f"(00){SSCC}", f"sscc:{SSCC}"),
        ("(00) 1 6901234 500000002 5", f"sscc:{SSCC}"),
        ("（００）１６９０１２３４５０００００００２５", f"sscc:{SSCC}"),
        (f"00{SSCC}", f"sscc:{SSCC}"),
        (f"]C100{SSCC}", f"sscc:{SSCC}"),
        (f"]C100{SSCC}{GS}", f"sscc:{SSCC}"),
        (f"]e001{GTIN}", f"code:gtin/{GTIN}"),
        (f"]d201{GTIN}21S-9", f"case:{GTIN}/S-9"),
        (f"]Q301{GTIN}10L/7{GS}21S-9", f"case:{GTIN}/S-9"),
        (f"]d201{GTIN}10L/7", f"lot:{GTIN}/L/7"),
        (f"{GS}01{GTIN}{GS}10L7{GS}15261231", f"lot:{GTIN}/L7"),
        (f"(01){GTIN}(10)AB(C)1", f"lot:{GTIN}/AB(C)1"),
        (f"(01){GTIN}(10)50%2F", f"lot:{GTIN}/50%2F"),
        (f"(02){GTIN}(37)60(00){SSCC}", f"sscc:{SSCC}"),
        (f"(02){GTIN}(37)60(10)L7", f"lot:{GTIN}/L7"),
        (f"(414){GLN}", f"loc:{GLN}"),
        (f"(414){GLN}(254)dock-2", f"loc:{GLN}/dock-2"),
        (f"(414){GLN}(254)0", f"loc:{GLN}"),
        (f"(417){GLN}", f"loc:{GLN}"),
        (f"(8003){GRAI}", f"grai:{GRAI}"),
        (f"]C18003{GRAI}{GS}", f"grai:{GRAI}"),
        ("(8003)06901234510010", "code:grai/06901234510010"),
        (f"]C18003{GRAI}{GS}00{SSCC}", f"sscc:{SSCC}"),
        ("(8004)400000112345", "code:giai/400000112345"),
        ("]E06901234500011", "code:gtin/06901234500011"),
        ("]I116901234500018", f"code:gtin/{GTIN}"),
        (f"]Q1https://id.gs1.org/01/{GTIN}/21/7", f"case:{GTIN}/7"),
        ("]Q0hu:polar/7", "hu:polar/7"),
        (SSCC, f"sscc:{SSCC}"),
        ("224820261012345678", "decl:224820261012345678"),
        ("moru 071498-3", "cont:MORU0714983"),
        ("]C0MORU0714983", "cont:MORU0714983"),
        ("urn:epc:id:sscc:6901234.1500000002", f"sscc:{SSCC}"),
        ("veh:TRUCK-1", "veh:TRUCK-1"),
        (" lot:1974/beef/2020.6.1 ", "lot:1974/beef/2020-06-01"),
    ],
)
def test_whatever_is_typed_or_scanned_leads_to_its_name(text: str, name: str) -> None:
    assert named(text) == name


@pytest.mark.parametrize(
    ("text", "position", "expected"),
    [
        ("(00)169012345000000026", 21, "check digit 5"),
        ("]C100169012345000000026", 22, "check digit 5"),
        ("(00)16901234500000002", 21, "18 digits, found 17"),
        ("(00)1690123450000000255", 22, "18 digits, found 19"),
        ("(00)16901234500000O025", 18, "a digit"),
        ("(01)16901234500019", 17, "check digit 8"),
        ("]C10116901234500019", 18, "check digit 8"),
        ("(02)16901234500019(37)6", 17, "check digit 8"),
        ("(414)6901234500012", 17, "check digit 1"),
        ("(8003)06901234510011X", 19, "check digit 0"),
        ("(8003)16901234510010X", 6, "Global Returnable Asset Identifier"),
        (f"]E0{GLN[:-1]}2", 15, "check digit 1"),
        ("]E012345", 8, "14 digits, found 5"),
        (f"]C101{GTIN}10{'A' * 21}2112", 41, "FNC1 or the end behind (10), format N2+X..20"),
        (f"(01){GTIN}(10){'A' * 21}", 22, "Batch or lot number (10), format N2+X..20"),
        (f"(01){GTIN}(10)", 22, "Batch or lot number"),
        (f"]C101{GTIN}10L7~", 23, "FNC1 or the end behind (10)"),
        (f"]C101{GTIN}3760x", 23, "FNC1 or the end behind (37)"),
        (f"]C101{GTIN}15261301", 21, "Best before date"),
        (f"]C101{GTIN[:-2]}{GS}10L7", 17, "14 digits, found 12"),
        (f"(01){GTIN}(1)5", 18, "14 digits, found 18"),
        (f"(01){GTIN}(9999)5", 19, "an application identifier"),
        (f"(01){GTIN}(100)5", 19, "an application identifier, such as 10"),
        (f"]C105{GTIN}", 3, "an application identifier"),
        (f"(01){GTIN}(10)A(21)B(10)C", 32, "(10) to say 'A', as before"),
        ("(x)1", 0, "in brackets, such as (00)"),
        ("()", 0, "in brackets, such as (00)"),
        (f"(01){GTIN}(10)批次7", 22, "printable ASCII"),
        (f"]C101{GTIN}10L\x007", 22, "printable ASCII"),
        ("(15)261231", 0, "one of the keys (00)"),
        ("]C1", 0, "one of the keys (00)"),
        ("]Q1", 0, "printable text"),
        ("(10)" + "A" * 8000, 7089, "at most 7,089 characters"),
        ("169012345000000026", 0, "the number of a declaration, or of a pallet"),
        ("MORU0714984", 10, "check digit 3"),
        ("MORX0714983", 3, "U, J or Z"),
        ("TRUCK-1", 0, "a URI or a subject name"),
        ("", 0, "printable text"),
    ],
)
def test_a_misread_scan_is_refused_with_the_place(text: str, position: int, expected: str) -> None:
    with pytest.raises(IdentifierError) as caught:
        named(text)
    assert (caught.value.position, expected in caught.value.expected) == (position, True), str(caught.value)


def test_eighteen_digits_that_fit_a_declaration_and_a_pallet_are_asked_about() -> None:
    body = "22482026101234567"
    both = body + check_digit(body)
    with pytest.raises(IdentifierError, match="decl: or sscc: before it, for both fit"):
        named(both)
    assert named(f"decl:{both}") == f"decl:{both}"
    assert named(f"sscc:{both}") == f"sscc:{both}"


def test_a_carton_label_says_lot_dates_weight_and_serial() -> None:
    scan = read_scan(f"]C101{GTIN}1126010513260106152701053103027250" + "1727020510L7" + GS, YEAR)
    assert scan.names == (f"lot:{GTIN}/L7",)
    assert (scan.produced, scan.packed) == ("2026-01-05", "2026-01-06")
    assert (scan.best_before, scan.expires) == ("2027-01-05", "2027-02-05")
    assert (scan.net_kg, scan.lot, scan.serial, scan.count) == (Decimal("27.250"), "L7", "", None)
    assert list(scan.elements) == ["01", "11", "13", "15", "3103", "17", "10"]


def test_a_case_label_names_the_case_and_its_lot() -> None:
    scan = read_scan(f"(01){GTIN}(10)L7(21)S9", YEAR)
    assert scan.names == (f"case:{GTIN}/S9", f"lot:{GTIN}/L7")
    assert (scan.lot, scan.serial) == ("L7", "S9")


def test_a_pallet_label_says_what_is_on_the_pallet() -> None:
    scan = read_scan(f"]C102{GTIN}3760{GS}10L7{GS}00{SSCC}", YEAR)
    assert scan.names == (f"sscc:{SSCC}", f"lot:{GTIN}/L7")
    assert scan.count == 60


@pytest.mark.parametrize(
    ("ai", "digits", "kg"), [("3100", "000027", "27"), ("3102", "002725", "27.25"), ("3105", "000001", "0.00001")]
)
def test_a_net_weight_is_exact(ai: str, digits: str, kg: str) -> None:
    assert read_scan(f"(01){GTIN}({ai}){digits}", YEAR).net_kg == Decimal(kg)


@pytest.mark.parametrize(
    ("ai", "digits", "field", "day"),
    [
        ("15", "260200", "best_before", "2026-02-28"),
        ("15", "280200", "best_before", "2028-02-29"),
        ("17", "261200", "expires", "2026-12-31"),
        ("11", "260200", "produced", "2026-02"),
        ("13", "260200", "packed", "2026-02"),
        ("11", "760101", "produced", "2076-01-01"),
        ("11", "770101", "produced", "1977-01-01"),
    ],
)
def test_dates_of_labels_have_a_century_and_perhaps_no_day(ai: str, digits: str, field: str, day: str) -> None:
    assert getattr(read_scan(f"(01){GTIN}({ai}){digits}", YEAR), field) == day


@pytest.mark.parametrize("digits", ["260230", "260001", "260431"])
def test_a_date_the_calendar_does_not_have_is_refused(digits: str) -> None:
    with pytest.raises(IdentifierError, match="YYMMDD") as caught:
        read_scan(f"(01){GTIN}(15){digits}", YEAR)
    assert caught.value.position == 22


def test_two_net_weights_are_no_weight() -> None:
    with pytest.raises(IdentifierError, match="one net weight"):
        read_scan(f"(01){GTIN}(3102)002725(3103)027250", YEAR)


@pytest.mark.parametrize("text", [f"sscc:{SSCC}", SSCC, f"https://id.gs1.org/00/{SSCC}"])
def test_a_plain_identifier_is_no_label(text: str) -> None:
    with pytest.raises(IdentifierError, match="an element string"):
        read_scan(text, YEAR)


VALUE = st.text("ABCabc0123456789-./()%", min_size=1, max_size=20)


@given(VALUE, VALUE, st.integers(1, 99_999_999))
def test_a_scan_reads_as_an_independent_reader_has_it(lot: str, serial: str, count: int) -> None:
    raw = f"01{GTIN}10{lot}{GS}37{count}{GS}21{serial}"
    mine = read_scan(f"]d2{raw}", YEAR).elements
    theirs = {element.ai.ai: element.value for element in GS1Message.parse(raw).element_strings}
    assert mine == theirs == {"01": GTIN, "10": lot, "37": str(count), "21": serial}
    assert named(f"]d2{raw}") == subject_name(f"case:{GTIN}/{serial}")


PAGE = (Path(__file__).parents[2] / "docs" / "identifiers.md").read_text()
ANYWHERE, TYPED = (
    re.findall(r"^\| `([^`]+)`(.*) \| `([^`]+)` \|$", part, re.M) for part in PAGE.split("Only where a person types")
)


@pytest.mark.parametrize(("spelling", "said", "name"), [*ANYWHERE, *TYPED])
def test_the_page_of_identifiers_tells_the_truth(spelling: str, said: str, name: str) -> None:
    for value in re.findall(r"FNC1 behind `([0-9]+)`", said):
        spelling = spelling.replace(value, value + GS)
    assert named(spelling) == name
    if (spelling, said, name) in ANYWHERE:
        assert subject_name(spelling) == name


SCANS = [
    f"]C102{GTIN}3760{GS}10L7{GS}00{SSCC}",
    f"(01){GTIN}(11)260105(3103)027250(10)L(7",
    f"]d28003{GRAI}{GS}15270131",
    f"]Q1https://id.gs1.org/01/{GTIN}/21/%2F7",
    "]E06901234500011",
    "224820261012345678",
]


@st.composite
def spoilt(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(SCANS))
    start = draw(st.integers(0, len(text)))
    piece = draw(st.text(max_size=3) | st.text(f"()]{GS}0123C", max_size=6))
    return text[:start] + piece + text[draw(st.integers(start, min(len(text), start + 4))) :]


@given(st.text() | spoilt(), st.integers(1, 9999))
def test_no_scan_raises_anything_but_the_error_of_identifiers(text: str, year: int) -> None:
    with suppress(IdentifierError):
        read_scan(text, year)
    with suppress(IdentifierError):
        name = named(text)
        assert subject_name(name) == name
