#!/usr/bin/env python3
"""Peers that are killed, stopped, moved and damaged: what was acknowledged stays, what was begun goes on."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
import unittest

import peers
from peers import (NOT_FOUND, PANAL, MeshTest, allocated, random_file, run_panald, same_bytes,
                   wait_for)

MIB = 1 << 20
# Large enough that a kill falls into the fetch, on a loopback that moves some 100 MiB/s and more.
LARGE = 300 * MIB


class Recovery(MeshTest):

    def large_fetch(self, source, fetcher, held=24 * MIB):
        """A fetch of a large file that has begun: the file, its id and the running `panal get`."""
        path = random_file(self.path("large"), LARGE)
        added = source.add(path, "--in-place")
        before = allocated(fetcher.data_dir)
        get = fetcher.begin_panal("get", added["id"], "-O", self.path("copy"), "--timeout", "60s", "-o", "json")
        self.addCleanup(lambda: (get.poll() is None and get.kill(), get.communicate()))
        wait_for(lambda: allocated(fetcher.data_dir) - before > held, "the fetch runs", every=0.002)
        return path, added["id"], get

    def test_fetcher_killed_while_it_fetches_resumes(self):
        source, fetcher = self.mesh_of(2)
        path, file_id, get = self.large_fetch(source, fetcher)
        fetcher.kill()
        self.assertNotEqual(get.wait(timeout=60), 0)
        self.assertFalse(os.path.exists(self.path("copy")))

        fetcher.start()
        got = fetcher.json("get", file_id, "-O", self.path("copy"), "--timeout", "60s")[-1]

        self.assertEqual(got["bytes"], LARGE)
        self.assertLess(got["received"], LARGE)
        self.assertTrue(same_bytes(path, self.path("copy")))

    def test_source_killed_while_it_is_read_comes_back_and_the_fetch_ends(self):
        source, fetcher = self.mesh_of(2)
        path, _, get = self.large_fetch(source, fetcher)
        source.kill()

        source.start()

        output, errors = get.communicate(timeout=240)
        self.assertEqual(get.returncode, 0, errors + fetcher.log()[-1500:])
        self.assertTrue(same_bytes(path, self.path("copy")), output)

    def keeps_record(self, peer, name):
        """Whether the peer's catalog has a record of that name, its own or another's."""
        path = os.path.join(peer.data_dir, "catalog.db")
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as catalog:
            return catalog.execute("SELECT count(*) FROM record WHERE name = ?", (name,)).fetchone()[0] > 0

    def test_peer_restarted_with_its_key_alone_is_believed_at_once(self):
        a, b, c = self.mesh_of(3)
        for name in ("first", "second", "third"):
            c.add(random_file(self.path(name), 1000))
        peer_id = c.id
        c.kill()
        for name in os.listdir(c.data_dir):
            path = os.path.join(c.data_dir, name)
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif name != "peer.key":
                os.remove(path)
        c.join = [a.mesh_address]
        c.start()
        self.wait_for_size([a, b, c], 3)
        self.assertEqual(c.id, peer_id)

        added = c.add(random_file(self.path("anew"), 1000))
        # Far sooner than the old pages expire.
        wait_for(lambda: self.keeps_record(b, "anew"), "b keeps the new page")
        c.kill()

        hit, = b.hits("anew", code=None)
        self.assertEqual((hit["id"], hit["publisher"]), (added["id"], peer_id))
        self.assertEqual(b.hits("first", code=None), [])

    def test_killed_peer_keeps_what_it_acknowledged(self):
        peer, = self.mesh_of_one()
        path = random_file(self.path("file"), 5 * MIB)
        added = peer.add(path)
        peer_id = peer.id

        peer.kill()
        peer.start()

        self.assertEqual(peer.id, peer_id)
        self.assertEqual(peer.status()["files"], 1)
        peer.panal("get", added["id"], "-O", self.path("copy"))
        self.assertTrue(same_bytes(path, self.path("copy")))

    def mesh_of_one(self):
        return [self.peer().start()]

    def test_restarted_peer_needs_no_address_to_join(self):
        a, b, c = self.mesh_of(3)
        c.stop()
        c.join = []

        c.start()

        self.wait_for_size([a, b, c], 3)

    def test_first_peer_restarted_finds_those_that_joined_it(self):
        a, b, c = self.mesh_of(3)
        a.kill()
        a.start()

        self.wait_for_size([a, b, c], 3)

    def test_moved_peer_is_the_same_and_its_files_are_found(self):
        a, b, c = self.mesh_of(3)
        path = random_file(self.path("moving"), MIB)
        added = c.add(path)
        peer_id, address = c.id, c.mesh_address
        c.stop()
        c.join = []
        c.ports = {name: "127.0.0.1:0" for name in c.ports}

        c.start()
        self.wait_for_size([a, b, c], 3)

        self.assertEqual(c.id, peer_id)
        self.assertNotEqual(c.mesh_address, address)
        wait_for(lambda: a.json("peers", peer_id)[0]["addresses"] == [c.mesh_address], "a knows its new address")
        hit = wait_for(lambda: b.hits("moving"), "its file is found")[0]
        self.assertEqual((hit["id"], hit["publisher"]), (added["id"], peer_id))
        b.panal("get", added["id"], "-O", self.path("copy"))
        self.assertTrue(same_bytes(path, self.path("copy")))

    def test_stopped_peer_leaves_at_once(self):
        a, b, c = self.mesh_of(3)

        begun = time.monotonic()
        self.assertEqual(c.stop(), 0)
        stopped = time.monotonic()
        wait_for(lambda: a.status()["neighbors"] == 1 and b.status()["neighbors"] == 1, "its neighbors notice", 10)

        self.assertLess(stopped - begun, 10)

    def test_interrupt_stops_like_sigterm(self):
        peer = self.peer().start()
        peer.process.send_signal(signal.SIGINT)

        self.assertEqual(peer.process.wait(timeout=60), 0)

    def test_killed_peers_are_noticed_and_the_others_stay_one_mesh(self):
        peers = self.mesh_of(5)
        for peer in peers[:2]:
            peer.kill()

        self.wait_for_size(peers[2:], 3)

    def test_publisher_gone_for_good_the_swarm_has_it(self):
        a, b, c = self.mesh_of(3)
        path = random_file(self.path("file"), 3 * MIB)
        added = a.add(path)
        b.panal("get", added["id"], "-O", self.path("copy of b"))
        a.kill()

        got = c.json("get", added["id"], "-O", self.path("copy of c"), "--timeout", "60s")[-1]

        self.assertEqual(got["sources"], 1)
        self.assertTrue(same_bytes(path, self.path("copy of c")))

    def damage(self, peer, size):
        """Overwrites the middle of the stored content of `size` bytes while the peer does not run."""
        for parent, _, names in os.walk(os.path.join(peer.data_dir, "blocks")):
            for name in names:
                path = os.path.join(parent, name)
                if os.path.getsize(path) == size:
                    with open(path, "r+b") as file:
                        file.seek(size // 2)
                        file.write(b"damaged" * 100)
                    return
        self.fail(f"no content of {size} bytes below {peer.data_dir}")

    def test_damaged_block_is_noticed_and_comes_from_another_source(self):
        a, b, c = self.mesh_of(3)
        size = 4 * MIB
        path = random_file(self.path("file"), size)
        added = a.add(path)
        b.panal("get", added["id"], "-O", self.path("copy of b"))
        a.stop()
        self.damage(a, size)
        a.start()
        self.wait_for_size([a, b, c], 3)
        b.kill()

        get = c.begin_panal("get", added["id"], "-O", self.path("copy of c"), "--timeout", "60s")
        self.addCleanup(lambda: (get.poll() is None and get.kill(), get.communicate()))
        wait_for(lambda: "block_corrupt" in a.log(), "a notices the damage")
        b.start()

        _, errors = get.communicate(timeout=240)
        self.assertEqual(get.returncode, 0, errors)
        self.assertTrue(same_bytes(path, self.path("copy of c")))

    def test_damaged_block_is_mended_by_the_first_read_at_its_own_peer(self):
        a, b = self.mesh_of(2)
        size = 4 * MIB
        path = random_file(self.path("file"), size)
        added = a.add(path, "--name", "mine", "--attr", "color=red")
        b.panal("get", added["id"], "-O", self.path("copy of b"))
        listed = a.json("ls")
        for read in (["cat", added["id"]], ["get", added["id"], "-O", self.path("copy of a")]):
            a.stop()
            self.damage(a, size)
            a.start()
            self.wait_for_size([a, b], 2)
            noticed = a.log().count("block_corrupt")

            with open(self.path("read"), "wb") as output:
                subprocess.run([PANAL, "--api", a.api, *read], check=True, stdout=output, timeout=120)

            self.assertEqual(a.log().count("block_corrupt"), noticed + 1)
            self.assertEqual(a.json("ls"), listed)  # Mending publishes nothing.
        self.assertTrue(same_bytes(path, self.path("copy of a")))
        b.kill()
        a.panal("get", added["id"], "-O", self.path("copy of a"), "--force")  # It is whole here.
        self.assertTrue(same_bytes(path, self.path("copy of a")))

    def test_damaged_block_that_nobody_else_has_is_an_error(self):
        a, b = self.mesh_of(2)
        size = 4 * MIB
        added = a.add(random_file(self.path("file"), size))
        a.stop()
        self.damage(a, size)
        a.start()
        self.wait_for_size([a, b], 2)

        local = a.panal("cat", added["id"], code=None)
        fetched = b.panal("get", added["id"], "-O", self.path("copy"), "--timeout", "3s", code=None)

        self.assert_fails(local, "BLOCK_CORRUPT")
        self.assertNotEqual(fetched.returncode, 0)
        self.assertFalse(os.path.exists(self.path("copy")))
        self.assertEqual(b.status()["peer_id"], b.id)

    def damage_catalog(self, peer):
        """Overwrites the middle third of the catalog while the peer does not run."""
        path = os.path.join(peer.data_dir, "catalog.db")
        size = os.path.getsize(path)
        with open(path, "r+b") as file:
            file.seek(size // 3)
            file.write(b"\xa5" * (size // 3))

    def test_contents_outlive_a_damaged_catalog_that_is_moved_away_as_advised(self):
        a, b = self.mesh_of(2)
        path = random_file(self.path("file"), 3 * MIB)
        added = a.add(path)
        peer_id = a.id
        a.stop()
        self.damage_catalog(a)

        refused = run_panald(*a.arguments())
        self.assertEqual(refused.returncode, 1)
        self.assertIn("CATALOG_CORRUPT", refused.stderr)
        self.assertIn("-wal and -shm away, start the peer again", refused.stderr)
        os.mkdir(self.path("away"))
        for name in os.listdir(a.data_dir):
            if name.startswith("catalog.db"):
                os.rename(os.path.join(a.data_dir, name), self.path("away", name))
        for _ in range(2):  # It stays so across restarts.
            a.start()
            self.wait_for_size([a, b], 2)
            self.assertEqual(a.id, peer_id)
            self.assertEqual(a.status()["files"], 0)
            kept = [row for row in a.json("doctor", code=None) if row["subject"] == "unpublished"]
            self.assertIn(added["id"], json.dumps(kept))
            self.assertEqual(a.json("stat", added["id"])[0]["held"], 3 * MIB)
            a.stop()
        a.start()
        self.wait_for_size([a, b], 2)

        a.panal("get", added["id"], "-O", self.path("copy of a"))  # Publishes it again.
        b.panal("get", added["id"], "-O", self.path("copy of b"), "--timeout", "60s")

        self.assertTrue(same_bytes(path, self.path("copy of a")))
        self.assertTrue(same_bytes(path, self.path("copy of b")))

    def test_file_shared_in_place_that_changed_is_not_served(self):
        a, b = self.mesh_of(2)
        path = random_file(self.path("file"), MIB)
        added = a.add(path, "--in-place")
        with open(path, "r+b") as file:
            file.write(b"other bytes than before")

        local = a.panal("cat", added["id"], code=None)
        fetched = b.panal("get", added["id"], "-O", self.path("copy"), "--timeout", "3s", code=None)

        self.assertIn(local.returncode, (1, NOT_FOUND))
        self.assertIn(fetched.returncode, (1, NOT_FOUND))
        self.assertFalse(os.path.exists(self.path("copy")))


if __name__ == "__main__":
    peers.main()
