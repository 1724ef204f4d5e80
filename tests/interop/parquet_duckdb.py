#!/usr/bin/env python3
"""What DuckDB, pyarrow and polars read from the Parquet files that tarn writes.

    python3 tests/interop/parquet_duckdb.py [build directory]

Every golden file of tests/golden/parquet/ is copied by tarn (bench/parquet_bench copy) with every
codec. All readers must find the values of the .rows file, the expected types, and statistics that
are the bounds of those values; pyarrow verifies the page checksums. The page index is parsed here
and compared with the pages it points to. Exits 1 when something differs.
"""

import decimal
import glob
import os
import re
import struct
import subprocess
import sys
import tempfile

import duckdb
import polars
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GOLDEN = os.path.join(ROOT, "tests", "golden", "parquet")
CODECS = ["none", "snappy", "gzip", "lz4", "zstd"]
decimal.getcontext().prec = 60

results = {True: 0, False: 0}


def check(claim, holds, detail=""):
    results[bool(holds)] += 1
    if not holds:
        print(f"FAILED {claim} {detail}"[:500])


# ---- values as the text of .rows files ----

def arrow_type(tarn_type):
    digits = re.search(r"\((\d)\)", tarn_type)
    unit = {"3": "ms", "9": "ns"}.get(digits.group(1) if digits else "6", "us")
    if tarn_type.startswith("numeric"):
        precision, scale = re.findall(r"\d+", tarn_type)
        return pa.decimal128(int(precision), int(scale))
    if tarn_type.startswith("timestamp"):
        return pa.timestamp(unit if unit != "ms" else "us",
                            "UTC" if "with time zone" in tarn_type else None)
    if tarn_type.startswith("time"):
        return pa.time64("us")
    return {"boolean": pa.bool_(), "smallint": pa.int16(), "integer": pa.int32(),
            "bigint": pa.int64(), "real": pa.float32(), "double precision": pa.float64(),
            "date": pa.date32(), "text": pa.string(), "bytea": pa.binary()}[tarn_type]


def cells(column, tarn_type):
    if column.type == pa.null():
        return ["\\N"] * len(column)
    expected = arrow_type(tarn_type)
    if pa.types.is_temporal(expected):
        column = column.cast(expected)
        column = column.cast(pa.int32() if expected == pa.date32() else pa.int64())
    values = column.to_pylist()
    if tarn_type == "boolean":
        form = lambda v: "t" if v else "f"
    elif tarn_type in ("real", "double precision"):
        code = ">f" if tarn_type == "real" else ">d"
        form = lambda v: struct.pack(code, v).hex()
    elif tarn_type == "text":
        form = lambda v: "x" + v.encode().hex()
    elif tarn_type == "bytea":
        form = lambda v: "x" + bytes(v).hex()
    elif tarn_type.startswith("numeric"):
        form = lambda v: str(int(v.scaleb(expected.scale)))
    else:
        form = lambda v: str(int(v))
    return ["\\N" if v is None else form(v) for v in values]


def load_rows(path):
    """The columns that tarn copies: (name, type, cells)."""
    with open(path) as rows:
        header = [c.rsplit(":", 1) for c in rows.readline().rstrip("\n").split("\t")]
        lines = [line.rstrip("\n").split("\t") for line in rows]
    return [(name, tarn_type, [line[i] for line in lines])
            for i, (name, tarn_type) in enumerate(header)
            if tarn_type not in ("null", "interval")]


# ---- what the readers find ----

def check_values(claim, table, columns):
    check(f"{claim}: columns", table.column_names == [c[0] for c in columns], table.column_names)
    for name, tarn_type, expected in columns:
        found = cells(table[name].combine_chunks(), tarn_type)
        wrong = [(i, a, b) for i, (a, b) in enumerate(zip(found, expected)) if a != b]
        check(f"{claim}: {name}", len(found) == len(expected) and not wrong, wrong[:3])


def check_types(claim, schema, columns):
    for name, tarn_type, _ in columns:
        found = schema.field(name).type
        expected = arrow_type(tarn_type)
        if tarn_type.startswith("timestamp(3)"):
            expected = pa.timestamp("us", expected.tz)  # tarn keeps microseconds
        check(f"{claim}: type of {name}", found == expected, f"{found} {expected}")


def bounds_of(values):
    values = [v for v in values.to_pylist() if v is not None]
    values = [v for v in values if not (isinstance(v, float) and v != v)]
    return (min(values), max(values)) if values else (None, None)


def check_statistics(claim, path):
    file = pq.ParquetFile(path)
    for group in range(file.metadata.num_row_groups):
        table = file.read_row_group(group)
        for i in range(file.metadata.num_columns):
            chunk = file.metadata.row_group(group).column(i)
            column = table.column(i)
            where = f"{claim}: statistics of {chunk.path_in_schema}"
            check(where, chunk.is_stats_set)
            if not chunk.is_stats_set:
                continue
            stats = chunk.statistics
            check(where + " (nulls)", stats.null_count == column.null_count)
            least, greatest = bounds_of(column)
            if least is None:
                check(where + " (none)", not stats.has_min_max)
            elif pa.types.is_timestamp(column.type) and column.type.unit == "ns":
                check(where + " (ns)", stats.has_min_max and
                      pa.scalar(stats.min, column.type) == pc.min(column) and
                      pa.scalar(stats.max, column.type) == pc.max(column))
            elif pa.types.is_decimal(column.type):
                check(where, stats.has_min_max)  # pyarrow does not show them; see the page index
            else:
                check(where, stats.has_min_max and stats.min == least and stats.max == greatest,
                      f"{stats.min} {stats.max} {least} {greatest}")


def check_duckdb_statistics(claim, db, path):
    meta = db.execute("select path_in_schema, stats_min_value, stats_max_value, "
                      f"stats_null_count from parquet_metadata('{path}')").fetchall()
    names = {row[0] for row in meta}
    for name in sorted(names):
        rows = [row for row in meta if row[0] == name]
        kind = db.execute(f"select typeof(\"{name}\") from '{path}' limit 1").fetchall()
        if not kind or kind[0][0] not in ("INTEGER", "BIGINT", "DATE", "TIMESTAMP", "VARCHAR"):
            continue
        found = db.execute(f"select min(\"{name}\"), max(\"{name}\"), "
                           f"count(*) - count(\"{name}\") from '{path}'").fetchall()[0]
        if found[0] is None:
            continue
        cast = lambda text: db.execute(f"select $1::{kind[0][0]}", [text]).fetchall()[0][0]
        check(f"{claim}: DuckDB's bounds of {name}",
              min(cast(r[1]) for r in rows if r[1] is not None) == found[0] and
              max(cast(r[2]) for r in rows if r[2] is not None) == found[1], f"{rows} {found}")
        check(f"{claim}: DuckDB's nulls of {name}", sum(r[3] for r in rows) == found[2])


# ---- the page index, read by a Thrift parser of its own ----

class Thrift:
    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def varint(self):
        value = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def zigzag(self):
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def value(self, kind, in_list=False):
        if kind in (1, 2):
            if not in_list:
                return kind == 1
            self.at += 1
            return self.data[self.at - 1] == 1
        if kind == 3:
            self.at += 1
            return self.data[self.at - 1]
        if kind in (4, 5, 6):
            return self.zigzag()
        if kind == 7:
            self.at += 8
            return struct.unpack("<d", self.data[self.at - 8:self.at])[0]
        if kind == 8:
            size = self.varint()
            self.at += size
            return bytes(self.data[self.at - size:self.at])
        if kind == 9:
            header = self.data[self.at]
            self.at += 1
            size = header >> 4
            if size == 15:
                size = self.varint()
            return [self.value(header & 15, True) for _ in range(size)]
        assert kind == 12, kind
        return self.struct()

    def struct(self):
        fields, last = {}, 0
        while True:
            header = self.data[self.at]
            self.at += 1
            if header == 0:
                return fields
            last = last + (header >> 4) if header >> 4 else self.zigzag()
            fields[last] = self.value(header & 15)


def stored_order(kind, value):
    """A stored bound as something that compares like the values."""
    if kind == 1:
        return struct.unpack("<i", value)[0]
    if kind == 2:
        return struct.unpack("<q", value)[0]
    if kind == 4:
        return struct.unpack("<f", value)[0]
    if kind == 5:
        return struct.unpack("<d", value)[0]
    if kind == 7:
        return int.from_bytes(value, "big", signed=True)
    return value


def check_page_index(claim, path):
    data = open(path, "rb").read()
    size = struct.unpack("<I", data[-8:-4])[0]
    footer = Thrift(data, len(data) - 8 - size).struct()
    for group in footer.get(4, []):
        for chunk in group[1]:
            meta = chunk[3]
            where = f"{claim}: page index of {meta[3][0].decode()}"
            offsets = Thrift(data, chunk[4]).struct()[1]
            rows = 0
            for page in offsets:
                header_reader = Thrift(data, page[1])
                header = header_reader.struct()
                check(where, header[1] == 0 and page[3] == rows and
                      header_reader.at - page[1] + header[3] == page[2], f"{page} {header}")
                rows += header[5][1]
            check(where + " (rows)", rows == group[3])
            if 6 not in chunk:
                check(where + " is missing", meta[1] == 3 or 6 not in meta.get(12, {}))
                continue
            index = Thrift(data, chunk[6]).struct()
            check(where + " (lists)", len(index[1]) == len(index[2]) == len(index[3]) ==
                  len(index[5]) == len(offsets))
            check(where + " (nulls)", sum(index[5]) == meta[12][3])
            bounds = [(stored_order(meta[1], a), stored_order(meta[1], b))
                      for a, b, is_null in zip(index[2], index[3], index[1]) if not is_null]
            if bounds and 6 in meta[12] and meta[12].get(8):
                check(where + " (least)",
                      min(b[0] for b in bounds) == stored_order(meta[1], meta[12][6]))
            if bounds and 5 in meta[12] and meta[12].get(7):
                check(where + " (greatest)",
                      max(b[1] for b in bounds) == stored_order(meta[1], meta[12][5]))
            if index[4] == 1:
                check(where + " (ascending)", bounds == sorted(bounds) and
                      [b[1] for b in bounds] == sorted(b[1] for b in bounds))


# ---- all of it ----

def main():
    build = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("TARN_BUILD_DIR", "build")
    bench = os.path.join(ROOT, build, "bench", "parquet_bench")
    if not os.path.exists(bench):
        subprocess.run(["cmake", "--build", os.path.join(ROOT, build), "--target", "parquet_bench"],
                       check=True, stdout=subprocess.DEVNULL)
    db = duckdb.connect()
    db.execute("set timezone = 'UTC'")
    with tempfile.TemporaryDirectory() as folder:
        for number, source in enumerate(sorted(glob.glob(os.path.join(GOLDEN, "*.parquet")))):
            name = os.path.basename(source)[:-len(".parquet")]
            codec = CODECS[number % len(CODECS)]
            claim = f"{name} as {codec}"
            copy = os.path.join(folder, name + ".parquet")
            done = subprocess.run([bench, "copy", source, copy, codec], capture_output=True,
                                  text=True)
            check(f"{claim}: written", done.returncode == 0, done.stderr)
            if done.returncode != 0:
                continue
            columns = load_rows(os.path.join(GOLDEN, re.split("[-.]", name)[0] + ".rows"))
            table = pq.read_table(copy, page_checksum_verification=True)
            check_values(f"{claim}: pyarrow", table, columns)
            check_types(f"{claim}: pyarrow", table.schema, columns)
            found = db.sql(f"from '{copy}'").to_arrow_table()
            check_values(f"{claim}: DuckDB", found, columns)
            check_values(f"{claim}: polars", polars.read_parquet(copy).to_arrow(), columns)
            check_statistics(claim, copy)
            check_duckdb_statistics(claim, db, copy)
            check_page_index(claim, copy)
    print(f"{results[True]} passed, {results[False]} failed")
    return 1 if results[False] else 0


if __name__ == "__main__":
    sys.exit(main())
