"""Named queries, and who is told of what they find (EPCIS 2.0 §8.2.5)."""

from __future__ import annotations


class NameTaken(Exception):
    """There is a query of that name already."""


class SubscriptionRefused(Exception):
    """A destination or a schedule by which nobody can be told; the text says why."""
