"""docs/epcis.md names every parameter of the query language, and none that is not taken."""

from __future__ import annotations

import re
from pathlib import Path

from coldchain.services.epcis_capture import MAX_BYTES, MAX_EVENTS
from coldchain.services.epcis_query import CONTROLS, MAX_PARAMETERS, MAX_VALUES, PARAMETERS
from coldchain.services.epcis_subscriptions import AT_ONCE

TEXT = (Path(__file__).parents[2] / "docs" / "epcis.md").read_text()


def test_every_fixed_parameter_is_listed_and_no_other() -> None:
    listed = re.search(r"^```\n(eventType\n.*?)^```", TEXT, re.M | re.S)
    assert listed is not None
    assert set(listed[1].split()) == set(PARAMETERS) | CONTROLS


def test_the_limits_told_are_those_in_force() -> None:
    assert f"at most {MAX_BYTES // 2**20} MiB and {MAX_EVENTS:,} events" in TEXT
    assert f"At most {MAX_PARAMETERS} parameters and {MAX_VALUES} values" in TEXT
    assert f"of at most {AT_ONCE} events" in TEXT
