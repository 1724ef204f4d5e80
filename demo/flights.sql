-- The main job: a stream of flights, in the order in which they were scheduled, joined with airports and
-- summed up by hour and by route while it runs. Event time is the actual departure, so flights arrive
-- out of order, some of them hours late.

SET tarn.checkpoint_interval = '250 milliseconds';

-- ODS: what comes in.
CREATE SOURCE flights (
    date        timestamp NOT NULL,
    delay       bigint NOT NULL,
    distance    bigint,
    origin      text NOT NULL,
    destination text NOT NULL,
    departed    timestamp GENERATED ALWAYS AS (date + delay * INTERVAL '1 minute') STORED,
    WATERMARK FOR departed AS departed - INTERVAL '30 minutes'
) WITH (
    connector = 'file',
    path = 'demo/data/flights-3m.parquet',
    format = 'parquet'
);

CREATE TABLE airports (
    iata      text PRIMARY KEY,
    name      text,
    city      text,
    state     text,
    country   text,
    latitude  double precision,
    longitude double precision
);

COPY airports FROM 'demo/data/airports.csv' (FORMAT csv, HEADER);

-- DWD: each flight with the airport it left from.
CREATE MATERIALIZED VIEW dwd_flights AS
SELECT f.departed, f.date AS scheduled, f.delay, f.distance, f.origin, f.destination,
       a.name AS airport, a.city, a.state
FROM flights f
JOIN airports a ON a.iata = f.origin;

-- DWS: per airport and hour, final once the hour is over.
CREATE MATERIALIZED VIEW dws_airport_hour AS
SELECT origin, window_start AS hour,
       count(*) AS flights,
       avg(delay) AS mean_delay,
       avg(CASE WHEN delay > 15 THEN 1.0 ELSE 0.0 END) AS share_delayed,
       sum(delay) AS total_delay
FROM TUMBLE(dwd_flights, departed, INTERVAL '1 hour')
GROUP BY origin, window_start
EMIT ON WINDOW CLOSE;

-- DWS: per route and day, always up to date.
CREATE MATERIALIZED VIEW dws_route_day AS
SELECT origin, destination, date_trunc('day', departed) AS day,
       count(*) AS flights,
       avg(delay) AS mean_delay,
       sum(delay) AS total_delay
FROM dwd_flights
GROUP BY origin, destination, date_trunc('day', departed);

-- ADS: the ten airports with the worst mean delay of each day.
CREATE MATERIALIZED VIEW ads_worst_airports AS
SELECT day, rank, origin, flights, mean_delay
FROM (
    SELECT day, origin, flights, mean_delay,
           row_number() OVER (PARTITION BY day ORDER BY mean_delay DESC, origin) AS rank
    FROM (
        SELECT day, origin, sum(flights) AS flights, sum(total_delay) / sum(flights) AS mean_delay
        FROM dws_route_day
        GROUP BY day, origin
    ) AS per_day
) AS ranked
WHERE rank <= 10;

-- Wait until every flight is in every view.
FLUSH;

\echo
\echo The ten airports with the longest mean delays on the 14th of June:
SELECT w.rank, w.origin, a.city, a.state, w.flights, round(w.mean_delay, 1) AS mean_delay
FROM ads_worst_airports w
JOIN airports a ON a.iata = w.origin
WHERE w.day = TIMESTAMP '2001-06-14'
ORDER BY w.rank;

\echo Two views, read at one epoch. The view by hour lacks the flights that came too
\echo late for their hour; the view by route and day counts every flight:
SELECT r.flights AS by_route_and_day, h.flights AS by_airport_and_hour,
       r.flights - h.flights AS difference
FROM (SELECT sum(flights) AS flights FROM dws_route_day) r,
     (SELECT sum(flights) AS flights FROM dws_airport_hour) h;

\echo The flights that came after their hour was closed:
SELECT name AS view, version, late_rows FROM tarn.jobs WHERE late_rows > 0;

\echo 'Why so many? The watermark, departed - INTERVAL ''30 minutes'', is a promise:'
\echo once a flight has departed at 12:00, none before 11:30 will follow. But flights
\echo come in the order of their schedule, and nearly every day one departs many hours
\echo late. The longest delays:
SELECT scheduled, departed, delay AS minutes, origin, destination
FROM dwd_flights
ORDER BY delay DESC, scheduled
LIMIT 3;

\echo Each of those moves the watermark far ahead. The hours it passes are final (EMIT
\echo ON WINDOW CLOSE), and the punctual flights that follow come too late for them.
\echo 'INTERVAL ''24 hours'' would leave 2,610 of them late and ''36 hours'' none, but'
\echo every hour would wait that much longer for its result. A view without EMIT ON
\echo WINDOW CLOSE never waits: it counts every flight and corrects what it has said.
\echo

\echo The busiest routes:
SELECT origin, destination, sum(flights) AS flights,
       round(sum(total_delay) / sum(flights), 2) AS mean_delay
FROM dws_route_day
GROUP BY origin, destination
ORDER BY flights DESC, origin, destination
LIMIT 5;

\echo Back in time: the same table as it was at its second version.
SELECT count(*) AS routes_and_days, sum(flights) AS flights, max(day) AS newest_day
FROM dws_route_day FOR SYSTEM_VERSION AS OF 2;

\echo Mean delay in minutes by scheduled hour of departure:
SELECT lpad(CAST(EXTRACT(hour FROM scheduled) AS text), 2, '0') || ':00' AS scheduled,
       round(avg(delay), 1) AS mean_delay
FROM dwd_flights
GROUP BY 1
ORDER BY 1;
\plot
