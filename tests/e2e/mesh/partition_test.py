#!/usr/bin/env python3
"""A mesh over two networks with a slow, lossy connection that is cut and healed again.

Needs root, network namespaces, TUN devices and nftables; without, it is skipped. Prints the seconds that noticing the
cut and healing took.
"""

import json
import os
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import peers  # noqa: E402
from peers import MeshTest, tool, wait_for  # noqa: E402
from two_networks import TwoNetworks  # noqa: E402

# Seconds. A link is missed within the ping's interval and timeout; a cut mesh is mended by feelers, minutes apart.
NOTICE_SECONDS, HEAL_SECONDS = 120, 600
A_SIDE = 3


class Partition(MeshTest):

    def setUp(self):
        super().setUp()
        tool("nft")
        try:
            self.networks = TwoNetworks(delay_s=0.04, jitter_s=0.01)
        except (OSError, subprocess.CalledProcessError) as error:
            self.skipTest(f"no network namespaces with TUN devices: {getattr(error, 'stderr', None) or error}")
        self.addCleanup(self.networks.close)

    def peer_of(self, side, join=()):
        return self.peer(host=self.networks.hosts[side], within=self.networks.within(side), join=join)

    def mesh_of_two_sides(self):
        first = self.peer_of(0).start()
        rest = [self.peer_of(side, [first.mesh_address]).start() for side in (0, 0, 1, 1, 1)]
        self.wait_for_size(self.peers, 2 * A_SIDE)
        return [first, *rest]

    def put(self, peer, name):
        path = self.path(name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(name)
        return peer.add(path)["id"]

    def found(self, peer, query):
        """Names of the hits, and the summary."""
        rows = peer.json("search", query, code=None)
        return {row["name"] for row in rows if "summary" not in row}, rows[-1]["summary"]

    def sizes(self, side):
        return {peer.status()["mesh_size"] for peer in side}

    def test_cut_mesh_works_in_both_halves_and_heals_by_itself(self):
        everyone = self.mesh_of_two_sides()
        left, right = everyone[:A_SIDE], everyone[A_SIDE:]
        self.put(left[0], "before.txt")
        wait_for(lambda: "before.txt" in self.found(right[0], "before")[0], "the other side finds it")

        self.networks.lose(5)
        for peer in left[1], right[1]:
            names, summary = self.found(peer, "before")
            self.assertEqual(names, {"before.txt"})
            self.assertTrue(summary["complete"], summary)

        cut = time.monotonic()
        self.networks.lose(100)
        wait_for(lambda: self.sizes(left) == self.sizes(right) == {A_SIDE}, "each half knows its size",
                 NOTICE_SECONDS, 0.5)
        noticed = time.monotonic() - cut
        kept = self.put(left[1], "left.txt")
        self.put(right[2], "right.txt")
        for half, name in (left, "left"), (right, "right"):
            names, summary = wait_for(lambda: (lambda got: got if got[0] else None)(self.found(half[0], name)),
                                      "a half finds what it publishes")
            self.assertEqual(summary["mesh_size"], A_SIDE)
            self.assertTrue(summary["complete"], summary)
        self.assertEqual(self.found(right[0], "left")[0], set())

        healed = time.monotonic()
        self.networks.lose(0)
        wait_for(lambda: self.sizes(everyone) == {2 * A_SIDE}, "the halves are one again", HEAL_SECONDS, 0.5)
        merged = time.monotonic() - healed
        for peer, name in (right[0], "left"), (left[2], "right"):
            wait_for(lambda: self.found(peer, name)[0] == {f"{name}.txt"}, "the other half's files are found",
                     HEAL_SECONDS, 0.5)
        searchable = time.monotonic() - healed
        copy = self.path("copy.txt")
        right[1].panal("get", kept, "-O", copy)
        self.assertTrue(peers.same_bytes(copy, self.path("left.txt")))
        print(json.dumps({"noticed_s": round(noticed, 1), "merged_s": round(merged, 1),
                          "searchable_s": round(searchable, 1)}))


if __name__ == "__main__":
    peers.main()
