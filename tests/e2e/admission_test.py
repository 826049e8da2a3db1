#!/usr/bin/env python3
"""Meshes that only a ticket leads into: made, entered, used; and what happens to those who have none."""

import os
import subprocess
import unittest

import peers
from peers import FAILED, OK, PANAL, MeshTest, random_file, same_bytes, wait_for


class AdmissionTest(MeshTest):
    def init(self, folder, *arguments, code=OK):
        done = subprocess.run([PANAL, "init", "--data-dir", folder, "--mesh", "secret", *arguments],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def first(self):
        """The first member of a new mesh."""
        peer = self.peer(mesh="secret", policy="invite")
        self.init(peer.data_dir)
        return peer.start()

    def waiting(self, **options):
        return self.peer(mesh="secret", policy="invite", **options).start()

    @staticmethod
    def invite(peer, *arguments):
        return peer.json("invite", *arguments)[0]["ticket"]

    def test_a_ticket_lets_a_peer_in_and_files_cross(self):
        first, other = self.first(), self.waiting()
        self.assertEqual(other.status()["role"], "")
        self.assertIsNone(other.ready["mesh"] or None)

        other.panal("join", self.invite(first))

        self.assertEqual(other.status()["role"], "member")
        self.assertEqual(first.status()["role"], "admin")
        self.wait_for_size([first, other], 2)
        path = random_file(self.path("file"), 100_000)
        added = first.add(path)
        wait_for(lambda: other.hits("file", code=None), "the file is found")
        other.panal("get", added["id"], "-O", self.path("copy"))
        self.assertTrue(same_bytes(path, self.path("copy")))
        wait_for(lambda: {m["peer_id"]: m["role"] for m in first.json("members")} ==
                 {first.id: "admin", other.id: "member"}, "the first knows who is in")

    def test_membership_outlives_kill_9(self):
        first, other = self.first(), self.waiting()
        other.panal("join", self.invite(first))
        other.kill()

        other.start()

        self.assertEqual(other.status()["role"], "member")
        self.wait_for_size([first, other], 2)

    def test_a_ticket_lets_in_as_many_as_it_says_and_the_same_peer_again(self):
        first, one, other = self.first(), self.waiting(), self.waiting()
        ticket = self.invite(first)
        one.panal("join", ticket)

        self.assert_fails(other.panal("join", ticket, code=FAILED), "TICKET_USED_UP")
        one.panal("join", ticket)

        first.kill()
        first.start()
        self.assert_fails(other.panal("join", ticket, code=FAILED), "TICKET_USED_UP")
        self.assertEqual(other.status()["role"], "")

    def test_a_member_may_not_invite(self):
        first, other = self.first(), self.waiting()
        other.panal("join", self.invite(first))

        self.assert_fails(other.panal("invite", code=FAILED), "NOT_PERMITTED")

    def test_an_inviter_lets_others_in_while_the_first_is_away(self):
        first, inviter, third = self.first(), self.waiting(), self.waiting()
        inviter.panal("join", self.invite(first, "--role", "inviter"))
        first.stop()

        third.panal("join", self.invite(inviter))

        self.wait_for_size([inviter, third], 2)

    def test_a_peer_of_an_open_mesh_is_a_stranger(self):
        first = self.first()
        stranger = self.peer(mesh="secret", join=[first.mesh_address]).start()

        wait_for(lambda: "join_failed" in stranger.log(), "the stranger is refused")

        self.assertEqual(stranger.status()["neighbors"], 0)
        self.assertEqual(first.status()["neighbors"], 0)

    def test_who_waits_answers_nothing_else(self):
        waiting = self.waiting()

        for verb in (["ls"], ["search", "x"], ["peers"], ["invite"], ["members"]):
            self.assert_fails(waiting.panal(*verb, code=None), "NOT_LET_IN", "panal join TICKET")
        self.assert_fails(waiting.panal("join", "panal1-abc", code=None), "TICKET_INVALID")

    def test_a_ticket_in_a_file_is_redeemed_at_the_start(self):
        first = self.first()
        with open(self.path("ticket"), "w", encoding="utf-8") as file:
            file.write(self.invite(first) + "\n")

        other = self.waiting(flags=["--ticket-file", self.path("ticket")])

        wait_for(lambda: other.status()["role"] == "member", "it is let in")
        self.wait_for_size([first, other], 2)

    def test_a_directory_is_of_one_mesh(self):
        folder = self.path("once")
        self.init(folder)
        self.assertEqual(os.stat(os.path.join(folder, "mesh-root.key")).st_mode & 0o777, 0o600)

        again = self.init(folder, code=FAILED)
        with_open = peers.run_panald("--data-dir", folder, "--mesh", "secret", "--policy", "open")

        self.assertIn("belongs to the mesh secret already", again.stderr)
        self.assertEqual(with_open.returncode, FAILED)
        self.assertIn("belongs to the invite mesh secret", with_open.stderr)

    def test_what_fails_to_be_kept_may_be_tried_again(self):
        first, other = self.first(), self.waiting()
        ticket = self.invite(first)
        in_the_way = os.path.join(other.data_dir, "membership")
        os.mkdir(in_the_way)

        self.assert_fails(other.panal("join", ticket, code=FAILED), "DATA_DIR_INVALID", "membership")
        os.rmdir(in_the_way)
        other.panal("join", ticket)

        self.assertEqual(other.status()["role"], "member")

    def test_init_that_was_cut_short_goes_on_with_the_root_key_that_is_there(self):
        folder = self.path("again")
        self.init(folder)
        with open(os.path.join(folder, "mesh-root.key"), encoding="utf-8") as file:
            root = file.read()
        os.remove(os.path.join(folder, "membership"))
        os.remove(os.path.join(folder, "panald.toml"))

        self.init(folder)

        with open(os.path.join(folder, "mesh-root.key"), encoding="utf-8") as file:
            self.assertEqual(file.read(), root)
        self.assertTrue(os.path.exists(os.path.join(folder, "membership")))

    def test_an_open_mesh_says_what_it_means(self):
        done = self.init(self.path("open"), "--policy", "open")

        self.assertIn("lets in whoever knows its name", done.stdout)


if __name__ == "__main__":
    peers.main()
