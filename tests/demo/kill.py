#!/usr/bin/env python3
"""kill -9 at random moments: reopened and run to its end, the job leaves what an undisturbed run leaves.

    tests/demo/kill.py [KILLS [SEED]]       default: 20 kills, a new seed
"""
import random
import shutil
import sys
import tempfile
import time

import job


def disturbed(warehouse, moments):
    """Starts the job and kills it, once per moment (seconds after its start); then lets it finish."""
    has_airports = False
    for moment in moments:
        process = job.start(warehouse, job.again(has_airports))
        time.sleep(moment)
        process.kill()
        process.communicate()
        tables = job.query(warehouse, "SELECT table_name FROM information_schema.tables "
                                      "WHERE table_name = 'airports'")
        has_airports = bool(tables) and job.query(warehouse, "SELECT count(*) FROM airports") != [["0"]]
    job.run(warehouse, job.again(has_airports))


def contents(warehouse, every_row):
    """What the views hold, row for row; of the largest one sums by route, and every row if asked."""
    got = {view: job.fingerprint(warehouse, view)
           for view in job.VIEWS if every_row or view != "dwd_flights"}
    got["summary"] = job.summary(warehouse)
    return got


def main():
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
    print(f"seed {seed}", flush=True)
    chance = random.Random(seed)
    failures = done = 0
    with tempfile.TemporaryDirectory() as directory:
        begin = time.monotonic()
        job.run(f"{directory}/calm", job.statements())
        span = time.monotonic() - begin
        calm = contents(f"{directory}/calm", True)
        while done < kills:
            warehouse = f"{directory}/killed{done}"
            moments = [chance.uniform(0, span)
                       for _ in range(min(kills - done, chance.choice([1, 2, 3])))]
            disturbed(warehouse, moments)
            done += len(moments)
            got = contents(warehouse, done == kills)
            good = all(calm[name] == value for name, value in got.items())
            failures += not good
            print(f"[{'       OK' if good else '  FAILED '} ] kill_{done} after "
                  f"{', '.join(f'{moment:.3f}' for moment in moments)} s", flush=True)
            for name, value in got.items():
                if value != calm[name]:
                    print(f"{name}: expected {str(calm[name])[:500]}\ngot {str(value)[:500]}")
            shutil.rmtree(warehouse)
    sys.exit(1 if failures else 0)


main()
