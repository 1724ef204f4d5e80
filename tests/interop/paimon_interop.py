#!/usr/bin/env python3
"""Tables that tarn writes, opened by pypaimon; tables that pypaimon writes, opened by tarn.

usage: paimon_interop.py LAKE_TOOL      (build/tests/lake_tool; see lake_tool.c)
Prints one line per check that failed and ends with "N passed, N failed".
"""

import datetime
import decimal
import random
import subprocess
import sys
import tempfile

import pyarrow
import pypaimon

TOOL = sys.argv[1] if len(sys.argv) > 1 else "build/tests/lake_tool"
passed = failed = 0


def check(name, got, expected):
    """Counts a comparison, and shows the first difference."""
    global passed, failed
    if got == expected:
        passed += 1
        return
    failed += 1
    print(f"FAILED {name}: {len(got)} rows, expected {len(expected)}")
    for a, b in zip(got, expected):
        if a != b:
            print(f"  got      {a}\n  expected {b}")
            break


def tool(root, *args, rows=None):
    text = None if rows is None else "".join(line + "\n" for line in rows)
    done = subprocess.run([TOOL, root, *args], input=text, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"lake_tool {' '.join(args)}: {done.stderr}")
    return sorted(done.stdout.splitlines())


def text_of(value):
    """A value as tarn prints it."""
    if value is None:
        return "\\N"
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, datetime.datetime):
        text = value.strftime("%Y-%m-%d %H:%M:%S")
        if value.microsecond:
            text += f".{value.microsecond:06d}".rstrip("0")
        return text
    if isinstance(value, float):
        return repr(value) if value % 1 else str(int(value))
    return str(value)


def lines_of(table):
    columns = [column.to_pylist() for column in table.columns]
    return sorted("|".join(text_of(v) for v in row) for row in zip(*columns))


def open_table(root, name):
    return pypaimon.CatalogFactory.create({"warehouse": root}).get_table(name)


def read_by_pypaimon(root, name, filters=None):
    builder = open_table(root, name).new_read_builder()
    if filters is not None:
        builder = builder.with_filter(filters(builder.new_predicate_builder()))
    splits = builder.new_scan().plan().splits()
    result = builder.new_read().to_arrow(splits)
    return [] if result is None else lines_of(result)


# ---- tarn writes, pypaimon reads ----

KINDS = ("a", "b c", "d/e=f", "", "ü%", None)


def random_row(rng, key):
    return "|".join(
        [
            str(key),
            "\\N" if rng.random() < 0.1 else rng.choice(["x", "Two roads diverged", "höher"]) * rng.randint(1, 4),
            "\\N" if rng.random() < 0.1 else f"{rng.uniform(-9, 9):.2f}",
            "\\N" if rng.random() < 0.1 else f"{rng.randint(-10**20, 10**20)}.{rng.randint(0, 99999):05d}",
            "\\N" if rng.random() < 0.1 else f"20{rng.randint(10, 30)}-0{rng.randint(1, 9)}-1{rng.randint(0, 9)}",
            "\\N" if rng.random() < 0.1 else f"2001-01-{rng.randint(10, 28)} 01:02:03.{rng.randint(100000, 999999)}".rstrip("0"),
            "\\N" if rng.random() < 0.1 else f"1955-01-{rng.randint(10, 28)} 01:02:03.{rng.randint(1, 9)}5",
            "\\N" if rng.random() < 0.1 else rng.choice(["t", "f"]),
            "\\N" if rng.random() < 0.1 else "\\x" + rng.randbytes(rng.randint(0, 20)).hex(),
            "\\N" if rng.random() < 0.1 else str(rng.randint(-30000, 30000)),
        ]
    )


COLUMNS = (
    "id:bigint,name:text,price:numeric10_2,big:numeric30_5,day:date,at:timestamp,at3:timestamp3,"
    "ok:boolean,raw:bytea,small:smallint"
)


def append_tables(root, rng):
    tool(root, "create", "db.db/append", COLUMNS, "", "")
    rows = [random_row(rng, i) for i in range(500)]
    for part in (rows[:200], rows[200:210], rows[210:]):
        tool(root, "write", "db.db/append", rows=["+I|" + row for row in part] + ["commit"])
    check("append", read_by_pypaimon(root, "db.append"), sorted(rows))
    check("append by tarn", tool(root, "read", "db.db/append"), sorted(rows))

    deleted = rows[::7]
    tool(root, "write", "db.db/append", rows=["-D|" + row for row in deleted] + ["commit"])
    rest = sorted(set(rows) - set(deleted))
    check("append after deletes", read_by_pypaimon(root, "db.append"), rest)
    tool(root, "compact", "db.db/append")
    check("append after compaction", read_by_pypaimon(root, "db.append"), rest)
    some = sorted(row for row in rest if int(row.split("|")[0]) < 100)
    check("append with a filter", read_by_pypaimon(root, "db.append", lambda p: p.less_than("id", 100)), some)


def partitioned_append_table(root, rng):
    tool(root, "create", "db.db/parts", "kind:text,day:date,n:integer", "", "kind,day")
    rows = []
    for i in range(200):
        kind = rng.choice(KINDS)
        rows.append(f"{text_of(kind)}|{rng.choice(['2001-01-01', '1969-12-31', chr(92) + 'N'])}|{i}")
    tool(root, "write", "db.db/parts", rows=["+I|" + row for row in rows] + ["commit"])
    check("partitioned append", read_by_pypaimon(root, "db.parts"), sorted(rows))
    tool(root, "write", "db.db/parts", rows=["+I|" + row for row in rows] + ["commit"])
    tool(root, "compact", "db.db/parts")
    check("partitioned append, compacted", read_by_pypaimon(root, "db.parts"), sorted(rows + rows))
    some = sorted(row for row in rows + rows if row.startswith("b c|"))
    check("one partition", read_by_pypaimon(root, "db.parts", lambda p: p.equal("kind", "b c")), some)


def keyed_table(root, rng, name, columns, primary, partition, options, make_row, key_of):
    """Random upserts and deletes against a dictionary, with a compaction in the middle."""
    path = f"db.db/{name}"
    tool(root, "create", path, columns, primary, partition, *options)
    model = {}
    for commit in range(8):
        lines = []
        for _ in range(rng.randint(1, 120)):
            row = make_row(rng)
            if rng.random() < 0.2:
                lines.append("-D|" + row)
                model.pop(key_of(row), None)
            else:
                lines.append(rng.choice(["+I|", "+U|"]) + row)
                model[key_of(row)] = row
        tool(root, "write", path, rows=lines + ["commit"])
        if commit in (3, 7):
            check(f"{name}, commit {commit}", read_by_pypaimon(root, f"db.{name}"), sorted(model.values()))
            tool(root, "compact", path)
        check(f"{name}, commit {commit} by tarn", tool(root, "read", path), sorted(model.values()))
    check(f"{name}, compacted", read_by_pypaimon(root, f"db.{name}"), sorted(model.values()))
    key = int(next(iter(model.values())).split("|")[0])
    some = sorted(row for row in model.values() if row.split("|")[0] == str(key))
    check(f"{name}, one key", read_by_pypaimon(root, f"db.{name}", lambda p: p.equal("id", key)), some)


def keyed_tables(root, rng):
    keyed_table(root, rng, "keyed", COLUMNS, "id", "", ["bucket=3"],
                lambda r: random_row(r, r.randint(0, 150)), lambda row: row.split("|")[0])
    keyed_table(root, rng, "keyed_one", "id:integer,n:bigint,t:text", "t,id", "", [],
                lambda r: f"{r.randint(0, 9)}|{r.randint(0, 10**15)}|{r.choice(['x', 'yy', 'a long text key'])}",
                lambda row: (row.split("|")[0], row.split("|")[2]))
    keyed_table(root, rng, "keyed_parts", "id:integer,day:date,n:bigint", "id,day", "day", ["bucket=2"],
                lambda r: f"{r.randint(0, 40)}|2001-01-0{r.randint(1, 3)}|{r.randint(0, 10**15)}",
                lambda row: tuple(row.split("|")[:2]))


# ---- pypaimon writes, tarn reads ----

ARROW = pyarrow.schema(
    [
        pyarrow.field("id", pyarrow.int64(), nullable=False),
        pyarrow.field("name", pyarrow.string()),
        pyarrow.field("price", pyarrow.decimal128(10, 2)),
        pyarrow.field("day", pyarrow.date32()),
        pyarrow.field("at", pyarrow.timestamp("us")),
        pyarrow.field("ok", pyarrow.bool_()),
        pyarrow.field("raw", pyarrow.binary()),
        pyarrow.field("tiny", pyarrow.int8()),
        pyarrow.field("part", pyarrow.string(), nullable=False),
    ]
)


def arrow_row(rng, key):
    maybe = lambda value: None if rng.random() < 0.1 else value
    return {
        "id": key,
        "name": maybe(rng.choice(["x", "longer than twelve bytes", "ü"])),
        "price": maybe(decimal.Decimal(rng.randint(-10**9, 10**9)).scaleb(-2)),
        "day": maybe(datetime.date(1960, 1, 1) + datetime.timedelta(days=rng.randint(0, 30000))),
        "at": maybe(datetime.datetime(1960, 1, 1) + datetime.timedelta(microseconds=rng.randint(0, 10**15))),
        "ok": maybe(rng.random() < 0.5),
        "raw": maybe(rng.randbytes(rng.randint(0, 20))),
        "tiny": maybe(rng.randint(-128, 127)),
        "part": f"p {key % 3}",
    }


def write_by_pypaimon(table, rows):
    builder = table.new_batch_write_builder()
    writer = builder.new_write()
    commit = builder.new_commit()
    writer.write_arrow(pyarrow.Table.from_pylist(rows, schema=ARROW))
    commit.commit(writer.prepare_commit())
    writer.close()
    commit.close()


def foreign_table(root, rng, name, primary, partition, options):
    catalog = pypaimon.CatalogFactory.create({"warehouse": root})
    catalog.create_database("db", True)
    schema = pypaimon.Schema.from_pyarrow_schema(
        ARROW, partition_keys=partition, primary_keys=primary, options=options)
    catalog.create_table(f"db.{name}", schema, False)
    table = catalog.get_table(f"db.{name}")
    model = {}
    rows = []
    for _ in range(4):
        batch = {rng.randint(0, 300): None for _ in range(100)}
        batch = [arrow_row(rng, key) for key in batch]
        write_by_pypaimon(table, batch)
        rows += batch
        model.update({row["id"]: row for row in batch})
    expected = list(model.values()) if primary else rows
    lines = sorted("|".join(text_of(row[field.name]) for field in ARROW) for row in expected)
    check(f"{name} by tarn", tool(root, "read", f"db.db/{name}"), lines)
    return lines


def tarn_continues(root, rng, name, lines, is_keyed):
    """tarn appends to, and compacts, what pypaimon began."""
    path = f"db.db/{name}"
    row = "7|seven|7.00|2007-07-07|2007-07-07 07:07:07|t|\\x07|-7|p 1"
    tool(root, "write", path, rows=["+I|" + row, "commit"])
    rest = [line for line in lines if not (is_keyed and line.startswith("7|"))]
    expected = sorted(rest + [row])
    check(f"{name} continued", read_by_pypaimon(root, f"db.{name}"), expected)
    tool(root, "compact", path)
    check(f"{name} continued and compacted", read_by_pypaimon(root, f"db.{name}"), expected)
    check(f"{name} continued and compacted, by tarn", tool(root, "read", path), expected)


def foreign_tables(root, rng):
    lines = foreign_table(root, rng, "f_append", [], [], {})
    tarn_continues(root, rng, "f_append", lines, False)
    lines = foreign_table(root, rng, "f_parts", [], ["part"], {})
    tarn_continues(root, rng, "f_parts", lines, False)
    lines = foreign_table(root, rng, "f_keyed", ["id"], [], {"bucket": "2"})
    tarn_continues(root, rng, "f_keyed", lines, True)
    lines = foreign_table(root, rng, "f_keyed_parts", ["part", "id"], ["part"], {"bucket": "1"})
    tarn_continues(root, rng, "f_keyed_parts", lines, True)


def main():
    global failed
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for group in (append_tables, partitioned_append_table, keyed_tables, foreign_tables):
        with tempfile.TemporaryDirectory() as root:
            try:
                group(root, rng)
            except Exception as reason:  # one broken group must not hide the others
                failed += 1
                print(f"FAILED {group.__name__}: {type(reason).__name__}: {reason}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
