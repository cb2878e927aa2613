"""The CBV event hash equals the published one, and is one for every spelling of an event (CBV 2.0 §8.9)."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldchain.decoders.epcis import read_document
from coldchain.decoders.epcis_context import Context, read_context
from coldchain.decoders.epcis_hash import event_hash, pre_hash
from coldchain.decoders.epcis_links import canonical_link
from unit.epcis_documents import CONTEXT, hash_vectors

NOT_ITS_EVENT = ("epcisDocWithCustomSchemaInContext", 1)
"""The one published pre-hash string of which the published hash is not the hash: it repeats the document's first event
with its members in another order. The hash beside it is that of the second event, and ours."""


def test_all_eleven_published_documents_have_their_published_hashes_and_pre_hash_strings() -> None:
    compared = 0
    for name, data, hashes, pre_hashes in hash_vectors():
        document = read_document(data)
        assert [event_hash(event, document.context) for event in document.events] == hashes, name
        for place, event in enumerate(document.events):
            if (name, place) != NOT_ITS_EVENT:
                assert pre_hash(event, document.context) == pre_hashes[place], name
                compared += 1
    assert compared == 29


def test_the_published_pre_hash_string_left_out_is_not_of_its_hash() -> None:
    (_, _, hashes, pre_hashes) = next(vector for vector in hash_vectors() if vector[0] == NOT_ITS_EVENT[0])
    assert hashlib.sha256(pre_hashes[1].encode()).hexdigest() not in hashes[1]


CONTEXTED = read_context(CONTEXT)
EVENT = {
    "type": "ObjectEvent",
    "action": "OBSERVE",
    "eventTime": "2026-03-02T16:00:00.000+08:00",
    "eventTimeZoneOffset": "+08:00",
    "epcList": ["urn:epc:id:sgtin:6901234.000001.2", "urn:epc:id:sgtin:6901234.000001.1"],
    "bizStep": "loading",
    "quantityList": [{"epcClass": "urn:epc:class:lgtin:6901234.000001.L7", "quantity": 2.50, "uom": "KGM"}],
    "ex:note": {"ex:b": [2, 1.0], "ex:a": "x"},
}


@pytest.mark.parametrize(
    "spelling",
    [
        {"eventTime": "2026-03-02T08:00:00Z"},
        {"eventTime": "2026-03-02T09:00:00.0001+01:00"},
        {"eventID": "urn:uuid:7f254389-ec14-5207-bee1-9d4ef6d609b2", "recordTime": "2026-03-02T08:00:00Z"},
        {"errorDeclaration": {"declarationTime": "2026-03-03T08:00:00Z", "reason": "did_not_occur"}},
        {"bizStep": "urn:epcglobal:cbv:bizstep:loading"},
        {"bizStep": "cbv:BizStep-loading"},
        {"epcList": ["https://id.example.cn/01/06901234000016/10/A/21/1?17=261231", "https://id.gs1.org/01/06901234000016/21/2"]},
        {"epcList": EVENT["epcList"][::-1]},
        {"quantityList": [{"uom": "KGM", "quantity": 2.5, "epcClass": "https://id.gs1.org/01/06901234000016/10/L7"}]},
        {"readPoint": None},
        {"ex:note": {"ex:a": " x ", "ex:b": [1, 2]}},
    ],
)  # fmt: skip
def test_spellings_of_one_event_have_one_hash(spelling: dict[str, Any]) -> None:
    event = {name: value for name, value in {**EVENT, **spelling}.items() if value is not None}
    assert pre_hash(event, CONTEXTED) == pre_hash(EVENT, CONTEXTED)


@pytest.mark.parametrize(
    "change",
    [
        {"eventTime": "2026-03-02T08:00:00.001Z"},
        {"eventTimeZoneOffset": "+00:00"},
        {"action": "ADD"},
        {"bizStep": "unloading"},
        {"epcList": EVENT["epcList"][:1]},
        {"quantityList": [{"epcClass": "urn:epc:class:lgtin:6901234.000001.L7", "quantity": 2.5}]},
        {"ex:note": {"ex:b": [2, 1], "ex:a": "y"}},
        {"ex:more": True},
        {"rdfs:comment": "read twice"},
        {"bizLocation": {"id": "urn:coldchain:room:w1/a"}},
    ],
)
def test_whatever_an_event_says_changes_its_hash(change: dict[str, Any]) -> None:
    assert event_hash({**EVENT, **change}, CONTEXTED) != event_hash(EVENT, CONTEXTED)


def test_a_namespace_counts_and_its_prefix_does_not() -> None:
    other = Context({**CONTEXTED.prefixes, "mine": CONTEXTED.prefixes["ex"]})
    renamed = json.loads(json.dumps(EVENT).replace('"ex:', '"mine:'))
    assert event_hash(renamed, other) == event_hash(EVENT, CONTEXTED)
    moved = Context({**CONTEXTED.prefixes, "ex": "https://elsewhere.example/"})
    assert event_hash(EVENT, moved) != event_hash(EVENT, CONTEXTED)


@given(st.permutations(list(EVENT)))
def test_the_order_of_members_is_nothing(order: list[str]) -> None:
    assert event_hash({name: EVENT[name] for name in order}, CONTEXTED) == event_hash(EVENT, CONTEXTED)


@pytest.mark.parametrize(
    ("number", "written"),
    [(1, "1"), (1.0, "1"), (0.3434, "0.3434"), (1e22, "10000000000000000000000"), (1e-7, "0.0000001"), (-0.5, "-0.5"),
     (100, "100"), (100.0, "100"), (0, "0"), (True, "true")],
)  # fmt: skip
def test_numbers_have_no_zeros_behind_them_and_no_exponent(number: float, written: str) -> None:
    assert pre_hash({"ex:n": number}, CONTEXTED) == f"{{https://ns.example.com/}}n={written}"


@pytest.mark.parametrize(
    ("uri", "link"),
    [
        ("urn:epc:id:sgtin:0614141.107346.2017", "01/10614141073464/21/2017"),
        ("urn:epc:id:sscc:4012345.1112223334", "00/140123451122233341"),
        ("urn:epc:id:sgln:0614141.07346.1234", "414/0614141073467/254/1234"),
        ("urn:epc:id:sgln:4012345.00005.0", "414/4012345000054"),
        ("urn:epc:id:pgln:4012345.00000", "417/4012345000009"),
        ("urn:epc:id:grai:4012345.55555.987", "8003/04012345555554987"),
        ("urn:epc:idpat:grai:4012345.55555.*", "8003/04012345555554"),
        ("urn:epc:id:giai:4000001.111", "8004/4000001111"),
        ("urn:epc:id:gdti:4012345.55555.1234", "253/40123455555541234"),
        ("urn:epc:id:gsrn:0614141.0000010253", "8018/061414100000102534"),
        ("urn:epc:id:gsrnp:0614141.0000010253", "8017/061414100000102534"),
        ("urn:epc:id:gsin:0614141.123456789", "402/06141411234567890"),
        ("urn:epc:id:ginc:0614141.xyz3311", "401/0614141xyz3311"),
        ("urn:epc:id:sgcn:4012345.67890.04711", "255/401234567890104711"),
        ("urn:epc:id:cpi:0614141.5PQ7.12345", "8010/06141415PQ7/8011/12345"),
        ("urn:epc:id:itip:4012345.012345.01.02.987", "8006/040123451234560102/21/987"),
        ("urn:epc:id:upui:1234567.089456.51qIgY", "01/01234567894560/235/51qIgY"),
        ("urn:epc:class:lgtin:4012345.012345.998877", "01/04012345123456/10/998877"),
        ("urn:epc:idpat:sgtin:4012345.066666.*", "01/04012345666663"),
        ("http://example.org/shop/01/6901234000013/22/2A/10/L/21/S", "01/06901234000013/21/S"),
        ("https://id.gs1.org/01/96385074", "01/00000096385074"),
    ],
)
def test_gs1_keys_become_canonical_links(uri: str, link: str) -> None:
    assert canonical_link(uri) == f"https://id.gs1.org/{link}"


@pytest.mark.parametrize(
    "uri",
    ["urn:epc:id:sgtin:0614141.107346", "urn:epc:id:sscc:061414I.1234567890", "urn:epc:idpat:sgtin:*.*.*", "urn:epc:id",
     "urn:epc:id:imovn:9176187", "geo:42.69,23.31", "http://transaction.acme.com/po/12345678", "urn:coldchain:veh:A",
     "https://example.org/01/123", "https://id.gs1.org/00/169012345000000025/21"],
)  # fmt: skip
def test_what_is_no_gs1_key_stays_as_it_is(uri: str) -> None:
    assert canonical_link(uri) == uri
