"""`coldchain import` of sheets: previewed, recorded once, the original and the map kept."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from integration.desk import Desk

HEAD = "单据号,日期,集装箱号,品名,厂号,批号,箱数,净重kg,封志号"
LINES = [
    "PL-1,2026-03-01 09:30,MORU0714983,冷冻牛腱,1974,L1,400,10000.5,CN123456",
    "PL-1,2026-03-01 09:30,MORU0714983,冷冻牛腱,1974,L2,800,20001,CN123456",
    "PL-2,2026-03-01 11:00,CSQU3054383,冷冻鸡爪,1974,K7,1000,12000,CN123457",
]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_sheet_is_recorded_once_however_often_it_is_imported(desk: Desk) -> None:
    sheet = desk.file("pl.csv", "某某公司", HEAD, *LINES)
    before = desk.entries()
    first = desk.load(sheet)
    assert (first["rows"], first["good"], first["facts"], first["recorded"]) == (3, 3, 2, 3)
    after = desk.entries()
    assert after == before + 3
    again = desk.load(sheet)
    assert (again["recorded"], again["known"], again["entries"]) == (0, 3, first["entries"])
    assert desk.entries() == after
    said = desk.run("inspect", "cont:MORU0714983")["history"][0]
    assert (said["action"], said["by"], said["grade"]) == ("ADD", "acme", "declared")


def test_a_longer_file_adds_only_what_is_new(desk: Desk) -> None:
    desk.load(desk.file("pl.csv", HEAD, *LINES[:2]))
    longer = desk.load(desk.file("pl.csv", HEAD, *LINES))
    assert (longer["recorded"], longer["known"]) == (2, 1)


def test_the_original_is_kept_under_its_hash(desk: Desk) -> None:
    sheet = desk.file("pl.csv", HEAD, *LINES)
    answer = desk.load(sheet)
    kept = desk.folder / "D" / "blobs" / answer["sha256"]
    assert kept.read_bytes() == sheet.read_bytes()
    assert hashlib.sha256(sheet.read_bytes()).hexdigest() == answer["sha256"]
    assert kept.stat().st_mode & 0o077 == 0


def test_a_preview_records_nothing_and_keeps_nothing(desk: Desk) -> None:
    before = desk.entries()
    answer = desk.load(desk.file("pl.csv", HEAD, *LINES), "--preview")
    assert (answer["facts"], answer["recorded"], answer["columns"]["cases"]) == (2, 0, "G")
    assert desk.entries() == before
    assert not (desk.folder / "D" / "blobs").exists()


def test_one_bad_cell_stops_the_file_and_is_named(desk: Desk) -> None:
    before = desk.entries()
    answer = desk.load(desk.file("pl.csv", HEAD, *LINES[:2], LINES[2].replace("CSQU3054383", "CSQU3054384")), code=1)
    assert [(fault["cell"], fault["field"], fault["value"]) for fault in answer["faults"]] == [
        ("C4", "container", "CSQU3054384")
    ]
    assert answer["recorded"] == 0
    assert desk.entries() == before


def test_by_choice_the_papers_without_a_fault_are_recorded(desk: Desk) -> None:
    lines = [LINES[0], LINES[1].replace(",800,", ",eight hundred,"), LINES[2]]
    answer = desk.load(desk.file("pl.csv", HEAD, *lines), "--good-rows", code=1)
    assert (answer["good"], answer["held"], answer["recorded"]) == (1, [2], 2)
    mended = desk.load(desk.file("pl.csv", HEAD, *LINES))
    assert (mended["recorded"], mended["known"]) == (2, 1)


def test_a_paper_with_other_figures_under_its_old_number_is_a_contradiction(desk: Desk) -> None:
    desk.load(desk.file("pl.csv", HEAD, *LINES))
    before = desk.entries()
    other = desk.file("pl.csv", HEAD, LINES[0].replace(",400,", ",401,"), *LINES[1:])
    assert desk.load(other, "--preview")["contradictions"][0]["rows"] == [2, 3]
    refused = desk.invoke("import", other, "--org", "acme", "--kind", "packing-list")
    assert refused.exit_code == 2
    assert "recorded before with other content" in refused.stderr
    assert desk.entries() == before
    assert desk.run("import", other, "--org", "rival", "--kind", "packing-list")["recorded"] == 3


def test_a_map_is_kept_for_its_sender_and_kind(desk: Desk) -> None:
    own = ["柜子;何时;货;批;数量", "MORU0714983;01/03/2026;牛腱;L1;10"]
    chart = desk.file(
        "map.toml",
        'kind = "packing-list"',
        'dates = "dmy"',
        '[columns]\n"柜子" = "container"\n"何时" = "time"\n"货" = "product"\n"批" = "lot"\n"数量" = "cases"',
        '[constants]\nplant = "1974"',
    )
    sheet = desk.file("own.csv", *own)
    assert desk.invoke("import", sheet, "--org", "acme", "--kind", "packing-list").exit_code == 2
    assert desk.load(sheet, "--map", chart, kind="")["recorded"] == 2
    later = desk.file("own.csv", own[0], own[1].replace("MORU0714983", "CSQU3054383"))
    assert desk.load(later)["recorded"] == 2
    assert desk.invoke("import", later, "--org", "rival", "--kind", "packing-list").exit_code == 2
    entries = desk.entries()
    assert desk.load(later, "--map", chart)["recorded"] == 0
    assert desk.entries() == entries, "the same map is not kept twice"


def test_what_was_copied_from_paper_says_so(desk: Desk) -> None:
    desk.load(desk.file("pl.csv", HEAD, *LINES), "--transcribed")
    assert desk.run("inspect", "cont:MORU0714983")["history"][0]["grade"] == "transcribed"


def test_claims_of_a_sheet_are_claims(desk: Desk) -> None:
    head = "编号,例外代码,开始时间,结束时间,涉及单元,evidence.office,evidence.date"
    line = "C-1,E1,2026-03-01 10:00,2026-03-01 11:00,hu:acme/P-1；hu:acme/P-2,Qingdao,2026-03-01"
    assert desk.load(desk.file("claims.csv", head, line), kind="exception-claims")["recorded"] == 2
    other = desk.file("claims.csv", head, line.replace("Qingdao", "Dalian"))
    refused = desk.invoke("import", other, "--org", "acme", "--kind", "exception-claims")
    assert refused.exit_code == 2
    assert "other content" in refused.stderr


@pytest.mark.parametrize(
    ("lines", "options", "words"),
    [
        (("a,b", "1,2"), ("--kind", "tally"), "expected headings such as"),
        (("a,b", "1,2"), ("--kind", "menu"), "kind: expected one of"),
        (("a,b", "1,2"), (), "a sheet needs --kind"),
        ((HEAD,), ("--kind", "packing-list"), "states nothing to record"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(
    desk: Desk, lines: tuple[str, ...], options: tuple[str, ...], words: str
) -> None:
    result = desk.invoke("import", desk.file("x.csv", *lines), "--org", "acme", *options)
    assert result.exit_code == 2
    assert words in result.stderr


def test_labels_are_new_each_time_and_can_be_printed_again(desk: Desk) -> None:
    first = desk.run("label", "--org", "acme", "--count", "3", "--out", desk.folder / "a.pdf")["units"]
    second = desk.run("label", "--org", "acme", "--count", "3", "--out", desk.folder / "b.pdf")["units"]
    assert len({*first, *second}) == 6
    again = desk.run("label", *first, "--out", desk.folder / "c.pdf")
    assert again["units"] == first
    assert (desk.folder / "c.pdf").read_bytes() == (desk.folder / "a.pdf").read_bytes()
    assert desk.invoke("label", "--out", desk.folder / "d.pdf").exit_code == 2


def test_a_template_can_be_filled_in_and_imported(desk: Desk) -> None:
    path = desk.folder / "empty.csv"
    names = desk.run("template", "stock-count", "--lang", "zh", "--out", path)["headings"]
    said = {"时间": "2026-03-01", "库房": "room:w1/a", "品名": "牛腱", "厂号": "1974", "批号": "L1", "箱数": "12"}
    filled = desk.file("full.csv", path.read_text().strip(), ",".join(said.get(name, "") for name in names))
    assert desk.load(filled, kind="stock-count")["recorded"] == 2
    assert desk.invoke("template", "menu", "--out", path).exit_code == 2
    assert desk.invoke("template", "tally", "--out", desk.folder / "x.pdf").exit_code == 2
