"""Keys, certificates, credentials, tickets and facts, made from docs/protocol/admission.md alone.

Nothing here is linked to Panal: keys and certificates come from the `openssl` command, signatures from libcrypto. So what
a hostile peer shows is what the document allows it to make up.
"""

import base64
import ctypes
import ctypes.util
import hashlib
import os
import struct
import subprocess

import peers

READER, MEMBER, INVITER, ADMIN = 1, 2, 3, 4
TICKET_BIT = 0x80
DAY = 86400
SPKI = bytes.fromhex("302a300506032b6570032100")
ED25519 = 1087  # NID_ED25519 of OpenSSL.

_crypto = ctypes.CDLL(ctypes.util.find_library("crypto") or "libcrypto.so.3")
for _name in ("EVP_PKEY_new_raw_private_key", "EVP_MD_CTX_new"):
    getattr(_crypto, _name).restype = ctypes.c_void_p


def id_of(public_key):
    return hashlib.sha256(SPKI + public_key).digest()


def text_of(raw):
    """An id as people see it."""
    return base64.b32encode(raw).decode().lower().rstrip("=")


def raw_of(text):
    """The bytes of base32 as this project writes it."""
    return base64.b32decode(text.upper() + "=" * (-len(text) % 8))


def sign(seed, message):
    """Ed25519 by OpenSSL: thousands of signatures a second, which a process for each would not give."""
    key = ctypes.c_void_p(_crypto.EVP_PKEY_new_raw_private_key(ED25519, None, seed, ctypes.c_size_t(32)))
    context = ctypes.c_void_p(_crypto.EVP_MD_CTX_new())
    signature, size = ctypes.create_string_buffer(64), ctypes.c_size_t(64)
    good = (_crypto.EVP_DigestSignInit(context, None, None, None, key) == 1 and
            _crypto.EVP_DigestSign(context, signature, ctypes.byref(size), message, ctypes.c_size_t(len(message))) == 1)
    _crypto.EVP_MD_CTX_free(context)
    _crypto.EVP_PKEY_free(key)
    if not good:
        raise AssertionError("OpenSSL did not sign")
    return signature.raw


def openssl(*arguments):
    return subprocess.run([peers.tool("openssl"), *arguments], check=True, capture_output=True).stdout


class Key:
    """An Ed25519 key in a PEM file; made where there is none."""

    def __init__(self, path):
        self.path = path
        if not os.path.exists(path):
            openssl("genpkey", "-algorithm", "ED25519", "-out", path)
        self.seed = openssl("pkey", "-in", path, "-outform", "DER")[-32:]
        self.public = openssl("pkey", "-in", path, "-pubout", "-outform", "DER")[-32:]
        self.id = id_of(self.public)

    @property
    def text(self):
        return text_of(self.id)

    def sign(self, label, *parts):
        return sign(self.seed, label.encode() + b"\0" + b"".join(parts))


class Identity(Key):
    """A key with the certificate that belongs to it, or one that names another peer (`claims`)."""

    def __init__(self, folder, name, claims=None):
        super().__init__(os.path.join(folder, name + ".key"))
        self.certificate_path = os.path.join(folder, name + ".pem")
        named = claims or self.text
        config = os.path.join(folder, name + ".cnf")
        with open(config, "w", encoding="utf-8") as file:
            file.write("[req]\ndistinguished_name=dn\nx509_extensions=ext\nprompt=no\n"
                       f"[dn]\nCN={named}\n[ext]\nbasicConstraints=critical,CA:FALSE\nsubjectAltName=DNS:{named}\n")
        openssl("req", "-x509", "-new", "-key", self.path, "-out", self.certificate_path, "-days", "3650", "-config", config)
        with open(self.path, "rb") as file:
            self.key_pem = file.read()
        with open(self.certificate_path, "rb") as file:
            self.certificate_pem = file.read()


def grant(mesh_id, issuer, subject, role, not_before, not_after, serial=None):
    """A grant of `issuer` (a Key) to the public key `subject`."""
    body = subject + struct.pack(">BQQ", role, int(not_before), int(not_after)) + (serial or os.urandom(16))
    return body + issuer.sign("panal grant v1", mesh_id, body)


def chain(root_public, *grants):
    return bytes([1, 2]) + root_public + bytes([len(grants)]) + b"".join(grants)


def grants_of(some_chain):
    """The grants of a chain."""
    return [some_chain[35 + 129 * i:35 + 129 * (i + 1)] for i in range(some_chain[34])]


def open_credential(mesh_id, key):
    """What lets `key` into an open mesh."""
    return bytes([1, 1]) + key.public + key.sign("panal open credential v1", mesh_id, key.id)


class Ticket:
    """A ticket as its line says it."""

    def __init__(self, line):
        raw = raw_of(line.strip()[len("panal1-"):])
        size = raw[1]
        self.mesh = raw[2:2 + size].decode()
        at = 2 + size
        chain_size = 35 + 129 * raw[at + 34]
        self.chain = raw[at:at + chain_size]
        at += chain_size
        self.seed = raw[at:at + 32]
        at += 32
        self.contacts = []
        count, at = raw[at], at + 1
        for _ in range(count):
            length = raw[at + 32]
            self.contacts.append((raw[at:at + 32], raw[at + 33:at + 33 + length].decode()))
            at += 33 + length
        self.mesh_id = id_of(self.chain[2:34])

    def proof(self, asker, asked):
        """That `asker` (32 bytes) has this ticket, for `asked` alone."""
        return sign(self.seed, b"panal join v1\0" + self.mesh_id + asker + asked)


def ticket_line(mesh_name, some_chain, seed, contacts):
    """A ticket in text; nothing is checked, so that it may say what none should."""
    name = mesh_name if isinstance(mesh_name, bytes) else mesh_name.encode()
    raw = bytes([1, len(name)]) + name + some_chain + seed + bytes([len(contacts)])
    for peer_id, address in contacts:
        raw += peer_id + bytes([len(address)]) + address.encode()
    return "panal1-" + text_of(raw + hashlib.sha256(raw).digest()[:4])


def fact(mesh_id, kind, signer_chain, signer, time_s, body):
    """A fact said by `signer` (a Key)."""
    raw = bytes([1, kind]) + signer_chain + struct.pack(">Q", int(time_s)) + body
    return raw + signer.sign("panal fact v1", mesh_id, raw)


def revocation_of(peer_id, cascade=True, reason=b"hostile"):
    return bytes([1]) + peer_id + bytes([1 if cascade else 0]) + struct.pack(">H", len(reason)) + reason
