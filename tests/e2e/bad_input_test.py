#!/usr/bin/env python3
"""Wrong settings, damaged data directories, full disks and hostile connections: a clear error, and nothing lost."""

import json
import os
import re
import signal
import subprocess
import unittest

import peers
from peers import FAILED, NOT_FOUND, PANALD, MeshTest, random_file, run_panald, same_bytes, tool, wait_for

MIB = 1 << 20
# What is said of a peer whose certificate is that of another.
WRONG_ID = "peer id mismatch"


class Settings(MeshTest):

    def config(self, text):
        path = self.path("panald.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def printed(self, *arguments, env=None):
        done = run_panald(*arguments, "--print-config", env=env)
        self.assertEqual(done.returncode, 0, done.stderr)
        return dict(line.split(" = ", 1) for line in done.stdout.splitlines())

    def test_flag_wins_over_environment_over_file_over_default(self):
        path = self.config('mesh = "from-file"\nworkers = 3\nlog-level = "warning"\n')
        environment = {"PANAL_MESH": "from-environment", "PANAL_WORKERS": "4"}

        printed = self.printed("--config", path, "--mesh", "from-flag", env=environment)

        self.assertEqual(printed["mesh"], '"from-flag"')
        self.assertEqual(printed["workers"], "4")
        self.assertEqual(printed["log-level"], '"warning"')
        self.assertEqual(printed["policy"], '"invite"')

    def test_printed_settings_are_a_file_that_says_the_same(self):
        printed = run_panald("--print-config", "--mesh", 'a "quoted" name', "--join", "127.0.0.1:1,127.0.0.1:2").stdout

        again = run_panald("--print-config", "--config", self.config(printed)).stdout

        self.assertEqual(printed, again)

    def test_every_setting_is_documented(self):
        with open(os.path.join(peers.ROOT, "docs", "operations.md"), encoding="utf-8") as file:
            documentation = file.read()

        for name in self.printed():
            self.assertIn(f"| `{name}` | `PANAL_{name.upper().replace('-', '_')}` |", documentation)

    def test_unknown_key_gets_a_suggestion(self):
        done = run_panald("--config", self.config('storage-maks = "1GiB"\n'))

        self.assertEqual(done.returncode, 2)
        self.assert_fails(done, "CONFIG_INVALID", "storage-maks", "did you mean `storage-max`?")

    def test_file_that_is_no_toml_is_refused_where_it_is_wrong(self):
        cases = [(b"workers = 2\nmesh\n", ":2:"), (b"mesh = lab\n", ":1:"), (b'mesh = "lab\n', ":1:"),
                 (b'join = ["127.0.0.1:1"\n', ":1:"), (b"\xff\xfe", ":1:"), (b"\n\nmesh =\n", ":3:"),
                 (b'mesh = "a"\nmesh = "b"\n', ":2:"), (b"mesh = 1979-05-27\n", ":1:"), (b"mesh = true\n", ":1:"),
                 (b'mesh = ["a"]\n', ":1:"), (b'listen-open = "yes"\n', ":1:"), (b"[mesh]\nname = 1\n", ":1:"),
                 (b"\njoin = [[1]]\n", ":2:"), (b'\nworkers = "many"\n', ":2:"), (b"\nstorage-maks = 1\n", ":2:")]
        path = self.path("panald.toml")
        for text, line in cases:
            with self.subTest(text=text):
                with open(path, "wb") as file:
                    file.write(text)
                done = run_panald("--config", path, "--print-config")
                self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
                self.assert_fails(done, "CONFIG_INVALID", path + line)

    def test_unknown_environment_gets_a_suggestion(self):
        done = run_panald("--print-config", env={"PANAL_STOREAGE_MAX": "5G"})

        self.assertEqual(done.returncode, 2)
        self.assert_fails(done, "CONFIG_INVALID", "PANAL_STOREAGE_MAX", "did you mean `PANAL_STORAGE_MAX`?")

    def test_environment_of_others_is_left_alone(self):
        others = {"PANAL_API": "127.0.0.1:1", "PANAL_MESH_DIR": "/tmp", "PANAL_HOST_3": "10.0.0.1", "PANAL_SEED": "7",
                  "PANAL_SERVICE_HOST": "10.0.0.1", "PANAL_SERVICE_PORT_GRPC": "7400", "PANAL_PORT": "tcp://10.0.0.1:7400",
                  "PANAL_PORT_7400_TCP_PROTO": "tcp", "PANAL_API_PORT_1": "7410"}

        self.assertIn("mesh", self.printed(env=others))

    def test_printed_settings_that_are_lost_are_an_error(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([PANALD, "--print-config"], stdout=full, stderr=subprocess.PIPE, timeout=peers.PATIENCE)

        self.assertEqual(done.returncode, 1)

    def test_unknown_flag_gets_a_suggestion(self):
        done = run_panald("--mesh-lisen", "127.0.0.1:0")

        self.assertEqual(done.returncode, 2)
        self.assert_fails(done, "CONFIG_INVALID", "did you mean `mesh-listen`?")

    def test_sizes_and_durations_are_human(self):
        for size in ("0", "1500", "64KiB", "1.5 GB", "10M"):
            self.printed("--storage-max", size)
        for duration in ("500ms", "10s", "1.5m", "1m30s"):
            self.printed("--stop-grace", duration)

    def test_values_that_are_wrong(self):
        cases = [("--storage-max", "lots"), ("--stop-grace", "5"), ("--mesh", ""), ("--policy", "closed"),
                 ("--mesh-listen", "nowhere"), ("--mesh-listen", "127.0.0.1:70000"), ("--join", "127.0.0.1"),
                 ("--join", "nopeer@127.0.0.1:1"), ("--root", "relative/path"), ("--log-level", "loud"),
                 ("--workers", "0"), ("--config", "/nonexistent/panald.toml")]
        for flag, value in cases:
            with self.subTest(flag=flag, value=value):
                done = run_panald("--data-dir", self.path("data"), flag, value)
                self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
                self.assertIn("CONFIG_INVALID", done.stderr)

    def test_api_for_other_machines_must_be_on_purpose(self):
        done = run_panald("--data-dir", self.path("data"), "--api-listen", "0.0.0.0:0")

        self.assertEqual(done.returncode, 2)
        self.assert_fails(done, "CONFIG_INVALID", "--listen-open")

    def test_mesh_script_refuses_numbers_that_are_none(self):
        for arguments in (("up", "0"), ("up", "abc"), ("up", "-1"), ("up", "99999"), ("start", "7x"), ("start",), ("kill", "x"),
                          ("panal", "x", "status")):
            with self.subTest(arguments=arguments):
                done = subprocess.run([os.path.join(peers.ROOT, "scripts", "mesh"), *arguments], capture_output=True,
                                      text=True, timeout=peers.PATIENCE,
                                      env=dict(os.environ, PANAL_MESH_DIR=self.path("mesh"), PANAL_BUILD_DIR=peers.BUILD))
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertRegex(done.stderr, r"\Amesh: .*\n\Z")
                self.assertEqual(done.stdout, "")
        self.assertFalse(os.path.exists(self.path("mesh")))

    def test_init_makes_what_panald_starts_from(self):
        folder = self.path("new")
        made = subprocess.run([peers.PANAL, "init", "--data-dir", folder, "--mesh", "fresh", "--policy", "open", "-o", "json"],
                              capture_output=True, text=True, check=True)
        peer = self.peer(data_dir=folder, mesh="fresh", flags=["--config", json.loads(made.stdout)["config"]]).start()

        self.assertEqual(peer.id, json.loads(made.stdout)["peer_id"])
        self.assertEqual(os.stat(os.path.join(folder, "peer.key")).st_mode & 0o777, 0o600)
        again = subprocess.run([peers.PANAL, "init", "--data-dir", folder], capture_output=True, text=True)
        self.assertEqual(again.returncode, FAILED)

    def test_init_writes_what_panald_reads_wherever_it_is_started(self):
        name = 'a "mesh" \\ of\tbees \x7f'
        made = subprocess.run([peers.PANAL, "init", "--data-dir", "new/", "--mesh", name, "--policy", "open", "--join", "127.0.0.1:1", "-o", "json"],
                              capture_output=True, text=True, check=True, cwd=self.folder)
        config = json.loads(made.stdout)["config"]

        printed = self.printed("--config", config)

        self.assertEqual(config, self.path("new", "panald.toml"))
        self.assertEqual(printed["data-dir"], f'"{self.path("new")}"')
        self.assertEqual(printed["join"], '["127.0.0.1:1"]')
        self.assertEqual(json.loads(printed["mesh"]), name)


class DataDirectory(MeshTest):

    def start_again(self, peer):
        """A start that must fail; the finished process."""
        done = subprocess.run([PANALD, *peer.arguments()], capture_output=True, text=True, timeout=peers.PATIENCE)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        return done

    def test_port_taken(self):
        first = self.peer().start()
        for port in ("mesh", "api", "http"):
            with self.subTest(port=port):
                second = self.peer()
                second.ports[port] = first.ports[port]
                self.assert_fails(self.start_again(second), "PORT_TAKEN", first.ports[port], f"--{port}-listen")
        self.assertEqual(first.status()["peer_id"], first.id)

    def test_address_that_is_not_of_this_machine(self):
        # 192.0.2.0/24 is for documentation (RFC 5737).
        done = subprocess.run([PANALD, "--data-dir", self.path("stray"), "--mesh", "e2e", "--policy", "open", "--mesh-listen", "192.0.2.1:0",
                               "--api-listen", "127.0.0.1:0", "--http-listen", "off"],
                              capture_output=True, text=True, timeout=peers.PATIENCE)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assert_fails(done, "CONFIG_INVALID", "this machine has no address 192.0.2.1", "--mesh-listen")

    def test_data_directory_in_use(self):
        first = self.peer().start()
        second = self.peer(data_dir=first.data_dir)

        self.assert_fails(self.start_again(second), "DATA_DIR_LOCKED", str(first.process.pid))
        self.assertEqual(first.status()["peer_id"], first.id)

    def test_data_directory_of_a_newer_version(self):
        peer = self.peer().start()
        peer.stop()
        with open(os.path.join(peer.data_dir, "format"), "w", encoding="utf-8") as file:
            file.write("999\n")

        self.assert_fails(self.start_again(peer), "DATA_DIR_TOO_NEW", "999")

    def test_key_that_is_damaged(self):
        peer = self.peer().start()
        peer.stop()
        with open(os.path.join(peer.data_dir, "peer.key"), "w", encoding="utf-8") as file:
            file.write("no key")

        self.assert_fails(self.start_again(peer), "DATA_DIR_INVALID", "peer.key")

    def test_catalog_that_is_damaged(self):
        peer = self.peer().start()
        peer.add("/etc/passwd")
        peer.stop()
        path = os.path.join(peer.data_dir, "catalog.db")
        with open(path, "r+b") as file:
            file.write(b"\x5a" * 4096)

        self.assert_fails(self.start_again(peer), "CATALOG_CORRUPT", "catalog.db")

    def test_disk_that_is_full(self):
        data = self.path("small")
        os.mkdir(data)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "panal-e2e", data], capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("no tmpfs can be mounted here: " + mounted.stderr.decode().strip())
        self.addCleanup(subprocess.run, ["umount", "-l", data])
        peer = self.peer(data_dir=data).start()
        kept = random_file(self.path("kept"), 4 * MIB)
        kept_id = peer.add(kept)["id"]

        done = peer.panal("add", random_file(self.path("large"), 64 * MIB), code=FAILED)

        self.assert_fails(done, "STORAGE_FULL")
        for end in (peer.stop, peer.kill):
            end()
            peer.start()
            peer.panal("get", kept_id, "-O", self.path("copy"), "--force")
            self.assertTrue(same_bytes(kept, self.path("copy")))
        peer.panal("rm", kept_id)
        self.assertEqual(peer.add(random_file(self.path("again"), 4 * MIB))["size"], 4 * MIB)

    def test_limit_that_is_reached(self):
        peer = self.peer(flags=["--storage-max", "8MiB"]).start()

        done = peer.panal("add", random_file(self.path("large"), 16 * MIB), code=FAILED)

        self.assert_fails(done, "STORAGE_FULL")
        self.assertEqual(peer.add(random_file(self.path("small"), 2 * MIB))["size"], 2 * MIB)


class Paths(MeshTest):

    def test_path_outside_the_roots(self):
        os.mkdir(self.path("root"))
        peer = self.peer(root=self.path("root")).start()
        os.symlink("/etc/passwd", self.path("root", "link"))
        inside = random_file(self.path("root", "inside"), 10)

        for path in ("/etc/passwd", self.path("root", "..", "elsewhere"), self.path("root", "link")):
            with self.subTest(path=path):
                if path.endswith("elsewhere"):
                    random_file(self.path("elsewhere"), 10)
                self.assert_fails(peer.panal("add", "--in-place", path, code=FAILED), "PATH_OUTSIDE_ROOTS")
        self.assertEqual(peer.add(inside, "--in-place")["size"], 10)

    def test_path_without_roots_is_refused(self):
        peer = self.peer(root=None).start()

        self.assert_fails(peer.panal("add", "--in-place", "/etc/passwd", code=FAILED), "PATH_OUTSIDE_ROOTS")

    def test_path_where_nothing_is(self):
        peer = self.peer().start()

        for options in ((), ("--in-place",)):
            self.assert_fails(peer.panal("add", *options, "/nonexistent/file", code=NOT_FOUND), "PATH_NOT_FOUND")

    def test_pipe_is_refused_and_not_waited_for(self):
        peer = self.peer(root=self.folder).start()
        os.mkfifo(self.path("pipe"))

        for options in ((), ("--in-place",)):
            with self.subTest(options=options):
                done = peer.panal("add", *options, self.path("pipe"), code=FAILED, seconds=peers.PATIENCE)
                self.assert_fails(done, "FILE_UNREADABLE", self.path("pipe"))

    def test_file_that_may_not_be_read(self):
        if os.getuid() != 0:
            self.skipTest("only root can become a user who may not read")
        peer = self.peer().start()
        path = random_file(self.path("secret"), 10)
        os.chmod(path, 0)
        os.chmod(self.folder, 0o755)

        done = peer.panal("add", path, code=FAILED, user=65534)

        self.assert_fails(done, "FILE_UNREADABLE", path)

    def test_file_that_changes_while_it_is_sent(self):
        peer = self.peer().start()
        path = random_file(self.path("growing"), 300 * MIB)
        add = peer.begin_panal("add", path)
        self.addCleanup(lambda: (add.poll() is None and add.kill(), add.communicate()))
        wait_for(lambda: peers.allocated(peer.data_dir) > 24 * MIB, "the upload runs", every=0.002)
        add.send_signal(signal.SIGSTOP)
        self.assertIsNone(add.poll())
        with open(path, "ab") as file:
            file.write(b"more")
        add.send_signal(signal.SIGCONT)

        _, stderr = add.communicate(timeout=peers.PATIENCE)

        self.assertEqual(add.returncode, FAILED)
        self.assertIn("[FILE_CHANGED]", stderr)
        self.assertIn(path, stderr)
        self.assertEqual(peer.status()["files"], 0)

    def test_what_is_no_file_is_left_out(self):
        peer = self.peer(root=self.folder).start()
        os.mkdir(self.path("folder"))
        os.mkfifo(self.path("folder", "pipe"))
        os.symlink("/etc/passwd", self.path("folder", "outward"))
        os.symlink("nothing", self.path("folder", "dangling"))
        random_file(self.path("folder", "file"), 10)

        for options in ((), ("--in-place",)):
            added = peer.add(self.path("folder"), *options)
            self.assertEqual((added["files"], len(added["skipped"])), (1, 3), added)


class Strangers(MeshTest):

    def test_peer_of_another_mesh_is_refused(self):
        a, b = self.mesh_of(2)
        stranger = self.peer(mesh="another", join=[a.mesh_address]).start()

        wait_for(lambda: "belongs to mesh" in stranger.log(), "the refusal is logged")

        self.assertEqual((stranger.status()["neighbors"], stranger.status()["mesh_size"]), (0, 1))
        self.assertEqual(a.status()["mesh_size"], 2)
        links = self.links_finding(stranger)
        self.assertIn(a.mesh_address, links["message"])
        self.assertIn("belongs to mesh", links["message"])
        self.assertIn("--mesh of the peer at", links["advice"])
        self.assertTrue(b.status()["neighbors"])

    def links_finding(self, peer):
        """What doctor says of the links of a peer that has none."""
        findings = [f for f in peer.json("doctor", code=FAILED) if f["subject"] == "links"]
        self.assertEqual([f["severity"] for f in findings], ["error"])
        return findings[0]

    def test_join_address_where_nobody_listens(self):
        peer = self.peer(join=["127.0.0.1:1"]).start()
        wait_for(lambda: "join_failed" in peer.log(), "the failure is logged")

        links = self.links_finding(peer)

        self.assertRegex(links["message"], r"127\.0\.0\.1:1: .*refused")
        self.assertIn("that a peer listens there", links["advice"])

    def test_doctor_without_a_peer_is_a_finding(self):
        done = subprocess.run([peers.PANAL, "--api", "127.0.0.1:1", "doctor", "-o", "json"], capture_output=True,
                              text=True, timeout=peers.PATIENCE)

        self.assertEqual(done.returncode, peers.UNREACHABLE)
        finding = json.loads(done.stdout)
        self.assertEqual((finding["severity"], finding["subject"]), ("error", "peer"))
        self.assertIn("127.0.0.1:1", finding["message"])
        self.assertIn("--api", finding["advice"])

    def test_join_address_with_the_wrong_id_is_refused(self):
        a = self.peer().start()
        other = self.peer().start()
        joiner = self.peer(join=[f"{other.id}@{a.mesh_address}"]).start()

        wait_for(lambda: "join_failed" in joiner.log(), "the refusal is logged")

        self.assertEqual(joiner.status()["neighbors"], 0)
        why = re.search("join_failed.*", joiner.log()).group()
        self.assertIn(a.mesh_address, why)
        self.assertRegex(why, WRONG_ID)
        links = self.links_finding(joiner)
        self.assertRegex(links["message"], WRONG_ID)
        self.assertIn("correct the id before the @", links["advice"])

    def test_join_address_with_the_right_id_is_taken(self):
        a = self.peer().start()
        joiner = self.peer(join=[f"{a.id}@{a.mesh_address}"]).start()

        self.wait_for_size([a, joiner], 2)

    def handshake(self, peer, version):
        done = subprocess.run([tool("openssl"), "s_client", version, "-alpn", "h2", "-connect", peer.mesh_address],
                              input=b"", capture_output=True, timeout=peers.PATIENCE)
        return done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")

    def test_mesh_port_speaks_tls_1_3_and_nothing_older(self):
        peer = self.peer().start()

        self.assertRegex(self.handshake(peer, "-tls1_3"), r"New, TLSv1\.3")
        old = self.handshake(peer, "-tls1_2")
        self.assertRegex(old, r"New, \(NONE\)")
        self.assertEqual(peer.status()["peer_id"], peer.id)

    def test_garbage_on_every_port_harms_nobody(self):
        import socket
        peer = self.peer().start()
        for port in ("mesh", "api", "http"):
            host, number = peer.ports[port].split(":")
            for garbage in (b"", b"\0" * 100000, os.urandom(100000), b"GET / HTTP/1.1\r\n\r\n" * 1000):
                with socket.create_connection((host, int(number)), timeout=10) as connection:
                    try:
                        connection.sendall(garbage)
                    except OSError:
                        pass  # It hung up on us: as well.

        self.assertEqual(peer.status()["peer_id"], peer.id)

    def test_more_connections_than_descriptors_leave_a_peer_that_answers_again(self):
        import contextlib
        import resource
        import socket
        _, before = resource.getrlimit(resource.RLIMIT_NOFILE)
        peer = self.peer().start()
        resource.prlimit(peer.process.pid, resource.RLIMIT_NOFILE, (100, before))
        for port in ("mesh", "api"):
            host, number = peer.ports[port].split(":")
            with contextlib.ExitStack() as opened:
                for _ in range(300):
                    opened.enter_context(socket.create_connection((host, int(number)), timeout=10))
                wait_for(lambda: f'port={number}' in peer.log(), "the log tells of refused connections")

        wait_for(lambda: peer.panal("status", code=None).returncode == 0, "the peer answers programs")
        resource.prlimit(peer.process.pid, resource.RLIMIT_NOFILE, (before, before))
        other = self.peer(join=[peer.mesh_address]).start()
        self.wait_for_size([peer, other], 2)


if __name__ == "__main__":
    peers.main()
