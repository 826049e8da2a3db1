"""Speaks the wire protocol to a mesh port: streams of raw bytes over gRPC, what refused them, and TLS below them."""

import atexit
import glob
import hashlib
import importlib
import os
import queue
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import warnings

import identity
import peers

LINK, CALL, BLOCKS = "/panal.v1.PeerObject/Link", "/panal.v1.PeerObject/Call", "/panal.v1.FileObject/Blocks"
JOIN = "/panal.v1.PeerObject/Join"


def make_stubs():
    """Python's classes of proto/panal/v1, once a program. gRPC's plugin is not needed: the streams here are of bytes."""
    if "panal.v1" in sys.modules:
        return
    folder = tempfile.mkdtemp(prefix="panal-stubs-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    subprocess.run([peers.tool("protoc"), "-I", os.path.join(peers.ROOT, "proto"), f"--python_out={folder}",
                    *glob.glob(os.path.join(peers.ROOT, "proto", "panal", "v1", "*.proto"))], check=True)
    sys.path.insert(0, folder)
    pb2("frames")


def pb2(name):
    """A module of the stubs: `frames`, `peer_object`, `file_object`, `search_object`, `errors`."""
    return importlib.import_module(f"panal.v1.{name}_pb2")


def split(address):
    host, port = address.rsplit(":", 1)
    return host, int(port)


def tls_context(who, version=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    if version is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Of old versions: to see them refused is the point.
            context.minimum_version = context.maximum_version = version
        context.set_ciphers("ALL:@SECLEVEL=0")
    if who is not None:
        context.load_cert_chain(who.certificate_path, who.path)
    return context


def tls_connect(address, who, version=None, seconds=peers.PATIENCE):
    """A TLS connection, with the certificate of `who` (None: without)."""
    raw = socket.create_connection(split(address), timeout=seconds)
    try:
        return tls_context(who, version).wrap_socket(raw, server_hostname="peer")
    except BaseException:
        raw.close()
        raise


def certificate_of(address, who):
    """The certificate that a peer shows, in PEM."""
    with tls_connect(address, who) as connection:
        return ssl.DER_cert_to_PEM_cert(connection.getpeercert(True)).encode()


class Refusal:
    """How a stream ended: gRPC's code, the typed reason (empty: none), the words, and whether it had been open."""

    def __init__(self, error, opened):
        self.code, self.words, self.opened, self.reason = error.code().name, error.details() or "", opened, ""
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                info = pb2("errors").ErrorInfo()
                info.ParseFromString(pb2("errors").Status.FromString(value).details[0].value)
                self.reason = info.reason

    def __repr__(self):
        return f"{self.code} {self.reason or '(no reason)'}: {self.words[:120]}"


class Stream:
    """One bidirectional stream of bytes. What comes is read on a thread, unless `reads` is false."""

    def __init__(self, call, outgoing, reads=True):
        self.call, self.outgoing, self.frames = call, outgoing, queue.Queue()
        self.refusal, self.ended = None, threading.Event()
        self.on_bytes = None
        if reads:
            threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        import grpc
        opened = False
        try:
            opened = bool(self.call.initial_metadata())
            for message in self.call:
                if self.on_bytes is None or not self.on_bytes(message):
                    self.frames.put(message)
        except grpc.RpcError as error:
            self.refusal = Refusal(error, opened)
        self.ended.set()

    def send(self, message):
        self.outgoing.put(message)

    def half_close(self):
        self.outgoing.put(None)

    def cancel(self):
        self.call.cancel()
        self.outgoing.put(None)

    def metadata(self):
        return {key: value for key, value in self.call.initial_metadata()}

    def next(self, seconds=peers.PATIENCE):
        """The next message; fails when the stream ends before or is silent."""
        return peers.wait_for(self._poll, "a message comes", seconds, 0.01)[0]

    def _poll(self):
        try:
            return (self.frames.get_nowait(),)
        except queue.Empty:
            if self.ended.is_set() and self.frames.empty():
                raise AssertionError(f"the stream ended with {self.refusal}") from None
            return None

    def wait_refused(self, seconds=peers.PATIENCE):
        """How the stream ended; fails when it does not."""
        if not self.ended.wait(seconds):
            raise AssertionError(f"the stream is open after {seconds} s")
        return self.refusal


class Speaker:
    """A connection to one mesh port as `who`, with what is shown on its streams."""

    def __init__(self, who, address, mesh_id=None, credential=None, certificate=None):
        import grpc
        self.who, self.address = who, address
        self.mesh_id, self.credential = mesh_id, credential
        certificate = certificate or certificate_of(address, who)
        credentials = grpc.ssl_channel_credentials(certificate, who.key_pem, who.certificate_pem)
        self.peer_text = self._name_in(certificate)
        self.channel = grpc.secure_channel(address, credentials, options=[
            ("grpc.ssl_target_name_override", self.peer_text), ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)])

    @staticmethod
    def _name_in(certificate):
        done = subprocess.run([peers.tool("openssl"), "x509", "-noout", "-subject", "-nameopt", "multiline"],
                              input=certificate, capture_output=True, check=True)
        return done.stdout.decode().rsplit("= ", 1)[1].strip()

    def shown(self, **changed):
        """Metadata of a stream. `mesh` and `credential` replace what the speaker has; None leaves one out."""
        mesh = changed.get("mesh", identity.text_of(self.mesh_id) if self.mesh_id else None)
        credential = changed.get("credential", self.credential)
        return ([("panal-mesh", mesh)] if mesh is not None else []) + (
            [("panal-credential-bin", credential)] if credential is not None else [])

    def open(self, method, reads=True, metadata=None, **changed):
        outgoing = queue.Queue()
        call = self.channel.stream_stream(method)(iter(outgoing.get, None), wait_for_ready=False,
                                                  metadata=self.shown(**changed) if metadata is None else metadata)
        return Stream(call, outgoing, reads)

    def unary(self, method, request=b"", metadata=(), seconds=peers.PATIENCE):
        """The answer in bytes, or a Refusal. Asks again while the door is busy with others that came before."""
        def answered():
            answer = self.unary_once(method, request, metadata, seconds)
            busy = isinstance(answer, Refusal) and answer.reason == "OVERLOADED"
            return None if busy else (answer,)  # An answer may be empty.

        return peers.wait_for(answered, f"the door is free for {method}", seconds)[0]

    def unary_once(self, method, request=b"", metadata=(), seconds=peers.PATIENCE):
        import grpc
        try:
            return self.channel.unary_unary(method)(request, metadata=metadata, timeout=seconds)
        except grpc.RpcError as error:
            return Refusal(error, False)

    def join(self, ticket, chain=None, proof=None, public_key=None, patient=True):
        """A credential for a ticket, or a Refusal."""
        request = pb2("peer_object").JoinRequest(
            ticket=ticket.chain if chain is None else chain,
            public_key=self.who.public if public_key is None else public_key,
            proof=ticket.proof(self.who.id, identity.raw_of(self.peer_text)) if proof is None else proof)
        answer = (self.unary if patient else self.unary_once)(JOIN, request.SerializeToString())
        return answer if isinstance(answer, Refusal) else pb2("peer_object").JoinResponse.FromString(answer).credential

    def link(self, hello=None):
        """A link that said its Hello."""
        link = Link(self.open(LINK))
        link.send(hello=hello or Link.hello())
        return link

    def close(self):
        self.channel.close()


class Link:
    """Frames over a Link stream. Acknowledges what an honest neighbor would, so that it stays one."""

    def __init__(self, stream):
        self.stream, self.greeted, self.accepted = stream, threading.Event(), threading.Event()
        # Answers that came, by bubble; what each cast that comes is answered with, besides that it was visited.
        self.answers, self.answer = {}, None
        stream.on_bytes = self._on_bytes

    @staticmethod
    def hello(addresses=(), low=1, high=1, **fields):
        return pb2("frames").Hello(protocol_min=low, protocol_max=high, capacity=1, addresses=addresses,
                                   version="hostile", **fields)

    def _on_bytes(self, message):
        frame = pb2("frames").LinkFrame.FromString(message)
        kind = frame.WhichOneof("frame")
        if kind == "hello":
            self.greeted.set()
        elif kind == "measure":
            self.send(measure_ack=pb2("frames").MeasureAck(sequence=frame.measure.sequence))
        elif kind in ("join", "neighbor_ask"):
            self.send(neighbor_reply=pb2("frames").NeighborReply(accepted=True))
        elif kind == "neighbor_reply" and frame.neighbor_reply.accepted:
            self.accepted.set()
        elif kind == "cast":
            self.send(answer=self._answer_to(frame.cast))
        elif kind == "answer" and frame.answer.final:
            self.answers[frame.answer.bubble_id] = frame.answer
        return True

    def _answer_to(self, cast):
        answer = pb2("frames").Answer(bubble_id=cast.bubble_id, begin=cast.begin, final=True, visited=1)
        if self.answer is not None:
            self.answer(cast, answer)
        return answer

    def send(self, **frame):
        self.stream.send(pb2("frames").LinkFrame(**frame).SerializeToString())

    def become_neighbor(self):
        """Confirms the Hello, tells no facts, joins; returns itself as a neighbor."""
        self._wait(self.greeted, "the Hello is answered")
        self.stream.send(b"")
        self.send(fact_digest=pb2("frames").FactDigest(count=0, names_hash=hashlib.sha256().digest()))
        self.send(join=pb2("frames").Join())
        self._wait(self.accepted, "the Join is accepted")
        return self

    def _wait(self, event, what):
        peers.wait_for(lambda: event.is_set() or self.stream.ended.is_set(), what, every=0.01)
        if not event.is_set():
            raise AssertionError(f"not so: {what}; the link ended with {self.stream.refusal}")

    def flush(self):
        """Everything that was sent is on its way: nothing waits in the queue of this end."""
        peers.wait_for(lambda: self.stream.outgoing.empty() or self.stream.ended.is_set(), "what was sent is taken", every=0.005)

    def answer_to(self, bubble_id):
        """The final answer to a cast."""
        return peers.wait_for(lambda: self.answers.get(bubble_id), f"a cast is answered ({self.stream.refusal})", every=0.01)

    def wait_refused(self, seconds=peers.PATIENCE):
        return self.stream.wait_refused(seconds)

    def cancel(self):
        self.stream.cancel()
