"""Files of USB loggers: every reading recorded as declared, once, below zero and by the zone of the desk."""

from __future__ import annotations

import json
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from openpyxl import Workbook

from coldchain.bootstrap.core import open_core
from coldchain.cli import group
from coldchain.projections.series import readings
from coldchain.services.identity import CommandRefused
from coldchain.settings import load_settings
from coldchain_ledger.entry import parse_entry

T_S = 1_772_380_800
"""2026-03-02T00:00:00+08:00."""


def run(data: Path, *words: str) -> Any:
    result = CliRunner().invoke(group, [*words, "--dir", str(data), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    run(data, "device", "gateway", "--org", "acme", "--site", "desk", "--id", "loggers", "--format", "senml")
    behind = ("--gateway", "loggers", "--source", "SN 4711", "--place", "veh:T7")
    run(
        data,
        "device",
        "map",
        "LOGGER-7",
        *behind,
        "--channel",
        "Temp (°C)=temp/box,unit=Cel",
        "--channel",
        "湿度=rh/box",
    )
    return data


def readings_of(data: Path) -> list[tuple[str, int, Any]]:
    with open_core(load_settings(dir=data)) as core:
        core.settle()
        with core.engine.connect() as connection:
            found = readings(connection, "LOGGER-7", 0, 2**62)
            return [(one.name, one.t_us // 1_000_000 - T_S, one.value) for one in found if not one.quality]


CSV = (
    "Serial,SN 4711\nModel,X\n\nTime,Temp (°C),湿度\n2026-03-02 00:00,-18.5,80\n2026/03/02 00:10:30,-0.4,\n,,\n合计,,\n"
)


def test_every_reading_of_a_csv_is_recorded_by_the_clock_of_the_desk(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text(CSV.replace("合计", ""), encoding="utf-8")
    answer = run(data, "logger", str(file), "--device", "LOGGER-7", "--time", "Time")
    assert (answer["recorded"], answer["known"]) == (2, 0)
    assert readings_of(data) == [("rh/box", 0, 80.0), ("temp/box", 0, -18_500), ("temp/box", 630, -400)]
    again = run(data, "logger", str(file), "--device", "LOGGER-7", "--time", "Time")
    assert (again["recorded"], again["known"], again["entries"]) == (0, 2, answer["entries"])
    with open_core(load_settings(dir=data)) as core, core.store.snapshot() as snapshot:
        entries = [parse_entry(snapshot.entry(index)) for index in answer["entries"]]
    assert {entry.grade for entry in entries} == {"declared"}
    kept = json.loads(entries[-1].payload)["sha256"]
    assert (data / "blobs" / kept).read_bytes() == file.read_bytes()


def test_a_year_of_readings_is_several_entries_that_each_fit(data: Path, tmp_path: Path) -> None:
    lines = [
        f"2026-{1 + day // 28:02}-{1 + day % 28:02} {hour:02}:00,-{18 + hour / 10}"
        for day in range(84)
        for hour in range(24)
    ]
    file = tmp_path / "log.csv"
    file.write_text("Time,Temp (°C)\n" + "\n".join(lines), encoding="utf-8")
    answer = run(data, "logger", str(file), "--device", "LOGGER-7", "--time", "Time")
    assert answer["recorded"] > 2
    assert len(readings_of(data)) == 84 * 24


def test_a_workbook_keeps_midnight_and_digits(data: Path, tmp_path: Path) -> None:
    book, out = Workbook(), BytesIO()
    sheet = book.active
    assert sheet is not None
    for row in (["When", "Temp (°C)"], [datetime(2026, 3, 2), -18.1], [datetime(2026, 3, 2, 1), -17.9]):  # noqa: DTZ001
        sheet.append(row)
    book.save(out)
    file = tmp_path / "log.xlsx"
    file.write_bytes(out.getvalue())
    run(data, "logger", str(file), "--device", "LOGGER-7", "--time", "When", "--transcribed")
    assert readings_of(data) == [("temp/box", 0, -18_100), ("temp/box", 3_600, -17_900)]


def test_times_of_another_form_and_zone_are_read_as_told(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text("T,Temp (°C)\n01.03.2026 16:00,-20\n", encoding="utf-8")
    how = ("--time", "T", "--time-format", "%d.%m.%Y %H:%M", "--zone", "+00:00")
    run(data, "logger", str(file), "--device", "LOGGER-7", *how)
    assert readings_of(data) == [("temp/box", 0, -20_000)]


@pytest.mark.parametrize(
    ("zone", "local", "utc"),
    [
        ("Asia/Shanghai", "2026-03-02 00:00", "2026-03-01T16:00:00"),
        ("UTC", "2026-03-01 16:00", "2026-03-01T16:00:00"),
        ("Z", "2026-03-01 16:00", "2026-03-01T16:00:00"),
        ("-03:30", "2026-03-01 12:30", "2026-03-01T16:00:00"),
        ("Europe/Berlin", "2026-03-29 01:59", "2026-03-29T00:59:00"),
        ("Europe/Berlin", "2026-03-29 03:00", "2026-03-29T01:00:00"),
        ("Europe/Berlin", "2026-10-25 01:59", "2026-10-24T23:59:00"),
        ("Europe/Berlin", "2026-10-25 03:00", "2026-10-25T02:00:00"),
        ("Europe/Berlin", "2026-10-25T02:30+01:00", "2026-10-25T01:30:00"),
    ],
)
def test_a_time_zone_is_read_by_its_summers_and_winters(
    data: Path, tmp_path: Path, zone: str, local: str, utc: str
) -> None:
    file = tmp_path / "log.csv"
    file.write_text(f"T,Temp (°C)\n{local},-20\n", encoding="utf-8")
    run(data, "logger", str(file), "--device", "LOGGER-7", "--time", "T", "--zone", zone)
    expected_s = int(datetime.fromisoformat(f"{utc}+00:00").timestamp())
    assert [t_s + T_S for _, t_s, _ in readings_of(data)] == [expected_s]


@pytest.mark.parametrize(
    ("local", "told"),
    [
        ("2026-03-29 02:00", "A2: 2026-03-29 02:00:00 was never in Europe/Berlin"),
        ("2026-03-29 02:59:59", "A2: 2026-03-29 02:59:59 was never in Europe/Berlin"),
        ("2026-10-25 02:00", "was twice in Europe/Berlin, at +02:00 and +01:00"),
        ("2026-10-25 02:59", "was twice in Europe/Berlin, at +02:00 and +01:00"),
    ],
)
def test_an_hour_that_clocks_leave_out_or_repeat_is_refused_with_what_to_do(
    data: Path, tmp_path: Path, local: str, told: str
) -> None:
    words = ["--device", "LOGGER-7", "--time", "T", "--zone", "Europe/Berlin", "--dir", str(data)]
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["T", "Temp (°C)"], [datetime.fromisoformat(local), -20]):
        sheet.append(row)
    book.save(tmp_path / "log.xlsx")
    (tmp_path / "log.csv").write_text(f"T,Temp (°C)\n{local},-20\n", encoding="utf-8")
    for name in ("log.csv", "log.xlsx"):
        refused = CliRunner().invoke(group, ["logger", str(tmp_path / name), *words]).exception
        assert isinstance(refused, CommandRefused)
        assert told in str(refused)
        assert "--zone" in str(refused)
    assert readings_of(data) == []


def test_a_printed_report_is_kept_with_what_it_sums_up_and_judges_nothing(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "report.pdf"
    file.write_bytes(b"%PDF-1.4 what a logger printed")
    span = ("--from", "2026-03-01", "--to", "2026-03-02T08:00:00+08:00")
    answer = run(data, "logger", str(file), "--device", "LOGGER-7", "--least", "-21.5", "--most", "-17", *span)
    with open_core(load_settings(dir=data)) as core, core.store.snapshot() as snapshot:
        entry = parse_entry(snapshot.entry(answer["index"]))
    body = json.loads(entry.payload)
    assert (entry.grade, body["least_c"], body["most_c"]) == ("transcribed", "-21.5", "-17")
    assert (data / "blobs" / body["sha256"]).read_bytes() == file.read_bytes()
    assert readings_of(data) == []


@pytest.mark.parametrize(
    ("content", "words", "told"),
    [
        (CSV, ("--time", "Zeit"), "Zeit"),
        (CSV, ("--time", "Time"), "A8"),
        ("Time,T\n", ("--time", "Time"), "no reading"),
        (CSV, (), "--least"),
        (CSV, ("--least", "-20"), "--most"),
        (CSV, ("--time", "Time", "--zone", "Mars"), "Mars"),
        (CSV, ("--time", "Time", "--zone", "Europe"), "'Europe': expected an offset such as +08:00, or a time zone"),
        (CSV, ("--time", "Time", "--zone", "../../etc/passwd"), "expected an offset"),
        (CSV, ("--time", "Time", "--zone", ""), "expected an offset"),
        (CSV, ("--time", "Time", "--zone", "+25:00"), "expected an offset"),
        (CSV, ("--least", "-20", "--most", "-25", "--from", "2026-03-01", "--to", "2026-03-02"), "least"),
        (CSV, ("--least", "cold", "--most", "-25", "--from", "2026-03-01", "--to", "2026-03-02"), "cold"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(
    data: Path, tmp_path: Path, content: str, words: tuple[str, ...], told: str
) -> None:
    file = tmp_path / "log.csv"
    file.write_text(content, encoding="utf-8")
    result = CliRunner().invoke(group, ["logger", str(file), "--device", "LOGGER-7", *words, "--dir", str(data)])
    assert result.exit_code != 0
    assert told in result.output + str(result.exception)
