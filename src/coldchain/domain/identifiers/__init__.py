"""Identifiers of goods, units, places, papers and seals (domain §2): many spellings, one name, one error.

Pure and without libraries; what scanners send is read by `coldchain.decoders.scans`.
"""

from coldchain.domain.identifiers.checkdigits import check_digit
from coldchain.domain.identifiers.errors import IdentifierError
from coldchain.domain.identifiers.goods import MAX_NAME_BYTES, foreign_code, handling_unit, plant_lot
from coldchain.domain.identifiers.names import subject_name
from coldchain.domain.identifiers.papers import (
    PlantNumber,
    check_container,
    credit_code,
    declaration,
    food_licence,
    hs_code,
    plant_number,
    plate,
)
from coldchain.domain.identifiers.seals import Seal, one_misread_apart, seal, seal_number
from coldchain.domain.identifiers.uris import digital_link, epc_urn, uri

__all__ = [
    "MAX_NAME_BYTES",
    "IdentifierError",
    "PlantNumber",
    "Seal",
    "check_container",
    "check_digit",
    "credit_code",
    "declaration",
    "digital_link",
    "epc_urn",
    "food_licence",
    "foreign_code",
    "handling_unit",
    "hs_code",
    "one_misread_apart",
    "plant_lot",
    "plant_number",
    "plate",
    "seal",
    "seal_number",
    "subject_name",
    "uri",
]
