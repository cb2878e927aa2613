"""The server's own clock, judged by the ledger: a step back is a finding (ledger §3.6)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from coldchain.db import lanes
from coldchain.db.bulk import append_rows
from coldchain.db.tables.verdicts import verdict
from coldchain.services.chores import CLOCK_TOLERANCE_US
from coldchain.services.ports import Projection
from coldchain.services.recorded import Recorded

SOURCE = "log"
RULE = "log clock stepped back"


class ServerClock(Projection):
    """A `time` entry states what the server's clock showed; its `at` never falls. Where they differ, the clock did."""

    name = "server-clock"
    tables = ("verdict",)
    takes_telemetry = False

    def apply(self, connection: Connection, batch: Sequence[Recorded], ledger_time_us: int) -> None:
        rows = []
        for item in batch:
            if item.entry.kind != "time" or not isinstance(item.body, Mapping):
                continue
            shown_us, at_us = item.body.get("t_us"), item.entry.at_us
            if type(shown_us) is int and at_us - shown_us > CLOCK_TOLERANCE_US:
                subject = f"doc:log/{item.entry.by}"[:128]
                detail = json.dumps({"behind_us": at_us - shown_us})
                evidence = json.dumps([item.index])
                rows.append(
                    (SOURCE, RULE, subject, "", shown_us, at_us, "unknown", "closed", detail, "derived", evidence)
                )
        append_rows(connection, verdict, rows)
        lanes.mark(connection, {(rule, subject, channel): 0 for _, rule, subject, channel, *_ in rows})

    def reset(self) -> None:
        return None
