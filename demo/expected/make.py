#!/usr/bin/env python3
"""Computes the demo's answers with another program: plain batch aggregation by DuckDB.

    pip install duckdb==2.0.0 && python3 demo/expected/make.py

Writes demo/expected/*.csv, which tests/demo compares with what tarn's views hold. A flight is late for
the hourly view when its hour had ended before the watermark that was in force when it came: the
latest departure among all flights before it in the file, less 30 minutes (or, in late_by_allowance, less
other times).
"""
import pathlib

import duckdb

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent / "data"

connection = duckdb.connect()
connection.execute("SET threads = 1; SET TimeZone = 'UTC'")
connection.execute(f"""
    CREATE TABLE flights AS
    SELECT *, date + to_minutes(delay) AS departed
    FROM read_parquet('{DATA}/flights-3m.parquet', file_row_number = true);
    CREATE TABLE airports AS SELECT * FROM read_csv('{DATA}/airports.csv', header = true);
    CREATE TABLE dwd AS
    SELECT f.*, a.name AS airport, a.city, a.state,
           date_trunc('hour', departed) AS hour,
           max(departed) OVER (ORDER BY file_row_number
                               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
               - INTERVAL '30 minutes' AS watermark
    FROM flights f JOIN airports a ON a.iata = f.origin;
    ALTER TABLE dwd ADD COLUMN late BOOLEAN;
    UPDATE dwd SET late = coalesce(hour + INTERVAL '1 hour' <= watermark, false);
    CREATE TABLE airport_hour AS
    SELECT origin, hour, count(*) AS flights, sum(delay) AS total_delay,
           sum(CASE WHEN delay > 15 THEN 1 ELSE 0 END) AS delayed
    FROM dwd WHERE NOT late GROUP BY origin, hour;
    CREATE TABLE route_day AS
    SELECT origin, destination, date_trunc('day', departed)::TIMESTAMP AS day, count(*) AS flights,
           sum(delay) AS total_delay
    FROM dwd GROUP BY ALL;
    CREATE TABLE per_day AS
    SELECT day, origin, sum(flights) AS flights, sum(total_delay) AS total_delay
    FROM route_day GROUP BY ALL;
    CREATE TABLE worst AS
    SELECT * FROM (
        SELECT day, origin, flights, total_delay,
               row_number() OVER (PARTITION BY day
                                  ORDER BY total_delay::DOUBLE / flights DESC, origin) AS rank
        FROM per_day) WHERE rank <= 10;
""")

ANSWERS = {
    # The views as wholes: counts and sums that a lost, doubled or misplaced row would change.
    "totals": """
        SELECT (SELECT count(*) FROM dwd) AS dwd_rows,
               (SELECT sum(delay) FROM dwd) AS dwd_delay,
               (SELECT count(*) FROM dwd WHERE late) AS late_rows,
               (SELECT count(*) FROM airport_hour) AS airport_hours,
               (SELECT sum(flights) FROM airport_hour) AS airport_hour_flights,
               (SELECT sum(total_delay) FROM airport_hour) AS airport_hour_delay,
               (SELECT sum(delayed) FROM airport_hour) AS airport_hour_delayed,
               (SELECT count(*) FROM route_day) AS route_days,
               (SELECT sum(flights) FROM route_day) AS route_day_flights,
               (SELECT sum(total_delay) FROM route_day) AS route_day_delay,
               (SELECT count(*) FROM worst) AS worst_rows,
               (SELECT sum(flights * rank) FROM worst) AS worst_flights""",
    "worst_airports": """
        SELECT w.rank, w.origin, a.city, a.state, w.flights,
               round(w.total_delay / w.flights, 1)::DECIMAL(18, 1) AS mean_delay
        FROM worst w JOIN airports a ON a.iata = w.origin
        WHERE w.day = TIMESTAMP '2001-06-14' ORDER BY w.rank""",
    "two_views": """
        SELECT (SELECT sum(flights) FROM route_day) AS by_route_and_day,
               (SELECT sum(flights) FROM airport_hour) AS by_airport_and_hour,
               (SELECT count(*) FROM dwd WHERE late) AS difference""",
    "late_by_allowance": """
        SELECT hours, count(*) FILTER (hour + INTERVAL '1 hour' <=
                   watermark + INTERVAL '30 minutes' - to_hours(hours)) AS late_rows
        FROM dwd, (VALUES (24), (36)) AS t(hours) GROUP BY hours ORDER BY hours""",
    "longest_delays": """
        SELECT date AS scheduled, departed, delay, origin, destination
        FROM dwd ORDER BY delay DESC, date LIMIT 3""",
    "busiest_routes": """
        SELECT origin, destination, sum(flights) AS flights,
               round(sum(total_delay) / sum(flights), 2)::DECIMAL(18, 2) AS mean_delay
        FROM route_day GROUP BY origin, destination
        ORDER BY flights DESC, origin, destination LIMIT 5""",
    "delay_by_hour": """
        SELECT strftime(date, '%H:00') AS scheduled, round(avg(delay), 1)::DECIMAL(18, 1) AS mean_delay
        FROM dwd GROUP BY 1 ORDER BY 1""",
    # Rows of each view, taken evenly over the whole.
    "airport_hour_sample": """
        SELECT origin, hour, flights, total_delay, delayed FROM airport_hour
        WHERE hash(origin || hour::VARCHAR) % 2000 = 0 ORDER BY origin, hour""",
    "route_day_sample": """
        SELECT origin, destination, day, flights, total_delay FROM route_day
        WHERE hash(origin || destination || day::VARCHAR) % 2500 = 0 ORDER BY ALL""",
    "worst_days": """
        SELECT day, rank, origin, flights FROM worst
        WHERE dayofmonth(day) IN (1, 15) ORDER BY day, rank""",
}

for name, query in ANSWERS.items():
    connection.sql(query).write_csv(str(HERE / f"{name}.csv"), header=True)
    print(f"{name}.csv")
