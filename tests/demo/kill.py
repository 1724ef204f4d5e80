#!/usr/bin/env python3
"""kill -9 at random moments: reopened and run to its end, the job leaves what an undisturbed run leaves.

    tests/demo/kill.py [ROUNDS [SEED]]       default: 20 rounds, a new seed
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


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
    print(f"seed {seed}", flush=True)
    chance = random.Random(seed)
    failures = 0
    with tempfile.TemporaryDirectory() as directory:
        begin = time.monotonic()
        job.run(f"{directory}/calm", job.statements())
        span = time.monotonic() - begin
        calm = {view: job.fingerprint(f"{directory}/calm", view) for view in job.VIEWS}
        for number in range(rounds):
            warehouse = f"{directory}/killed{number}"
            moments = [chance.uniform(0, span) for _ in range(chance.choice([1, 1, 2, 3]))]
            disturbed(warehouse, moments)
            got = {view: job.fingerprint(warehouse, view) for view in job.VIEWS}
            good = got == calm
            failures += not good
            print(f"[{'       OK' if good else '  FAILED '} ] round_{number} killed after "
                  f"{', '.join(f'{moment:.3f}' for moment in moments)} s", flush=True)
            if not good:
                print(f"expected {calm}\ngot      {got}")
            shutil.rmtree(warehouse)
    sys.exit(1 if failures else 0)


main()
