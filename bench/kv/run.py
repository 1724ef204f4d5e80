#!/usr/bin/env python3
"""Runs tarn's key-value engines beside their peers and prints the ratio to the best peer.

    bench/kv/run.py [--keys N] [--value BYTES] [--repeat N] [--stores A,B] [--workloads A,B] [--plot FILE]

Each run is a process with a directory of its own; stores take turns, and the figure is the median. One
JSON line per workload and store; `ratio` is the rate over that of the best peer on the workload.
--plot writes an SVG picture of the ratios.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = ROOT / "build" / "bench" / "kv_bench"


def names(kind):
    """What the program lists below `stores:` or `workloads:`."""
    listed = {}
    for line in subprocess.run([PROGRAM, "--list"], capture_output=True, text=True,
                               check=True).stdout.splitlines():
        if line.endswith(":"):
            below = listed.setdefault(line[:-1], [])
        else:
            below.append(line)
    return listed[kind]


def measure(store, workload, options):
    """One run, or None where the store cannot do the workload."""
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        done = subprocess.run([PROGRAM, directory, store, workload, "--keys", str(options.keys),
                               "--reads", str(options.reads), "--value", str(options.value),
                               "--cache", str(options.cache)],
                              capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return json.loads(done.stdout)
    if "not a workload of this store" not in done.stderr:
        print(f"{store} {workload}: {done.stderr.strip()}", file=sys.stderr)
    return None


def median_of(runs):
    figures = dict(runs[0])
    for name in ("ns", "rate", "p50_us", "p99_us", "p999_us", "bytes", "rss"):
        figures[name] = statistics.median(run[name] for run in runs)
    return figures


def line_of(figures, best_peer):
    line = {"workload": figures["workload"], "store": figures["store"],
            "rate": round(figures["rate"]), "p50_us": figures["p50_us"],
            "p99_us": figures["p99_us"], "p999_us": figures["p999_us"],
            "written_mb": round(figures["bytes"] / 1e6), "rss_mb": round(figures["rss"] / 1e6)}
    if best_peer:
        line["ratio"] = round(figures["rate"] / best_peer, 2)
    return line


def run_workload(workload, options):
    runs = {store: [] for store in options.stores}
    for _ in range(options.repeat):
        for store in options.stores:
            result = measure(store, workload, options)
            if result:
                runs[store].append(result)
    measured = [median_of(each) for each in runs.values() if each]
    best_peer = max((figures["rate"] for figures in measured
                     if not figures["store"].startswith("tarn")), default=None)
    lines = [line_of(figures, best_peer) for figures in measured]
    for line in lines:
        print(json.dumps(line), flush=True)
    return lines


def plot(lines, path):
    """Bars of our engines' ratios, a group for each workload; 1 is the best peer."""
    ours = [line for line in lines if line["store"].startswith("tarn") and "ratio" in line]
    if not ours:
        return
    top = max(max(line["ratio"] for line in ours), 1)
    row, left, width = 18, 250, 520
    parts = []
    for i, line in enumerate(ours):
        y = 20 + i * row
        length = width * line["ratio"] / top
        parts.append(f'<text x="{left - 8}" y="{y + 12}" text-anchor="end">{line["workload"]} '
                     f'{line["store"]}</text><rect x="{left}" y="{y}" width="{length:.1f}" '
                     f'height="{row - 4}" fill="{"#2a7" if line["ratio"] >= 1 else "#c55"}"/>'
                     f'<text x="{left + length + 4:.1f}" y="{y + 12}">{line["ratio"]}</text>')
    height = 40 + len(ours) * row
    one = left + width / top
    parts.append(f'<line x1="{one:.1f}" x2="{one:.1f}" y1="10" y2="{height - 20}" stroke="#333" '
                 'stroke-dasharray="4"/>')
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 80}" '
                    f'height="{height}" font-family="sans-serif" font-size="11">'
                    + "".join(parts) + "</svg>\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, default=1000000)
    parser.add_argument("--reads", type=int, default=1000000)
    parser.add_argument("--value", type=int, default=100)
    parser.add_argument("--cache", type=int, default=1024, help="MiB")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--stores", type=lambda text: text.split(","))
    parser.add_argument("--workloads", type=lambda text: text.split(","))
    parser.add_argument("--directory", default=os.environ.get("TMPDIR", "/var/tmp"))
    parser.add_argument("--plot", type=pathlib.Path)
    options = parser.parse_args()
    if not PROGRAM.exists():
        print("kv: left out, the peers' libraries are not installed (tools/setup peers)")
        return
    options.stores = options.stores or names("stores")
    options.workloads = options.workloads or names("workloads")
    lines = []
    for workload in options.workloads:
        lines += run_workload(workload, options)
    if options.plot:
        plot(lines, options.plot)


main()
