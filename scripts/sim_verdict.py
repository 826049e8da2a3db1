#!/usr/bin/env python3
"""Says what the simulator's tables show: promises kept or broken, growth with the mesh, the papers beaten or not.

Usage: sim_verdict.py DIR        DIR holds the CSV files of scripts/sim
Ends with 1 where a promise was broken beyond doubt, or a figure that has to be reached was not; such a line ends with BROKEN.
A promise of recall is kept when the upper end of the 95 % interval
of the misses is at most 1.2 times the promised miss; broken when the misses are above that by more than chance
explains; otherwise there were too few pairs to tell.
"""

import csv
import math
import os
import sys

ALLOWED = 1.2
# Fewest of Jain's index, and most of the busiest hundredth's share, by positions, in meshes of at least so many peers: in smaller ones
# the peers with most links are linked to half of the others. Contacts by digests go to who keeps the record, and are shown only.
JAIN_MIN, SHARE_MAX, LOAD_PEERS = 0.95, 2.0, 1000
# Growth of what a search and a page cost, fitted over at least three sizes; hops at most; frames of flooding, with the owner's
# copy only, for one of ours.
GROWTH_MAX, DEPTH_MAX, FLOOD_MIN = 0.55, 6, 100
# Frames of a search for a rare word without digests, for one with.
DIGESTS_MIN = 3
# Points by which the completeness that searches say may differ from the truth, on average, where peers come and go, in meshes of
# at least so many peers: in smaller ones copies and queries are on distinct peers, which only helps.
COMPLETENESS_POINTS, COMPLETENESS_PEERS = 1.0, 1000
# What floods reach of a broadcast: the figures are read off plots, and those of small meshes vary.
READING_ERROR = 0.01
# Points by which records may be missed beyond the promise, by the share of hostile peers: none up to a tenth of them, one
# at a fifth.
HOSTILE_POINTS = {0.05: 0, 0.1: 0, 0.2: 0.01}
# HyParView (Leitao, Pereira, Rodrigues, DSN 2007): share of peers reached right after this share of 10,000 failed
# (Fig. 2), and membership cycles until it is as before (Fig. 4), both read off the plots.
HYPARVIEW_PEERS = 10000
HYPARVIEW_RELIABILITY = {0.1: 1, 0.2: 1, 0.3: 1, 0.4: 1, 0.5: 1, 0.6: 1, 0.7: 1, 0.8: 1, 0.9: 0.99, 0.95: 0.91}
HYPARVIEW_CYCLES = {0.1: 1, 0.2: 1, 0.3: 1, 0.4: 1, 0.5: 1, 0.6: 1, 0.7: 2, 0.8: 2, 0.9: 4}


def rows(folder, table):
    path = os.path.join(folder, f"{table}.csv")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return list(csv.DictReader(file))


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


def say_promises(folder):
    """How many were broken."""
    broken = 0
    for row in rows(folder, "recall") + rows(folder, "loss"):
        said = verdict(row)
        # A search that claims little keeps its word easily: where nothing is broken right now it claims what it was asked for.
        asked = 1 - float(row["recall"])
        if row["when"] in ("settled", "mended") and float(row["promised_miss"]) > 1.02 * asked:
            said = "BROKEN: claims less than it was asked for"
        if int(row["depth"]) > DEPTH_MAX:
            said = f"BROKEN: {row['depth']} hops"
        broken += "BROKEN" in said
        promised, measured = float(row["promised_miss"]), float(row["measured_miss"])
        ratio = measured / promised if promised else math.nan
        print(f"{row['experiment']:8} {row['when']:8} {row['peers']:>7} peers  {row['mix']:12} recall {row['recall']:7}"
              f" promised miss {promised:.2e} measured {measured:.2e}"
              f" ({ratio:.2f}x, at most {float(row['measured_miss_high']):.2e}): {said}{replay(row) if 'BROKEN' in said else ''}")
    return broken


def slope(points):
    """Of the line that fits log y over log x best."""
    logs = [(math.log(x), math.log(y)) for x, y in points]
    mean_x = sum(x for x, _ in logs) / len(logs)
    mean_y = sum(y for _, y in logs) / len(logs)
    return sum((x - mean_x) * (y - mean_y) for x, y in logs) / sum((x - mean_x) ** 2 for x, _ in logs)


def say_growth(folder):
    """The exponent of the messages, and of the copies, of a recall of 0.9999 in the number of peers."""
    broken = 0
    table = [row for row in rows(folder, "recall") if float(row["recall"]) > 0.999]
    for mix in dict.fromkeys(row["mix"] for row in table):
        for column in "messages_per_query", "copies_per_page":
            points = [(float(row["peers"]), float(row[column])) for row in table if row["mix"] == mix]
            if len({x for x, _ in points}) > 1:
                fine = len({x for x, _ in points}) < 3 or slope(points) <= GROWTH_MAX
                broken += not fine
                print(f"growth   {mix:12} {column}: n^{slope(points):.2f}, {points[-1][1]:.0f} at {points[-1][0]:.0f} peers{flag(fine)}")
    return broken


def flag(fine, row=None):
    return "" if fine else f": BROKEN{replay(row)}"


def replay(row):
    """The line that runs it again."""
    return f"; again: {row['command']}" if row and row.get("command") else ""


def say_broadcasts(folder):
    """How many reach less than the paper's, or heal more slowly; with the paper's own parameters only at its size."""
    broken = 0
    for row in rows(folder, "broadcast"):
        fail, reached = float(row["fail"]), float(row["reliability"])
        paper = HYPARVIEW_RELIABILITY.get(fail)
        cycles = HYPARVIEW_CYCLES.get(fail)
        fine = paper is None or reached >= paper - READING_ERROR
        fine = fine and (cycles is None or int(row["healing_cycles"]) <= cycles)
        fine = fine or (row["variant"] == "hyparview" and int(row["peers"]) < HYPARVIEW_PEERS)
        broken += not fine
        print(f"broadcast {row['peers']:>6} peers  {row['variant']:9} {fail:.0%} failed: reached {reached:.4f}"
              f" (HyParView's Fig. 2 at 10,000: {paper}), healed after {row['healing_s']} s,"
              f" {row['healing_cycles']} cycles (Fig. 4: {cycles}), then {float(row['reliability_healed']):.4f}{flag(fine, row)}")
    return broken


def say_baselines(folder):
    broken = 0
    table = rows(folder, "baseline")
    own = next((row for row in table if row["graph"] == row["variant"] == "panal"), None)
    for row in table:
        flood = row["graph"] == "panal" and row["variant"] == "flooding" and float(row["copies_per_page"]) <= 1
        fine = own is None or not flood or float(row["messages_per_query"]) >= FLOOD_MIN * float(own["messages_per_query"])
        broken += not fine
        against = "" if own is None else f", {float(row['messages_per_query']) / float(own['messages_per_query']):.1f}x ours"
        print(f"baseline {row['graph']:10} {row['variant']:16} {row['copies_per_page']:>5} copies: {float(row['messages_per_query']):.0f} messages,"
              f" miss {float(row['measured_miss']):.2e}{against}{flag(fine, row)}")
    return broken


def say_digests(folder):
    """How many of the classes for which digests are meant are not so much cheaper with them."""
    broken = 0
    table = rows(folder, "classes")
    cost = {(row["class"], row["recall"], row["digests"]): float(row["messages_per_query"]) + float(row["contacts_per_query"]) for row in table}
    for row in table:
        key = row["class"], row["recall"]
        if row["digests"] != "on" or (*key, "off") not in cost:
            continue
        ratio = cost[(*key, "off")] / cost[(*key, "on")]
        fine = row["class"] != "rare" or ratio >= DIGESTS_MIN
        broken += not fine
        print(f"digests  {row['peers']:>7} peers  recall {row['recall']:7} {row['class']:10} {cost[(*key, 'on')]:.0f} frames with, {ratio:.1f} times as many without,"
              f" missed {float(row['measured_miss']):.2e}{flag(fine, row)}")
    return broken


def say_churn(folder):
    """Completeness that was said against the truth, in points, by mesh size and sessions; how many miss more than is said."""
    table = rows(folder, "churn")
    broken = 0
    for peers, sessions in dict.fromkeys((row["peers"], row["sessions"]) for row in table):
        of_size = [row for row in table if (row["peers"], row["sessions"]) == (peers, sessions)]
        promised = sum(float(row["promised_miss"]) for row in of_size) / len(of_size)
        measured = sum(float(row["measured_miss"]) for row in of_size) / len(of_size)
        worst = max(float(row["measured_miss"]) - float(row["promised_miss"]) for row in of_size)
        # What chance explains of a mean over so many looks.
        chance = sum(float(row["measured_miss_high"]) - float(row["measured_miss"]) for row in of_size) / len(of_size) ** 1.5
        apart = 100 * abs(promised - measured)
        fine = measured - chance <= ALLOWED * promised and (int(peers) < COMPLETENESS_PEERS or apart <= COMPLETENESS_POINTS)
        broken += not fine
        print(f"churn    {peers:>7} peers, {sessions}, {len(of_size)} looks: missed {measured:.4f} where {promised:.4f} was said,"
              f" {apart:.2f} points apart; at worst {100 * worst:.2f} points more{flag(fine, of_size[0])}")
    return broken


def say_hostile(folder):
    """How many miss more than they may."""
    broken = 0
    for row in rows(folder, "hostile"):
        promised, measured = float(row["promised_miss"]), float(row["measured_miss"])
        # What the searches say counts, and never less than was asked for.
        allowed = ALLOWED * max(promised, 1 - float(row["recall"])) + HOSTILE_POINTS.get(float(row["fail"]), 1)
        fine = measured <= allowed
        broken += not fine
        print(f"hostile  {row['peers']:>7} peers  {float(row['fail']):.0%} {row['variant']:9} missed {measured:.4f} where {promised:.4f} was said,"
              f" complete {float(row['complete']):.2f}, {float(row['messages_per_query']):.0f} + {float(row['contacts_per_query']):.0f} frames,"
              f" {float(row['latency_ms']):.0f} ms{flag(fine, row)}")
    return broken


def say_loads(folder):
    """How many are shared out unevenly."""
    broken = 0
    for row in rows(folder, "load"):
        for what, prefix in ("queries", ""), ("pages", "pages_"):
            jain, share = float(row[prefix + "jain"]), float(row[prefix + "p99_of_fair_share"])
            judged = int(row["peers"]) >= LOAD_PEERS and row["digests"] == "off"
            fine = not judged or (jain >= JAIN_MIN and share <= SHARE_MAX)
            broken += not fine
            print(f"load     {row['peers']:>7} peers  {row['mix']:12} digests {row['digests']:3} {what:7} Jain {jain:.3f},"
                  f" busiest hundredth {share:.2f} of the fair share{flag(fine, row)}")
    return broken


def main(folder):
    broken = say_promises(folder)
    for say in say_growth, say_digests, say_broadcasts, say_baselines, say_churn, say_hostile, say_loads:
        broken += say(folder) or 0
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
