"""Rows as Parquet files, written as they come: one row group in memory at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

Kind = Literal["integer", "number", "flag", "text", "time", "bytes"]
GROUP = 50_000
"""Rows of a row group: some ten megabytes while it is written."""
_TYPES = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "flag": pa.bool_(),
    "text": pa.string(),
    "time": pa.timestamp("us", tz="UTC"),
    "bytes": pa.binary(),
}


def write_parquet(
    path: Path, columns: Mapping[str, Kind], rows: Iterable[Sequence[Any]], metadata: Mapping[str, str]
) -> int:
    """Write the rows to a new file; how many. Times are given in microseconds since the epoch. No rows make a file
    with its columns alone. A crash leaves a file that no reader opens: Parquet ends with what finds the rest."""
    schema = pa.schema([(name, _TYPES[kind]) for name, kind in columns.items()], metadata=dict(metadata))
    written = 0
    remaining = iter(rows)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while group := list(islice(remaining, GROUP)):
            values = zip(*group, strict=True)
            arrays = [pa.array(list(column), field.type) for column, field in zip(values, schema, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            written += len(group)
    return written
