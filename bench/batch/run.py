#!/usr/bin/env python3
"""The demo's four aggregations as plain queries over a stored table: tarn beside DuckDB.

    python3 bench/batch/run.py [build directory] [rounds]

tarn stores the joined flights in a table of its own; DuckDB reads that table's Parquet files. Both use
all cores. Every query is wrapped so that it returns one row, which is compared; rounds alternate. One
JSON line per query: medians in milliseconds and their ratio (below 1: tarn is faster).
"""
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

import duckdb

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LOAD = """
CREATE SOURCE flights (date timestamp NOT NULL, delay bigint NOT NULL, distance bigint,
    origin text NOT NULL, destination text NOT NULL,
    departed timestamp GENERATED ALWAYS AS (date + delay * INTERVAL '1 minute') STORED)
WITH (connector = 'file', path = 'demo/data/flights-3m.parquet', format = 'parquet');
CREATE TABLE airports (iata text PRIMARY KEY, name text, city text, state text, country text,
    latitude double precision, longitude double precision);
COPY airports FROM 'demo/data/airports.csv' (FORMAT csv, HEADER);
CREATE TABLE stored (departed timestamp NOT NULL, scheduled timestamp NOT NULL,
    delay bigint NOT NULL, distance bigint, origin text NOT NULL, destination text NOT NULL,
    airport text, city text, state text);
INSERT INTO stored SELECT f.departed, f.date, f.delay, f.distance, f.origin, f.destination,
    a.name, a.city, a.state FROM flights f JOIN airports a ON a.iata = f.origin;
"""
QUERIES = {
    "airport_hour": """SELECT count(*), sum(flights), sum(total) FROM (
        SELECT origin, date_trunc('hour', departed) AS hour, count(*) AS flights,
               avg(delay) AS mean, avg(CASE WHEN delay > 15 THEN 1.0 ELSE 0.0 END) AS share,
               sum(delay) AS total
        FROM stored GROUP BY origin, date_trunc('hour', departed)) AS g WHERE mean IS NOT NULL AND share >= 0""",
    "route_day": """SELECT count(*), sum(flights), sum(worst) FROM (
        SELECT origin, destination, date_trunc('day', departed) AS day, count(*) AS flights,
               avg(delay) AS mean, max(delay) AS worst
        FROM stored GROUP BY origin, destination, date_trunc('day', departed)) AS g WHERE mean IS NOT NULL""",
    "worst_airports": """SELECT count(*), sum(flights), sum(rank) FROM (
        SELECT day, origin, flights, row_number() OVER (PARTITION BY day ORDER BY mean DESC, origin) AS rank
        FROM (SELECT date_trunc('day', departed) AS day, origin, count(*) AS flights, avg(delay) AS mean
              FROM stored GROUP BY date_trunc('day', departed), origin) AS d) AS r
        WHERE rank <= 10""",
    "delay_by_hour": """SELECT count(*), sum(flights), sum(total) FROM (
        SELECT extract(hour FROM scheduled) AS hour, count(*) AS flights, sum(delay) AS total
        FROM stored GROUP BY extract(hour FROM scheduled)) AS g""",
}


def tarn(build, warehouse, script):
    path = pathlib.Path(f"{warehouse}.sql")
    path.write_text(script)
    run = subprocess.run([build / "tarn", warehouse, "--progress", "never", "-t", "--format", "csv",
                          "-f", str(path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


def main():
    build = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build")
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 9
    with tempfile.TemporaryDirectory() as directory:
        warehouse = f"{directory}/warehouse"
        tarn(build, warehouse, LOAD)
        db = duckdb.connect()
        db.execute(f"SET threads = {os.cpu_count()}")
        files = f"{warehouse}/public.db/stored/bucket-0/*.parquet"
        db.execute(f"CREATE VIEW stored AS SELECT * FROM read_parquet('{files}')")
        for name, query in QUERIES.items():
            ours, theirs = [], []
            for _ in range(rounds):
                # Twice in one process: the second time nothing but the query is measured.
                output = tarn(build, warehouse, f"{query};\n\\timing on\n{query};\n")
                ours.append(float(re.findall(r"Time: ([0-9.]+) ms", output)[-1]))
                row = output.splitlines()[0].split(",")
                begin = time.perf_counter()
                expected = db.execute(query).fetchone()
                theirs.append((time.perf_counter() - begin) * 1000)
                assert [int(v) for v in row] == [int(v) for v in expected], (row, expected)
            print(json.dumps({"name": name, "n": 3_000_000,
                              "tarn_ms": round(statistics.median(ours), 1),
                              "duckdb_ms": round(statistics.median(theirs), 1),
                              "ratio": round(statistics.median(ours) / statistics.median(theirs), 2)}),
                  flush=True)


main()
