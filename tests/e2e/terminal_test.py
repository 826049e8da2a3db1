#!/usr/bin/env python3
"""What people see on a terminal: progress rewritten in place, and the next command after each step. Programs see neither."""

import os
import pty
import re
import shlex
import subprocess
import unittest

import peers
from peers import PANAL, MeshTest, random_file, same_bytes

MIB = 1 << 20
# Moves for several times the tenth of a second between two pictures of the progress.
LARGE = 256 * MIB
SIZE = r"\d+(\.\d)? ([KMG]i)?B"
REWRITE = "\r\x1b[K"


class Terminal(MeshTest):

    def on_terminal(self, peer, *arguments):
        """Runs panal with stderr on a terminal: its stdout, and all that the terminal got."""
        terminal, theirs = pty.openpty()
        self.addCleanup(os.close, terminal)
        process = subprocess.Popen([PANAL, "--api", peer.api, *arguments], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=theirs)
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(terminal, 65536)
            except OSError:  # EIO: the last one that had it open has ended.
                break
            if not part:
                break
            shown += part
        stdout, _ = process.communicate(timeout=peers.PATIENCE)
        self.assertEqual(process.returncode, 0, shown)
        return stdout.decode(), shown.decode()

    def hint(self, shown):
        """The command that is suggested, without `panal`."""
        lines = [line for line in re.split("\r\n|" + re.escape(REWRITE), shown) if line.startswith("next")]
        self.assertEqual(len(lines), 1, shown)
        return re.search(r"panal (\w+(?: [a-z2-7]{52})?)", lines[0]).group(1)

    def pictures(self, shown):
        """The lines of progress, in the order they were drawn; the last one was cleared."""
        drawn = shown.split(REWRITE)[1:]
        self.assertGreater(len(drawn), 1, shown)
        return drawn[:-1]

    def test_progress_is_one_line_rewritten_in_place(self):
        source, fetcher = self.mesh_of(2)
        path = random_file(self.path("large"), LARGE)
        added = source.add(path, "--in-place")

        _, shown = self.on_terminal(fetcher, "get", added["id"], "-O", self.path("copy"), "--timeout", "60s")

        moving = [p for p in self.pictures(shown) if "/s" in p]
        self.assertTrue(moving, shown)
        for picture in moving:
            self.assertRegex(picture, rf"^{SIZE}/256\.0 MiB  {SIZE}/s(  ETA \d+:\d\d)?  [01] peers?$")
        self.assertTrue(any("ETA" in p and p.endswith("  1 peer") for p in moving), moving)
        self.assertTrue(same_bytes(path, self.path("copy")))

    def test_upload_shows_progress_and_a_pipe_gets_none(self):
        peer = self.peer().start()
        path = random_file(self.path("large"), LARGE)

        _, shown = self.on_terminal(peer, "add", path)
        piped = peer.panal("add", path)

        self.assertRegex(self.pictures(shown)[-1], rf"^{SIZE}/256\.0 MiB  {SIZE}/s")
        self.assertEqual(piped.stderr, "")
        self.assertNotIn("next", piped.stdout)

    def test_every_step_names_the_next(self):
        a, b = self.mesh_of(2)
        path = random_file(self.path("comb"), 100)

        file_id, shown = self.on_terminal(a, "add", path)
        file_id = file_id.split()[0]
        self.assertEqual(self.hint(shown), f"get {file_id}")
        found, shown = self.on_terminal(b, "search", "comb")
        self.assertIn(file_id, found)
        self.assertEqual(self.hint(shown), f"get {file_id}")
        _, shown = self.on_terminal(b, "get", file_id, "-O", self.path("copy"))
        self.assertEqual(self.hint(shown), f"rm {file_id}")
        _, shown = self.on_terminal(b, "rm", file_id)
        self.assertEqual(self.hint(shown), "ls")

    def test_init_names_a_command_that_can_be_pasted(self):
        peer = self.peer().start()

        stdout, shown = self.on_terminal(peer, "init", "--data-dir", self.path("it's new"))

        self.assertRegex(stdout, r"\Apeer [a-z2-7]{52}\n\Z")
        command = re.search("^next: (.*?)\r?$", shown, re.M).group(1)
        self.assertEqual(shlex.split(command), ["panald", "--config", self.path("it's new", "panald.toml")])

    def test_hit_that_is_a_peer_is_no_file_to_get(self):
        a, b = self.mesh_of(2)

        _, shown = self.on_terminal(a, "search", "kind:peer")

        self.assertIn(self.hint(shown), (f"peers {a.id}", f"peers {b.id}"))

    def test_programs_get_no_hints(self):
        a, b = self.mesh_of(2)
        added = a.panal("add", random_file(self.path("comb"), 100))
        file_id = added.stdout.split()[0]
        results = [added, b.panal("search", "comb"), b.panal("get", file_id, "-O", self.path("copy")),
                   b.panal("rm", file_id), b.panal("init", "--data-dir", self.path("new"))]

        for done in results:
            self.assertNotIn("next", done.stdout + done.stderr)
            self.assertNotIn("\x1b", done.stdout + done.stderr)


if __name__ == "__main__":
    peers.main()
