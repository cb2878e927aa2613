"""Numbers on papers, doors, seals and licences: every example of the domain passes, every slip is told where it is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import ean, iso6346
from stdnum.cn import uscc
from stdnum.iso7064 import mod_11_10

from coldchain.domain.identifiers import (
    IdentifierError,
    check_container,
    check_digit,
    credit_code,
    declaration,
    food_licence,
    hs_code,
    one_misread_apart,
    plant_number,
    plate,
    seal,
    seal_number,
    subject_name,
)
from coldchain.domain.identifiers.checkdigits import (
    CREDIT_CODE_ALPHABET,
    container_digit,
    credit_character,
    licence_digit,
)

YEAR = 2026


def declared(text: str) -> str:
    return declaration(text, YEAR)


@pytest.mark.parametrize(
    ("check", "spelling", "value"),
    [
        (declared, "224820261012345678", "224820261012345678"),
        (declared, "531620261000000001", "531620261000000001"),
        (declared, "５３１６ 2026 1 000000001", "531620261000000001"),
        (declared, "531620000000000001", "531620000000000001"),
        (hs_code, "0202300090", "0202300090"),
        (hs_code, "0202.30.0090", "0202300090"),
        (hs_code, "0202300090 101", "0202300090101"),
        (check_container, "CSQU3054383", "CSQU3054383"),
        (check_container, "MORU0714983", "MORU0714983"),
        (check_container, "moru 071498-3", "MORU0714983"),
        (check_container, "ＭＯＲＵ０７１４９８３", "MORU0714983"),
        (check_container, "MSKU6011672", "MSKU6011672"),
        (plate, "沪A12345", "沪A12345"),
        (plate, "沪AD12345", "沪AD12345"),
        (plate, "鲁B1234挂", "鲁B1234挂"),
        (plate, "沪A·12345", "沪A12345"),
        (plate, "粤b 12345f", "粤B12345F"),
        (plate, "粤Z1234港", "粤Z1234港"),
        (credit_code, "91350100M000100Y43", "91350100M000100Y43"),
        (credit_code, "91350100m000100y43", "91350100M000100Y43"),
        (food_licence, "SC10741018302531", "SC10741018302531"),
        (food_licence, "sc 107 410183 02531", "SC10741018302531"),
        (seal_number, "ml-cn 1234567", "MLCN1234567"),
        (seal_number, "A123", "A123"),
        (seal_number, "UNNUMBERED", "unnumbered"),
    ],
)
def test_a_number_in_any_spelling_becomes_its_compact_value(
    check: Callable[[str], str], spelling: str, value: str
) -> None:
    assert check(spelling) == value
    assert check(value) == value


@pytest.mark.parametrize(
    ("check", "value", "position", "expected"),
    [
        (declared, "22482026101234567", 17, "18 digits, found 17"),
        (declared, "2248202610123456789", 18, "18 digits, found 19"),
        (declared, "2248202610I2345678", 10, "a digit"),
        (declared, "224819991012345678", 4, "a year from 2000"),
        (declared, "224820271012345678", 4, "not after 2026"),
        (declared, "224820262012345678", 8, "1 (import) or 0 (export)"),
        (declared, "", 0, "printable text"),
        (declared, " - ", 0, "letters or digits"),
        (hs_code, "020230009", 9, "10 digits, found 9"),
        (hs_code, "02023000901", 11, "13 digits, found 11"),
        (hs_code, "02023000901012", 13, "13 digits, found 14"),
        (hs_code, "0202300O90", 7, "a digit"),
        (hs_code, "020230٠090", 6, "a digit"),
        (check_container, "MORU0714984", 10, "check digit 3"),
        (check_container, "MORU071498", 10, "7 digits, found 6"),
        (check_container, "MORU07149833", 11, "7 digits, found 8"),
        (check_container, "MORX0714983", 3, "U, J or Z"),
        (check_container, "MOR", 3, "U, J or Z"),
        (check_container, "MO", 2, "three capital letters"),
        (check_container, "M0RU0714983", 1, "three capital letters"),
        (check_container, "中文字U1234567", 0, "three capital letters"),
        (check_container, "MORU0714 9B3", 9, "a digit"),
        (plate, "A12345", 0, "a province"),
        (plate, "沪1A2345", 1, "the letter of the office"),
        (plate, "沪", 1, "the letter of the office"),
        (plate, "沪A1234", 6, "5 characters"),
        (plate, "沪A1234567", 8, "found 7"),
        (plate, "沪A12I45", 4, "other than I and O"),
        (plate, "沪A1O345", 3, "other than I and O"),
        (plate, "沪A123挂", 5, "4 characters before 挂, found 3"),
        (plate, "沪A12345挂", 6, "4 characters before 挂, found 5"),
        (plate, "沪A1234学", 6, "other than I and O"),
        (plate, "沪A123456", 2, "for new energy"),
        (plate, "沪ADDD345", 2, "for new energy"),
        (credit_code, "91350100M000100Y42", 17, "check character 3"),
        (credit_code, "91350100M000100Y4", 17, "18 characters, found 17"),
        (credit_code, "91350100M000100Y433", 18, "found 19"),
        (credit_code, "9135O100M000100Y43", 4, "other than I, O, S, V, Z"),
        (credit_code, "91350100M000100Z43", 15, "other than I, O, S, V, Z"),
        (credit_code, "公1350100M000100Y43", 0, "other than I, O, S, V, Z"),
        (food_licence, "SC10741018302532", 15, "check digit 1"),
        (food_licence, "QS10741018302531", 0, "SC"),
        (food_licence, "SC30741018302531", 2, "1 (food) or 2"),
        (food_licence, "SC", 2, "1 (food) or 2"),
        (food_licence, "SC1074101830253", 15, "14 digits, found 13"),
        (food_licence, "SC107410183O2531", 11, "a digit"),
        (seal_number, "A12", 3, "4 to 20 letters and digits, found 3"),
        (seal_number, "A" * 21, 20, "found 21"),
        (seal_number, "ML*1234", 2, "a capital letter or digit"),
        (seal_number, "封1234", 0, "a capital letter or digit"),
        (check_digit, "12a", 2, "a digit"),
    ],
)
def test_a_slip_in_a_number_is_told_with_its_place(
    check: Callable[[str], str], value: str, position: int, expected: str
) -> None:
    with pytest.raises(IdentifierError) as caught:
        check(value)
    assert (caught.value.position, expected in caught.value.expected) == (position, True), str(caught.value)
    assert caught.value.value in str(caught.value).replace("'", "")


def test_a_declaration_is_read_without_a_year_to_compare() -> None:
    assert declaration("224820991012345678") == "224820991012345678"


@pytest.mark.parametrize("number", ["CBOL12012209210001", "cbol 1201 220921 0001"])
def test_a_plant_registered_with_gacc_gives_no_warning(number: str) -> None:
    assert plant_number(number) == ("CBOL12012209210001", None)


@pytest.mark.parametrize(
    ("number", "value", "position"),
    [
        ("1974", "1974", 0),
        ("Est. 245-E", "EST.245E", 0),
        ("CBOL1201220921000", "CBOL1201220921000", 17),
        ("CBOL1201220921O001", "CBOL1201220921O001", 14),
        ("CB0L12012209210001", "CB0L12012209210001", 2),
        ("CBOL120122092100012", "CBOL120122092100012", 18),
    ],
)
def test_another_plant_number_is_kept_with_a_warning(number: str, value: str, position: int) -> None:
    found = plant_number(number)
    assert found.value == value
    assert found.warning is not None
    assert found.warning.startswith(f"{value!r} at character {position}: expected a GACC registration")
    assert found.warning.endswith("kept as written")


def test_no_plant_number_at_all_is_an_error() -> None:
    with pytest.raises(IdentifierError, match="printable text"):
        plant_number("  ")


def test_a_seal_is_its_number_its_issuer_and_its_class() -> None:
    stated = seal("ml-cn1234567", "Maersk", "h")
    assert stated == ("MLCN1234567", "Maersk", "H")
    assert stated.name == "seal:Maersk/MLCN1234567"
    assert subject_name("seal:Maersk/ml-cn1234567") == stated.name


def test_a_paper_seal_has_no_name() -> None:
    assert seal("unnumbered", "customs 2248", "I").name is None


@pytest.mark.parametrize(
    ("number", "issuer", "grade", "expected"),
    [
        ("ML", "Maersk", "H", "4 to 20"),
        ("ML1234", "Maersk", "X", "H (high security), S (security) or I (indicative)"),
        ("ML1234", "A/B", "H", "an issuer without /"),
        ("ML1234", "", "H", "printable text"),
    ],
)
def test_a_seal_without_one_of_the_three_is_none(number: str, issuer: str, grade: str, expected: str) -> None:
    with pytest.raises(IdentifierError) as caught:
        seal(number, issuer, grade)
    assert expected in caught.value.expected


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ("MLCN1234567", "MLCN1234561", True),
        ("MLCN1234567", "MLCN123467", True),
        ("MLCN1234567", "MLCN12345667", True),
        ("MLCN1234567", "LCN1234567", True),
        ("O1234", "01234", True),
        ("MLCN1234567", "MLCN1234567", False),
        ("MLCN1234567", "MLCN1234576", False),
        ("MLCN1234567", "MLCN12345", False),
        ("MLCN1234567", "HLXU9988776", False),
        ("unnumbered", "unnumbere", False),
    ],
)
def test_seals_one_misreading_apart_are_told_from_other_seals(one: str, other: str, apart: bool) -> None:
    assert one_misread_apart(one, other) is apart
    assert one_misread_apart(other, one) is apart


NUMBERS = st.text("AB01", min_size=4, max_size=8)


@given(NUMBERS, NUMBERS)
def test_one_misreading_is_one_edit(one: str, other: str) -> None:
    edits = {one[:i] + one[i + 1 :] for i in range(len(one))}
    edits |= {one[:i] + c + one[i + 1 :] for i in range(len(one)) for c in "AB01"}
    edits |= {one[:i] + c + one[i:] for i in range(len(one) + 1) for c in "AB01"}
    assert one_misread_apart(one, other) is (other in edits - {one})


@given(st.text("0123456789", min_size=1, max_size=17))
def test_gs1_check_digits_agree_with_another_implementation(body: str) -> None:
    assert check_digit(body) == ean.calc_check_digit(body)


@given(st.from_regex(r"[A-Z]{3}[UJZ][0-9]{6}", fullmatch=True))
def test_container_check_digits_agree_with_another_implementation(body: str) -> None:
    assert container_digit(body) == iso6346.calc_check_digit(body)
    assert check_container(body + container_digit(body)) == body + container_digit(body)


@given(st.text(CREDIT_CODE_ALPHABET, min_size=17, max_size=17))
def test_credit_code_characters_agree_with_another_implementation(body: str) -> None:
    assert credit_character(body) == uscc.calc_check_digit(body)
    assert credit_code(body + credit_character(body)) == body + credit_character(body)


@given(st.text("0123456789", min_size=1, max_size=20))
def test_licence_check_digits_agree_with_another_implementation(body: str) -> None:
    assert licence_digit(body) == mod_11_10.calc_check_digit(body)
