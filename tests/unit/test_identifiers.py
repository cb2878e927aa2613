"""Every spelling of an identifier has one name; a malformed one says where and what was expected."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from coldchain.domain.identifiers import IdentifierError, check_container, check_digit, subject_name

DIGITS = st.text("0123456789", min_size=12, max_size=12)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("urn:epc:id:sscc:6901234.1500000002", "sscc:169012345000000025"),
        ("https://id.gs1.org/00/169012345000000025", "sscc:169012345000000025"),
        ("urn:epc:id:sgtin:0614141.107346.2018", "case:10614141073464/2018"),
        ("https://id.gs1.org/01/10614141073464/21/2018", "case:10614141073464/2018"),
        ("https://shop.example/some/path/01/10614141073464/10/L7/21/2018?17=261231", "case:10614141073464/2018"),
        ("https://id.gs1.org/01/614141073467/21/2018", "case:00614141073467/2018"),
        ("urn:epc:id:sgtin:0614141.107346.A%2FB", "case:10614141073464/A/B"),
        ("urn:epc:class:lgtin:4012345.012345.998877", "lot:04012345123456/998877"),
        ("https://id.gs1.org/01/04012345123456/10/998877", "lot:04012345123456/998877"),
        ("urn:epc:idpat:sgtin:4012345.098765.*", "code:gtin/04012345987652"),
        ("urn:epc:id:sgln:0614141.07346.0", "loc:0614141073467"),
        ("urn:epc:id:sgln:0614141.07346.1234", "loc:0614141073467/1234"),
        ("https://id.gs1.org/414/0614141073467/254/1234", "loc:0614141073467/1234"),
        ("urn:epc:id:grai:4012345.55555.987", "grai:04012345555554987"),
        ("https://id.example.com/8003/04012345555554987", "grai:04012345555554987"),
        ("urn:coldchain:veh:TRUCK-1", "veh:TRUCK-1"),
        ("urn:coldchain:room:w1/a", "room:w1/a"),
        ("urn:coldchain:loc:w1/dock-2", "loc:w1/dock-2"),
        ("urn:coldchain:hu:polar/%E6%89%98-7", "hu:polar/托-7"),
        ("cont:MORU0714983", "cont:MORU0714983"),
        ("ｓｓｃｃ:１６９０１２３４５０００００００２５", "sscc:169012345000000025"),
        ("lot:1974/beef/2020-06-01", "lot:1974/beef/2020-06-01"),
        ("urn:epc:id:giai:4000001.12345", "code:giai/400000112345"),
        ("geo:42.698334,23.319941", "code:uri/geo:42.698334,23.319941"),
        ("https://example.com/lot/7", "code:uri/https://example.com/lot/7"),
    ],
)
def test_a_spelling_leads_to_its_one_name(spelling: str, name: str) -> None:
    assert subject_name(spelling) == name
    assert subject_name(name) == name


@pytest.mark.parametrize(
    ("value", "position", "expected"),
    [
        ("sscc:169012345000000026", 22, "check digit 5"),
        ("sscc:16901234500000002", 22, "18 digits, found 17"),
        ("sscc:1690123450000000O5", 21, "a digit"),
        ("urn:coldchain:sscc:169012345000000026", 36, "check digit 5"),
        ("https://id.gs1.org/00/169012345000000026", 39, "check digit 5"),
        ("https://id.gs1.org/01/10614141073465/21/1", 35, "check digit 4"),
        ("https://id.gs1.org/01/10614141073464/21/1/10/L", 42, "order 22, 10, 21"),
        ("https://id.gs1.org/01/10614141073464/21", 39, "a value after"),
        ("urn:epc:id:sgtin:0614141.10734.2018", 30, "6 digits, found 5"),
        ("urn:epc:id:sgtin:06141.10734612.2018", 17, "a company prefix of 6 to 12 digits"),
        ("urn:epc:id:sgtin:0614141.107346", 31, "3 parts"),
        ("urn:epc:id:sgtin:0614141.107346.", 32, "a serial"),
        ("urn:epc:id:sscc:061414I.1234567890", 22, "a digit"),
        ("urn:epc:id:sscc:0614141.1234567890.1", 35, "nothing after"),
        ("urn:epc:tag:sgtin-96:1", 8, "id:, class: or idpat:"),
        ("case:10614141073464", 19, "/ and a serial"),
        ("cont:MORU0714984", 15, "check digit 3"),
        ("cont:MOR", 8, "U, J or Z"),
        ("grai:1690123451001", 5, "0 before"),
        ("loc:6901234500012", 16, "check digit 1"),
        ("urn:coldchain:truck:1", 14, "a subject name"),
        ("TRUCK-1", 0, "a URI or a subject name"),
        ("  ", 0, "printable"),
        ("urn:coldchain:veh:a%0Ab", 14, "printable"),
        ("code:x/\ud800", 7, "printable"),
        ("veh:a\nb", 5, "printable"),
    ],
)
def test_a_malformed_identifier_says_where_and_what_was_expected(value: str, position: int, expected: str) -> None:
    with pytest.raises(IdentifierError) as caught:
        subject_name(value)
    assert caught.value.position == position
    assert expected in caught.value.expected
    assert caught.value.expected in str(caught.value)


@pytest.mark.parametrize("number", ["CSQU3054383", "MORU0714983", "MSKU6011672"])
def test_real_container_numbers_are_accepted(number: str) -> None:
    assert check_container(number) == number


@pytest.mark.parametrize("code", ["6901234500011", "16901234500018", "169012345000000025"])
def test_the_examples_of_the_domain_have_right_check_digits(code: str) -> None:
    assert check_digit(code[:-1]) == code[-1]


@given(DIGITS, st.integers(0, 12), st.integers(1, 9))
def test_one_misread_digit_never_passes(body: str, place: int, shift: int) -> None:
    code = body + check_digit(body)
    wrong = code[:place] + str((int(code[place]) + shift) % 10) + code[place + 1 :]
    with pytest.raises(IdentifierError):
        subject_name(f"https://id.gs1.org/414/{wrong}")


@given(
    st.text()
    | st.text("urnepcidsg:.0123456789/%", max_size=40).map("urn:epc:id:sgtin:".__add__)
    | st.text("/[]:@0124 \t?#%", max_size=40).map("https://".__add__)
)
@example("http://[/")
@example("https://id.gs1.org/0\t0/169012345000000025")
def test_any_text_gives_a_name_of_at_most_128_bytes_or_a_reason(text: str) -> None:
    with suppress(IdentifierError):
        name = subject_name(text)
        assert 0 < len(name.encode()) <= 128
        assert subject_name(name) == name


def test_a_uri_too_long_for_a_subject_is_named_by_its_hash() -> None:
    name = subject_name("https://example.com/" + "x" * 200)
    assert name.startswith("code:sha256/")
    assert subject_name("https://example.com/" + "x" * 201) != name
