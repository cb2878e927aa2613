"""Sparkplug B 3.0: `spBv1.0/<group>/<message>/<edge node>[/<device>]`, protocol buffers.

The topic says who speaks, so it is recorded with the payload, as a parameter of its type. Births name metrics and say
their datatypes; data messages may call them by number, and integers below zero travel as unsigned ones: both are for
`coldchain.domain.births` to resolve, from whichever birth was in force.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from coldchain.decoders.errors import DecodeError
from coldchain.decoders.protobuf import fields, fraction, integer, text
from coldchain.decoders.vendor_json import MAX_ID, MAX_READINGS, raw_value, unix_us
from coldchain.domain.births import Named, signed
from coldchain.domain.uplinks import Birth, Follows, Raw, RawValue, Report, Uplink

_BIRTHS, _DATA, _DEATHS = ("NBIRTH", "DBIRTH"), ("NDATA", "DDATA"), ("NDEATH", "DDEATH")
_TIMESTAMP, _METRIC, _SEQ = 1, 2, 3
_NAME, _ALIAS, _MEASURED, _DATATYPE, _HISTORICAL, _NULL = 1, 2, 3, 4, 5, 7
_INT, _LONG, _FLOAT, _DOUBLE, _BOOLEAN, _STRING = range(10, 16)
_FLOAT_DIGITS = 7
"""What a float keeps of a decimal number: -18.1 and not -18.1000003815."""


class _Metric(NamedTuple):
    name: str
    alias: str
    t_us: int
    datatype: int
    historical: bool
    value: RawValue


def read(payload: bytes, topic: str = "") -> Uplink:
    """One message, which has no id of its own: its `seq` begins again every 256. A metric's own time counts before the
    message's; a death says when it was, if at all. Raises DecodeError."""
    message, source = _who(topic)
    said_us, metrics, follows = 0, list[_Metric](), None
    for number, value in fields(payload):
        if number == _TIMESTAMP:
            said_us = unix_us(Decimal(integer(value)), 1_000)
        elif number == _METRIC and len(metrics) < MAX_READINGS:
            metrics.append(_metric(value))
        elif number == _SEQ and message not in _DEATHS:
            follows = Follows("/".join(source.split("/")[:2]), integer(value) % 256, message == "NBIRTH")
    if message in _DEATHS:
        return Uplink("", (Report(source, said_us, ()),), ("death",))
    said: dict[int, list[Raw]] = {}
    for metric in metrics:
        said.setdefault(metric.t_us or said_us, []).append(Raw(metric.name or metric.alias, metric.value))
    reports = tuple(Report(source, t_us, tuple(readings), said_us) for t_us, readings in said.items())
    births = (Birth(source, said_us, _names(metrics)),) if message in _BIRTHS and said_us else ()
    buffered = any(metric.historical for metric in metrics)
    return Uplink("", reports or (Report(source, said_us, ()),), ("buffered",) if buffered else (), births, follows)


def _who(topic: str) -> tuple[str, str]:
    """(message, source): `group/edge node`, or `group/edge node/device`."""
    levels = topic.split("/")
    named = len(levels) in (4, 5) and levels[0] == "spBv1.0" and all(levels)
    message = levels[2] if named else ""
    if message not in (*_BIRTHS, *_DATA, *_DEATHS) or (message[0] == "D") != (len(levels) == 5):
        raise DecodeError(f"topic {topic!r:.100}: expected spBv1.0/<group>/<message>/<edge node>[/<device>]")
    source = "/".join((levels[1], *levels[3:]))
    if len(source) > MAX_ID:
        raise DecodeError(f"topic {topic!r:.100}: expected at most {MAX_ID} characters of names")
    return message, source


def _metric(data: int | bytes) -> _Metric:
    if not isinstance(data, bytes):
        raise DecodeError("metric: expected a message")
    found = _Metric("", "", 0, 0, False, None)
    null = False
    for number, value in fields(data):
        if number == _NAME:
            found = found._replace(name=text(value)[:MAX_ID])
        elif number == _ALIAS:
            found = found._replace(alias=f"alias.{integer(value)}")
        elif number == _MEASURED:
            found = found._replace(t_us=unix_us(Decimal(integer(value)), 1_000))
        elif number == _DATATYPE:
            found = found._replace(datatype=integer(value))
        elif number == _HISTORICAL:
            found = found._replace(historical=bool(value))
        elif number == _NULL:
            null = bool(value)
        elif _INT <= number <= _STRING:
            found = found._replace(value=_value(number, value))
    return found._replace(value=None if null else signed(found.value, found.datatype))


def _value(number: int, value: int | bytes) -> RawValue:
    if number in (_INT, _LONG):
        return Decimal(integer(value))
    if number == _FLOAT:
        return Decimal(f"{fraction(value):.{_FLOAT_DIGITS}g}")
    if number == _DOUBLE:
        return Decimal(repr(fraction(value)))
    return bool(integer(value)) if number == _BOOLEAN else raw_value(text(value))


def _names(metrics: list[_Metric]) -> dict[str, Named]:
    named = [metric for metric in metrics if metric.name]
    by_name = {metric.name: (metric.name, metric.datatype) for metric in named}
    return by_name | {metric.alias: (metric.name, metric.datatype) for metric in named if metric.alias}
