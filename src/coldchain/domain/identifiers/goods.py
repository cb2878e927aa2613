"""Names of what has no GS1 number: lots by plant, product and printed date; own handling units; foreign codes.

Frozen imports often come without GTIN, pallets without SSCC (domain §2): they are named here and treated as all others.
"""

from __future__ import annotations

import datetime
import hashlib
import re

from coldchain.domain.identifiers.errors import IdentifierError
from coldchain.domain.identifiers.papers import plant_number
from coldchain.domain.identifiers.spelling import compact, normalised

MAX_NAME_BYTES = 128
"""Ledger §5.1."""

_PRINTED_DATE = re.compile(
    r"([0-9]{4})(?:[-./] ?([0-9]{1,2})[-./] ?([0-9]{1,2})|年 ?([0-9]{1,2})月 ?([0-9]{1,2})日?|([0-9]{2})([0-9]{2}))"
)
_SCHEME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")


def plant_lot(plant: str, product: str, printed: str) -> str:
    """`lot:<plant>/<product>/<lot or date as printed>`. Raises IdentifierError.

    A date printed year first is written 2026-01-05, however it was divided; any other text stays as printed. A / in
    plant or product is written %2F, since it divides the parts.
    """
    return lot_of_plant(_part(plant_number(plant).value), _part(product), normalised(printed))


def lot_of_plant(plant: str, product: str, printed: str) -> str:
    """The name of parts that hold no /; where it exceeds 128 bytes, the hash of product and print stands for them."""
    name = f"lot:{plant}/{product}/{_date_or_text(printed)}"
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    return f"lot:{plant}/sha256/{hashlib.sha256(name.encode()).hexdigest()}"


def handling_unit(organisation: str, number: str) -> str:
    """`hu:<org>/<id>`: a pallet without SSCC, under the label it gets at its first tally. Raises IdentifierError."""
    owner, own = normalised(organisation), normalised(number)
    if "/" in owner:
        raise IdentifierError(owner, owner.index("/"), "an organisation without /")
    return _short(f"hu:{owner}/{own}")


def foreign_code(scheme: str, code: str) -> str:
    """`code:<scheme>/<code>`: an alias such as a province's trace code. Raises IdentifierError."""
    system = compact(scheme, "").lower()
    if not _SCHEME.fullmatch(system):
        raise IdentifierError(system, 0, "a scheme of 1 to 32 of a-z 0-9 . _ -, beginning with a letter or digit")
    return _short(f"code:{system}/{normalised(code)}")


def _part(text: str) -> str:
    return normalised(text).replace("%", "%25").replace("/", "%2F")


def _date_or_text(printed: str) -> str:
    match = _PRINTED_DATE.fullmatch(printed)
    if match is None:
        return printed
    year, month, day = (int(number) for number in match.groups() if number)
    try:
        return datetime.date(year, month, day).isoformat()
    except ValueError:  # digits in the shape of a date that the calendar does not have
        return printed


def _short(name: str) -> str:
    if len(name.encode()) > MAX_NAME_BYTES:
        raise IdentifierError(
            name, len(name) - 1, f"a name of at most {MAX_NAME_BYTES} bytes, found {len(name.encode())}"
        )
    return name
