#!/usr/bin/env python3
"""Writes the golden Parquet files of this folder and the values that they hold.

    python3 tests/golden/parquet/make.py

The files were made once, with pyarrow 19.0.1, polars 1.44.2 and duckdb 2.0.0, and are not made
again when those change: they are what those versions wrote. <set>-<variant>.parquet holds what
<set>.rows says: a line of names and types, then a line per row, tab-separated. NULL is \\N,
booleans t and f, numbers, dates and times are decimal (as tarn stores them: unscaled, days,
microseconds or nanoseconds), floats their bits in hex, strings x and their bytes in hex, intervals
months/days/microseconds. A column that tarn does not read has type `null` and values `-`.
"""

import datetime as dt
import decimal
import os
import random
import struct

import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq

HERE = os.path.dirname(os.path.abspath(__file__))
EPOCH = dt.datetime(1970, 1, 1)
random.seed(7)
decimal.getcontext().prec = 60


def path(name):
    return os.path.join(HERE, name)


# ---- the text form of values ----

def plain(value):
    return str(int(value))


def boolean(value):
    return "t" if value else "f"


def real(value):
    return struct.pack(">f", value).hex()


def double(value):
    return struct.pack(">d", value).hex()


def text(value):
    return "x" + (value.encode() if isinstance(value, str) else bytes(value)).hex()


def unscaled(scale):
    return lambda value: str(int(value.scaleb(scale)))


def days(value):
    return str((value - EPOCH.date()).days)


def micros(value):
    if isinstance(value, dt.time):
        value = dt.datetime.combine(EPOCH.date(), value)
    delta = value.replace(tzinfo=None) - EPOCH
    return str((delta.days * 86400 + delta.seconds) * 10**6 + delta.microseconds)


def nanos(value):
    return str(int(micros(value)) * 1000)


def write_rows(name, columns, row_count):
    """columns: (name, tarn type, formatter or None, values)."""
    with open(path(name + ".rows"), "w") as out:
        out.write("\t".join(f"{c[0]}:{c[1]}" for c in columns) + "\n")
        for i in range(row_count):
            cells = []
            for _, _, formatter, values in columns:
                if formatter is None:
                    cells.append("-")
                else:
                    cells.append("\\N" if values[i] is None else formatter(values[i]))
            out.write("\t".join(cells) + "\n")


def with_nulls(values, every):
    return [None if i % every == every - 1 else v for i, v in enumerate(values)]


# ---- data ----

N = 24
STAMPS = [dt.datetime(2001, 1, 1) + dt.timedelta(seconds=i * 7919, microseconds=i * 1000) for i in
          range(N - 2)] + [dt.datetime(1969, 12, 31, 23, 59, 59), dt.datetime(1700, 3, 1)]
TIMES = [dt.time(i, i, i, i * 1000) for i in range(N)]
FLOATS = [0.0, -0.0, float("inf"), float("-inf"), 1.5, -2.25, 3.4e38, 1e-45] + [
    float(i) / 8 for i in range(N - 8)]
TEXTS = ["", "a", "naïve", "żółć", "twelve bytes", "thirteen byte", "日本語" * 5] + [
    f"value {i % 5} of some length" for i in range(N - 7)]
BLOBS = [bytes(range(i)) for i in range(N)]


def pyarrow_columns():
    D = decimal.Decimal
    return [
        ("required", "integer", plain, list(range(-5, N - 5)), pa.int32(), False),
        ("bool", "boolean", boolean, with_nulls([i % 3 == 0 for i in range(N)], 5), pa.bool_()),
        ("i8", "smallint", plain, with_nulls([-128, 127] + list(range(N - 2)), 4), pa.int8()),
        ("i16", "smallint", plain, with_nulls([-32768, 32767] + list(range(N - 2)), 6), pa.int16()),
        ("i32", "integer", plain, with_nulls([-2**31, 2**31 - 1] + [i * i for i in range(N - 2)], 7),
         pa.int32()),
        ("i64", "bigint", plain, with_nulls([-2**63, 2**63 - 1] + [i % 3 for i in range(N - 2)], 3),
         pa.int64()),
        ("u8", "smallint", plain, with_nulls([255] + list(range(N - 1)), 5), pa.uint8()),
        ("u16", "integer", plain, with_nulls([65535] + list(range(N - 1)), 5), pa.uint16()),
        ("u32", "bigint", plain, with_nulls([2**32 - 1] + list(range(N - 1)), 5), pa.uint32()),
        ("u64", "bigint", plain, with_nulls([2**63 - 1] + list(range(N - 1)), 5), pa.uint64()),
        ("f32", "real", real, with_nulls(FLOATS, 9), pa.float32()),
        ("f64", "double precision", double, with_nulls(FLOATS, 8), pa.float64()),
        ("dec5", "numeric(5,2)", unscaled(2), with_nulls([D(i * 7 - 50) / D(100) for i in range(N)],
                                                          5), pa.decimal128(5, 2)),
        ("dec15", "numeric(15,4)", unscaled(4),
         with_nulls([D("-99999999999.9999")] + [D(i) / D(10000) for i in range(N - 1)], 5),
         pa.decimal128(15, 4)),
        ("dec38", "numeric(38,10)", unscaled(10),
         with_nulls([D("9999999999999999999999999999.9999999999"),
                     D("-9999999999999999999999999999.9999999999")] +
                    [D(i - 9) for i in range(N - 2)], 5), pa.decimal128(38, 10)),
        ("date", "date", days, with_nulls([s.date() for s in STAMPS], 5), pa.date32()),
        ("time_ms", "time(3) without time zone", micros, with_nulls(TIMES, 6), pa.time32("ms")),
        ("time_us", "time without time zone", micros, with_nulls(TIMES, 5), pa.time64("us")),
        ("time_ns", "time without time zone", micros, with_nulls(TIMES, 4), pa.time64("ns")),
        ("ts_ms", "timestamp(3) without time zone", micros, with_nulls(STAMPS, 5),
         pa.timestamp("ms")),
        ("ts_us", "timestamp without time zone", micros, with_nulls(STAMPS, 4), pa.timestamp("us")),
        ("ts_ns", "timestamp(9) without time zone", nanos, with_nulls(STAMPS, 3), pa.timestamp("ns")),
        ("tz_us", "timestamp with time zone", micros, with_nulls(STAMPS, 5),
         pa.timestamp("us", "UTC")),
        ("tz_ns", "timestamp(9) with time zone", nanos, with_nulls(STAMPS, 5), pa.timestamp("ns", "UTC")),
        ("text", "text", text, with_nulls(TEXTS, 5), pa.string()),
        ("blob", "bytea", text, with_nulls(BLOBS, 5), pa.binary()),
        ("fixed", "bytea", text, with_nulls([bytes([i] * 16) for i in range(N)], 5), pa.binary(16)),
        ("nothing", "integer", plain, [None] * N, pa.null()),
        ("list", "null", None, [[i] for i in range(N)], pa.list_(pa.int32())),
        ("struct", "null", None, [{"a": i, "b": {"c": [1]}} for i in range(N)],
         pa.struct([("a", pa.int32()), ("b", pa.struct([("c", pa.list_(pa.int32()))]))])),
        ("last", "integer", plain, list(range(N)), pa.int32()),
    ]


def arrow_table(columns):
    return pa.table(
        [pa.array(c[3], type=c[4]) for c in columns],
        schema=pa.schema([pa.field(c[0], c[4], nullable=len(c) < 6) for c in columns]))


def expected(columns):
    return [c[:4] for c in columns]


def make_types():
    columns = pyarrow_columns()
    table = arrow_table(columns)
    write_rows("types", expected(columns), N)
    for codec in ["none", "snappy", "gzip", "zstd", "lz4"]:
        for version in ["1.0", "2.0"]:
            for dictionary in [False, True]:
                name = f"types-{codec}-v{version[0]}-{'dictionary' if dictionary else 'plain'}"
                pq.write_table(table, path(name + ".parquet"), compression=codec,
                               data_page_version=version, use_dictionary=dictionary,
                               store_schema=False, write_page_checksum=True)
    pq.write_table(table, path("types-groups.parquet"), compression="zstd", row_group_size=5,
                   store_schema=False)
    pq.write_table(table, path("types-integers.parquet"), compression="zstd", store_schema=False,
                   store_decimal_as_integer=True)


def make_encodings():
    columns = [c for c in pyarrow_columns()
               if c[0] in ("bool", "i32", "i64", "f32", "f64", "ts_us", "dec5", "text", "blob",
                           "fixed", "required")]
    table = arrow_table(columns)
    write_rows("encodings", expected(columns), N)
    choices = {
        "delta": dict(bool="RLE", i32="DELTA_BINARY_PACKED", i64="DELTA_BINARY_PACKED",
                      ts_us="DELTA_BINARY_PACKED", required="DELTA_BINARY_PACKED",
                      text="DELTA_BYTE_ARRAY", blob="DELTA_LENGTH_BYTE_ARRAY",
                      fixed="DELTA_BYTE_ARRAY", dec5="DELTA_BYTE_ARRAY",
                      f32="BYTE_STREAM_SPLIT", f64="BYTE_STREAM_SPLIT"),
        "split": dict(bool="PLAIN", i32="BYTE_STREAM_SPLIT", i64="BYTE_STREAM_SPLIT",
                      ts_us="BYTE_STREAM_SPLIT", required="BYTE_STREAM_SPLIT",
                      text="DELTA_LENGTH_BYTE_ARRAY", blob="DELTA_BYTE_ARRAY",
                      fixed="BYTE_STREAM_SPLIT", dec5="BYTE_STREAM_SPLIT", f32="PLAIN",
                      f64="PLAIN"),
    }
    for choice, encodings in choices.items():
        for version in ["1.0", "2.0"]:
            for codec in ["none", "zstd"]:
                pq.write_table(table, path(f"encodings-{choice}-{codec}-v{version[0]}.parquet"),
                               compression=codec, data_page_version=version, use_dictionary=False,
                               column_encoding=encodings, store_schema=False)


def make_pages():
    """Many small pages, and dictionaries given up half way."""
    n = 900
    values = [random.randrange(1000) if i < 500 else random.randrange(10**12) for i in range(n)]
    names = [f"name {random.randrange(12)}" if i < 450 else f"a longer name {i} of many"
             for i in range(n)]
    columns = [
        ("number", "bigint", plain, with_nulls(values, 11), pa.int64()),
        ("name", "text", text, with_nulls(names, 7), pa.string()),
        ("sorted", "integer", plain, [i // 3 for i in range(n)], pa.int32(), False),
        ("rare", "boolean", boolean, [None if i % 100 else True for i in range(n)], pa.bool_()),
    ]
    table = arrow_table(columns)
    write_rows("pages", expected(columns), n)
    for version in ["1.0", "2.0"]:
        pq.write_table(table, path(f"pages-fallback-v{version[0]}.parquet"), compression="snappy",
                       data_page_version=version, data_page_size=200, write_batch_size=20,
                       dictionary_pagesize_limit=600, store_schema=False, row_group_size=700)
        pq.write_table(table, path(f"pages-delta-v{version[0]}.parquet"), compression="zstd",
                       data_page_version=version, data_page_size=200, write_batch_size=20,
                       use_dictionary=False, store_schema=False,
                       column_encoding=dict(number="DELTA_BINARY_PACKED", name="DELTA_BYTE_ARRAY",
                                            sorted="DELTA_BINARY_PACKED", rare="PLAIN"))


def make_int96():
    stamps = with_nulls(STAMPS, 5)
    columns = [("ts", "timestamp(9) without time zone", nanos, stamps, pa.timestamp("ns"))]
    write_rows("int96", expected(columns), N)
    for dictionary in [False, True]:
        pq.write_table(arrow_table(columns),
                       path(f"int96-{'dictionary' if dictionary else 'plain'}.parquet"),
                       use_deprecated_int96_timestamps=True, use_dictionary=dictionary,
                       store_schema=False)


def make_empty():
    columns = [(c[0], c[1], c[2], [], *c[4:]) for c in pyarrow_columns()]
    write_rows("empty", expected(columns), 0)
    table = arrow_table(columns)
    pq.write_table(table, path("empty-file.parquet"), store_schema=False)
    with pq.ParquetWriter(path("empty-group.parquet"), table.schema, store_schema=False) as writer:
        writer.write_table(table)
        writer.write_table(table)


def make_polars():
    frame = polars.DataFrame({
        "i": with_nulls(list(range(N)), 5),
        "f": with_nulls([0.5 * i for i in range(N)], 4),
        "t": with_nulls(TEXTS, 6),
        "b": with_nulls([i % 2 == 0 for i in range(N)], 3),
        "d": with_nulls([s.date() for s in STAMPS], 5),
        "ts": with_nulls(STAMPS, 5),
        "time": with_nulls(TIMES, 5),
    })
    write_rows("polars", [
        ("i", "bigint", plain, frame["i"].to_list()),
        ("f", "double precision", double, frame["f"].to_list()),
        ("t", "text", text, frame["t"].to_list()),
        ("b", "boolean", boolean, frame["b"].to_list()),
        ("d", "date", days, frame["d"].to_list()),
        ("ts", "timestamp without time zone", micros, frame["ts"].to_list()),
        ("time", "time without time zone", micros, frame["time"].to_list()),
    ], N)
    for codec in ["uncompressed", "zstd", "lz4", "gzip", "snappy"]:
        frame.write_parquet(path(f"polars-{codec}.parquet"), compression=codec, row_group_size=10)


def make_duckdb():
    db = duckdb.connect()
    db.execute("set timezone = 'UTC'")
    db.execute(f"""create table t as select
        (case when i % 5 = 4 then null else i end)::tinyint as i8,
        (i * 1000003)::integer as i32, (i - 3)::hugeint::decimal(38, 0) as d38,
        (i * 1.25)::decimal(9, 2) as d9, (i * 1.5)::decimal(18, 3) as d18,
        (case when i % 3 = 0 then null else 'text ' || (i % 4) end) as s,
        ('00000000-0000-0000-0000-0000000000' || lpad(i::varchar, 2, '0'))::uuid as u,
        to_days(i::integer) + to_months(i::integer * 2) + to_seconds(i) as iv,
        (timestamp '2001-01-01' + to_seconds(i * 86399)) as ts,
        (timestamp '2001-01-01' + to_seconds(i * 86399))::timestamptz as tz,
        (timestamp '1999-01-01' + to_seconds(i))::timestamp_ns as tn,
        (time '10:00' + to_seconds(i)) as tm, (i % 2 = 0) as b, ('x' || i)::blob as bl,
        (case i % 3 when 0 then 'red' when 1 then 'green' else 'blue' end)
            ::enum('red', 'green', 'blue') as e,
        (i * 0.1)::float as f, i::uinteger as u32
        from range({N}) r(i)""")
    base = dt.datetime(2001, 1, 1)
    stamps = [base + dt.timedelta(seconds=i * 86399) for i in range(N)]
    D = decimal.Decimal
    write_rows("duckdb", [
        ("i8", "smallint", plain, with_nulls(list(range(N)), 5)),
        ("i32", "integer", plain, [i * 1000003 for i in range(N)]),
        ("d38", "numeric(38,0)", plain, [i - 3 for i in range(N)]),
        ("d9", "numeric(9,2)", unscaled(2), [D(i) * D("1.25") for i in range(N)]),
        ("d18", "numeric(18,3)", unscaled(3), [D(i) * D("1.5") for i in range(N)]),
        ("s", "text", text, [None if i % 3 == 0 else f"text {i % 4}" for i in range(N)]),
        ("u", "bytea", text, [bytes(15) + bytes([int(str(i), 16)]) for i in range(N)]),
        ("iv", "interval", str, [f"{2 * i}/{i}/{i * 10**6}" for i in range(N)]),
        ("ts", "timestamp without time zone", micros, stamps),
        ("tz", "timestamp with time zone", micros, stamps),
        ("tn", "timestamp(9) without time zone", nanos, [dt.datetime(1999, 1, 1) + dt.timedelta(seconds=i) for i in range(N)]),
        ("tm", "time without time zone", micros, [dt.time(10, 0, i) for i in range(N)]),
        ("b", "boolean", boolean, [i % 2 == 0 for i in range(N)]),
        ("bl", "bytea", text, [f"x{i}" for i in range(N)]),
        ("e", "text", text, [("red", "green", "blue")[i % 3] for i in range(N)]),
        ("f", "real", real, [i * 0.1 for i in range(N)]),
        ("u32", "bigint", plain, list(range(N))),
    ], N)
    for version in ["v1", "v2"]:
        for codec in ["uncompressed", "snappy", "gzip", "zstd", "lz4_raw"]:
            db.execute(f"copy t to '{path(f'duckdb-{codec}-{version}.parquet')}' (format parquet, "
                       f"codec '{codec}', parquet_version {version})")


make_types()
make_encodings()
make_pages()
make_int96()
make_empty()
make_polars()
make_duckdb()
