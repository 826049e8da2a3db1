#!/usr/bin/env python3
"""Standing queries on real peers: what is published later reaches who subscribed, once, whatever breaks on the way."""

import json
import os
import queue
import signal
import subprocess
import threading
import unittest

import peers
from peers import INCOMPLETE, NOT_FOUND, OK, PATIENCE, MeshTest, grpcurl_path, wait_for

SUBSCRIBE = "panal.v1.SearchObject/Subscribe"
# A round of standing queries (SearchOptions::standing_round), and time for it to run and tell.
ROUND_SECONDS = 60 + PATIENCE


class Lines:
    """What a program prints, line by line, read by a thread so that a wait has a deadline."""

    def __init__(self, stream):
        self.seen = []
        self._queue = queue.Queue()
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream):
        for line in stream:
            self._queue.put(line)
        self._queue.put(None)

    def until(self, wanted, seconds=PATIENCE):
        """The first line from here on for which wanted(line) is true."""
        while True:
            try:
                line = self._queue.get(timeout=seconds)
            except queue.Empty:
                raise AssertionError(f"nothing came for {seconds} s after {self.seen[-5:]}") from None
            if line is None:
                raise AssertionError(f"ended after {self.seen[-5:]}")
            self.seen.append(line)
            if wanted(line):
                return line

    def rest(self, seconds=PATIENCE):
        """Every line seen and to come until the program ends."""
        while (line := self._queue.get(timeout=seconds)) is not None:
            self.seen.append(line)
        return self.seen


class Watch:
    """`panal search --watch -o json`, begun and known to have begun."""

    def __init__(self, test, peer, *arguments):
        self.process = peer.begin_panal("search", *arguments, "--watch", "-o", "json")
        test.addCleanup(self.end)
        self.lines = Lines(self.process.stdout)

    def hit(self, name, seconds=PATIENCE):
        return json.loads(self.lines.until(lambda line: json.loads(line).get("name") == name, seconds))

    def stop(self):
        """SIGINT; the exit code and all names told."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=PATIENCE)
        rows = [json.loads(line) for line in self.lines.rest()]
        assert "summary" in rows[-1], rows[-1:]
        return code, [row["name"] for row in rows[:-1]]

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


class Subscription:
    """grpcurl on Subscribe: messages one by one."""

    def __init__(self, test, peer, **request):
        self.process = subprocess.Popen(
            [grpcurl_path(), "-plaintext", "-emit-defaults", "-d", json.dumps(request), peer.api, SUBSCRIBE],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        test.addCleanup(self.end)
        self.lines = Lines(self.process.stdout)

    def next(self, kind, seconds=PATIENCE):
        """The next message that is a `start`, `hit` or `summary`."""
        while True:
            text = ""
            while not text.endswith("\n}\n"):
                text += self.lines.until(lambda _: True, seconds)
            message = json.loads(text)
            if kind in message:
                return message[kind]

    def end(self):
        """Closes the connection; the subscription goes on."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


class Standing(MeshTest):

    def file(self, name, text="x"):
        path = self.path(name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(name + text)
        return path

    def call(self, peer, method, **request):
        return subprocess.run([grpcurl_path(), "-plaintext", "-d", json.dumps(request), peer.api,
                               "panal.v1.SearchObject/" + method], capture_output=True, text=True, timeout=PATIENCE)

    def begun_watch(self, peer, *query):
        """A watch that is told what `peer` adds from here on: a first file says so."""
        watch = Watch(self, peer, *query)
        # Nothing is printed when a watch has begun; so files are added until one is told.
        for attempt in range(1, 200):
            name = f"probe-{attempt}.txt"
            peer.add(self.file(name))
            try:
                watch.hit(name, seconds=1)
                return watch
            except AssertionError:
                assert watch.process.poll() is None, watch.process.stderr.read()
        raise AssertionError("the watch never began")

    def test_grpcurl_is_told_what_another_peer_adds_and_not_what_was_there(self):
        a, b, c = self.mesh_of(3)
        c.add(self.file("old-report.txt"))
        wait_for(lambda: a.hits("report"), "the old file is found")
        subscription = Subscription(self, a, query="report")
        start = subscription.next("start")
        self.assertEqual((start["missed"], start["known_truncated"], start["retention_s"]), ("0", False, "600"))
        summary = subscription.next("summary")
        self.assertEqual((summary["peers_reached"], summary["complete"], summary["recall"]), ("3", True, 1))

        added = b.add(self.file("new-report.txt"))
        c.add(self.file("something-else.txt"))

        hit = subscription.next("hit")
        self.assertEqual((hit["sequence"], hit["hit"]["name"]), ("1", "new-report.txt"))
        self.assertEqual((hit["hit"]["id"], hit["hit"]["publisher"]), (added["id"], b.id))
        self.assertEqual(hit["hit"]["publisher_addresses"], [b.mesh_address])

    def test_what_comes_while_the_stream_is_lost_is_told_on_resuming_once(self):
        a, b = self.mesh_of(2)
        first = Subscription(self, a, query="report")
        name = first.next("start")["subscription"]
        b.add(self.file("report-1.txt"))
        b.add(self.file("report-2.txt"))
        self.assertEqual([first.next("hit")["sequence"] for _ in range(2)], ["1", "2"])
        first.end()

        b.add(self.file("report-3.txt"))
        # As one that lost hit 2 on the way.
        second = Subscription(self, a, subscription=name, after_sequence=1)
        self.assertEqual(second.next("start"), {"subscription": name, "retention_s": "600", "missed": "0",
                                                "known_truncated": False})
        told = [second.next("hit") for _ in range(2)]

        self.assertEqual([(hit["sequence"], hit["hit"]["name"]) for hit in told],
                         [("2", "report-2.txt"), ("3", "report-3.txt")])

    def test_a_subscription_that_is_not_there_is_refused_with_its_reason(self):
        a = self.peer().start()
        self.assertIn("SUBSCRIPTION_UNKNOWN", self.call(a, "Subscribe", subscription="nosuch").stderr)
        self.assertIn("SUBSCRIPTION_UNKNOWN", self.call(a, "Unsubscribe", subscription="nosuch").stderr)
        self.assertIn("QUERY_INVALID", self.call(a, "Subscribe", query="(").stderr)
        self.assertIn("after_sequence", self.call(a, "Subscribe", query="x", after_sequence=1).stderr)
        subscription = Subscription(self, a, query="report")
        name = subscription.next("start")["subscription"]
        self.assertEqual(self.call(a, "Unsubscribe", subscription=name).returncode, 0)
        self.assertEqual(subscription.process.wait(timeout=PATIENCE), 0)
        self.assertIn("SUBSCRIPTION_UNKNOWN", self.call(a, "Subscribe", subscription=name).stderr)

    def test_a_subscription_ends_at_its_timeout(self):
        a = self.peer().start()
        done = self.call(a, "Subscribe", query="report", timeout="500ms")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('"start"', done.stdout)

    def test_watch_prints_what_comes_and_ends_with_the_codes_of_search(self):
        a, b, c = self.mesh_of(3)
        quiet = Watch(self, c, "nothing-is-called-so")
        watch = self.begun_watch(a, "txt")
        b.add(self.file("one.txt"))
        hit = watch.hit("one.txt")
        self.assertEqual((hit["publisher"], hit["kind"], hit["sources"]), (b.id, "file", 1))

        code, names = watch.stop()
        self.assertEqual(code, OK)
        self.assertEqual(names.count("one.txt"), 1)
        # Stopped before its first round it has not met its recall; after, it has found nothing.
        self.assertIn(quiet.stop(), [(NOT_FOUND, []), (INCOMPLETE, [])])

    def test_watch_ends_after_the_hits_of_its_limit(self):
        a, b = self.mesh_of(2)
        process = a.begin_panal("search", "txt", "--watch", "--limit", "1")
        wait_for(lambda: process.poll() is not None or not b.add(self.file(f"{os.urandom(4).hex()}.txt")),
                 "the watch has had its one hit", every=0.5)
        out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, OK, err)
        self.assertEqual(len(out.splitlines()), 1, out)

    def test_watch_goes_on_when_a_keeper_is_killed(self):
        a, b, c, d = self.mesh_of(4)
        watch = self.begun_watch(a, "txt")
        b.kill()
        c.add(self.file("after.txt"))
        watch.hit("after.txt", seconds=ROUND_SECONDS)
        d.add(self.file("later.txt"))
        watch.hit("later.txt", seconds=ROUND_SECONDS)
        _, names = watch.stop()
        self.assertEqual((names.count("after.txt"), names.count("later.txt")), (1, 1))

    def test_watch_begins_anew_when_its_peer_was_restarted(self):
        a, b = self.mesh_of(2)
        watch = self.begun_watch(a, "txt")
        a.kill()
        a.start()
        self.wait_for_size([a, b], 2)
        told = set()

        def add_and_look():
            name = f"again-{os.urandom(4).hex()}.txt"
            b.add(self.file(name))
            try:
                told.add(watch.hit(name, seconds=2)["name"])
            except AssertionError:
                self.assertIsNone(watch.process.poll())
            return told

        wait_for(add_and_look, "the watch is told again", seconds=2 * PATIENCE)
        code, names = watch.stop()
        self.assertIn(code, (OK, INCOMPLETE))
        self.assertEqual(len(names), len(set(names)))


if __name__ == "__main__":
    peers.main()
