#!/usr/bin/python3
"""API tokens: a peer that other machines reach asks for one, its role decides, and answers tell a stranger nothing."""

import http.client
import json
import os
import subprocess
import unittest

import peers
from peers import FAILED, PANAL, USAGE, MeshTest, run_panald, wait_for

try:
    import grpc
except ImportError:
    grpc = None

GET_PEER = "/panal.v1.PeerObject/GetPeer"
LIST_FILES = "/panal.v1.FileObject/ListFiles"
PUT_FILE = "/panal.v1.FileObject/PutFile"
SUBSCRIBE = "/panal.v1.SearchObject/Subscribe"
LIST_MEMBERS = "/panal.v1.PeerObject/ListMembers"
REVOKE = "/panal.v1.PeerObject/Revoke"
LINK = "/panal.v1.PeerObject/Link"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
NO_METHOD = "/panal.v1.PeerObject/Nothing"
NO_SERVICE = "/no.such.Service/Method"
ALL = (GET_PEER, LIST_FILES, PUT_FILE, SUBSCRIBE, LIST_MEMBERS, REVOKE, LINK, REFLECTION, NO_METHOD, NO_SERVICE)


def new_token(role, *arguments):
    done = subprocess.run([PANAL, "token", "new", "--role", role, *arguments], check=True, capture_output=True, text=True)
    return done.stdout


class Refusal(Exception):
    """What a program sees of a refused call, all of it."""

    def __init__(self, error):
        super().__init__(error.details())
        self.code = error.code()
        self.details = error.details()
        self.metadata = tuple((key, value) for key, value in error.trailing_metadata() or ())

    @property
    def seen(self):
        return self.code, self.details, self.metadata

    def has(self, reason):
        return any(key == "grpc-status-details-bin" and reason.encode() in value for key, value in self.metadata)


class Tokens(MeshTest):
    def setUp(self):
        super().setUp()
        if grpc is None:
            self.skipTest("python3-grpcio is not installed; scripts/install-deps test")
        self.tokens = {}

    def token_file(self, *roles):
        path = self.path("tokens")
        with open(path, "w", encoding="utf-8") as file:
            for role in roles:
                line = new_token(role, "--name", "of-" + role)
                self.tokens[role] = line.split()[1]
                file.write("# for the test\n" + line)
        os.chmod(path, 0o600)
        return path

    def guarded(self, **options):
        """A peer that asks for tokens of all three roles."""
        path = self.token_file("read", "write", "admin")
        return self.peer(flags=["--api-token-file", path], **options)

    def call(self, peer, method, role=None, metadata=None, request=b""):
        """Calls without any stub: the bytes of the answer's first message; raises Refusal."""
        if role:
            metadata = [("authorization", "Bearer " + self.tokens.get(role, role))]
        with grpc.insecure_channel(peer.api) as channel:
            answers = channel.stream_stream(method)(iter([request]), metadata=metadata, timeout=peers.PATIENCE)
            try:
                return next(answers, b"")
            except grpc.RpcError as error:
                raise Refusal(error) from None
            finally:
                answers.cancel()

    def refused(self, *arguments, **options):
        with self.assertRaises(Refusal) as caught:
            self.call(*arguments, **options)
        return caught.exception

    def http(self, peer, path, token=None, method="GET"):
        host, port = peer.ready["http"].rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=peers.PATIENCE)
        connection.request(method, path, headers={"Authorization": "Bearer " + token} if token else {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers

    def test_without_tokens_panald_starts_on_loopback_only(self):
        for flag in ("--api-listen", "--http-listen"):
            for address in ("0.0.0.0:0", "[::]:0", "127.example.org:0"):
                done = run_panald("--data-dir", self.path("data"), "--policy", "open", flag, address)
                self.assertEqual(done.returncode, USAGE)
                self.assert_fails(done, "CONFIG_INVALID", flag, address, "--api-token-file", "panal token new")
        self.assertFalse(os.path.exists(self.path("data")))

    def test_a_token_file_that_is_wrong_is_refused_at_the_start(self):
        path = self.token_file("read")
        # What the file holds (None: there is none), its mode, what is said.
        cases = [(new_token("read"), 0o644, "has mode 0644", "chmod 600"), ("", 0o600, "holds no token"),
                 ("#\nread short\n", 0o600, "line 2", "panal token new"), (None, 0, "there is no file")]
        for text, mode, *words in cases:
            os.remove(path)
            if text is not None:
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
                os.chmod(path, mode)
            done = run_panald("--data-dir", self.path("data"), "--policy", "open", "--api-token-file", path)
            self.assertEqual(done.returncode, FAILED)
            self.assert_fails(done, "CONFIG_INVALID", "--api-token-file", path, *words)
        self.assertFalse(os.path.exists(self.path("data")))

    def test_with_tokens_a_peer_may_be_reached_by_others(self):
        peer = self.guarded()
        peer.ports.update(api="0.0.0.0:0", http="0.0.0.0:0")
        peer.start()

        self.assertIn(peer.id.encode(), self.call(peer, GET_PEER, "read"))
        self.assertTrue(self.refused(peer, GET_PEER).has("TOKEN_INVALID"))

    def test_who_has_no_token_gets_one_answer_whatever_he_calls(self):
        peer = self.guarded().start()  # On loopback, where tokens are asked for too.

        missing = {self.refused(peer, method).seen for method in ALL}
        wrong = {self.refused(peer, method, "x" * 52).seen for method in ALL}

        self.assertEqual((len(missing), len(wrong)), (1, 1))
        for seen in (missing, wrong):
            self.assertEqual(next(iter(seen))[0], grpc.StatusCode.UNAUTHENTICATED)
        self.assertTrue(self.refused(peer, GET_PEER, "x" * 52).has("TOKEN_INVALID"))
        read = self.tokens["read"]
        for metadata in ([("authorization", read)], [("authorization", "Basic " + read)], [("x-token", read)],
                         [("authorization", "Bearer " + read), ("authorization", "Bearer " + self.tokens["admin"])]):
            self.assertTrue(self.refused(peer, GET_PEER, metadata=metadata).has("TOKEN_INVALID"), metadata)

    def test_the_role_decides(self):
        peer = self.guarded().start()
        readable, writable = (GET_PEER, LIST_FILES, REFLECTION), (SUBSCRIBE, PUT_FILE)

        low = {self.refused(peer, method, "read").seen for method in ALL if method not in readable}
        self.assertEqual(len(low), 1)
        self.assertEqual(next(iter(low))[0], grpc.StatusCode.PERMISSION_DENIED)
        self.assertTrue(self.refused(peer, PUT_FILE, "read").has("TOKEN_ROLE_TOO_LOW"))
        for method in (LIST_MEMBERS, REVOKE, LINK, NO_METHOD):
            self.assertTrue(self.refused(peer, method, "write").has("TOKEN_ROLE_TOO_LOW"), method)
        for role in ("read", "write", "admin"):
            self.assertIn(peer.id.encode(), self.call(peer, GET_PEER, role))
            self.call(peer, LIST_FILES, role)
        for role in ("write", "admin"):
            # The gate let them through: what refuses them is the object, for an empty request.
            for method in writable:
                self.assertFalse(self.refused(peer, method, role).has("TOKEN_"), method)
            self.assertTrue(self.refused(peer, NO_SERVICE, role).has("METHOD_NOT_FOUND"))
        self.assertTrue(self.refused(peer, NO_METHOD, "admin").has("METHOD_NOT_FOUND"))
        self.call(peer, LIST_MEMBERS, "admin")

    def test_a_token_works_for_objects_of_other_peers_too(self):
        far = self.peer().start()
        near = self.guarded(join=[far.mesh_address]).start()
        wait_for(lambda: far.status()["neighbors"] == 1, "they are linked")
        at = ("panal-object", f"panal://{far.id}/panal.v1.PeerObject/")

        answer = self.call(near, GET_PEER, metadata=[at, ("authorization", "Bearer " + self.tokens["read"])])

        self.assertIn(far.id.encode(), answer)
        self.assertTrue(self.refused(near, GET_PEER, metadata=[at]).has("TOKEN_INVALID"))

    def test_http_asks_for_the_same_tokens_and_says_that_it_lives(self):
        peer = self.guarded().start()

        for path in ("/metrics", "/", "/nothing", "/metrics/../metrics", "/healthz/x"):
            for token in (None, "x" * 52):
                for method in ("GET", "POST"):
                    status, body, headers = self.http(peer, path, token, method)
                    self.assertEqual((status, headers["WWW-Authenticate"]), (401, "Bearer"), path)
                    self.assertNotIn(peer.id, body)
        status, body, _ = self.http(peer, "/healthz")
        self.assertEqual((status, json.loads(body)), (200, {"status": "serving"}))
        for role in ("read", "admin"):
            status, body, _ = self.http(peer, "/metrics", self.tokens[role])
            self.assertEqual(status, 200)
            self.assertIn("panal_overlay_neighbors", body)
            self.assertEqual(json.loads(self.http(peer, "/healthz", self.tokens[role])[1])["peer_id"], peer.id)

    def test_the_command_line_takes_a_token_from_a_file_or_the_environment(self):
        peer = self.guarded().start()
        mine = self.path("mine")
        with open(mine, "w", encoding="utf-8") as file:
            file.write(self.tokens["read"] + "\n")
        os.chmod(mine, 0o600)
        environment = dict(os.environ, PANAL_TOKEN=self.tokens["admin"])

        self.assertIn(peer.id, peer.panal("--token-file", mine, "status").stdout)
        self.assertIn(peer.id, peer.panal("status", env=environment).stdout)
        self.assert_fails(peer.panal("status", code=FAILED), "TOKEN_INVALID", "--token-file FILE", "PANAL_TOKEN")
        self.assert_fails(peer.panal("members", "--token-file", mine, code=FAILED), "TOKEN_ROLE_TOO_LOW",
                          "panal token new --role")
        # The file wins over the environment.
        peer.panal("members", "--token-file", mine, code=FAILED, env=environment)
        peer.panal("members", env=environment)
        # Streams carry it as single calls do.
        shared = peers.random_file(self.path("shared"), 100000)
        peer.panal("add", shared, env=environment)
        self.assertIn("shared", peer.panal("search", "shared", "--token-file", mine, code=None).stdout)
        finding = peer.json("doctor", code=FAILED)[0]
        self.assertIn("--token-file", finding["advice"])
        os.chmod(mine, 0o644)
        self.assert_fails(peer.panal("status", "--token-file", mine, code=USAGE), "CONFIG_INVALID", "chmod 600")
        self.assert_fails(peer.panal("status", code=USAGE, env=dict(os.environ, PANAL_TOKEN="short")), "CONFIG_INVALID",
                          "PANAL_TOKEN")

    def test_new_tokens_are_random_and_checked(self):
        lines = {new_token("write", "--name", "ci") for _ in range(20)}
        self.assertEqual(len(lines), 20)
        for line in lines:
            self.assertRegex(line, r"\Awrite [a-z2-7]{52} ci\n\Z")
        self.assertRegex(new_token("read"), r"\Aread [a-z2-7]{52}\n\Z")
        for arguments in (["new"], ["new", "--role", "owner"], ["old", "--role", "read"], ["new", "--role", "read", "--name", "a b"]):
            done = subprocess.run([PANAL, "token", *arguments], capture_output=True, text=True)
            self.assertEqual(done.returncode, USAGE, arguments)

    def test_nothing_that_is_logged_shows_a_token(self):
        peer = self.guarded().start()
        self.call(peer, GET_PEER, "read")
        self.refused(peer, REVOKE, "read")
        self.refused(peer, REVOKE, "y" * 52)

        self.assertIn("api_call_refused", peer.log())
        for secret in (*self.tokens.values(), "y" * 52):
            self.assertNotIn(secret, peer.log())


if __name__ == "__main__":
    peers.main()
