"""What goes wrong on the way from a sensor to the ledger; every fault is a function, faults compose.

Three kinds, by what they bend: readings before they are packed, deliveries after they are signed, and the goods.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from coldchain_devices.goods import Case, Pallet
from coldchain_devices.plan import Delivery
from coldchain_devices.senml import Reading, Value
from coldchain_devices.signer import Chain, DeviceKey, seal

SENTINELS = (-127.0, 85.0, 6553.5, 327.67, 200.3)
"""What broken thermometers show: DS18B20 open and power-on, unsigned wraps, open circuits (telemetry §4)."""

ReadingFault = Callable[[Sequence[Reading]], list[Reading]]
DeliveryFault = Callable[[Sequence[Delivery]], list[Delivery]]

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


# Deliveries


def apply(faults: Sequence[DeliveryFault], deliveries: Sequence[Delivery]) -> list[Delivery]:
    """The deliveries after all faults, one after the other, by time."""
    bent = list(deliveries)
    for fault in faults:
        bent = fault(bent)
    return sorted(bent, key=lambda delivery: delivery.at_us)


def offline(device: str, from_us: int, to_us: int) -> DeliveryFault:
    """Nothing of the device gets through in [from_us, to_us); all of it comes at once at to_us, in order."""

    def fault(deliveries: Sequence[Delivery]) -> list[Delivery]:
        return [replace(d, at_us=to_us) if d.device == device and from_us <= d.at_us < to_us else d for d in deliveries]

    return fault


def duplicates(rate: float, within_us: int, seed: int) -> DeliveryFault:
    """A share of the messages arrives twice, the second time up to `within_us` later."""
    rng = random.Random(f"{seed}/duplicates")

    def fault(deliveries: Sequence[Delivery]) -> list[Delivery]:
        again = [replace(d, at_us=d.at_us + rng.randint(0, within_us)) for d in deliveries if rng.random() < rate]
        return [*deliveries, *again]

    return fault


def shuffled(within_us: int, seed: int) -> DeliveryFault:
    """Every message is late by a random time up to `within_us`, so that neighbours overtake each other."""
    rng = random.Random(f"{seed}/shuffled")
    return lambda deliveries: [replace(d, at_us=d.at_us + rng.randint(0, within_us)) for d in deliveries]


def replayed(device: str, nth: int, at_us: int) -> DeliveryFault:
    """Someone sends the device's nth message (from 0) once more, unchanged, at `at_us`."""

    def fault(deliveries: Sequence[Delivery]) -> list[Delivery]:
        own = [d for d in deliveries if d.device == device]
        return [*deliveries, replace(own[nth], at_us=at_us)]

    return fault


def forged(device: str, at_us: int, body: bytes, chain: Chain, key: DeviceKey) -> DeliveryFault:
    """Someone who holds another key claims to be the device: its kid, a place in its chain, a signature that fails."""
    message, _ = seal(key, f"{device}#1", chain, body, "senml+json")
    forgery = Delivery(at_us, device, "up", message.jws)
    return lambda deliveries: [*deliveries, forgery]


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
