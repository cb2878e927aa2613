"""Names and URIs lead to each other: Digital Links, EPC URNs, private ones; goods without GS1 numbers too."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from functools import partial

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from coldchain.domain.identifiers import (
    IdentifierError,
    check_container,
    check_digit,
    credit_code,
    declaration,
    digital_link,
    epc_urn,
    food_licence,
    foreign_code,
    handling_unit,
    hs_code,
    plant_lot,
    plant_number,
    plate,
    seal,
    subject_name,
    uri,
)


def plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip()


def digits(count: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=count, max_size=count)


def keyed(count: int) -> st.SearchStrategy[str]:
    return digits(count - 1).map(lambda body: body + check_digit(body))


def printed(longest: int) -> st.SearchStrategy[str]:
    """Serials and lots, mostly of GS1's characters, sometimes of any."""
    gs1 = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
    text = st.text(gs1, min_size=1, max_size=longest) | st.text(min_size=1, max_size=longest)
    return text.map(plain).filter(lambda made: 1 <= len(made) <= longest and made.isprintable())


SERIALISED = st.one_of(
    keyed(18).map("sscc:{}".format),
    st.builds("case:{}/{}".format, keyed(14), printed(20)),
    st.builds("lot:{}/{}".format, keyed(14), printed(20)),
    keyed(13).map("loc:{}".format),
    st.builds("loc:{}/{}".format, keyed(13), printed(20).filter(lambda extension: extension != "0")),
    st.builds("grai:0{}{}".format, keyed(13), printed(16)),
    keyed(14).map("code:gtin/{}".format),
    keyed(13).map("code:grai/0{}".format),
    st.builds("code:giai/{}{}".format, digits(12), printed(16)),
)


@given(SERIALISED)
def test_a_name_with_a_gs1_key_comes_back_from_its_digital_link(name: str) -> None:
    assert subject_name(digital_link(name)) == name
    assert uri(name) == digital_link(name)
    assert digital_link(name).isascii()


@given(SERIALISED, st.integers(6, 12))
def test_a_name_with_a_gs1_key_comes_back_from_its_epc_urn(name: str, length: int) -> None:
    assert subject_name(epc_urn(name, length)) == name


@given(SERIALISED, st.integers(6, 12))
def test_urn_and_link_of_one_thing_are_two_spellings_of_one_name(name: str, length: int) -> None:
    urn = epc_urn(name, length)
    assert epc_urn(digital_link(urn), length) == urn


@given(
    st.builds("hu:{}/{}".format, printed(20).map(lambda t: t.replace("/", "-")), printed(20))
    | st.builds("veh:{}".format, printed(30))
    | st.builds("code:{}/{}".format, st.from_regex("[a-z]{2,8}", fullmatch=True), printed(40))
    | st.builds("bl:{}".format, printed(30))
)
def test_any_name_comes_back_from_its_uri(text: str) -> None:
    try:
        name = subject_name(text)
    except IdentifierError:
        assume(False)
    assert subject_name(uri(name)) == name


@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("sscc:169012345000000025", "https://id.gs1.org/00/169012345000000025"),
        ("case:10614141073464/A/B 1", "https://id.gs1.org/01/10614141073464/21/A%2FB%201"),
        ("lot:04012345123456/998877", "https://id.gs1.org/01/04012345123456/10/998877"),
        ("loc:6901234500011", "https://id.gs1.org/414/6901234500011"),
        ("loc:0614141073467/1234", "https://id.gs1.org/414/0614141073467/254/1234"),
        ("grai:06901234510010PLT0000001", "https://id.gs1.org/8003/06901234510010PLT0000001"),
        ("code:gtin/16901234500018", "https://id.gs1.org/01/16901234500018"),
    ],
)
def test_links_are_those_of_gs1(name: str, link: str) -> None:
    assert digital_link(name) == link


@pytest.mark.parametrize(
    ("name", "length", "urn"),
    [
        ("sscc:169012345000000025", 7, "urn:epc:id:sscc:6901234.1500000002"),
        ("case:10614141073464/A/B", 7, "urn:epc:id:sgtin:0614141.107346.A%2FB"),
        ("lot:04012345123456/998877", 7, "urn:epc:class:lgtin:4012345.012345.998877"),
        ("code:gtin/04012345987652", 7, "urn:epc:idpat:sgtin:4012345.098765.*"),
        ("loc:0614141073467", 7, "urn:epc:id:sgln:0614141.07346.0"),
        ("loc:0614141073467/1234", 12, "urn:epc:id:sgln:061414107346..1234"),
        ("grai:04012345555554987", 7, "urn:epc:id:grai:4012345.55555.987"),
        ("code:giai/400000112345", 7, "urn:epc:id:giai:4000001.12345"),
        ("cont:CSQU3054383", None, "urn:epc:id:bic:CSQU3054383"),
    ],
)
def test_urns_are_those_of_the_tag_data_standard(name: str, length: int | None, urn: str) -> None:
    assert epc_urn(name, length) == urn
    assert subject_name(urn) == name


@pytest.mark.parametrize("length", [None, 5, 13, 0, -7])
def test_an_epc_urn_without_the_length_of_the_company_prefix_says_that_it_is_needed(length: int | None) -> None:
    with pytest.raises(IdentifierError) as caught:
        epc_urn("sscc:169012345000000025", length)
    assert "the length of its company prefix, 6 to 12 digits, which the name does not tell" in str(caught.value)
    assert str(length) in str(caught.value)


@pytest.mark.parametrize("name", ["hu:polar/7", "lot:1974/beef/2020-06-01", "veh:T1", "loc:w1", "code:zj/1"])
def test_a_name_without_gs1_key_has_neither_link_nor_urn(name: str) -> None:
    for way in (digital_link, partial(epc_urn, prefix_length=7)):
        with pytest.raises(IdentifierError, match="a name with a GS1 key"):
            way(name)
    assert subject_name(uri(name)) == name
    assert uri(name).startswith("urn:coldchain:")


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("urn:epc:id:pgln:4012345.00001", "loc:4012345000016"),
        ("https://id.gs1.org/417/4012345000016", "loc:4012345000016"),
        ("urn:epc:id:bic:CSQU3054383", "cont:CSQU3054383"),
        ("urn:epc:idpat:grai:4012345.55555.*", "code:grai/04012345555554"),
        ("https://id.gs1.org/8003/04012345555554", "code:grai/04012345555554"),
        ("https://id.gs1.org/8004/400000112345", "code:giai/400000112345"),
        ("https://id.gs1.org/414/0614141073467/254/0", "loc:0614141073467"),
        ("HTTPS://ID.GS1.ORG/01/10614141073464/21/2018", "case:10614141073464/2018"),
        ("URN:EPC:id:sgtin:0614141.107346.2018", "case:10614141073464/2018"),
        ("SSCC:169012345000000025", "sscc:169012345000000025"),
        ("https://id.gs1.org/01/10614141073464/21/%EF%BC%A1", "case:10614141073464/A"),
        ("https://id.gs1.org/01/10614141073464/22/2A/10/L7", "lot:10614141073464/L7"),
        ("https://example.com/2026/01/report", "code:uri/https://example.com/2026/01/report"),
        ("https://example.com/2026/01/15", "code:uri/https://example.com/2026/01/15"),
        ("https://example.com/01/10614141073464/21/7", "case:10614141073464/7"),
        ("cont:moru 071498-3", "cont:MORU0714983"),
        ("decl:2248 2026 1 012345678", "decl:224820261012345678"),
    ],
)
def test_two_spellings_of_one_thing_meet_in_one_name(spelling: str, name: str) -> None:
    assert subject_name(spelling) == name
    assert subject_name(name) == name


@pytest.mark.parametrize(
    ("value", "position", "expected"),
    [
        ("lot:16901234500019/L", 17, "check digit 8"),
        ("lot:16901234500019/a/b", 17, "check digit 8"),
        ("lot:16901234500018", 18, "/ and a lot"),
        ("lot:1974/beef", 4, "plant/product/lot"),
        ("lot:1974//2020-06-01", 9, "plant/product/lot"),
        ("code:gtin/16901234500019", 23, "check digit 8"),
        ("code:gtin/1690123450001", 23, "14 digits, found 13"),
        ("code:grai/04012345555555", 23, "check digit 4"),
        ("code:zj", 7, "a scheme, / and a code"),
        ("hu:polar", 8, "an organisation, /"),
        ("hu:/7", 3, "an organisation, /"),
        ("seal:Maersk", 11, "an issuer, /"),
        ("seal:Maersk/ML*234", 14, "a capital letter or digit"),
        ("decl:22482026101234567", 22, "18 digits, found 17"),
        ("decl:224820263012345678", 13, "1 (import)"),
        ("cont:中文字U1234567", 5, "three capital letters"),
        ("grai:06901234510010", 19, "a serial of 1 to 16 characters, found 0"),
        ("grai:06901234510011X", 18, "check digit 0"),
        ("loc:6901234500012/dock", 16, "check digit 1"),
        ("urn:epc:id:bic:CSQU3054384", 15 + 10, "check digit 3"),
        ("urn:epc:id:gtin:1", 8, "a scheme of EPC"),
        ("urn:epc:id:pgln:4012345.00001.7", 30, "nothing after"),
        ("urn:epc:idpat:sgtin:4012345.098765.7", 35, "* in place of the serial"),
        ("urn:epc:id:grai:4012345.55555.12345678901234567", 30, "a serial of 1 to 16"),
        ("https://id.gs1.org/01/15", 24, "14 digits, found 2"),
        ("https://id.gs1.org/00/169012345000000025/10/L", 41, "nothing after (00)"),
        ("https://id.gs1.org/01/10614141073464/99/x", 37, "order 22, 10, 21"),
        ("https://id.gs1.org/01/10614141073464/21/%FF", 40, "UTF-8 behind the % signs"),
        ("https://id.gs1.org/01/10614141073464/21/%0A", 40, "printable characters"),
        ("https://id.gs1.org/01/10614141073464/21/123456789012345678901", 40, "1 to 20 characters"),
    ],
)
def test_what_names_nothing_is_refused_with_the_place(value: str, position: int, expected: str) -> None:
    with pytest.raises(IdentifierError) as caught:
        subject_name(value)
    assert (caught.value.position, expected in caught.value.expected) == (position, True), str(caught.value)


@pytest.mark.parametrize(
    ("date_as_printed", "name"),
    [
        ("2020-06-01", "lot:1974/牛腱 frozen/2020-06-01"),
        ("2020.6.1", "lot:1974/牛腱 frozen/2020-06-01"),
        ("2020/06/01", "lot:1974/牛腱 frozen/2020-06-01"),
        ("２０２０年６月１日", "lot:1974/牛腱 frozen/2020-06-01"),
        ("20200601", "lot:1974/牛腱 frozen/2020-06-01"),
        ("20209901", "lot:1974/牛腱 frozen/20209901"),
        ("01 JUN 2020", "lot:1974/牛腱 frozen/01 JUN 2020"),
        ("L-20/7", "lot:1974/牛腱 frozen/L-20/7"),
    ],
)
def test_a_lot_without_gtin_is_its_plant_product_and_printed_date(date_as_printed: str, name: str) -> None:
    assert plant_lot("1974", "牛腱 frozen", date_as_printed) == name
    assert subject_name(name) == subject_name(uri(name)) == name
    assert subject_name(f"lot:1974/牛腱 frozen/{date_as_printed}") == name


def test_a_product_with_a_slash_stays_one_part() -> None:
    name = plant_lot("CBOL 1201 220921 0001", "beef/bone-in 100%", "L1")
    assert name == "lot:CBOL12012209210001/beef%2Fbone-in 100%25/L1"
    assert subject_name(uri(name)) == name
    assert plant_lot("1974", "a/b", "c") != plant_lot("1974", "a", "b/c")


def test_a_lot_with_a_very_long_product_keeps_its_kind_and_plant() -> None:
    name, other = (
        plant_lot("CBOL12012209210001", "冷冻去骨牛肉前四分体" * 5, day) for day in ("2026-01-05", "2026-01-06")
    )
    assert name.startswith("lot:CBOL12012209210001/sha256/")
    assert name != other
    assert len(name.encode()) <= 128
    assert subject_name(name) == name


@given(st.dates(date(1990, 1, 1)))
def test_every_printed_date_is_one_name_however_divided(day: date) -> None:
    forms = [f"{day:%Y}{a}{day.month}{b}{day.day}{c}" for a, b, c in ("-- ", ".. ", "// ", "年月日")]
    assert {plant_lot("1974", "beef", form) for form in forms} == {f"lot:1974/beef/{day.isoformat()}"}


def test_pallets_without_sscc_and_foreign_codes_have_names() -> None:
    assert handling_unit("polar", "ＨＵ-7") == subject_name("hu:polar/HU-7")
    assert foreign_code("ZJ-cold", "33/0001") == subject_name("code:zj-cold/33/0001")


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (partial(handling_unit, "a/b", "7"), "an organisation without /"),
        (partial(handling_unit, "polar", " "), "printable text"),
        (partial(handling_unit, "polar", "x" * 120), "at most 128 bytes"),
        (partial(foreign_code, "浙冷链", "1"), "a scheme of 1 to 32"),
        (partial(foreign_code, "zj", ""), "printable text"),
        (partial(foreign_code, "zj", "链" * 50), "at most 128 bytes"),
        (partial(plant_lot, "", "beef", "L1"), "printable text"),
        (partial(plant_lot, "1974", "", "L1"), "printable text"),
        (partial(plant_lot, "1974", "beef", "\n"), "printable text"),
        (partial(plant_lot, "1974", "be\x00ef", "L1"), "printable text"),
    ],
)
def test_a_name_missing_a_part_is_refused(make: Callable[[], str], expected: str) -> None:
    with pytest.raises(IdentifierError) as caught:
        make()
    assert expected in caught.value.expected


EXAMPLES = st.sampled_from(
    [
        "urn:epc:id:sgtin:0614141.107346.2018",
        "urn:epc:id:giai:4000001.12345",
        "urn:epc:id:sgln:061414107346..1",
        "https://id.gs1.org/01/10614141073464/10/L%20/21/20",
        "https://id.gs1.org/8003/06901234510010PLT%2F1",
        "urn:coldchain:lot:1974/beef%2Fx/2020.06.01",
        "lot:1974/beef/20200601",
        "seal:Maersk/ML1234",
        "code:gtin/16901234500018",
        "224820261012345678",
        "CBOL12012209210001",
        "MORU0714983",
        "沪AD12345",
        "91350100M000100Y43",
        "SC10741018302531",
    ]
)


@st.composite
def spoilt(draw: st.DrawFn) -> str:
    """An example with a piece of it replaced, and any text at all."""
    text = draw(EXAMPLES)
    start = draw(st.integers(0, len(text)))
    return text[:start] + draw(st.text(max_size=3)) + text[draw(st.integers(start, min(len(text), start + 3))) :]


ENTRIES: tuple[Callable[[str], object], ...] = (
    subject_name,
    digital_link,
    uri,
    lambda text: epc_urn(text, 7),
    check_digit,
    check_container,
    lambda text: declaration(text, 2026),
    hs_code,
    plant_number,
    credit_code,
    food_licence,
    plate,
    lambda text: seal(text, text, text),
    lambda text: seal(text, "x", "H").name,
    lambda text: plant_lot(text, text, text),
    lambda text: handling_unit(text, text),
    lambda text: foreign_code(text, text),
)


@given(st.text() | spoilt())
def test_no_text_raises_anything_but_the_error_of_identifiers(text: str) -> None:
    for entry in ENTRIES:
        with suppress(IdentifierError):
            entry(text)


@given(spoilt())
def test_every_name_there_is_is_its_own_spelling(text: str) -> None:
    with suppress(IdentifierError):
        name = subject_name(text)
        assert subject_name(name) == name
        assert len(name.encode()) <= 128
