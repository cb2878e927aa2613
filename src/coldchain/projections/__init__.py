"""Followers of the ledger: one file per derived view, each a fold over entries."""

from __future__ import annotations

from coldchain.services.ports import Projection


def all_projections() -> tuple[Projection, ...]:
    """Every projection, in the order they fold a batch: devices hang where events say, containment reads events,
    continuity and consignments all of them."""
    from coldchain.projections.consignment import Consignments
    from coldchain.projections.containment import Containment
    from coldchain.projections.continuity import Continuity
    from coldchain.projections.epcis import EpcisEvents
    from coldchain.projections.events import Events
    from coldchain.projections.findings import Findings
    from coldchain.projections.parties import Parties
    from coldchain.projections.server_clock import ServerClock
    from coldchain.projections.telemetry import TelemetryViews

    return (
        Events(),
        Parties(),
        TelemetryViews(),
        EpcisEvents(),
        Containment(),
        Continuity(),
        Consignments(),
        ServerClock(),
        Findings(),
    )
