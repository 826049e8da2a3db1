#!/usr/bin/env python3
"""Says for every row of the simulator's tables whether the promise of recall was kept.

Usage: sim_verdict.py DIR
Kept: the upper end of the 95 % interval is at most 1.2 times the promised miss. Broken: the measured miss is
above 1.2 times the promise by more than chance explains. Otherwise there were too few pairs to tell.
"""

import csv
import math
import os
import sys

ALLOWED = 1.2


def verdict(row):
    promised = float(row["promised_miss"])
    measured = float(row["measured_miss"])
    if promised == 0:
        return "kept" if measured == 0 else "BROKEN"
    if float(row["measured_miss_high"]) <= ALLOWED * promised:
        return "kept"
    # The interval above and below the measurement is about as wide.
    low = measured - (float(row["measured_miss_high"]) - measured)
    return "BROKEN" if low > ALLOWED * promised else "too few pairs to tell"


def main(folder):
    broken = 0
    for table in ("recall", "loss"):
        path = os.path.join(folder, f"{table}.csv")
        if not os.path.exists(path):
            continue
        with open(path, encoding="utf-8") as file:
            for row in csv.DictReader(file):
                said = verdict(row)
                broken += said == "BROKEN"
                ratio = float(row["measured_miss"]) / float(row["promised_miss"]) if float(row["promised_miss"]) else math.nan
                print(f"{row['experiment']:8} {row['when']:8} {row['peers']:>7} peers  {row['mix']:12} recall {row['recall']:7}"
                      f" promised miss {float(row['promised_miss']):.2e} measured {float(row['measured_miss']):.2e}"
                      f" ({ratio:.2f}x, at most {float(row['measured_miss_high']):.2e}): {said}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
