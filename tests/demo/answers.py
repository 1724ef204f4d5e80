#!/usr/bin/env python3
"""The demo's answers equal those of another program (demo/expected/*.csv, made by make.py there)."""
import csv
import decimal
import sys
import tempfile

import job

QUERIES = {
    "totals": """
        SELECT d.n, d.delay, j.late, h.n, h.flights, h.delay, h.delayed, r.n, r.flights, r.delay, w.n, w.s
        FROM (SELECT count(*) AS n, sum(delay) AS delay FROM dwd_flights) d,
             (SELECT sum(late_rows) AS late FROM tarn.jobs) j,
             (SELECT count(*) AS n, sum(flights) AS flights, sum(total_delay) AS delay,
                     sum(round(share_delayed * flights)) AS delayed FROM dws_airport_hour) h,
             (SELECT count(*) AS n, sum(flights) AS flights, sum(total_delay) AS delay
              FROM dws_route_day) r,
             (SELECT count(*) AS n, sum(flights * rank) AS s FROM ads_worst_airports) w""",
    "airport_hour_sample": """
        SELECT origin, hour, flights, total_delay, round(share_delayed * flights)
        FROM dws_airport_hour ORDER BY origin, hour""",
    "route_day_sample": """
        SELECT origin, destination, day, flights, total_delay FROM dws_route_day""",
    "worst_days": "SELECT day, rank, origin, flights FROM ads_worst_airports",
}
# These are the demo's own queries, in the order of the script.
PRINTED = ["worst_airports", "two_views", None, "longest_delays", "busiest_routes", None,
           "delay_by_hour"]


def same(expected, got):
    """Equal as text, or as numbers: 5 and 5.0 are one answer."""
    if expected == got:
        return True
    try:
        return decimal.Decimal(expected) == decimal.Decimal(got)
    except decimal.InvalidOperation:
        return False


def same_row(expected, got):
    return len(expected) == len(got) and all(map(same, expected, got))


def expected_rows(name):
    with open(job.ROOT / "demo" / "expected" / f"{name}.csv", newline="") as file:
        return list(csv.reader(file))[1:]


def check(name, expected, got, failures):
    ok = len(expected) == len(got) and all(map(same_row, expected, got))
    print(f"[{'       OK' if ok else '  FAILED '} ] {name}")
    if not ok:
        failures.append(name)
        print(f"expected {expected[:5]}\ngot      {got[:5]}")


def late_rows(directory, hours):
    """How many flights are late for the hourly view when the watermark allows them so many hours."""
    script = job.statements()
    allowance = "departed - INTERVAL '30 minutes'"
    assert allowance in script, "the demo's watermark has changed"
    warehouse = f"{directory}/{hours}-hours"
    job.run(warehouse, script.replace(allowance, f"departed - INTERVAL '{hours} hours'"))
    return job.query(warehouse, "SELECT late_rows FROM tarn.jobs WHERE name = 'dws_airport_hour'")[0][0]


def main():
    failures = []
    with tempfile.TemporaryDirectory() as directory:
        warehouse = f"{directory}/warehouse"
        job.run(warehouse, job.statements())
        for name, sql in QUERIES.items():
            expected = expected_rows(name)
            got = job.query(warehouse, sql)
            if name != "totals":  # a sample: the rows that have the same key
                wanted = {tuple(row[:3]) for row in expected}
                got = sorted(row for row in got if tuple(row[:3]) in wanted)
                expected = sorted(expected)
            check(name, expected, got, failures)
        script = (job.ROOT / "demo" / "flights.sql").read_text().split("FLUSH;")[1]
        queries = [text.strip() for text in
                   "\n".join(line for line in script.splitlines()
                             if not line.startswith(("\\", "--"))).split(";") if text.strip()]
        assert len(queries) == len(PRINTED), "the demo's queries have changed"
        for name, sql in zip(PRINTED, queries):
            got = job.query(warehouse, sql)
            if name is not None:
                check(name, expected_rows(name), got, failures)
        # What the demo says about other watermarks.
        expected = expected_rows("late_by_allowance")
        got = [[hours, late_rows(directory, hours)] for hours, _ in expected]
        check("late_by_allowance", expected, got, failures)
    sys.exit(1 if failures else 0)


main()
