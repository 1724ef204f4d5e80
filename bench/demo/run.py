#!/usr/bin/env python3
"""The demo's whole job: 3,000,000 flights through four stacked views into durable tables.

    python3 bench/demo/run.py [build directory] [rounds]

Each round starts from nothing and ends when every flight is in every view, on disk, under a
checkpoint (FLUSH). The clock runs from the statement before the first view to the end of FLUSH, so it
holds reading, joining, aggregating, writing Parquet, checkpoints and commits, but not the start of the
process. One JSON line: medians of seconds and events per second, peak memory, bytes written per byte
of input.
"""
import json
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
INPUT = ROOT / "demo" / "data" / "flights-3m.parquet"
ROWS = 3_000_000


def written_bytes(pid):
    """What the process has handed to the file system so far."""
    try:
        text = pathlib.Path(f"/proc/{pid}/io").read_text()
        return int(re.search(r"^wchar: (\d+)", text, re.M)[1])
    except (OSError, TypeError):
        return 0


def run(tarn, warehouse):
    """(seconds, bytes written)"""
    script = (ROOT / "demo" / "flights.sql").read_text()
    head, views = script[:script.index("FLUSH;")].split("CREATE MATERIALIZED VIEW", 1)
    path = pathlib.Path(f"{warehouse}.sql")
    path.write_text(f"{head}\n\\timing on\nCREATE MATERIALIZED VIEW{views}\nFLUSH;\n"
                    "\\timing off\n"
                    "SELECT sum(flights) FROM dws_route_day;\n")
    process = subprocess.Popen([tarn, warehouse, "--progress", "never", "-t", "--format", "csv",
                                "-f", str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    written = 0
    while process.poll() is None:
        written = max(written, written_bytes(process.pid))
        time.sleep(0.01)
    output = process.stdout.read()
    assert process.returncode == 0 and str(ROWS) in output, output
    times = [float(text) for text in re.findall(r"Time: ([0-9.]+) ms", output)]
    return sum(times) / 1000, written


def main():
    build = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build")
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    seconds, written = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as directory:
            took, wrote = run(str(build / "tarn"), f"{directory}/warehouse")
            seconds.append(took)
            written.append(wrote)
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    median = statistics.median(seconds)
    print(json.dumps({"name": "demo", "n": ROWS, "seconds": round(median, 3),
                      "events_per_second": round(ROWS / median),
                      "seconds_min": round(min(seconds), 3),
                      "peak_memory_mib": round(memory / 2**20),
                      "bytes_written_per_byte_of_input":
                          round(statistics.median(written) / INPUT.stat().st_size, 2)}))


main()
