#!/usr/bin/env python3
"""Peers that are thrown out of a mesh: at once, everywhere, for good; and who may not throw out whom."""

import os
import shutil
import subprocess
import threading
import time
import unittest

import peers
from peers import FAILED, OK, PANAL, USAGE, MeshTest, wait_for

# Seconds within which every peer must have cut a revoked one off. What it takes is printed; this only
# tells at once from the next round of something.
AT_ONCE = 5


def out(peer):
    """Who and what was revoked, by id or serial, as the peer knows it."""
    return {m["peer_id"] or m["serial"]: m["revoked"] for m in peer.json("members") if "revoked" in m}


def neighbors(peer):
    return {row["peer_id"] for row in peer.json("peers")}


class RevocationTest(MeshTest):
    def setUp(self):
        super().setUp()
        self.first = self.peer(mesh="secret", policy="invite")
        subprocess.run([PANAL, "init", "--data-dir", self.first.data_dir, "--mesh", "secret"], check=True,
                       capture_output=True)
        self.first.start()

    @property
    def root_key(self):
        return os.path.join(self.first.data_dir, "mesh-root.key")

    @staticmethod
    def invite(peer, *arguments):
        return peer.json("invite", *arguments)[0]["ticket"]

    def member(self, inviter=None, *arguments):
        peer = self.peer(mesh="secret", policy="invite").start()
        peer.panal("join", self.invite(inviter or self.first, *arguments))
        return peer

    def assert_cut_off(self, revoked, others):
        """Waits until no one of `others` has a link with it; the seconds that each took."""
        begun, took, failed = time.monotonic(), {}, []

        def watch(peer):
            try:
                wait_for(lambda: revoked.id not in neighbors(peer), "it is cut off", seconds=AT_ONCE, every=0.01)
                took[peer.id] = time.monotonic() - begun
            except AssertionError as error:
                failed.append(error)

        watchers = [threading.Thread(target=watch, args=(peer,)) for peer in others]
        for watcher in watchers:
            watcher.start()
        for watcher in watchers:
            watcher.join()
        self.assertEqual(failed, [])
        return max(took.values())

    def test_a_peer_is_cut_off_everywhere_at_once_and_for_good(self):
        a, b, c = self.member(), self.member(), self.member()
        everybody = [self.first, a, b, c]
        for peer in everybody:
            wait_for(lambda: len(neighbors(peer)) == 3, "all are linked")

        done = self.first.panal("revoke", c.id, "--reason", "left the team")

        print(f"cut off everywhere {self.assert_cut_off(c, [self.first, a, b]):.3f} s after the answer")
        self.assertIn(f"peer {c.id} is revoked, by {self.first.id}", done.stdout)
        wait_for(lambda: not neighbors(c), "nobody talks to it")
        for peer in (self.first, a, b):
            said = out(peer)[c.id]
            self.assertEqual((said["by"], said["reason"]), (self.first.id, "left the team"))

        # Another address, the same key.
        c.stop()
        c.ports["mesh"] = "127.0.0.1:0"
        with open(c.log_path, "w", encoding="utf-8"):
            pass
        c.start()
        wait_for(lambda: "was revoked" in c.log(), "it is refused and told why")
        self.assertEqual(neighbors(c), set())
        self.assertNotIn(c.id, neighbors(self.first) | neighbors(a) | neighbors(b))
        # The same key, another ticket.
        c.stop()
        os.remove(os.path.join(c.data_dir, "membership"))
        c.start()
        self.assert_fails(c.panal("join", self.invite(self.first), code=FAILED), "CREDENTIAL_REVOKED",
                          "left the team")
        self.assertEqual(c.status()["role"], "")

    def test_what_was_acknowledged_outlives_kill_9(self):
        a, b = self.member(), self.member()
        self.wait_for_size([self.first, a, b], 3)

        self.first.panal("revoke", b.id, "--reason", "gone")
        self.first.kill()
        wait_for(lambda: b.id in out(a), "the other one learns")
        a.kill()

        for peer in (self.first, a):
            peer.start()
            self.assertEqual(out(peer)[b.id]["reason"], "gone")
            peer.kill()

    def test_a_peer_that_was_away_learns_when_it_returns(self):
        a, b, c = self.member(), self.member(), self.member()
        self.wait_for_size([self.first, a, b, c], 4)
        b.stop()

        self.first.panal("revoke", c.id, "--reason", "gone")
        b.start()

        wait_for(lambda: c.id in out(b), "it is told")
        self.assert_cut_off(c, [b])

    def test_who_may_not_is_told_so_and_nobody_is_revoked(self):
        member, inviter = self.member(), self.member(self.first, "--role", "inviter")
        self.wait_for_size([self.first, member, inviter], 3)

        for peer in (member, inviter):
            done = peer.panal("revoke", self.first.id, "--reason", "mine now", code=FAILED)
            self.assert_fails(done, "NOT_PERMITTED", "takes the role admin")
        open_peer = self.peer().start()
        self.assert_fails(open_peer.panal("revoke", member.id, "--reason", "x", code=FAILED), "NOT_PERMITTED",
                          "open mesh")

        for peer in (self.first, member, inviter):
            self.assertEqual(out(peer), {})

    def test_clumsy_input_is_refused_with_what_is_wrong(self):
        other = self.member()
        unknown = ("a" if self.first.id[0] != "a" and other.id[0] != "a" else "b") * 8
        revoke = lambda *arguments, **options: self.first.panal("revoke", *arguments, code=None, **options)

        self.assert_fails(revoke(unknown, "--reason", "x"), "PEER_UNKNOWN", unknown)
        self.assert_fails(revoke("no id!", "--reason", "x"), "PEER_ID_INVALID")
        self.assert_fails(revoke("", "--reason", "x"), "PEER_ID_INVALID")
        self.assert_fails(revoke(self.first.id, "--reason", "x"), "ARGUMENT_INVALID", "this peer itself", "--root-key")
        self.assert_fails(revoke(other.id, "--reason", "x" * 257), "ARGUMENT_INVALID", "256")
        self.assert_fails(revoke("panal1-abc", "--reason", "x"), "PEER_ID_INVALID")
        self.assertEqual(revoke(other.id).returncode, USAGE)
        self.assert_fails(revoke(other.id, "--reason", "x", "--root-key", self.path("none")), "PATH_NOT_FOUND")
        self.assertEqual(out(self.first), {})

        done = revoke(other.id[:8], "--reason", "x")
        self.assertEqual(done.returncode, OK, done.stderr)
        again = self.first.json("revoke", other.id, "--reason", "y")[0]
        self.assertTrue(again["already"])
        self.assertEqual(again["reason"], "x")

    def test_the_root_revokes_an_admin_through_any_peer(self):
        a, b = self.member(), self.member(self.first, "--role", "admin")
        self.wait_for_size([self.first, a, b], 3)
        other = self.path("elsewhere")
        subprocess.run([PANAL, "init", "--data-dir", other, "--mesh", "secret"], check=True, capture_output=True)
        self.assert_fails(a.panal("revoke", b.id, "--reason", "x", "--root-key", os.path.join(other, "mesh-root.key"),
                                  code=FAILED), "MESH_MISMATCH")

        # The first let both others in: they stay only where they are spared.
        self.assert_fails(b.panal("revoke", self.first.id, "--reason", "lost", code=None), "ARGUMENT_INVALID",
                          "would be out with it")
        row = a.json("revoke", self.first.id, "--reason", "lost", "--spare", "--root-key", self.root_key)[0]

        self.assertEqual(row["by"], "root")
        self.assert_cut_off(self.first, [a, b])
        self.assertEqual(neighbors(a), {b.id})
        # It is out itself, and says so.
        wait_for(lambda: "was revoked" in self.first.log() or self.first.id in out(self.first), "it knows")

    def test_who_was_let_in_by_a_revoked_inviter_is_out_with_it_unless_spared(self):
        for spare in (True, False):
            inviter = self.member(self.first, "--role", "inviter")
            guest = self.member(inviter)
            wait_for(lambda: guest.id in neighbors(self.first), "the guest is known")
            granted = time.time()  # Grants and facts are dated in whole seconds.
            wait_for(lambda: int(time.time()) > int(granted), "what comes is later than the guest's grant")
            options = ["--spare"] if spare else []

            self.first.panal("revoke", inviter.id, "--reason", "gone", *options)

            self.assert_cut_off(inviter, [self.first])
            if spare:
                self.assertIn(guest.id, neighbors(self.first))
                self.assertNotIn(guest.id, out(self.first))
            else:
                self.assert_cut_off(guest, [self.first])
                self.assertEqual(out(self.first)[guest.id]["peer_id"], inviter.id)

    def test_a_ticket_and_a_grant_are_taken_back(self):
        ticket = self.invite(self.first)
        waiting = self.peer(mesh="secret", policy="invite").start()
        other = self.member()
        serial = {m["peer_id"]: m["serial"] for m in self.first.json("members")}[other.id]

        self.first.panal("revoke", ticket, "--reason", "printed by mistake")
        self.first.panal("revoke", serial, "--reason", "wrong role")

        self.assert_fails(waiting.panal("join", ticket, code=FAILED), "CREDENTIAL_REVOKED")
        self.assert_cut_off(other, [self.first])
        self.assertEqual(out(self.first)[other.id]["serial"], serial)
        # Only the grant is void: the peer comes back with another.
        other.stop()
        os.remove(os.path.join(other.data_dir, "membership"))
        other.start()
        other.panal("join", self.invite(self.first))
        wait_for(lambda: other.id in neighbors(self.first), "it is back")

    def test_a_peer_moves_to_another_key_and_leaves_word(self):
        old, other = self.member(self.first, "--role", "inviter"), self.member()
        guest = self.member(old)
        fresh = self.member()
        self.wait_for_size([self.first, old, other, guest, fresh], 5)
        self.assert_fails(old.panal("move-to", old.id, code=None), "ARGUMENT_INVALID")

        row = old.json("move-to", fresh.id)[0]

        self.assertEqual((row["peer_id"], row["moved_to"]), (old.id, fresh.id))
        self.assert_cut_off(old, [self.first, other, guest, fresh])
        for peer in (self.first, other):
            self.assertEqual(out(peer)[old.id]["moved_to"], fresh.id)
        self.assertIn(f"moved to {fresh.id}", self.first.panal("members").stdout)
        self.assertNotIn(guest.id, out(self.first))  # Who was let in before stays.
        for peer in (fresh, other):  # It can ask nobody for a key any more.
            self.assert_fails(old.panal("move-to", peer.id, code=None), "CREDENTIAL_REVOKED", "moved to another key")

    def test_a_stolen_directory_is_void_and_another_key_is_welcome(self):
        other = self.member()
        stolen = self.path("stolen")
        other.stop()
        shutil.copytree(other.data_dir, stolen)
        self.first.panal("revoke", other.id, "--reason", "stolen")

        thief = self.peer(mesh="secret", policy="invite", data_dir=stolen).start()
        wait_for(lambda: "was revoked" in thief.log(), "the thief is refused")
        fresh = self.member()

        wait_for(lambda: neighbors(self.first) == {fresh.id}, "only the new key is in")


if __name__ == "__main__":
    peers.main()
