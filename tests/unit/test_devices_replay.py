"""The recorded tracker log, replayed: nothing lost, nothing added, the same bytes each time."""

from __future__ import annotations

import csv
import json
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from coldchain_devices.errors import ReplayError
from coldchain_devices.replay import COLUMNS, MEASURED, NAMES, Recording, load_keys, read_recording

UNITS = ",".join("#" for _ in COLUMNS)


@pytest.fixture(scope="module")
def log(shared_vectors: Path) -> Path:
    return shared_vectors / "data" / "schenker-sea-containers-2016.csv"


@pytest.fixture(scope="module")
def recording(log: Path) -> Recording:
    return read_recording(log)


def write_log(folder: Path, *rows: str, header: str = ",".join(COLUMNS)) -> Path:
    path = folder / "log.csv"
    path.write_text("\n".join(["\ufeff" + header, UNITS, *rows]) + "\n", "utf-8")
    return path


def test_every_row_is_published_or_counted_empty(recording: Recording) -> None:
    assert (len(recording.reports), recording.empty) == (25_898, 1_151)
    assert len(recording.reports) + recording.empty == 27_049
    assert recording.devices == tuple(f"sxxj-{letter}" for letter in "abcdefghi")
    assert 0 < recording.boot < 2**31


def test_no_value_is_lost_and_every_number_keeps_its_digits(log: Path, recording: Recording) -> None:
    rows = list(csv.DictReader(log.read_text("utf-8-sig").splitlines()))[1:]
    expected: Counter[str] = Counter()
    for row in rows:
        for column in MEASURED:
            if row[column] not in ("NA", ""):
                value = {"0": "False", "1": "True"}[row[column]] if column == "Door" else row[column]
                expected[f"{NAMES.get(column, ('x/' + column, ''))[0]}={value}"] += 1
    found: Counter[str] = Counter()
    for report in recording.reports:
        for record in json.loads(report.body, parse_float=str, parse_int=str):
            found[f"{record['n']}={next(record[k] for k in ('v', 'vb', 'vs') if k in record)}"] += 1
    assert found == expected
    assert found["x/Accuracy=cellid"] == 316
    assert found["temp/container=-18.000"] == 80


def test_times_are_absolute_and_utc(recording: Recording) -> None:
    assert recording.first_us == min(report.sampled_us for report in recording.reports)
    for report in recording.reports[:500]:
        first = json.loads(report.body)[0]
        assert first["bt"] * 1_000_000 == report.sampled_us
    assert recording.reports[0].sampled_us == int(datetime(2016, 8, 8, 14, 39, 36, tzinfo=UTC).timestamp()) * 1_000_000


def test_each_tracker_counts_its_own_published_rows(recording: Recording) -> None:
    seqs: dict[str, list[int]] = {}
    for report in recording.reports:
        seqs.setdefault(report.device, []).append(report.seq)
    assert all(numbers == list(range(len(numbers))) for numbers in seqs.values())


def test_the_same_keys_give_the_same_chain_and_are_kept(recording: Recording, tmp_path: Path) -> None:
    few = Recording(recording.boot, recording.reports[:300], 0)
    first = [message for _, message in few.signed(load_keys(tmp_path / "keys", few.devices))]
    again = [message for _, message in few.signed(load_keys(tmp_path / "keys", few.devices))]
    assert first == again
    assert [(m.boot, m.seq) for m in first] == [(few.boot, report.seq) for report in few.reports]
    assert (tmp_path / "keys" / "sxxj-a.pem").stat().st_mode & 0o777 == 0o600


def test_numbers_stay_as_written_and_other_text_stays_text(tmp_path: Path) -> None:
    row = "0,Q,NONE,2016-08-08,14:39:36,1.50,NA,cellid,1,0,NA,,NA,NA,007,NA,-18.000,-0.0,NA,,"
    (report,) = read_recording(write_log(tmp_path, row)).reports
    assert report.device == "sxxj-q"
    assert json.loads(report.body, parse_float=Decimal) == [
        {"bt": 1_470_667_176, "n": "lat", "u": "lat", "v": Decimal("1.50")},
        {"n": "x/Accuracy", "vs": "cellid"},
        {"n": "x/Active", "v": 1},
        {"n": "x/Reverse", "v": 0},
        {"n": "x/GForce", "vs": "007"},
        {"n": "temp/container", "u": "Cel", "v": Decimal("-18.000")},
        {"n": "rh/container", "u": "%RH", "v": Decimal("-0.0")},
    ]


def test_a_row_without_a_value_is_counted_and_takes_no_number(tmp_path: Path) -> None:
    nothing = "0,Q,NONE,2016-08-08,14:39:36," + ",".join(["NA"] * 14) + ",,"
    something = "1,Q,NONE,2016-08-08,14:39:45," + ",".join(["NA"] * 13) + ",0.015,,"
    recording = read_recording(write_log(tmp_path, nothing, something))
    assert recording.empty == 1
    assert [(report.seq, report.body) for report in recording.reports] == [
        (0, b'[{"bt":1470667185,"n":"light","u":"lx","v":0.015}]')
    ]


def test_another_file_is_another_boot(tmp_path: Path, recording: Recording) -> None:
    assert read_recording(write_log(tmp_path)).boot != recording.boot


@pytest.mark.parametrize(
    ("rows", "header", "says"),
    [
        ((), "a,b", "columns 'a, b'"),
        (("1,2,3",), ",".join(COLUMNS), "line 3: 3 cells, 21 expected"),
        (("0,Q,NONE,yesterday,noon," + ",".join(["1"] * 14) + ",,",), ",".join(COLUMNS), "line 3: no time in 'yest"),
    ],
)
def test_a_log_that_is_not_as_described_is_refused(tmp_path: Path, rows: tuple[str], header: str, says: str) -> None:
    with pytest.raises(ReplayError, match=says):
        read_recording(write_log(tmp_path, *rows, header=header))
