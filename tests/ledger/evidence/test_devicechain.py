"""What devices vouch for: signatures by keys that were good at that place in the ledger, and chains without a break."""

import base64
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from coldchain_ledger.devicechain import check_chains, check_signatures
from coldchain_ledger.entry import Entry
from coldchain_ledger.errors import EvidenceError
from coldchain_ledger.evidence import Carried
from coldchain_ledger.log import Draft
from coldchain_ledger.steps import NotChecked


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def carried(*drafts, at=None):
    """The drafts as entries of a dossier, at these indices of the ledger (0, 1, … unless said otherwise)."""
    entries = (Entry(d.kind, d.by, 0, d.type, d.key, d.grade, d.subjects, d.payload) for d in drafts)
    return [Carried(index, b"", entry) for index, entry in zip(at or range(len(drafts)), entries, strict=True)]


def failing(check, *drafts):
    """Where the check fails on these entries."""
    with pytest.raises(EvidenceError) as caught:
        check(carried(*drafts))
    return caught.value.where


def unchecked(check, entries):
    """Why the check does not say verified on these entries, none of which fails."""
    with pytest.raises(NotChecked) as caught:
        check(entries)
    return str(caught.value)


@pytest.fixture(params=["truck", "portal"])
def device(request):
    """Each algorithm once."""
    return request.getfixturevalue(request.param)


def test_messages_of_an_enrolled_device_are_verified(device):
    entries = carried(device.enrolment(), device.say(), device.say())
    assert check_signatures(entries).startswith("2 messages are signed by 1 enrolled keys")
    assert check_chains(entries).startswith("2 messages of 1 devices follow one another without gaps")


def test_a_message_signed_by_another_key_fails_at_its_entry(truck, portal):
    enrolment = truck.enrolment()
    truck.key = ed25519.Ed25519PrivateKey.generate()
    assert failing(check_signatures, enrolment, truck.say()) == "entry 1"
    genuine = portal.say()
    spoilt = portal.filed(genuine.payload[:-4] + b"AAAA", genuine.key)
    assert failing(check_signatures, portal.enrolment(), spoilt) == "entry 1"


def test_a_message_whose_key_no_carried_entry_enrols_fails_at_its_entry(truck, portal):
    assert failing(check_signatures, truck.enrolment(), truck.say(), portal.say()) == "entry 2"
    assert failing(check_signatures, truck.enrolment(), truck.revocation(), portal.say()) == "entry 2"


def test_what_others_than_devices_signed_is_not_called_checked(truck):
    letter = Draft("document", "acme", "application/jose", "doc/9", "signed", ("loc:w1",), b"a.b.c")
    assert "1 entries" in unchecked(check_signatures, carried(truck.enrolment(), truck.say(), letter))
    assert "0 messages" in unchecked(check_signatures, carried(letter))


def test_a_dossier_of_papers_has_no_signatures_and_no_chains_to_check(truck):
    for check in (check_signatures, check_chains):
        assert unchecked(check, carried(truck.enrolment()))


def test_a_message_recorded_before_its_key_was_enrolled_fails(truck):
    assert failing(check_signatures, truck.say(), truck.enrolment()) == "entry 0"


def test_a_message_after_a_revocation_counts_only_if_an_earlier_recorded_one_reaches_it(truck):
    enrolment, revocation = truck.enrolment(), truck.revocation()
    early, middle, reaching, after = (truck.say() for _ in range(4))
    assert "do not count" not in check_signatures(carried(enrolment, reaching, revocation, early, middle))
    told = check_signatures(carried(enrolment, early, reaching, revocation, middle, after))
    assert told.startswith("4 messages are signed by 1 enrolled keys; 1 messages do not count: entry 5 (entry 3 ")


def test_messages_that_do_not_count_are_counted_and_the_first_told(truck):
    told = check_signatures(carried(truck.enrolment(), truck.revocation(), *(truck.say() for _ in range(8))))
    assert "; 8 messages do not count: entry 2 (entry 1 revoked its key), entry 3 " in told
    assert " and 3 more; " in told


def test_a_message_after_a_revocation_fails_all_the_same_if_the_key_did_not_sign_it(truck):
    enrolment, revocation = truck.enrolment(), truck.revocation()
    truck.key = ed25519.Ed25519PrivateKey.generate()
    assert failing(check_signatures, enrolment, revocation, truck.say()) == "entry 2"


def test_a_rotated_key_goes_on_with_the_chain_of_the_old_one(truck):
    drafts = [truck.enrolment(), truck.say()]
    truck.key, truck.kid = ed25519.Ed25519PrivateKey.generate(), "T1#2"
    drafts += [truck.enrolment(op="rotate"), truck.say()]
    assert check_signatures(carried(*drafts))
    assert check_chains(carried(*drafts))


def test_a_new_key_cannot_bring_back_what_the_old_keys_revocation_cut_off(truck):
    enrolment, revocation, late = truck.enrolment(), truck.revocation(), truck.say()
    truck.key, truck.kid = ed25519.Ed25519PrivateKey.generate(), "T1#2"
    rotation, reaching = truck.enrolment(op="rotate"), truck.say()
    told = check_signatures(carried(enrolment, revocation, late, rotation, reaching, truck.revocation()))
    assert "; 1 messages do not count: entry 2 (entry 1 revoked its key); " in told


def test_a_revocation_of_a_key_that_is_not_carried_changes_nothing(truck, portal):
    assert check_signatures(carried(portal.revocation(), truck.enrolment(), truck.say()))


def test_an_account_without_a_key_of_its_own_signs_nothing(truck, portal):
    assert check_signatures(carried(portal.enrolment(public_key=""), truck.enrolment(), truck.say()))


@pytest.mark.parametrize(
    "changed",
    [{"public_key": "AAAA"}, {"alg": "ES256"}, {"kid": "T2#1"}, {"public_key": 7}, {"alg": ["x"]}, {"kid": None}],
)
def test_an_identity_entry_that_cannot_be_read_fails_at_that_entry(truck, changed):
    assert failing(check_signatures, truck.enrolment(**changed), truck.say()) == "entry 0"


def test_a_kid_enrolled_twice_fails_rather_than_choosing(truck):
    assert failing(check_signatures, truck.enrolment(), truck.enrolment(), truck.say()) == "entry 1"


def test_a_message_filed_under_another_place_than_it_claims_fails(truck):
    said = truck.say()
    assert failing(check_signatures, truck.enrolment(), truck.filed(said.payload, "tm/T1/1/7")) == "entry 1"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda jws: jws.rsplit(b".", 1)[0],
        lambda jws: b"." + jws.split(b".", 1)[1],
        lambda jws: jws + b"=",
        lambda jws: jws[:-1],
        lambda jws: b"!!!!" + jws[jws.index(b".") :],
        lambda jws: b64url(b'{"alg":"EdDSA","alg":"EdDSA"}') + jws[jws.index(b".") :],
        lambda jws: b64url(b'["alg"]') + jws[jws.index(b".") :],
        lambda jws: b64url(b'"alg"') + jws[jws.index(b".") :],
        lambda jws: b64url(b"\xff") + jws[jws.index(b".") :],
        lambda jws: b64url(b'{"alg":"none"}') + jws[jws.index(b".") :],
        lambda jws: b64url(b"[" * 100_000) + jws[jws.index(b".") :],
    ],
)
def test_a_payload_that_is_no_message_fails_at_its_entry(truck, spoil):
    broken = truck.filed(spoil(truck.say().payload), "tm/T1/1/0")
    assert failing(check_signatures, truck.enrolment(), broken) == "entry 1"


@pytest.mark.parametrize("kid", ["T1", "T1#", "T1#x", "#1"])
def test_a_message_of_a_strange_kid_is_no_device_message(truck, kid):
    assert failing(check_signatures, truck.say(kid=kid)) == "entry 0"


def test_messages_left_out_are_told_as_a_gap_and_break_nothing(truck):
    said = [truck.say() for _ in range(6)]
    why = unchecked(check_chains, carried(said[0], said[1], said[4], at=[1, 2, 5]))
    assert "T1 what was between boot 1 seq 1 (entry 2) and boot 1 seq 4 (entry 5)" in why
    assert "T1 what was before boot 1 seq 4 (entry 0)" in unchecked(check_chains, carried(said[4]))


def test_many_gaps_are_counted_and_the_first_told(truck):
    said = [truck.say() for _ in range(19)]
    assert unchecked(check_chains, carried(*said[::2])).endswith("and 4 more")


def test_arrival_order_does_not_break_a_chain(truck):
    first, second, third = truck.say(), truck.say(), truck.say()
    assert check_chains(carried(third, first, second))


def test_a_chain_goes_on_over_a_restart_and_a_lost_end_of_a_boot_is_a_gap(truck):
    first, last = truck.say(), truck.say()
    truck.restart()
    restarted = truck.say()
    assert check_chains(carried(first, last, restarted))
    assert "what was between" in unchecked(check_chains, carried(first, restarted))


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"prev": b64url(bytes(32)).decode()}, "does not follow boot 1 seq 0 (entry 1); the one it names is 000"),
        ({"prev": ""}, "names no message before it"),
        ({"seq": 5}, "names boot 1 seq 0 (entry 1) as the one before it"),
        ({"prev": "", "seq": 0, "boot": 2}, "names no message before it"),
        ({"seq": 3, "boot": 2}, "names boot 1 seq 0 (entry 1) as the one before it"),
    ],
)
def test_a_link_that_does_not_hold_is_told_with_its_entry_and_is_no_forgery(truck, changed, why):
    entries = carried(truck.enrolment(), truck.say(), truck.say(**changed))
    told = unchecked(check_chains, entries)
    assert told.startswith("2 messages of 1 devices do not all follow one another; 1 links do not hold: T1 boot ")
    assert f"(entry 2) {why}" in told
    assert check_signatures(entries)


def copied(truck):
    """What the clone of a truck's key says first, filed as the second copy."""
    copy = type(truck)("T1", truck.key).say("-3.0").payload
    return truck.filed(copy, f"tm/T1/1/0#{sha256(copy).hexdigest()[:16]}")


def test_two_messages_at_one_place_are_told_as_disputed_as_a_cloned_key_makes_them(truck):
    entries = carried(truck.enrolment(), truck.say(), copied(truck))
    told = unchecked(check_chains, entries)
    assert "; 1 places are disputed by differing copies, of which none counts: T1 boot 1 seq 0 " in told
    assert told.endswith("(entry 1 and entry 2)")
    assert check_signatures(entries)


def test_a_chain_goes_on_from_any_copy_of_a_disputed_place(truck):
    first, second, third = truck.say(), truck.say(), truck.say()
    told = unchecked(check_chains, carried(first, second, copied(truck), third))
    assert "1 places are disputed" in told
    assert "links" not in told
    assert "gaps" not in told


def test_a_disputed_copy_that_the_clone_did_not_sign_with_the_key_fails(truck):
    enrolment, first = truck.enrolment(), truck.say()
    truck.key = ed25519.Ed25519PrivateKey.generate()
    assert failing(check_signatures, enrolment, first, copied(truck)) == "entry 2"


def test_a_chain_that_starts_in_the_middle_and_names_no_predecessor_does_not_hold(truck):
    told = unchecked(check_chains, carried(truck.say(seq=4)))
    assert told.endswith("1 links do not hold: T1 boot 1 seq 4 (entry 0) names no message before it")


def test_a_first_message_that_names_a_later_one_does_not_hold(truck):
    later = truck.say(seq=7, prev=b64url(bytes(32)).decode())
    told = unchecked(check_chains, carried(later, truck.say(seq=1)))
    assert "T1 boot 1 seq 1 (entry 1) is the first; the one it names is boot 1 seq 7 (entry 0)" in told


def test_a_message_slipped_in_between_two_that_follow_each_other_holds_on_neither_side(truck):
    first = truck.say()
    truck.seq = 2
    second = truck.say()
    truck.seq = 1
    told = unchecked(check_chains, carried(first, second, truck.say()))
    assert "2 links do not hold: T1 boot 1 seq 1 (entry 2) " in told
    assert "T1 boot 1 seq 2 (entry 1) does not follow boot 1 seq 1 (entry 2)" in told


def test_disputes_broken_links_and_gaps_are_all_told_with_their_numbers(truck):
    said = [truck.say() for _ in range(4)]
    told = unchecked(check_chains, carried(said[0], copied(truck), said[2], truck.say(prev="")))
    assert "; 1 places are disputed" in told
    assert "; 1 links do not hold: T1 boot 1 seq 4 (entry 3)" in told
    assert "; 1 gaps, where messages are not carried: T1 what was between boot 1 seq 0 (entry 0 and entry 1)" in told
