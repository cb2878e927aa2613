"""A spreadsheet and no device: 1,200 cases without GTIN or SSCC from declaration to sale, and the counts balance.

Each party hands in its own sheets; the only thing printed is one label per pallet.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from integration.desk import Desk

LOT = "lot:1974/冷冻牛腱/2026-01-02"
GOODS = {"厂号": "1974", "品名": "冷冻牛腱", "生产日期": "2026-01-02"}
PALLETS, EACH, KG = 25, 48, 25


class Chain:
    """The sheets of everybody, written row by row."""

    def __init__(self, folder: Path) -> None:
        self.desk = Desk(folder)
        self.labels = self.desk.run("label", "--org", "acme", "--count", str(PALLETS), "--out", folder / "labels.pdf")[
            "units"
        ]

    def sheet(self, org: str, kind: str, *rows: dict[str, Any]) -> Any:
        heads = list(rows[0])
        lines = [",".join(heads), *(",".join(str(row[head]) for head in heads) for row in rows)]
        return self.desk.load(self.desk.file(f"{kind}.csv", *lines), kind=kind, org=org)

    def about(self, unit: str) -> Any:
        return self.desk.run("inspect", unit)

    def balance(self) -> dict[str, Any]:
        return {one["measure"]: one for one in self.about(LOT)["balance"]}


def amount(cases: int) -> dict[str, Any]:
    return {**GOODS, "箱数": cases, "净重kg": cases * KG}


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    chain = Chain(tmp_path_factory.mktemp("chain"))
    labels = chain.labels
    container = {"集装箱号": "MORU0714983"}
    chain.sheet(
        "acme",
        "declaration",
        {"报关单号": "224820261012345678", "时间": "2026-03-01 08:00", **amount(1200), **container},
    )
    chain.sheet(
        "acme",
        "packing-list",
        {"单据号": "PL-1", "时间": "2026-02-01 08:00", **container, **amount(1200), "封志号": "AB123456"},
    )
    seal = {"封志号": "AB123456", "封志状态": "完好"}
    tally = {"单据号": "T-1", "时间": "2026-03-03 08:00", **container, "场所": "loc:port-store", **seal}
    chain.sheet("port-store", "tally", *({**tally, "托盘号": label, **amount(EACH)} for label in labels))
    stored = {
        "单据号": "R-1",
        "时间": "2026-03-03 10:00",
        "库房": "room:port-store/a",
        "发货方": "acme",
        "收货方": "port-store",
    }
    chain.sheet("port-store", "receipt", *({**stored, "托盘号": label, **amount(EACH)} for label in labels))
    trip = {"车辆编号": "veh:T-1", "发货方": "port-store", "收货方": "city-store", "封志号": "CD777777"}
    out = {"单据号": "D-1", "时间": "2026-03-04 10:00", "库房": "room:port-store/a", **trip}
    chain.sheet("port-store", "dispatch", *({**out, "托盘号": label, **amount(EACH)} for label in labels[:10]))
    arrived = {"单据号": "R-2", "时间": "2026-03-04 18:00", "库房": "room:city-store/a", **trip, "封志状态": "完好"}
    chain.sheet("city-store", "receipt", *({**arrived, "托盘号": label, **amount(EACH)} for label in labels[:10]))
    sold = {
        "单据号": "S-1",
        "时间": "2026-03-05 09:00",
        "库房": "room:city-store/a",
        "发货方": "city-store",
        "收货方": "shop-1",
    }
    chain.sheet(
        "city-store", "sale", *({**sold, "拣货托盘": labels[n], **amount(cases)} for n, cases in ((0, 20), (1, 5)))
    )
    return chain


def test_the_counts_balance_from_the_container_to_the_shop(chain: Chain) -> None:
    balance = chain.balance()
    for measure, each in (("", 1), ("KGM", KG)):
        assert balance[measure]["entered"] == 1200 * each
        assert balance[measure]["left"] == {"retail_selling": 25 * each}
        assert balance[measure]["held"] == {"least": 1175 * each, "most": 1175 * each}
        assert balance[measure]["missing"] == {"least": 0, "most": 0}


def test_every_case_is_somewhere(chain: Chain) -> None:
    by_place: dict[str, int] = {}
    for holder in chain.about(LOT)["holders"]:
        if not holder["measure"]:
            by_place[holder["place"]] = by_place.get(holder["place"], 0) + holder["least"]
    assert by_place == {"room:port-store/a": 15 * EACH, "room:city-store/a": 10 * EACH - 25}


def test_a_pallets_history_reads_from_its_forming_to_the_sale(chain: Chain) -> None:
    pallet = chain.about(chain.labels[0])
    assert [stay["parent"] for stay in pallet["inside"]] == ["room:port-store/a", "veh:T-1", "room:city-store/a"]
    assert [(one["item"], one["least"], one["most"]) for one in pallet["goods"] if not one["measure"]] == [
        (LOT, 28, 28)
    ]
    assert pallet["contradictions"] == []
    assert pallet["weakest_grade"] == "declared"
    assert [one["state"] for one in pallet["handovers"]] == ["received only", "agreed"]


def test_the_container_kept_its_seal_and_the_declaration_names_it(chain: Chain) -> None:
    (seal,) = chain.about("MORU0714983")["seals"]
    assert [(fact["act"], fact["state"]) for fact in seal["facts"]] == [("applied", ""), ("checked", "intact")]
    (declared,) = chain.about("decl:224820261012345678")["history"]
    assert (declared["kind"], declared["step"]) == ("TransactionEvent", "arriving")


def test_every_count_agrees_so_every_pallet_is_continuous_and_nobody_is_accused(chain: Chain) -> None:
    for unit in ("MORU0714983", *chain.labels[2:]):
        assert chain.about(unit)["verdict"] == "CONTINUOUS", unit
    reason = {segment["reason"] for segment in chain.about(chain.labels[2])["segments"]}
    assert reason == {"counted alike; cases without numbers of their own"}


def test_after_the_last_count_nothing_is_claimed_of_a_pallet_that_was_picked_from(chain: Chain) -> None:
    last = chain.about(chain.labels[0])["segments"][-1]
    assert (last["verdict"], last["reason"]) == ("UNOBSERVED", "the cases were not counted again")


def test_at_the_moment_the_truck_was_on_the_road_ten_pallets_were_in_it(chain: Chain) -> None:
    then = chain.desk.run("inspect", "veh:T-1", "--at", "2026-03-04T12:00:00+08:00")
    assert {one["unit"] for one in then["contents"]} == set(chain.labels[:10])
    assert [(one["item"], one["least"]) for one in then["goods"] if not one["measure"]] == [(LOT, 480)]


def test_a_shop_that_sells_more_than_it_got_shows(chain: Chain) -> None:
    sold = {
        "单据号": "S-2",
        "时间": "2026-03-06 09:00",
        "库房": "room:city-store/a",
        "发货方": "city-store",
        "收货方": "x",
    }
    chain.sheet("city-store", "sale", {**sold, "拣货托盘": chain.labels[0], **amount(30)})
    assert chain.balance()[""]["missing"]["most"] < 0
    assert [one["rule"] for one in chain.about(chain.labels[0])["contradictions"]] == ["more-out-than-in"] * 2
