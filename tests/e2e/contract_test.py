#!/usr/bin/env python3
"""What scripts rely on: fields of the JSON, exit codes, names and sizes that come back as they went in."""

import json
import os
import pty
import re
import select
import subprocess
import time
import unittest

import peers
from peers import FAILED, INCOMPLETE, NOT_FOUND, PANAL, UNREACHABLE, USAGE, MeshTest, random_file, same_bytes, wait_for

# 256 KiB, the smallest block (docs/protocol/files.md).
BLOCK = 262144
NOBODYS = "a" * 52


class Contract(MeshTest):
    """One mesh of three for all of these: they change nothing that another relies on."""

    @classmethod
    def setUpClass(cls):
        cls.owner = MeshTest()
        cls.owner.setUp()
        cls.a, cls.b, cls.c = cls.owner.mesh_of(3)

    @classmethod
    def tearDownClass(cls):
        cls.owner.doCleanups()

    def write(self, name, content):
        path = self.path(name)
        with open(path, "wb") as file:
            file.write(content)
        return path

    def test_status_says_who_and_where(self):
        status = self.a.status()

        self.assertEqual(status["peer_id"], self.a.id)
        self.assertEqual(status["mesh"], "e2e")
        self.assertEqual(status["neighbors"], 2)
        self.assertEqual(status["mesh_size"], 3)
        self.assertRegex(status["version"], r"^\d+\.\d+\.\d+$")
        self.assertGreaterEqual(status["files"], 0)
        self.assertGreaterEqual(status["uptime_s"], 0)

    def test_ready_line_names_the_ports(self):
        self.assertEqual(set(self.a.ready), {"peer_id", "api", "mesh", "http"})
        self.assertRegex(self.a.ready["api"], r"^127\.0\.0\.1:[1-9]\d+$")

    def test_add_search_and_get_agree(self):
        path = self.write("harvest report", b"clover and linden\n")

        added = self.a.add(path, "--attr", "season=summer")
        rows = self.b.json("search", '"harvest report" season:summer')
        got = self.c.json("get", added["id"], "-O", self.path("copy"))[-1]

        self.assertEqual((added["name"], added["size"], added["files"]), ("harvest report", 18, 1))
        hit, summary = rows[0], rows[-1]["summary"]
        self.assertEqual((hit["id"], hit["kind"], hit["name"], hit["size"]),
                         (added["id"], "file", "harvest report", 18))
        self.assertEqual((hit["attributes"], hit["publisher"], hit["sources"]),
                         ({"season": "summer"}, self.a.id, 1))
        self.assertEqual((summary["peers_reached"], summary["mesh_size"], summary["recall"], summary["complete"]),
                         (3, 3, 1, True))
        self.assertGreaterEqual(summary["elapsed_ms"], 0)
        self.assertEqual((got["id"], got["bytes"]), (added["id"], 18))
        self.assertGreaterEqual(got["sources"], 1)
        self.assertGreater(got["seconds"], 0)
        self.assertEqual(got["received"], 18)
        self.assertTrue(same_bytes(path, self.path("copy")))

    def test_files_of_every_size_at_a_limit(self):
        for size in (0, 1, 16384, 16385, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK):
            with self.subTest(size=size):
                path = random_file(self.path(f"size-{size}"), size)
                added = self.a.add(path)
                got = self.b.json("get", added["id"], "-O", self.path(f"copy-{size}"))[-1]
                self.assertEqual((added["size"], got["bytes"]), (size, size))
                self.assertTrue(same_bytes(path, self.path(f"copy-{size}")))

    def test_two_sources_send_every_block_once(self):
        folder = self.path("sent once")
        os.mkdir(folder)
        for i in range(20):
            random_file(os.path.join(folder, f"{i}"), 3 * BLOCK)
        size = 20 * 3 * BLOCK
        for source in (self.a, self.b):
            added = source.add(folder)
        wait_for(lambda: any(row.get("id") == added["id"] and row["sources"] == 2
                             for row in self.c.json("search", f"id:{added['id']}")), "both are known as sources")

        got = self.c.json("get", added["id"], "-O", self.path("sent once, copy"))[-1]

        self.assertEqual(got["sources"], 2)
        # A busy machine may bring about an end game or two; asking everybody for everything doubles the bytes.
        self.assertLess(got["received"], 1.3 * size)
        self.assertGreaterEqual(got["received"], size)

    def test_every_verb_says_the_same_size_of_a_folder(self):
        os.makedirs(self.path("apiary", "hives", "east"))
        self.write(os.path.join("apiary", "keepers"), b"12345")
        self.write(os.path.join("apiary", "hives", "north"), b"123")
        self.write(os.path.join("apiary", "hives", "east", "first"), b"1234567")
        added = self.a.add(self.path("apiary"))
        self.c.panal("get", added["id"], "-O", self.path("copy"))

        self.assertEqual(added["size"], 15)
        for peer in (self.a, self.c):
            listed = {row["name"]: row["size"] for row in peer.json("ls", "-r") if row["name"].startswith("apiary")}
            self.assertEqual((listed["apiary"], listed["apiary/hives"], listed["apiary/hives/east"]), (15, 10, 7))
            entries = {row["name"]: row for row in peer.json("ls", added["id"])}
            self.assertEqual((entries["hives"]["size"], entries["keepers"]["size"]), (10, 5))
            stat = peer.json("stat", added["id"])[0]
            self.assertEqual((stat["size"], stat["total_size"], stat["content_size"]), (15, 15, stat["held"]))
            self.assertEqual(peer.json("stat", entries["hives"]["id"])[0]["size"], 10)
        wait_for(lambda: any((hit["name"], hit["size"]) == ("apiary", 15)
                             for hit in self.b.json("search", "apiary", "kind:directory")[:-1]), "the folder is found")

    def test_file_of_just_over_a_block_has_two(self):
        one = self.a.add(random_file(self.path("one"), BLOCK))
        two = self.a.add(random_file(self.path("two"), BLOCK + 1))

        self.assertEqual(self.a.json("stat", one["id"])[0]["blocks"], 1)
        self.assertEqual(self.a.json("stat", two["id"])[0]["blocks"], 2)

    def test_empty_file_can_be_shown(self):
        added = self.a.add(self.write("nothing", b""))

        self.assertEqual(self.b.panal("get", added["id"], "-O", self.path("copy")).stderr, "")
        self.assertEqual(self.b.panal("cat", added["id"]).stdout, "")

    def test_names_come_back_as_they_were(self):
        names = ["with space", "new\nline", "quote\"and'tick", "Lindenblüte – 蜂蜜", "-dash", "tab\there", "back\\slash"]
        folder = self.path("odd names")
        os.makedirs(os.path.join(folder, "sub folder", "empty folder"))
        for name in names:
            with open(os.path.join(folder, "sub folder", name), "w", encoding="utf-8") as file:
                file.write("content of " + name)

        added = self.a.add(folder)
        self.c.panal("get", added["id"], "-O", self.path("copy"))

        self.assertEqual(added["files"], len(names))
        self.assertEqual(sorted(os.listdir(self.path("copy", "sub folder"))), sorted(names + ["empty folder"]))
        for name in names:
            self.assertTrue(same_bytes(os.path.join(folder, "sub folder", name), self.path("copy", "sub folder", name)))

    def test_odd_names_are_found_and_cannot_spoil_a_terminal(self):
        self.a.add(self.write("zwei\n\x1b[31mZeilen", b"x"))

        hits = self.b.hits("zwei")
        shown = self.b.panal("search", "zwei").stdout

        self.assertEqual([hit["name"] for hit in hits], ["zwei\n\x1b[31mZeilen"])
        self.assertNotIn("\x1b", shown)
        self.assertEqual(len(shown.splitlines()), 1)

    def test_controls_of_unicode_cannot_spoil_a_terminal(self):
        name = "drei\u009b31m \u202egnp.exe"
        self.a.add(self.write(name, b"y"))

        hits = self.b.hits("drei*")
        shown = self.b.panal("search", "drei*").stdout

        self.assertEqual([hit["name"] for hit in hits], [name])
        self.assertIn("drei?31m ?gnp.exe", shown)

    def test_name_that_is_no_utf8_is_left_out_of_an_upload_and_kept_in_place(self):
        folder = os.fsencode(self.path("bytes"))
        os.mkdir(folder)
        for name in (b"latin\xe9", b"plain"):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(name)

        uploaded = self.a.add(self.path("bytes"))
        shared = self.a.add(self.path("bytes"), "--in-place")
        self.b.panal("get", shared["id"], "-O", self.path("copy"))

        self.assertEqual(uploaded["files"], 1)
        self.assertIn("not UTF-8", uploaded["skipped"][0])
        self.assertEqual(shared["files"], 2)
        self.assertEqual(sorted(os.listdir(os.fsencode(self.path("copy")))), [b"latin\xe9", b"plain"])

    def test_executable_bit_travels(self):
        folder = self.path("tools")
        os.mkdir(folder)
        for name, mode in (("run", 0o755), ("read", 0o644)):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(name)
            os.chmod(os.path.join(folder, name), mode)

        self.b.panal("get", self.a.add(folder)["id"], "-O", self.path("copy"))

        self.assertTrue(os.access(self.path("copy", "run"), os.X_OK))
        self.assertFalse(os.stat(self.path("copy", "read")).st_mode & 0o111)

    def test_id_that_nobody_has(self):
        begun = time.monotonic()
        done = self.b.panal("get", NOBODYS, "--timeout", "2s", code=NOT_FOUND)

        self.assertLess(time.monotonic() - begun, 5)
        self.assert_fails(done, "SOURCE_NOT_FOUND", "3 peers")

    def test_prefix_that_nobody_has(self):
        self.assert_fails(self.b.panal("get", "zzzz", code=NOT_FOUND), "SOURCE_NOT_FOUND", "zzzz")
        self.assert_fails(self.b.panal("stat", "zzzz", code=NOT_FOUND), "FILE_NOT_FOUND", "zzzz")
        self.assert_fails(self.b.panal("rm", "zzzz", code=NOT_FOUND), "FILE_NOT_FOUND", "zzzz")
        self.assert_fails(self.b.panal("peers", "zzzz", code=NOT_FOUND), "PEER_UNKNOWN", "zzzz")

    def test_prefix_that_is_none(self):
        for text in ("abc", "UPPER", "not-base32", "1111", "a" * 53):
            with self.subTest(text=text):
                self.assert_fails(self.b.panal("get", text, code=USAGE), "FILE_ID_INVALID")

    def test_prefix_of_a_peer(self):
        found = self.a.json("peers", self.c.id[:6])[0]

        self.assertEqual(found, {"peer_id": self.c.id, "addresses": [self.c.mesh_address]})
        self.assert_fails(self.a.panal("peers", "1111", code=USAGE), "PEER_ID_INVALID")

    def test_prefix_that_fits_two_files(self):
        folder = self.path("many")
        os.mkdir(folder)
        for i in range(4000):  # Ids are 5 bits a character: some two of these agree in four.
            with open(os.path.join(folder, str(i)), "w", encoding="utf-8") as file:
                file.write(f"number {i}")
        added = self.a.add(folder)
        ids = sorted(row["id"] for row in self.a.json("ls", "-r"))
        pair = next((x, y) for x, y in zip(ids, ids[1:]) if x[:4] == y[:4] and x != y)

        here = self.a.panal("stat", pair[0][:4], code=FAILED)
        there = self.b.panal("get", pair[0][:4], code=FAILED)

        self.assert_fails(here, "FILE_AMBIGUOUS", pair[0][:4])
        self.assert_fails(there, "FILE_AMBIGUOUS", pair[0], pair[1])
        self.a.panal("rm", added["id"])

    def test_rm_withdraws(self):
        added = self.a.add(self.write("withdrawn", b"soon gone"))
        wait_for(lambda: self.b.hits("withdrawn"), "it is found")

        removed = self.a.json("rm", added["id"])[0]

        self.assertEqual(removed["id"], added["id"])
        wait_for(lambda: not self.b.hits("withdrawn"), "it is not found any more")
        self.panal_fails_not_found(added["id"])

    def panal_fails_not_found(self, file_id):
        self.assert_fails(self.a.panal("stat", file_id, code=NOT_FOUND), "FILE_NOT_FOUND")

    def test_search_without_a_hit(self):
        rows = self.a.json("search", "nosuchwordanywhere", code=NOT_FOUND)

        self.assertEqual([list(row) for row in rows], [["summary"]])
        self.assertTrue(rows[0]["summary"]["complete"])

    def test_search_that_is_cut_by_its_limit_says_so(self):
        folder = self.path("apiary")
        os.mkdir(folder)
        for i in range(5):
            self.write(os.path.join("apiary", f"frame {i}"), b"wax %d" % i)
        self.a.add(folder)
        wait_for(lambda: len(self.b.hits("apiary frame")) == 5, "all are found")

        rows = self.b.json("search", "apiary frame", "--limit", "2")
        shown = self.b.panal("search", "apiary frame", "--limit", "2")
        first = self.b.panal("search", "apiary frame", "--first", "1")
        whole = self.b.panal("search", "apiary frame", "--limit", "5")

        summary = rows[-1]["summary"]
        self.assertEqual((len(rows), summary["hits"], summary["cut_short"], summary["complete"]), (3, 2, "limit", True))
        self.assertRegex(shown.stderr, r"^2 hits; 3 of about 3 peers asked: recall 1\.0000 \(cut short: limit\); \d+ ms$")
        self.assertRegex(first.stderr, r"^[1-5] hits?; [1-3] of about 3 peers asked: recall [01]\.\d+( \(cut short: enough\))?; \d+ ms$")
        self.assertRegex(whole.stderr, r"^5 hits; 3 of about 3 peers asked: recall 1\.0000; \d+ ms$")

    def test_query_that_is_none(self):
        self.assert_fails(self.a.panal("search", "(open", code=USAGE), "QUERY_INVALID")
        self.assert_fails(self.a.panal("search", "size>lots", code=USAGE), "QUERY_INVALID")

    def test_wrong_usage(self):
        path = self.write("used wrongly", b"x")
        cases = [(), ("nosuchverb",), ("get",), ("status", "-o", "xml"), ("add",), ("status", "more"),
                 ("help", "nosuchverb"), ("get", NOBODYS, "--timeout", "soon"), ("get", NOBODYS, "-O", "-"),
                 ("search", "honey", "--timeout", "banana"), ("search", "honey", "--recall", "2"),
                 ("search", "honey", "--limit", "-1"), ("add", path, "--attr", "a b=x"), ("add", path, "--attr", "a"),
                 ("add", path, "--attr", "a=1", "--attr", "a=2"), ("add", path, path, "--name", "n"),
                 ("init", "--data-dir", self.path("new"), "--mesh", ""),
                 ("init", "--data-dir", self.path("new"), "--join", "bogus"),
                 ("init", "--data-dir", self.path("new"), "--join", ""), ("init", "--data-dir", "")]
        for arguments in cases:
            with self.subTest(arguments=arguments):
                done = self.a.panal(*arguments, code=USAGE)
                self.assertRegex(done.stderr, r"\Apanal: .*\n\Z")
                self.assertEqual(done.stdout, "")
        self.assertFalse(self.a.hits("used wrongly", code=None))
        self.assertFalse(os.path.exists(self.path("new")))

    def test_address_that_is_none_is_wrong_usage(self):
        for address in ("127.0.0.1", "http://127.0.0.1:7400", "", "127.0.0.1:0", "127.0.0.1:70000", ":7400"):
            for arguments, environment in ((["--api", address], {}), ([], {"PANAL_API": address or " "})):
                with self.subTest(address=address, arguments=arguments):
                    done = subprocess.run([PANAL, *arguments, "status"], capture_output=True, text=True,
                                          env=dict(os.environ, **environment), timeout=peers.PATIENCE)
                    self.assertEqual(done.returncode, USAGE, done.stderr)
                    self.assertIn("HOST:PORT", done.stderr)

    def test_what_was_probably_meant_is_suggested(self):
        for arguments, meant in ((("serch", "honey"), "`search`"), (("search", "honey", "--limt=3"), "`--limit`"),
                                 (("--appi", "status"), "`--api`"), (("help", "gte"), "`get`")):
            with self.subTest(arguments=arguments):
                self.assertIn(f"did you mean {meant}?", self.a.panal(*arguments, code=USAGE).stderr)
        self.assertIn("`--limit` stands behind `search`", self.a.panal("--limit", "3", "search", "x", code=USAGE).stderr)
        self.assertIn("a verb is missing", self.a.panal(code=USAGE).stderr)

    def test_no_peer_at_the_address(self):
        done = subprocess.run([PANAL, "--api", "127.0.0.1:1", "status"], capture_output=True, text=True,
                              timeout=peers.PATIENCE)

        self.assertEqual(done.returncode, UNREACHABLE)
        self.assert_fails(done, "PEER_UNREACHABLE", "127.0.0.1:1")

    def test_environment_names_the_peer(self):
        done = subprocess.run([PANAL, "status", "-o", "json"], capture_output=True, text=True,
                              env=dict(os.environ, PANAL_API=self.b.api), timeout=peers.PATIENCE)

        self.assertEqual(json.loads(done.stdout)["peer_id"], self.b.id)

    def test_get_writes_over_nothing(self):
        added = self.a.add(self.write("kept", b"new"))
        target = self.write("target", b"old")

        self.assert_fails(self.b.panal("get", added["id"], "-O", target, code=FAILED), "PATH_UNWRITABLE", "--force")
        with open(target, "rb") as file:
            self.assertEqual(file.read(), b"old")
        self.b.panal("get", added["id"], "-O", target, "--force")
        with open(target, "rb") as file:
            self.assertEqual(file.read(), b"new")

    def test_get_to_where_nothing_can_be_written(self):
        added = self.a.add(self.write("homeless", b"bytes"))
        target = self.path("no such folder", "copy")

        done = self.b.panal("get", added["id"], "-O", target, code=FAILED)

        self.assert_fails(done, "PATH_UNWRITABLE", target, "No such file or directory")

    def test_output_to_a_full_disk_fails(self):
        path = self.write("poured", b"bytes")
        file_id = self.a.add(path)["id"]
        os.mkdir(self.path("poured folder"))
        self.write(os.path.join("poured folder", "inside"), b"1")
        folder_id = self.a.add(self.path("poured folder"))["id"]
        verbs = [["cat", file_id], ["ls"], ["ls", "-r"], ["ls", folder_id], ["status"], ["stat", file_id], ["peers"],
                 ["peers", self.b.id], ["search", "poured"], ["search", "nosuchwordanywhere", "--output=json"], ["add", path],
                 ["get", file_id, "-O", self.path("copy"), "--force"], ["doctor"], ["version"],
                 ["completion", "bash"], ["help"], ["--help"], ["--version"]]
        formats = [verb + ["-o", "json"] for verb in verbs
                   if verb[0] in ("ls", "status", "stat", "peers", "add", "get", "doctor")]

        for arguments in verbs + formats + [["rm", file_id]]:
            with self.subTest(arguments=arguments), open("/dev/full", "wb") as full:
                done = subprocess.run([PANAL, "--api", self.a.api, *arguments], stdout=full,
                                      stderr=subprocess.PIPE, text=True, timeout=peers.PATIENCE)
                self.assertEqual(done.returncode, FAILED, done.stderr)
                self.assert_fails(done, "STORAGE_FULL", "stdout")

    def test_get_to_stdout_points_to_cat(self):
        done = self.a.panal("get", NOBODYS, "-O", "-", code=USAGE, cwd=self.folder)

        self.assert_fails(done, "ARGUMENT_INVALID", f"panal cat {NOBODYS}")
        self.assertFalse(os.path.exists(self.path("-")))

    def test_what_is_left_out_is_listed_up_to_a_limit(self):
        for links in (10, 11):
            folder = self.path(f"links {links}")
            os.mkdir(folder)
            for i in range(links):
                os.symlink("nothing", os.path.join(folder, str(i)))

            done = self.a.panal("add", folder)

            self.assertEqual(len(re.findall(r"panal: skipped \d+: ", done.stderr)), 10)
            self.assertEqual(re.findall("skipped .* more", done.stderr), ["skipped 1 more"] * (links - 10))
            self.assertEqual(len(self.a.add(folder)["skipped"]), links)

    def test_lines_for_people_are_whole_and_count_right(self):
        added = self.a.add(self.write("single", b"1"))

        status = self.a.panal("status").stdout
        removed = self.a.panal("rm", added["id"]).stdout

        self.assertEqual([line for line in status.splitlines() if line != line.rstrip()], [])
        self.assertIn("about 3 peers", status)
        self.assertRegex(removed, r"^removed \w+: 1 file, .* freed\n$")

    def test_cat_of_a_directory_points_to_ls(self):
        os.mkdir(self.path("box"))
        self.write(os.path.join("box", "inside"), b"1")
        added = self.a.add(self.path("box"))

        for peer in (self.a, self.b):  # One knows that it is a directory, the other has yet to learn it.
            done = peer.panal("cat", added["id"], code=USAGE)
            self.assert_fails(done, "ARGUMENT_INVALID", f"panal ls {added['id']}")
            self.assertEqual(done.stdout, "")
            self.assertIn("inside", peer.panal("ls", added["id"]).stdout)

    def test_doctor_finds_nothing_wrong(self):
        findings = self.a.json("doctor")

        self.assertEqual({"severity", "subject", "message", "advice"}, set(findings[0]))
        self.assertFalse([f for f in findings if f["severity"] == "error"])

    def test_version(self):
        self.assertEqual(self.a.json("version")[0]["peer"], self.a.status()["version"])

    def test_help_names_every_verb(self):
        done = subprocess.run([PANAL, "--help"], capture_output=True, text=True, check=True)

        for verb in "init status peers add ls stat rm search get cat doctor version completion help".split():
            self.assertRegex(done.stdout, rf"(?m)^\s+{verb}\s")
        self.assertIn("Exit codes", done.stdout)
        self.assertEqual(self.a.panal("help").stdout, done.stdout)
        self.assertEqual(self.a.panal("help", "get").stdout, self.a.panal("get", "--help").stdout)

    def test_version_flag_asks_no_peer(self):
        done = subprocess.run([PANAL, "--version"], capture_output=True, text=True, check=True,
                              env=dict(os.environ, PANAL_API="127.0.0.1:1"))

        self.assertEqual(done.stdout, f"panal {self.a.json('version')[0]['panal']}\n")

    # A line up to the key that completes, and what the shell makes of it.
    COMPLETED = [("panal statu", "panal status"), ("panal --api 127.0.0.1:7400 ver", "panal --api 127.0.0.1:7400 version"),
                 ("panal -o json doc", "panal -o json doctor"), ("panal -o js", "panal -o json"),
                 ("panal completion ba", "panal completion bash"), ("panal search x --rec", "panal search x --recall"),
                 ("panal get abcd -O only-f", "panal get abcd -O only-file"), ("panal add only-f", "panal add only-file"),
                 ("panal help compl", "panal help completion"), ("panal --vers", "panal --version")]
    # What an interactive shell reads first: the script, and a key that shows the line as it is.
    BASH_BEGIN = """source {script}
bind -x '"\\C-xs": printf "LINE<%s>\\n" "$READLINE_LINE"'
PS1='READ''Y> '
"""
    ZSH_BEGIN = """autoload -Uz compinit && compinit -u -D
source {script}
show() {{ zle -I; print -r -- "LINE<$BUFFER>"; }}
zle -N show
bindkey '^Xs' show
PS1='READ''Y> '
"""

    def interactive(self, shell):
        """The terminal of a shell with the completions loaded."""
        script = self.path("completion." + shell)
        with open(script, "w", encoding="utf-8") as file:
            subprocess.run([PANAL, "completion", shell], stdout=file, check=True)
        with open(self.path({"bash": "begin", "zsh": ".zshrc"}[shell]), "w", encoding="utf-8") as file:
            file.write({"bash": self.BASH_BEGIN, "zsh": self.ZSH_BEGIN}[shell].format(script=script))
        options = {"bash": ["--noprofile", "--rcfile", self.path("begin"), "-i"], "zsh": ["-d", "-i"]}[shell]
        terminal, theirs = pty.openpty()
        self.addCleanup(os.close, terminal)
        process = subprocess.Popen([peers.tool(shell), *options], stdin=theirs, stdout=theirs, stderr=theirs,
                                   cwd=self.folder, start_new_session=True,
                                   env=dict(os.environ, HOME=self.folder, ZDOTDIR=self.folder, TERM="dumb",
                                            COLUMNS="200"))
        self.addCleanup(lambda: (process.kill(), process.wait()))
        os.close(theirs)
        self.read_until(terminal, "READY> ")
        return terminal

    def read_until(self, terminal, pattern):
        """What the terminal shows up to the first match, which is returned."""
        shown = ""
        end = time.monotonic() + peers.PATIENCE
        while not (match := re.search(pattern, shown)):
            readable, _, _ = select.select([terminal], [], [], max(0, end - time.monotonic()))
            self.assertTrue(readable, f"not shown: {pattern!r} in {shown!r}")
            shown += os.read(terminal, 4096).decode(errors="replace")
        return match

    def test_completion_completes(self):
        self.write("only-file", b"x")
        for shell in ("bash", "zsh"):
            terminal = self.interactive(shell)
            for line, completed in self.COMPLETED:
                with self.subTest(shell=shell, line=line):
                    os.write(terminal, f"{line}\t\x18s".encode())
                    # What is written before the prompt is back is the terminal's, not the shell's.
                    made = self.read_until(terminal, "(?s)LINE<(panal[^>]*)>.*READY> ").group(1)
                    os.write(terminal, b"\x15")
                    self.assertEqual(made.rstrip(), completed)

    def test_completion_of_fish_completes(self):
        self.write("only-file", b"x")
        script = subprocess.run([PANAL, "completion", "fish"], capture_output=True, text=True, check=True).stdout
        for line, completed in self.COMPLETED:
            with self.subTest(line=line):
                done = subprocess.run([peers.tool("fish"), "--no-config", "-c", f'source -; complete -C "{line}"'],
                                      input=script, capture_output=True, text=True, timeout=peers.PATIENCE,
                                      cwd=self.folder, env=dict(os.environ, HOME=self.folder))
                self.assertEqual([row.split("\t")[0] for row in done.stdout.splitlines()], [completed.split()[-1]])


if __name__ == "__main__":
    peers.main()
