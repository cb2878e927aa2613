"""EPCIS events, reduced to what containment and continuity need."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """One EPCIS 2.0 event in canonical form; ids are subject names (ledger §5.1), e.g. `sscc:169012345000000025`."""

    event_id: str
    kind: str
    """`ObjectEvent`, `AggregationEvent`, `TransformationEvent`, `AssociationEvent`, `TransactionEvent`."""
    time_us: int
    action: str
    """`ADD`, `OBSERVE`, `DELETE`, or empty for transformations."""
    biz_step: str
    """CBV bare word, e.g. `loading`."""
    parent: str = ""
    units: tuple[str, ...] = ()
    """epcList or childEPCs, sorted."""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    read_point: str = ""
    location: str = ""
    """bizLocation, a `loc:`, `room:` or `veh:` name."""
    disposition: str = ""
    by: str = ""
