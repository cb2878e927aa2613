"""The chain of a device's messages: gaps, broken links, copies, revoked keys; the same for every order of arrival."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from coldchain.domain.devices import Chain, Enrolment, Finding, Message, Range, Revocation, parse_identity


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def messages(*lengths: int) -> list[Message]:
    """Boots of so many messages each, linked; device time runs with the place in the list."""
    made: list[Message] = []
    for boot, length in enumerate(lengths, 1):
        for seq in range(length):
            prev = made[-1].sha256 if made else b""
            at = len(made)
            made.append(Message(boot, seq, digest(f"{boot}/{seq}"), prev, "d#1", at, at, at))
    return made


class Kept:
    """What a table would hold after the chain's changes."""

    def __init__(self, chain: Chain | None = None) -> None:
        self.chain = chain or Chain()
        self.ranges: dict[tuple[int, int], Range] = {}
        self.findings: dict[tuple[str, int, int], Finding] = {}
        self.reached: list[Message] = []

    def take(self, received: Iterable[Message]) -> Kept:
        for ref, message in enumerate(received):
            self.chain.take(replace(message, ref=ref))
            changes = self.chain.changes()
            _merge(self.ranges, changes.ranges)
            _merge(self.findings, changes.findings)
            self.reached += changes.reached
        return self

    def facts(self) -> tuple[object, ...]:
        ranges = [(r.boot, r.lo, r.hi, r.first_prev, r.last_sha256, r.first_us, r.last_us) for r in self.chain.ranges]
        assert sorted(self.ranges) == [r[:2] for r in ranges]
        return ranges, self.findings, self.chain.disputed

    def spans(self) -> list[tuple[int, int, int]]:
        return [(r.boot, r.lo, r.hi) for r in self.chain.ranges]


def _merge(stored: dict, changed: dict) -> None:
    stored.update(changed)
    for key in [key for key, value in changed.items() if value is None]:
        del stored[key]


def test_a_device_that_lost_nothing_costs_one_range_a_boot() -> None:
    kept = Kept().take(messages(5, 3))
    assert (kept.spans(), kept.findings) == ([(1, 0, 4), (2, 0, 2)], {})


def test_missing_messages_are_a_gap_until_they_come() -> None:
    sent = messages(6)
    kept = Kept().take([sent[0], sent[4], sent[5]])
    assert kept.findings == {("gap", 1, 1): Finding("gap", 1, 1, 3, 0, 4)}
    assert kept.take(sent[1:4]).findings == {}
    assert kept.spans() == [(1, 0, 5)]


def test_a_lost_end_of_a_boot_shows_by_what_the_next_boot_names() -> None:
    sent = messages(4, 2)
    kept = Kept().take([*sent[:3], *sent[4:]])
    assert kept.findings == {("gap", 1, 3): Finding("gap", 1, 3, None, 2, 4)}
    assert kept.take(sent[3:4]).findings == {}


def test_a_first_message_that_names_a_predecessor_is_not_the_first() -> None:
    first, *_, later = messages(3, 1)
    assert Kept().take([first]).findings == {}
    assert list(Kept().take([later]).findings.values()) == [Finding("gap", 2, -1, None, None, 3)]


def test_a_link_to_something_else_is_a_mismatch_at_the_message_that_has_it() -> None:
    sent = messages(4)
    sent[2] = replace(sent[2], prev=digest("elsewhere"))
    assert list(Kept().take(sent).findings) == [("prev-mismatch", 1, 2)]


def test_a_device_that_forgot_its_chain_is_a_mismatch_at_its_reboot() -> None:
    sent = messages(2, 2)
    sent[2] = replace(sent[2], prev=b"")
    assert list(Kept().take(sent).findings) == [("prev-mismatch", 2, 0)]


def test_a_disputed_message_blames_neither_neighbour() -> None:
    sent = messages(5)
    copy = replace(sent[2], sha256=digest("copy"), prev=digest("elsewhere"))
    kept = Kept().take([*sent, copy])
    assert list(kept.findings) == [("disputed", 1, 2)]
    assert kept.chain.disputed == {(1, 2)}


def test_a_clock_set_back_is_told_of_at_the_message_that_is_too_early() -> None:
    sent = [replace(m, first_us=t, last_us=t + 5) for m, t in zip(messages(3, 2), (10, 20, 12, 40, 39), strict=True)]
    found = Kept().take(sent).findings
    assert found == Kept().take(sent[::-1]).findings
    assert [(f.boot, f.seq, f.from_us, f.to_us) for f in found.values() if f.kind == "clock-backward"] == [
        (1, 2, 12, 25),
        (2, 1, 39, 45),
    ]


def test_a_clock_set_back_while_the_device_was_off_is_told_of() -> None:
    sent = [replace(m, first_us=t, last_us=t) for m, t in zip(messages(1, 1), (10, 3), strict=True)]
    for received in (sent, sent[::-1]):
        assert list(Kept().take(received).findings.values()) == [Finding("clock-backward", 2, 0, 0, 3, 10)]


def test_of_a_disputed_message_no_clock_is_said_to_go_back() -> None:
    sent = [replace(m, first_us=t, last_us=t) for m, t in zip(messages(3), (10, 3, 1), strict=True)]
    kept = Kept().take([*sent, replace(sent[1], sha256=digest("copy"))])
    assert list(kept.findings) == [("disputed", 1, 1)]


chains = st.lists(st.integers(1, 5), min_size=1, max_size=4).map(lambda lengths: messages(*lengths))


def spoilt(sent: Sequence[Message], rng: random.Random) -> list[Message]:
    """Some lost, some with a broken link, some with a differing copy."""
    kept: list[Message] = []
    for message in sent:
        if rng.random() < 0.15:
            message = replace(message, prev=rng.choice([b"", digest("elsewhere")]))
        if rng.random() < 0.2:
            t_us = rng.choice([None, rng.randrange(20)])
            message = replace(message, first_us=t_us, last_us=t_us)
        kept += [message] if rng.random() < 0.85 else []
        if rng.random() < 0.15:
            kept.append(replace(message, sha256=digest(f"copy of {message.boot}/{message.seq}")))
    return kept


@given(chains, st.randoms(use_true_random=False))
def test_any_order_of_arrival_gives_the_same_ranges_and_findings(sent: list[Message], rng: random.Random) -> None:
    received = spoilt(sent, rng)
    facts = Kept().take(received).facts()
    rng.shuffle(received)
    assert Kept().take(received).facts() == facts


@given(chains, st.randoms(use_true_random=False))
def test_ranges_and_gaps_together_are_what_was_received_and_what_was_not(
    sent: list[Message], rng: random.Random
) -> None:
    received = [message for message in sent if rng.random() < 0.7]
    rng.shuffle(received)
    kept = Kept().take(received)
    covered = {(r.boot, seq) for r in kept.chain.ranges for seq in range(r.lo, r.hi + 1)}
    assert covered == {(message.boot, message.seq) for message in received}
    missing = {(f.boot, seq) for f in kept.findings.values() if f.upto is not None for seq in range(f.seq, f.upto + 1)}
    tops = {boot: max(seq for b, seq in covered if b == boot) for boot, _ in covered}
    assert missing == {(boot, seq) for boot, top in tops.items() for seq in range(top)} - covered


@given(chains, st.randoms(use_true_random=False))
def test_after_a_revocation_exactly_what_is_reached_from_before_it_counts(
    sent: list[Message], rng: random.Random
) -> None:
    """Slowly: walk `prev` from everything recorded before, over everything ever received."""
    order = [message for message in sent if rng.random() < 0.8]
    rng.shuffle(order)
    cut = rng.randint(0, len(order))
    chain = Chain()
    kept = Kept(chain).take(order[:cut])
    chain.revoked["d#1"] = cut
    for ref, message in enumerate(order[cut:], cut):
        chain.take(replace(message, ref=ref))
    by_hash = {message.sha256: message for message in order}
    reached = set()
    for message in order[:cut]:
        while message is not None and message.sha256 not in reached:
            reached.add(message.sha256)
            message = by_hash.get(message.prev)
    covered = {(r.boot, seq) for r in kept.chain.ranges for seq in range(r.lo, r.hi + 1)}
    assert covered == {(by_hash[sha].boot, by_hash[sha].seq) for sha in reached}
    assert set(chain.held) == set(by_hash) - reached


def test_thousands_of_messages_held_back_are_released_at_once() -> None:
    sent = messages(5_000)
    chain = Chain()
    chain.take(sent[-1])
    chain.revoked["d#1"] = 5_000
    for message in sent[:-1]:
        chain.take(replace(message, ref=6_000))
    assert ([(r.lo, r.hi) for r in chain.ranges], chain.held) == ([(0, 4_999)], {})
    assert len(chain.changes().reached) == 4_998


def test_the_chain_of_a_device_with_a_new_key_does_not_vouch_for_its_revoked_one() -> None:
    sent = messages(3)
    chain = Chain(revoked={"d#1": 0})
    chain.take(replace(sent[2], kid="d#2", ref=1))
    chain.take(replace(sent[1], ref=2))
    assert [(r.lo, r.hi) for r in chain.ranges] == [(2, 2)]


IDENTITY = {
    "v": 1,
    "op": "enrol",
    "device": "d",
    "org": "o",
    "site": "s",
    "kid": "d#1",
    "alg": "EdDSA",
    "public_key": "AA==",
    "grade": "signed",
    "place": None,
    "profile": None,
    "time_floor_us": 5,
    "role": "sensor",
}


def test_an_identity_entry_is_an_enrolment_a_revocation_or_without_effect() -> None:
    assert parse_identity(IDENTITY) == Enrolment("d", "o", "s", "d#1", "EdDSA", "AA==", "signed", "", "", 5, "sensor")
    assert parse_identity({"op": "revoke", "device": "d", "kid": "d#1"}) == Revocation("d", "d#1")
    for broken in ({**IDENTITY, "op": "sing"}, {**IDENTITY, "org": 5}, {"op": "revoke", "device": "d"}, None, []):
        assert parse_identity(broken) is None
