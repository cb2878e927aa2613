"""What goes wrong between a sensor and the ledger; every fault is a function, faults compose.

Three kinds, by what they bend: readings before they are packed, messages on their way, and the goods.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from coldchain_devices.config import FaultSpec
from coldchain_devices.goods import Case, Pallet
from coldchain_devices.plan import Action, Copy, Forgery, Link, Publish
from coldchain_devices.senml import Reading, Value

SENTINELS = (-127.0, 85.0, 6553.5, 327.67, 200.3)
"""What broken thermometers show: DS18B20 open and power-on, unsigned wraps, open circuits (telemetry §4)."""

AGAIN_WITHIN_US = 600 * 1_000_000
"""A duplicate comes within this time after the message."""

ReadingFault = Callable[[Sequence[Reading]], list[Reading]]

# Readings: from_s <= t < to_s, device time


def sentinel(channel: str, value: float, from_s: int, to_s: int) -> ReadingFault:
    """The channel shows a fault value."""
    return _bend(channel, from_s, to_s, lambda reading: reading._replace(value=value))


def stuck(channel: str, from_s: int, to_s: int) -> ReadingFault:
    """The channel repeats the first value it shows in the interval."""
    held: list[Value] = []

    def hold(reading: Reading) -> Reading:
        if not held:
            held.append(reading.value)
        return reading._replace(value=held[0])

    return _bend(channel, from_s, to_s, hold)


def skewed_clock(ahead_s: int, from_s: int, to_s: int) -> ReadingFault:
    """The device's clock is ahead (or, below zero, behind) on every channel."""
    return _bend("", from_s, to_s, lambda reading: reading._replace(t_s=reading.t_s + ahead_s))


def _bend(channel: str, from_s: int, to_s: int, change: Callable[[Reading], Reading]) -> ReadingFault:
    def fault(readings: Sequence[Reading]) -> list[Reading]:
        return [
            change(reading) if from_s <= reading.t_s < to_s and channel in ("", reading.name) else reading
            for reading in readings
        ]

    return fault


# On the way: from_us <= published < to_us


def on_the_way(fault: FaultSpec, own: Sequence[Publish], from_us: int, to_us: int, seed: str) -> list[Action]:
    """What happens to the messages of the fault's device, which are `own`: all it publishes in the plan, in order.

    offline: nothing gets through; all of it comes at once afterwards. duplicates: a share of the messages arrives
    twice. shuffled: they come by detours, each late by a time of its own, and once more from the device afterwards,
    which heard no answer. replayed: the first of them comes once more at the end. forged: each is accompanied by one
    that another key has signed.
    """
    draw = random.Random(seed)
    device, within = fault.device, [(n, one.at_us) for n, one in enumerate(own) if from_us <= one.at_us < to_us]
    down, up = Link(from_us, device, up=False), Link(to_us, device, up=True)
    match fault.kind:
        case "offline":
            return [down, up]
        case "duplicates":
            twice = [one for one in within if draw.random() < fault.value]
            return [Copy(at_us + draw.randint(0, AGAIN_WITHIN_US), device, n) for n, at_us in twice]
        case "shuffled":
            late_us = round(fault.value * 1_000_000)
            late = [(n, min(at_us + draw.randint(0, late_us), to_us)) for n, at_us in within]
            return [down, *(Copy(at_us, device, n) for n, at_us in late), up]
        case "replayed":
            return [Copy(to_us, device, n) for n, _ in within[:1]]
        case "forged":
            return [Forgery(at_us, device, n) for n, at_us in within]
    return []


# Goods


def repalletize(a: Pallet, b: Pallet, cases: int, seed: str) -> tuple[list[Case], list[Case]]:
    """Silently swap as many cases of either pallet with the other; the cases that left `a`, and those that left `b`."""
    rng = random.Random(seed)
    from_a, from_b = rng.sample(a.cases, cases), rng.sample(b.cases, cases)
    a.cases = [case for case in a.cases if case not in from_a] + from_b
    b.cases = [case for case in b.cases if case not in from_b] + from_a
    return from_a, from_b


def take_out(pallet: Pallet, cases: int, seed: str) -> list[Case]:
    """Take cases off the pallet for good; which ones."""
    taken = random.Random(seed).sample(pallet.cases, cases)
    pallet.cases = [case for case in pallet.cases if case not in taken]
    return taken
