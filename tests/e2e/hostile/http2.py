"""HTTP/2 by hand over TLS, for what no gRPC library would send: half a message, a window of nothing, floods of frames."""

import base64
import select
import struct
import time

import speaker

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
INITIAL_WINDOW_SIZE = 4


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def _length(size):
    """A length in HPACK: seven bits, then more of them."""
    if size < 127:
        return bytes([size])
    out, size = bytearray([127]), size - 127
    while size >= 128:
        out.append(size % 128 + 128)
        size //= 128
    return bytes(out + bytes([size]))


def header_block(headers):
    """Headers in HPACK, none of them indexed."""
    return b"".join(b"\0" + _length(len(name)) + name + _length(len(value)) + value for name, value in headers)


def message(payload):
    """A gRPC message, not compressed."""
    return b"\0" + struct.pack(">I", len(payload)) + payload


class Connection:
    """A connection as `who`. Nothing is read unless asked for."""

    def __init__(self, who, address, settings=()):
        self.tls = speaker.tls_connect(address, who)
        self.closed, self.received, self.inbox = False, [], b""
        self.send(PREFACE + frame(SETTINGS, payload=b"".join(struct.pack(">HI", *setting) for setting in settings)))

    def send(self, data):
        """Whether it could be sent: False when the other end is gone."""
        if self.closed:
            return False
        try:
            self.tls.sendall(data)
        except OSError:
            self.closed = True
        return not self.closed

    def open(self, stream, path, metadata):
        headers = [(b":method", b"POST"), (b":scheme", b"https"), (b":path", path.encode()), (b":authority", b"peer"),
                   (b"te", b"trailers"), (b"content-type", b"application/grpc")]
        for key, value in metadata:
            raw = base64.b64encode(value).rstrip(b"=") if isinstance(value, bytes) else value.encode()
            headers.append((key.encode(), raw))
        return self.send(frame(HEADERS, END_HEADERS, stream, header_block(headers)))

    def read(self, seconds=0.0):
        """Takes in what comes within `seconds`; frames as (kind, flags, stream, payload)."""
        end = time.monotonic() + seconds
        while not self.closed:
            waiting = self.tls.pending() or select.select([self.tls], [], [], max(0, end - time.monotonic()))[0]
            if not waiting:
                break
            try:
                data = self.tls.recv(1 << 16)
            except OSError:
                data = b""
            self.closed = not data
            self.inbox += data
            self._split()
        return self.received

    def _split(self):
        while len(self.inbox) >= 9:
            size = int.from_bytes(self.inbox[:3], "big")
            if len(self.inbox) < 9 + size:
                return
            kind, flags, stream = self.inbox[3], self.inbox[4], int.from_bytes(self.inbox[5:9], "big")
            self.received.append((kind, flags, stream, self.inbox[9:9 + size]))
            self.inbox = self.inbox[9 + size:]

    def has_ended(self, stream):
        """Whether the other end ended the stream, or the connection with it."""
        self.read()
        return self.closed or any(kind == RST_STREAM and at == stream or kind == GOAWAY or
                                  kind == HEADERS and at == stream and flags & END_STREAM
                                  for kind, flags, at, _ in self.received)

    def close(self):
        self.tls.close()
