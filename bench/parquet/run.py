#!/usr/bin/env python3
"""Parquet: tarn beside DuckDB, one thread each, in the same run.

    python3 bench/parquet/run.py [build directory] [rounds]

Reading: every column of demo/data/flights-3m.parquet, every value into a sum (strings: their
lengths), on both sides; so all pages are unpacked and decoded, and nothing can be answered from
statistics. Both sides open the file anew in each round; it is in the page cache.

Writing: the same rows from memory with zstd, in row groups and pages of each side's defaults. DuckDB
is run with its own level (3) and with tarn's (1). tarn's time includes making the file durable.

Rounds alternate, so that both sides meet the same disturbances. One JSON line per case: the medians
in milliseconds and their ratio (below 1: tarn is faster).
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import duckdb

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FLIGHTS = os.path.join(ROOT, "demo", "data", "flights-3m.parquet")
SUMS = ("select count(*), sum(epoch_us(date)), sum(delay), sum(distance), sum(length(origin)), "
        "sum(length(destination)) from '{}'")


def tarn(bench, *arguments):
    run = subprocess.run([bench, *arguments], check=True, capture_output=True, text=True)
    return json.loads(run.stdout.splitlines()[-1])


def timed(db, query):
    started = time.perf_counter()
    rows = db.execute(query).fetchall()
    return (time.perf_counter() - started) * 1000, rows


def report(name, tarn_ms, duckdb_ms, **more):
    ours, theirs = statistics.median(tarn_ms), statistics.median(duckdb_ms)
    print(json.dumps({"name": name, "tarn_ms": round(ours, 1), "duckdb_ms": round(theirs, 1),
                      "ratio": round(ours / theirs, 2), "tarn_min_ms": round(min(tarn_ms), 1),
                      "duckdb_min_ms": round(min(duckdb_ms), 1), **more}), flush=True)


def bench_read(bench, db, name, path, rounds):
    tarn_ms, duckdb_ms = [], []
    for _ in range(rounds):
        ours = tarn(bench, "read", path, "1")
        tarn_ms.append(ours["ns"] / 1e6)
        ms, rows = timed(db, SUMS.format(path))
        duckdb_ms.append(ms)
        # The same work was done: the sums, modulo 2^64 as tarn adds them up.
        assert int(ours["checksum"]) == sum(int(v) for v in rows[0][1:]) % 2**64, (ours, rows)
    report(name, tarn_ms, duckdb_ms, rows=ours["n"], bytes=ours["bytes"])


def bench_write(bench, db, folder, rounds, level):
    tarn_ms, duckdb_ms = [], []
    theirs = os.path.join(folder, "duckdb.parquet")
    for i in range(rounds):
        ours = tarn(bench, "write", FLIGHTS, os.path.join(folder, f"tarn-{level}-{i}"), "1")
        tarn_ms.append(ours["ns"] / 1e6)
        duckdb_ms.append(timed(db, f"copy flights to '{theirs}' (format parquet, compression zstd, "
                                   f"compression_level {level})")[0])
    report(f"write, DuckDB at level {level}", tarn_ms, duckdb_ms, rows=ours["n"],
           bytes=ours["bytes"], duckdb_bytes=os.path.getsize(theirs))


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else "build"
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 9
    bench = os.path.join(ROOT, build, "bench", "parquet_bench")
    db = duckdb.connect()
    db.execute("set threads = 1")
    db.execute(f"create table flights as from '{FLIGHTS}'")
    with tempfile.TemporaryDirectory() as folder:
        bench_read(bench, db, "read flights (written by polars)", FLIGHTS, rounds)
        copy = os.path.join(folder, "copy.parquet")
        tarn(bench, "copy", FLIGHTS, copy)
        bench_read(bench, db, "read flights (written by tarn)", copy, rounds)
        bench_write(bench, db, folder, rounds, 3)
        bench_write(bench, db, folder, rounds, 1)


main()
