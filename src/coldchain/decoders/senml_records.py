"""SenML records in their usual form (RFC 8428 §4.2, §4.3), as msgspec reads them."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

SENML_VERSION: Literal[10] = 10


class Record(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """What the typed reader takes. Base values, sums, data values, nulls and extensions, some of which must be
    understood (§4.4), are errors here."""

    n: str = ""
    u: str = ""
    v: float | UnsetType = UNSET
    t: float = 0.0
    vb: bool | UnsetType = UNSET
    vs: str | UnsetType = UNSET
    bn: str | UnsetType = UNSET
    bt: float | UnsetType = UNSET
    bu: str | UnsetType = UNSET
    bver: Literal[10] = SENML_VERSION


records = msgspec.json.Decoder(list[Record]).decode
