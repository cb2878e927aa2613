"""What the scenarios promise: the same plan for a seed, and exactly the faults their files name."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from coldchain_devices.errors import ScenarioError
from coldchain_devices.plan import Action, Capture, Delivery, Link, Note, Paper, Plan, Publish
from coldchain_devices.scenario import load_scenario

HOUR_US = 3_600_000_000
MINUTE_US = 60_000_000


class Sample(NamedTuple):
    t_us: int
    value: Any


@pytest.fixture(scope="module")
def demo() -> Plan:
    return load_scenario("demo").generate()


@pytest.fixture(scope="module")
def series(demo: Plan) -> dict[tuple[str, str], list[Sample]]:
    """Every channel of every device, by time."""
    channels: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for action in sensor_messages(demo.actions):
        base_s = None
        for record in json.loads(action.body):
            base_s = record.get("bt", base_s)
            value = next(record[name] for name in ("v", "vb", "vs") if name in record)
            channels[action.device, record["n"]].append(Sample((base_s + record.get("t", 0)) * 1_000_000, value))
    return channels


@pytest.fixture(scope="module")
def events(demo: Plan) -> list[dict[str, Any]]:
    return sorted(epcis(demo.actions), key=lambda event: event["t_us"])


def sensor_messages(actions: Iterable[Action]) -> Iterator[Publish]:
    return (action for action in actions if isinstance(action, Publish) and action.typ == "senml+json")


def epcis(actions: Iterable[Action]) -> Iterator[dict[str, Any]]:
    for action in actions:
        if isinstance(action, Capture) or (isinstance(action, Publish) and action.typ == "epcis+json"):
            (event,) = json.loads(action.body)["epcisBody"]["eventList"]
            event["t_us"] = int(datetime.fromisoformat(event["eventTime"]).timestamp() * 1e6)
            event["recorded_us"] = action.at_us
            yield event


def the_note(demo: Plan, kind: str) -> Note:
    (note,) = [note for note in demo.notes if note.kind == kind]
    return note


def openings(samples: list[Sample]) -> list[tuple[int, int]]:
    """(first seen open, last seen open)."""
    runs: list[list[int]] = []
    for before, now in pairwise([Sample(0, False), *samples]):
        if now.value and not before.value:
            runs.append([])
        if now.value:
            runs[-1].append(now.t_us)
    return [(run[0], run[-1]) for run in runs]


def portal_reads(events: list[dict[str, Any]]) -> dict[str, list[tuple[str, set[str]]]]:
    """By pallet: (read point, case tags) in order of time."""
    reads: dict[str, list[tuple[str, set[str]]]] = defaultdict(list)
    for event in events:
        if event.get("action") == "OBSERVE":
            reads[event["parentID"]].append((event["readPoint"]["id"], set(event["childEPCs"])))
    return reads


def packed(events: list[dict[str, Any]]) -> dict[str, set[str]]:
    return {e["parentID"]: set(e["childEPCs"]) for e in events if e["bizStep"] == "packing"}


def sscc_urn(name: str) -> str:
    """The URN of an `sscc:` name of the demo's seven-digit company."""
    digits = name.removeprefix("sscc:")
    return f"urn:epc:id:sscc:{digits[1:8]}.{digits[0]}{digits[8:17]}"


def sgtin_urn(name: str) -> str:
    gtin, _, serial = name.removeprefix("case:").partition("/")
    return f"urn:epc:id:sgtin:{gtin[1:8]}.{gtin[0]}{gtin[8:13]}.{serial}"


def test_a_seed_determines_every_byte(demo: Plan) -> None:
    again = load_scenario("demo").generate()
    assert again == demo
    assert again.deliveries()[:200] == demo.deliveries()[:200]
    assert load_scenario("demo").generate(seed=1).actions != demo.actions


def test_the_demo_is_as_big_as_its_file_says(demo: Plan, series: dict[tuple[str, str], list[Sample]]) -> None:
    assert demo.start_us == int(datetime(2026, 3, 2, tzinfo=UTC).timestamp()) * 1_000_000
    assert demo.end_us - demo.start_us == 52 * HOUR_US
    messages = [action for action in demo.actions if isinstance(action, Publish)]
    assert 5_000 <= len(messages) <= 8_000
    assert 100_000 <= sum(map(len, series.values())) <= 200_000
    assert [(d.role, d.profile) for d in demo.devices].count(("sensor", "CN-frozen")) == 8
    assert [(d.role, d.profile) for d in demo.devices].count(("portal", None)) == 3
    assert {d.org for d in demo.devices} <= {org for org, _, _ in demo.orgs}


def test_slices_are_the_plan(demo: Plan) -> None:
    assert [a.at_us for a in demo.actions] == sorted(a.at_us for a in demo.actions)
    last = demo.actions[-1].at_us + 1
    edges = [*range(demo.start_us, last, HOUR_US), last]
    assert tuple(action for a, b in pairwise(edges) for action in demo.slice(a, b)) == demo.actions


def test_every_sensor_reports_each_minute_and_publishes_soon_after(
    demo: Plan, series: dict[tuple[str, str], list[Sample]]
) -> None:
    for (device, channel), samples in series.items():
        expected_us = 5 * MINUTE_US if channel in ("setpoint", "battery") else MINUTE_US
        gaps = {b.t_us - a.t_us for a, b in pairwise(samples)}
        assert gaps == {expected_us}, (device, channel)
    assert all(0 <= a.at_us - a.sampled_us - 5 * MINUTE_US < 20_000_000 for a in sensor_messages(demo.actions))


def test_one_truck_gets_warm_once_and_everything_else_stays_frozen(
    demo: Plan, series: dict[tuple[str, str], list[Sample]]
) -> None:
    note = the_note(demo, "door-open")
    assert note.to_us - note.from_us == 50 * MINUTE_US
    assert note.names == ("veh:TRUCK-1",)
    for (device, channel), samples in series.items():
        if not channel.startswith("temp/"):
            continue
        warm = [sample.t_us for sample in samples if sample.value > -18]
        if device == "truck-1-gw" and channel != "temp/product":
            assert len(warm) >= 60, channel
            assert note.from_us <= warm[0]
            assert warm[-1] <= note.to_us + 30 * MINUTE_US
            assert warm[-1] - warm[0] == (len(warm) - 1) * MINUTE_US
        else:
            assert warm == [], (device, channel)


def test_a_healthy_box_is_within_a_degree_of_its_setpoint(series: dict[tuple[str, str], list[Sample]]) -> None:
    for (_, channel), samples in series.items():
        if channel in ("temp/box", "temp/north", "temp/rack-1", "temp/rack-3"):
            near = sum(-21 <= sample.value <= -19 for sample in samples)
            assert near / len(samples) > 0.96, channel


def test_the_compressor_of_a_truck_never_rests_for_a_quarter_of_an_hour(
    series: dict[tuple[str, str], list[Sample]],
) -> None:
    for truck in ("truck-1-gw", "truck-2-gw"):
        resting = [Sample(s.t_us, not s.value) for s in series[truck, "compressor"]]
        assert all(last - first < 13 * MINUTE_US for first, last in openings(resting))


def test_only_two_openings_of_a_truck_have_no_event_of_that_truck_near_them(
    demo: Plan, series: dict[tuple[str, str], list[Sample]], events: list[dict[str, Any]]
) -> None:
    uncovered = []
    for truck in ("1", "2"):
        at = [e["t_us"] for e in events if e.get("parentID") == f"urn:coldchain:veh:TRUCK-{truck}"]
        for first, last in openings(series[f"truck-{truck}-gw", "door/rear"]):
            if not any(first - 10 * MINUTE_US <= t <= last + 10 * MINUTE_US for t in at):
                uncovered.append((truck, first, last))
    inspection, lay_by = the_note(demo, "inspection"), the_note(demo, "door-open")
    assert [truck for truck, _, _ in uncovered] == ["1", "2"]
    assert uncovered[0][1:] == (lay_by.from_us, lay_by.to_us - MINUTE_US)
    assert inspection.from_us < uncovered[1][1] < uncovered[1][2] < inspection.to_us
    assert uncovered[1][2] - uncovered[1][1] == 14 * MINUTE_US


def test_every_opening_of_a_dock_has_goods_moving_in_or_out_of_its_room(
    series: dict[tuple[str, str], list[Sample]], events: list[dict[str, Any]]
) -> None:
    for site in ("port", "city"):
        moved = [e["t_us"] for e in events if e.get("parentID") == f"urn:coldchain:room:{site}-store/a"]
        doors = openings(series[f"{site}-a-ctl", "door/dock"])
        assert doors
        for first, last in doors:
            assert last - first <= 10 * MINUTE_US
            assert any(first - 10 * MINUTE_US <= t <= last + 10 * MINUTE_US for t in moved)


def test_three_cases_of_two_pallets_change_places_and_two_read_points_agree(
    demo: Plan, events: list[dict[str, Any]]
) -> None:
    note, whole, reads = the_note(demo, "re-palletizing"), packed(events), portal_reads(events)
    a, b = (sscc_urn(name) for name in note.names[:2])
    from_a, from_b = ({sgtin_urn(name) for name in names} for names in (note.names[2:5], note.names[5:]))
    assert note.to_us < demo.start_us + 24 * HOUR_US
    assert from_a <= whole[a]
    assert from_b <= whole[b]
    assert reads[a][0][1] & from_b == set() == reads[b][0][1] & from_a
    for point in (1, 2):
        assert from_b <= reads[a][point][1]
        assert from_a <= reads[b][point][1]
        assert not reads[a][point][1] & from_a
        assert not reads[b][point][1] & from_b
    assert reads[a][1][0] != reads[a][2][0]


def test_the_inspected_pallet_lacks_its_two_cases_from_then_on(demo: Plan, events: list[dict[str, Any]]) -> None:
    note = the_note(demo, "inspection")
    pallet, taken = sscc_urn(note.names[1]), {sgtin_urn(name) for name in note.names[2:]}
    before, *after = portal_reads(events)[pallet]
    assert len(taken) == 2
    assert taken <= before[1]
    assert len(after) == 3
    assert all(not taken & tags for _, tags in after)


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_otherwise_no_two_reads_running_agree_on_a_difference(seed: int | None) -> None:
    plan = load_scenario("demo").generate(seed)
    events = sorted(epcis(plan.actions), key=lambda event: event["t_us"])
    changed = {name for note in plan.notes for name in note.names}
    clean = {pallet: tags for pallet, tags in packed(events).items() if pallet not in map(sscc_urn, pallets(changed))}
    assert len(clean) == 13
    accidents = 0
    for pallet, tags in clean.items():
        for (_, one), (_, other) in pairwise(portal_reads(events)[pallet]):
            assert not (one ^ tags) & (other ^ tags)
            accidents += len(one ^ tags)
    assert accidents > 3  # one tag in a hundred is missed, as many strays


def pallets(names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith("sscc:")]


def test_pallets_are_read_at_every_passage(events: list[dict[str, Any]]) -> None:
    """One into the truck and two out at the city store; the two that went back passed seven more portals."""
    reads = portal_reads(events)
    lengths = sorted(len(points) - 1 for points in reads.values())  # without the count at the end
    assert lengths == [3] * 14 + [9] * 2
    assert all(points[-1][0].endswith("handheld-1") for points in reads.values())


def test_a_truck_drives_from_store_to_store_and_says_how_fast(series: dict[tuple[str, str], list[Sample]]) -> None:
    lat, lon, speed = ([s.value for s in series["truck-1-gw", name]] for name in ("lat", "lon", "speed"))
    port, city = (36.07, 120.32), (36.81, 118.05)
    shares = [(one - port[0]) / (city[0] - port[0]) for one in lat]
    off_the_road = [port[1] + share * (city[1] - port[1]) - one for share, one in zip(shares, lon, strict=True)]
    assert max(map(abs, off_the_road)) < 0.001
    assert abs(shares[0]) < 0.001
    ends = [
        round(share) for share, v in zip(shares, speed, strict=True) if v == 0 and abs(share - round(share)) < 0.001
    ]
    changes = [after for before, after in pairwise(ends) if before != after]
    assert changes == [1, 0, 1, 0, 1, 0, 1], "seven trips, there and back"
    on_the_way = [share for share, v in zip(shares, speed, strict=True) if v]
    assert 7 * 150 < len(on_the_way) < 7 * 210, "three hours each, a position a minute"
    assert all(len([s for s in on_the_way if n <= s * 10 < n + 1]) > 7 * 10 for n in range(10))
    for i, (here, there) in enumerate(pairwise(zip(lat, lon, strict=True))):
        if speed[i] and speed[i + 1]:
            east = (there[1] - here[1]) * math.cos(math.radians(36.4))
            assert math.hypot(east, there[0] - here[0]) * 111_320 / 60 == pytest.approx(speed[i], abs=4)


def test_an_offline_truck_sends_everything_afterwards_in_order(demo: Plan) -> None:
    down, up = (action for action in demo.actions if isinstance(action, Link))
    assert (down.up, up.up) == (False, True)
    assert up.at_us - down.at_us == 5 * HOUR_US
    mine = [d for d in demo.deliveries() if d.device == "truck-2-gw"]
    assert not any(down.at_us <= d.at_us < up.at_us for d in mine)
    assert sum(d.at_us == up.at_us for d in mine) == 60
    headers = [json.loads(base64.urlsafe_b64decode(d.payload.split(b".")[0] + b"==")) for d in mine]
    assert [header["seq"] for header in headers] == list(range(52 * 12))
    digests = [base64.urlsafe_b64encode(hashlib.sha256(d.payload).digest()).rstrip(b"=").decode() for d in mine]
    assert [header["prev"] for header in headers] == ["", *digests[:-1]]


def test_the_inspection_is_claimed_with_its_full_evidence_and_confirmed_by_customs(demo: Plan) -> None:
    claimed, decided = (action for action in demo.actions if isinstance(action, Paper))
    claim, decision, note = json.loads(claimed.payload), json.loads(decided.payload), the_note(demo, "inspection")
    assert (claimed.org, claimed.kind, claimed.key) == ("hengyuan-logistics", "document", f"doc/claim/{claim['id']}")
    assert (claim["doc"], claim["code"]) == ("exception-claim", "E1")
    assert {"date", "office", "order_no", "old_seal", "new_seal"} <= claim["evidence"].keys()
    assert (claim["places"][0], *claim["units"]) == note.names
    assert (claim["from_us"], claim["to_us"]) == (note.from_us, note.to_us)
    assert decided.key == f"order/claim-decision/{claim['id']}/1"
    assert (decision["claim"], decision["decision"], decision["role"]) == (claim["id"], "confirmed", "customs")
    assert note.to_us < claimed.at_us < decided.at_us


def test_event_ids_are_unique_uuids_and_every_code_has_its_check_digit(
    demo: Plan, events: list[dict[str, Any]]
) -> None:
    ids = [event["eventID"] for event in events]
    assert len(set(ids)) == len(ids)
    assert all(one.startswith("urn:uuid:") and one[23] == "5" for one in ids)
    for note in demo.notes:
        for name in note.names:
            scheme, _, digits = name.partition(":")
            if scheme in ("sscc", "case"):
                weights = (3, 1) * 9
                digits = digits.partition("/")[0]
                total = sum(int(d) * w for d, w in zip(reversed(digits[:-1]), weights, strict=False))
                assert (total + int(digits[-1])) % 10 == 0


def test_events_are_recorded_soon_after_they_happen(events: list[dict[str, Any]]) -> None:
    assert all(0 < event["recorded_us"] - event["t_us"] < 2 * MINUTE_US for event in events)
    assert all(event["eventTime"].endswith("Z") and event["eventTimeZoneOffset"] == "+08:00" for event in events)


def test_the_smoke_scenario_is_short_and_nothing_goes_wrong() -> None:
    plan = load_scenario("smoke").generate()
    assert plan.end_us - plan.start_us == 2 * HOUR_US
    assert plan.notes == ()
    assert {type(action) for action in plan.actions} == {Publish, Capture}
    assert {json.dumps(e["childEPCs"]) for e in epcis(plan.actions) if e["bizStep"] == "unloading"}


def smoke_with(tmp_path: Path, old: str, new: str) -> Path:
    source = Path(load_scenario.__code__.co_filename).parent / "scenarios" / "smoke.toml"
    text = source.read_text()
    assert old in text
    changed = tmp_path / "changed.toml"
    changed.write_text(text.replace(old, new))
    return changed


FAULTY = """
fault = [
  { kind = "sentinel", device = "port-a-ctl", channel = "temp/north", value = -127.0, from_h = 0.5, to_h = 1.0 },
  { kind = "stuck", device = "port-a-ctl", channel = "temp/south", from_h = 0.5, to_h = 1.0 },
  { kind = "skew", device = "truck-1-gw", value = 600.0, from_h = 0.0, to_h = 2.0 },
]
[[trip]]"""


def test_a_file_may_break_sensors_and_clocks(tmp_path: Path) -> None:
    healthy = load_scenario("smoke").generate()
    broken = load_scenario(smoke_with(tmp_path, "[[trip]]", FAULTY)).generate()
    bodies = {a.sampled_us: a.body for a in sensor_messages(broken.actions) if a.device == "port-a-ctl"}
    at = broken.start_us + HOUR_US // 2
    shown = [(r["n"], r["v"]) for r in json.loads(bodies[at]) if r["n"].startswith("temp/")]
    assert {value for name, value in shown if name == "temp/north"} == {-127.0}
    assert len({value for name, value in shown if name == "temp/south"}) == 1
    for one, other in zip(sensor_messages(healthy.actions), sensor_messages(broken.actions), strict=True):
        if one.device == "truck-1-gw":
            assert json.loads(other.body)[0]["bt"] - json.loads(one.body)[0]["bt"] == 600


ON_THE_WAY = """
fault = [
  { kind = "duplicates", device = "port-a-ctl", value = 1.0, from_h = 0.5, to_h = 1.0 },
  { kind = "shuffled", device = "truck-1-gw", value = 900.0, from_h = 0.5, to_h = 1.0 },
  { kind = "replayed", device = "truck-1-gw", from_h = 0.1, to_h = 1.5 },
  { kind = "forged", device = "port-dock-1", from_h = 0.0, to_h = 2.0 },
]
[[trip]]"""


def test_a_file_may_bend_messages_on_their_way(tmp_path: Path) -> None:
    healthy = load_scenario("smoke").generate().deliveries()
    bent = load_scenario(smoke_with(tmp_path, "[[trip]]", ON_THE_WAY)).generate().deliveries()

    def of(deliveries: list[Delivery], device: str) -> list[bytes]:
        return [one.payload for one in deliveries if one.device == device]

    room, truck, portal = (of(healthy, device) for device in ("port-a-ctl", "truck-1-gw", "port-dock-1"))
    assert Counter(of(bent, "port-a-ctl")) == Counter([*room, *room[5:11]])
    whole = of(bent, "truck-1-gw")
    half = whole[5:11]
    assert half != sorted(half, key=truck.index), "they overtake each other"
    assert Counter(whole) == Counter([*truck, *truck[5:11], truck[1]])
    forged = [one for one in of(bent, "port-dock-1") if one not in portal]
    assert [one.rpartition(b".")[0] for one in forged] == [one.rpartition(b".")[0] for one in portal]
    assert Counter(of(bent, "port-dock-1")) == Counter([*portal, *forged])


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("drive_h = 0.7", "drive_hours = 0.7", "unknown field drive_hours"),
        ("drive_h = 0.7", "", "drive_h"),
        ('origin = "port-store"', 'origin = "city-store"', "TRUCK-1 is free at port-store"),
        ("pallets = [1, 2, 3]", "pallets = [1, 2, 9]", "pallet 9 is not at port-store"),
        ("start = 2026-03-02T00:00:00Z", "start = 2026-03-02T00:00:00", "no offset"),
        ("hours = 2", "hours = ", "cannot read"),
        ("[[trip]]", 'fault = [{ kind = "offline", device = "x", from_h = 0, to_h = 1 }]\n[[trip]]', "device x"),
        ("[[trip]]", FAULTY.replace("stuck", "stick"), r"fault\[1\] kind: 'stick' is none of offline, stuck, .*forged"),
        (
            "[[trip]]",
            FAULTY.replace("temp/south", "temp/sud"),
            "stuck of port-a-ctl names the channel 'temp/sud', it has",
        ),
        ("[[trip]]", FAULTY.replace("truck-1-gw", "port-dock-1"), "skew names port-dock-1, which is no sensor"),
    ],
)
def test_a_scenario_that_cannot_be_played_says_why(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(ScenarioError, match=says):
        load_scenario(smoke_with(tmp_path, old, new)).generate()


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ScenarioError, match="demo, smoke"):
        load_scenario("nope")
