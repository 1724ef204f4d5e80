"""The demo's job, for tests: run it, stop it, look at what it left."""
import csv
import hashlib
import io
import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("TARN_BUILD_DIR", ROOT / "build"))
TARN = BUILD / "tarn"
VIEWS = ["dwd_flights", "dws_airport_hour", "dws_route_day", "ads_worst_airports"]


def statements():
    """demo/flights.sql up to and with FLUSH: the job without the queries over its results."""
    script = (ROOT / "demo" / "flights.sql").read_text()
    return script[:script.index("FLUSH;")] + "FLUSH;\n"


def again(has_airports):
    """The same job for a warehouse that may already hold any part of it."""
    script = re.sub(r"CREATE (SOURCE|TABLE|MATERIALIZED VIEW)", r"CREATE \1 IF NOT EXISTS",
                    statements())
    return re.sub(r"COPY airports .*?;", "", script) if has_airports else script


def start(warehouse, script):
    """Starts the program on a script; returns the process."""
    path = pathlib.Path(f"{warehouse}.sql")
    path.write_text(script)
    return subprocess.Popen([TARN, str(warehouse), "-q", "--progress", "never", "-f", str(path)],
                            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run(warehouse, script):
    """Runs a script to its end; returns its output."""
    process = start(warehouse, script)
    output, _ = process.communicate(timeout=300)
    if process.returncode != 0:
        raise AssertionError(f"exit status {process.returncode}:\n{output}")
    return output


def query(warehouse, sql):
    """Rows as lists of text."""
    result = subprocess.run([TARN, str(warehouse), "--format", "csv", "-t", "-c", sql], cwd=ROOT,
                            capture_output=True, text=True, timeout=300)
    if result.returncode != 0:
        raise AssertionError(f"{sql}\n{result.stderr}")
    return list(csv.reader(io.StringIO(result.stdout)))


def summary(warehouse):
    """dwd_flights by route: every column takes part in some sum, so that a lost, doubled or changed row shows."""
    return query(warehouse, """
        SELECT origin, destination, airport, city, state, count(*), sum(delay), sum(distance),
               sum(delay * distance), sum(delay * extract(epoch FROM scheduled)),
               sum(extract(epoch FROM departed) * distance)
        FROM dwd_flights GROUP BY origin, destination, airport, city, state
        ORDER BY origin, destination""")


def fingerprint(warehouse, table):
    """(rows, an order-independent sum over the hashes of all rows)"""
    process = subprocess.Popen([TARN, str(warehouse), "--format", "csv", "-t", "-c",
                                f"SELECT * FROM {table}"],
                               cwd=ROOT, stdout=subprocess.PIPE)
    rows = total = 0
    for line in process.stdout:
        rows += 1
        total += int.from_bytes(hashlib.blake2b(line, digest_size=8).digest(), "little")
    if process.wait() != 0:
        raise AssertionError(f"reading {table} failed")
    return rows, total % 2**64
