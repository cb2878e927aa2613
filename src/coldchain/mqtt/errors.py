"""What goes wrong between us and a broker."""

from __future__ import annotations


class BrokerError(Exception):
    """The broker cannot be started, reached or told what it must know; the text says what to do."""


class ProtocolError(BrokerError):
    """The other side of the connection does not speak MQTT 3.1.1 as we need it, or refused us."""
