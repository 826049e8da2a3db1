#!/usr/bin/env python3
"""The API port as grpcurl sees it: reflection, errors with details, and calls to objects of other peers."""

import base64
import json
import os
import re
import subprocess
import unittest
import urllib.error
import urllib.request

import peers
from peers import MeshTest, grpcurl_path

GET_PEER = "panal.v1.PeerObject/GetPeer"
# Without reflection, which would fail first.
PROTOS = ["-import-path=" + os.path.join(peers.ROOT, "proto"), "-proto=panal/v1/peer_object.proto"]


class Calls(MeshTest):

    @classmethod
    def setUpClass(cls):
        cls.grpcurl = grpcurl_path()
        cls.owner = MeshTest()
        cls.owner.setUp()
        cls.a, cls.b, cls.c = cls.owner.mesh_of(3)

    @classmethod
    def tearDownClass(cls):
        cls.owner.doCleanups()

    def call(self, peer, *arguments, at=None):
        """grpcurl to the API of `peer`; with `at`, to the object named."""
        header = ["-H", f"panal-object: {at}"] if at else []
        options = [a for a in arguments if a.startswith("-") or a.startswith("{")]
        names = [a for a in arguments if a not in options]
        flags = [part for o in options for part in (["-d", o] if o.startswith("{") else [o])]
        return subprocess.run([self.grpcurl, "-plaintext", "-max-time", "60", *header, *flags, peer.api, *names],
                              capture_output=True, text=True, timeout=90)

    def answer(self, *arguments, **options):
        done = self.call(*arguments, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def assert_refused(self, done, *words):
        """The call failed, and the words are in its message or its details, in base64 where grpcurl used no reflection."""
        details = b"".join(base64.b64decode(text) for text in re.findall(r'"@value":"([^"]*)"', done.stderr))
        self.assertNotEqual(done.returncode, 0)
        for word in words:
            self.assertIn(word, done.stderr + details.decode(errors="replace"))

    def assert_decoded(self, done, **fields):
        """The call failed, and grpcurl shows these fields of its details by their names."""
        self.assertNotEqual(done.returncode, 0)
        for name, value in fields.items():
            self.assertRegex(done.stderr, rf'"{name}":\s*"{value}"')

    def reference(self, peer, service="panal.v1.PeerObject"):
        return f"panal://{peer.id}/{service}/"

    def test_object_of_another_peer_answers(self):
        for peer in (self.a, self.b, self.c):
            self.assertEqual(self.answer(self.a, GET_PEER, at=self.reference(peer))["peer_id"], peer.id)

    def test_reflection_through_another_peer(self):
        listed = self.call(self.a, "list", at=self.reference(self.b))
        described = self.call(self.a, "describe", "panal.v1.FileObject", at=self.reference(self.b))

        for service in ("panal.v1.PeerObject", "panal.v1.FileObject", "panal.v1.SearchObject"):
            self.assertIn(service, listed.stdout)
        self.assertIn("rpc PutFile", described.stdout)

    def test_every_kind_of_call_reaches_another_peer(self):
        files = self.reference(self.b, "panal.v1.FileObject")
        put = self.answer(self.b, '{"name": "kept afar", "content": "aGVhdGhlcg=="}', "panal.v1.FileObject/PutFile")

        listed = self.answer(self.a, "{}", "panal.v1.FileObject/ListFiles", at=files)
        read = self.answer(self.a, json.dumps({"id": put["id"]}), "panal.v1.FileObject/ReadFile", at=files)

        self.assertIn("kept afar", [file["name"] for file in listed["files"]])
        self.assertEqual(read["data"], "aGVhdGhlcg==")

    def test_other_peers_neither_store_nor_remove_nor_look_around(self):
        put = self.answer(self.b, '{"name": "mine", "content": "aGVhdGhlcg=="}', "panal.v1.FileObject/PutFile")
        before = self.b.json("ls")
        for method, request in (
                ("FileObject/PutFile", '{"name": "theirs", "content": "aGVhdGhlcg=="}'),
                ("FileObject/AddPath", json.dumps({"path": os.path.join(self.b.data_dir, "peer.key")})),
                ("FileObject/UploadFile", '{"start": {"name": "theirs"}}'),
                ("FileObject/FetchFile", json.dumps({"id": put["id"]})),
                ("FileObject/RemoveFile", json.dumps({"id": put["id"]})),
                ("PeerObject/Diagnose", "{}")):
            done = self.call(self.a, request, f"panal.v1.{method}",
                             at=self.reference(self.b, f"panal.v1.{method.split('/')[0]}"))
            self.assert_refused(done, "PermissionDenied", "NOT_PERMITTED")

        self.assertEqual(self.b.json("ls"), before)

    def test_error_of_another_peer_arrives_with_its_details(self):
        done = self.call(self.a, '{"id": "zzzz"}', "panal.v1.FileObject/GetFile",
                         at=self.reference(self.b, "panal.v1.FileObject"))

        self.assert_refused(done, "NotFound", "google.rpc.ErrorInfo")
        self.assert_decoded(done, reason="FILE_NOT_FOUND", domain="panal")

    def test_details_of_an_error_are_decoded_by_reflection(self):
        negative = self.call(self.a, '{"page_size": -1}', "panal.v1.FileObject/ListFiles")
        unknown = self.call(self.a, '{"id": "zzzz"}', "panal.v1.FileObject/GetFile")

        self.assert_decoded(negative, reason="ARGUMENT_INVALID", field="page_size")
        self.assert_decoded(unknown, reason="FILE_NOT_FOUND", domain="panal")
        for done in (negative, unknown):
            self.assertNotIn("@value", done.stderr)

    def test_peer_that_nobody_knows(self):
        done = self.call(self.a, *PROTOS, GET_PEER, at="panal://" + "a" * 52 + "/panal.v1.PeerObject/")

        self.assert_refused(done, "PEER_UNKNOWN")

    def test_text_that_is_no_reference(self):
        for text in ("http://x/", "panal://short/panal.v1.PeerObject/", "panal://"):
            self.assert_refused(self.call(self.a, *PROTOS, GET_PEER, at=text), "REFERENCE_INVALID")

    def test_streams_between_peers_are_not_for_programs(self):
        done = self.call(self.a, "{}", "panal.v1.PeerObject/Link")

        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(self.a.status()["peer_id"], self.a.id)

    def test_health_is_served(self):
        self.assertEqual(self.answer(self.a, "grpc.health.v1.Health/Check")["status"], "SERVING")

    def test_content_too_large_to_be_sent_inline(self):
        request = json.dumps({"name": "large", "content": base64.b64encode(b"x" * ((1 << 20) + 1)).decode()})
        done = subprocess.run([self.grpcurl, "-plaintext", "-d", "@", self.a.api, "panal.v1.FileObject/PutFile"],
                              input=request, capture_output=True, text=True, timeout=90)

        self.assert_refused(done, "CONTENT_TOO_LARGE")

    def test_http_says_health_and_metrics_and_nothing_else(self):
        base = "http://" + self.a.ready["http"]
        with urllib.request.urlopen(base + "/healthz", timeout=peers.PATIENCE) as answer:
            health = json.load(answer)
        with urllib.request.urlopen(base + "/metrics", timeout=peers.PATIENCE) as answer:
            metrics = answer.read().decode()

        self.assertEqual((health["status"], health["peer_id"]), ("serving", self.a.id))
        self.assertRegex(metrics, r"(?m)^panal_overlay_neighbors 2$")
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(base + "/data", timeout=peers.PATIENCE)
        self.assertEqual(refused.exception.code, 404)

    def test_every_metric_is_documented(self):
        with urllib.request.urlopen("http://" + self.a.ready["http"] + "/metrics", timeout=peers.PATIENCE) as answer:
            names = set(re.findall(r"(?m)^# TYPE (panal_\w+)", answer.read().decode()))
        with open(os.path.join(peers.ROOT, "docs", "operations.md"), encoding="utf-8") as file:
            documented = set(re.findall(r"`(panal_\w+)`", file.read()))

        self.assertEqual(names, documented)


if __name__ == "__main__":
    peers.main()
