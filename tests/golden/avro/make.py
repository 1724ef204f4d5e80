#!/usr/bin/env python3
"""Writes the golden Avro files of this folder with fastavro (1.13) and pypaimon (2.0).

Run once, by hand: `python3 tests/golden/avro/make.py`. The pypaimon files differ on every run (names
and times are random); tests/format/avro/golden_test.c states what the committed ones hold.
"""

import pathlib
import shutil
import tempfile

import fastavro

HERE = pathlib.Path(__file__).resolve().parent
SYNC = bytes(range(16))

SCHEMA = {
    "type": "record",
    "name": "everything",
    "namespace": "tarn.test",
    "fields": [
        {"name": "flag", "type": "boolean"},
        {"name": "small", "type": "int"},
        {"name": "large", "type": "long"},
        {"name": "ratio", "type": "float"},
        {"name": "precise", "type": "double"},
        {"name": "blob", "type": "bytes"},
        {"name": "text", "type": "string"},
        {"name": "maybe", "type": ["null", "string", "long"], "default": None},
        {"name": "suit", "type": {"type": "enum", "name": "suit", "symbols": ["CLUBS", "HEARTS"]}},
        {"name": "mac", "type": {"type": "fixed", "name": "other.space.mac", "size": 6}},
        {"name": "numbers", "type": {"type": "array", "items": ["null", "long"]}},
        {"name": "attributes", "type": {"type": "map", "values": "tarn.test.suit"}},
        {"name": "list", "type": ["null", {
            "type": "record", "name": "node", "fields": [
                {"name": "value", "type": "int"},
                {"name": "next", "type": ["null", "node"]},
                {"name": "mac", "type": "other.space.mac"}]}]},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}


def record(i):
    mac = bytes([i % 256]) * 6
    node = {"value": i, "next": {"value": i + 1, "next": None, "mac": mac}, "mac": mac}
    return {
        "flag": i % 2 == 1,
        "small": (-1) ** i * i * 1000,
        "large": (-1) ** i * (2**62 + i),
        "ratio": i / 2,
        "precise": -i / 4,
        "blob": bytes(range(i % 5)),
        "text": "é" * i,
        "maybe": [None, f"text {i}", i][i % 3],
        "suit": ["CLUBS", "HEARTS"][i % 2],
        "mac": mac,
        "numbers": [None if j % 2 else j * i for j in range(i % 4)],
        "attributes": {f"key{j}": "HEARTS" for j in range(i % 3)},
        "list": node if i % 2 else None,
        "at": 1700000000000 + i,
    }


def fast_files():
    records = [record(i) for i in range(20)]
    for codec in ("null", "deflate", "zstandard"):
        with open(HERE / f"everything-{codec}.avro", "wb") as file:
            fastavro.writer(file, SCHEMA, records, codec=codec, sync_interval=500,
                            sync_marker=SYNC)
    union = ["null", {"type": "record", "name": "row", "fields": [
        {"name": "id", "type": "long"}, {"name": "name", "type": ["null", "string"]}]}]
    rows = [{"id": 1, "name": "one"}, None, {"id": 3, "name": None}]
    with open(HERE / "union-on-top.avro", "wb") as file:
        fastavro.writer(file, union, rows, sync_marker=SYNC)
    with open(HERE / "no-records.avro", "wb") as file:
        fastavro.writer(file, SCHEMA, [], codec="zstandard", sync_marker=SYNC)


def paimon_files():
    import pyarrow
    from pypaimon import CatalogFactory, Schema

    folder = tempfile.mkdtemp()
    catalog = CatalogFactory.create({"warehouse": folder})
    catalog.create_database("d", True)
    arrow = pyarrow.schema([("id", pyarrow.int32()), ("name", pyarrow.string()),
                            ("day", pyarrow.string())])
    catalog.create_table("d.t", Schema.from_pyarrow_schema(arrow, partition_keys=["day"]), True)
    table = catalog.get_table("d.t")
    builder = table.new_batch_write_builder()
    writer, committer = builder.new_write(), builder.new_commit()
    writer.write_arrow(pyarrow.Table.from_pydict(
        {"id": [7, 8, 9], "name": ["ann", "bob", None], "day": ["mon", "mon", "tue"]}, arrow))
    committer.commit(writer.prepare_commit())
    folder = pathlib.Path(folder)
    manifests = sorted(folder.glob("d.db/t/manifest/*"))
    for path in manifests:
        kind = "manifest-list" if path.name.startswith("manifest-list") else "manifest"
        if path.stat().st_size > 0 and (kind == "manifest" or list(fastavro.reader(path.open("rb")))):
            shutil.copyfile(path, HERE / f"pypaimon-{kind}.avro")
    shutil.rmtree(folder)


fast_files()
paimon_files()
