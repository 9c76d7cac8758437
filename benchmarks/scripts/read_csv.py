"""Read a CSV of data.py with polars or DuckDB, as fast as each can; print seconds as JSON.

python benchmarks/scripts/read_csv.py polars|duckdb FILE
"""

from __future__ import annotations

import json
import sys
import time

PIXELS = [f"pixel_{i}" for i in range(64)]


def with_polars(path: str) -> int:
    """Read typed columns with all threads, in one call."""
    import polars

    schema = {"id": polars.String, "form": polars.String}
    schema |= dict.fromkeys(PIXELS, polars.UInt8)
    return int(polars.read_csv(path, schema=schema).height)


def with_duckdb(path: str) -> int:
    """Read typed columns with all threads, into Arrow batch by batch."""
    import duckdb

    columns = {"id": "VARCHAR", "form": "VARCHAR", **dict.fromkeys(PIXELS, "UTINYINT")}
    relation = duckdb.connect().read_csv(path, columns=columns, header=True)
    reader = relation.fetch_arrow_reader(100_000)
    return sum(batch.num_rows for batch in reader)


READERS = {"polars": with_polars, "duckdb": with_duckdb}


def main() -> None:
    """Read the file, and print how long it took."""
    reader = READERS[sys.argv[1]]
    __import__(sys.argv[1])
    started, cpu = time.perf_counter(), time.process_time()
    rows = reader(sys.argv[2])
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    print(json.dumps({"rows": rows, "seconds": seconds, "cpu_seconds": cpu}))


if __name__ == "__main__":
    main()
