"""What goods were exposed to: when places were warm at all, and what has to be judged anew."""

from sqlalchemy import BigInteger, Column, String, Table, Text

from coldchain.db.tables import metadata

warm_hour = Table(
    "warm_hour",
    metadata,
    Column("place", String(128), primary_key=True),
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("device", String(64), primary_key=True),
    sqlite_with_rowid=False,
)
"""Hours of device time in which a device there told of more than the least threshold of its pack's budgets and MKT, or
in which such a value may hold on. Messages that are no evidence count: it says only where to look."""

handover_measurement = Table(
    "handover_measurement",
    metadata,
    Column("unit", Text, primary_key=True),
    Column("key", String(32), primary_key=True),
    sqlite_with_rowid=False,
)
"""Events, whether they count or not, in which a temperature of the unit was measured when it was received."""

_PROVENANCE = {"provenance": True}

kinetic_window = Table(
    "kinetic_window",
    metadata,
    Column("place", String(128), primary_key=True),
    Column("from_us", BigInteger, nullable=False),
    Column("to_us", BigInteger, nullable=False),
    sqlite_with_rowid=False,
    info={"facts": False},
)
"""When cold time in a place counts for the mean kinetic temperature of goods that were warm there or elsewhere. It says
only where to look, and never grows less."""

exposure_touched = Table(
    "exposure_touched",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("how", String(8), primary_key=True),
    Column("from_us", BigInteger, nullable=False, info=_PROVENANCE),
    Column("to_us", BigInteger, nullable=False, info=_PROVENANCE),
    sqlite_with_rowid=False,
)
"""What the projections of telemetry and containment changed since the last step of `consignment`, which empties it.
how: `told` of a place whose temperatures may be others then, `moved` of a unit or place of whose containment that is
true, `counted` of goods of which another amount may have been in a place."""
