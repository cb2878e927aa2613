"""Were goods kept as they were packed (倒托, 倒箱)? One file per group of codes, each a pure function (domain §3).

A rule takes the events that bear on a unit and gives the opportunities it sees: suspected, or confirmed. What becomes
of them is `coldchain.domain.findings`.
"""

from coldchain.domain.continuity.contents import History, observe
from coldchain.domain.continuity.model import (
    InForce,
    Opportunity,
    Rules,
    RulesError,
    is_carrier,
    is_pallet,
    parse_rules,
)

__all__ = [
    "History",
    "InForce",
    "Opportunity",
    "Rules",
    "RulesError",
    "is_carrier",
    "is_pallet",
    "observe",
    "parse_rules",
]
