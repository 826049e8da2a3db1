#!/usr/bin/env python3
"""A directory with very many entries: added, listed, found in, fetched by another peer, written out.

Usage: large_directory_test.py [ENTRIES]     default 20,000, all of them empty; with more, each has its own content
"""

import os
import sys
import time

import peers
from peers import MeshTest, same_bytes, wait_for

DEFAULT_ENTRIES = 20000
ENTRIES = int(sys.argv.pop()) if sys.argv[-1].isdigit() else DEFAULT_ENTRIES
# A page of a listing (client/cli/ls.cc).
PAGE = 1000
# Seconds for one command: 25 entries a second, on a machine that does other things too.
SECONDS = 300 + ENTRIES // 25


class LargeDirectory(MeshTest):

    def timed(self, what, action):
        begun = time.monotonic()
        result = action()
        print(f"{what} {ENTRIES} entries: {time.monotonic() - begun:.1f} s", flush=True)
        return result

    def name(self, i):
        return f"entry {i}"

    def make(self):
        folder = self.path("large")
        os.mkdir(folder)
        for i in range(ENTRIES):
            with open(os.path.join(folder, self.name(i)), "w", encoding="ascii") as file:
                file.write("" if ENTRIES <= DEFAULT_ENTRIES else f"content of entry {i}\n")
        return folder

    def test_added_listed_found_and_fetched(self):
        self.assertGreater(ENTRIES, PAGE)
        a, b = self.mesh_of(2)
        folder = self.make()
        last = self.name(ENTRIES - 1)

        added = self.timed("add", lambda: a.json("add", "--in-place", folder, seconds=SECONDS)[0])
        self.assertEqual((added["files"], added["skipped"]), (ENTRIES, []))
        listed = self.timed("list", lambda: a.json("ls", added["id"], seconds=SECONDS))
        self.assertEqual({row["name"] for row in listed}, {self.name(i) for i in range(ENTRIES)})
        self.timed("search", lambda: wait_for(lambda: b.hits(f'"{last}"'), "the last entry is found", SECONDS))
        self.timed("get", lambda: b.panal("get", added["id"], "-O", self.path("copy"), seconds=SECONDS))

        self.assertEqual(len(os.listdir(self.path("copy"))), ENTRIES)
        for i in range(0, ENTRIES, 97):
            self.assertTrue(same_bytes(os.path.join(folder, self.name(i)), self.path("copy", self.name(i))))
        fetched = self.timed("list where it was fetched", lambda: b.json("ls", added["id"], seconds=SECONDS))
        self.assertEqual(fetched, listed)


if __name__ == "__main__":
    peers.main()
