"""Trust stores as bytes: PEM bundles, Java's JKS, and the names OpenSSL gives to files of a directory. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable

# "TRUSTED CERTIFICATE" (OpenSSL's own, with its conditions behind it) is left out: without them it says something else.
_BLOCK = re.compile(
    rb"-----BEGIN (?:X509 )?CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END (?:X509 )?CERTIFICATE-----"
)
_COLUMNS = 64
_JKS_MAGIC = bytes.fromhex("feedfeed")
_JKS_VERSION = 2
_TRUSTED = 2
# What every JVM opens its own store with (keytool(1)); it protects nothing, the entries are public.
_PASSWORD = "changeit".encode("utf-16-be")
_SALT = b"Mighty Aphrodite"
# Tags of a name's texts whose bytes are UTF-8 already: UTF8String, PrintableString, IA5String.
_TEXTS = {0x0C, 0x13, 0x16}
_SEQUENCE, _SET, _VERSION = 0x30, 0x31, 0xA0


def certificates(text: bytes) -> tuple[bytes, ...]:
    """The DER of each certificate in a PEM text, once, in order; whatever else is in it is passed over."""
    found = dict[bytes, None]()
    for body in _BLOCK.findall(text):
        try:
            der = base64.b64decode(b"".join(body.split()), validate=True)
        except binascii.Error:
            continue
        if der[:1] == bytes([_SEQUENCE]):
            found[der] = None
    return tuple(found)


def pem(ders: Iterable[bytes]) -> str:
    """`ders` as one PEM text, each once."""
    lines = list[str]()
    for der in dict.fromkeys(ders):
        text = base64.b64encode(der).decode()
        rows = (text[at : at + _COLUMNS] for at in range(0, len(text), _COLUMNS))
        lines += ["-----BEGIN CERTIFICATE-----", *rows, "-----END CERTIFICATE-----"]
    return "\n".join((*lines, ""))


def subject_hash(der: bytes) -> str:
    """The eight digits under which OpenSSL looks for the certificate in a directory (X509_NAME_hash(3)).

    Raises:
        ValueError: no certificate, or its subject has texts that are not UTF8String, PrintableString or IA5String.
    """
    fields = _members(_members(_members(der)[0][1])[0][1])
    # version (where given), serial number, algorithm, issuer, validity, subject
    subject = fields[5 if fields[0][0] == _VERSION else 4][1]
    canonical = b""
    for _, names in _members(subject):
        attributes = (_canonical(attribute) for _, attribute in _members(names))
        canonical += _encoded(_SET, b"".join(attributes))
    return hashlib.sha1(canonical, usedforsecurity=False).digest()[3::-1].hex()


def _canonical(attribute: bytes) -> bytes:
    (kind, name), (tag, value) = _members(attribute)
    if tag not in _TEXTS:
        raise ValueError(f"a subject's text of type {tag:#x}")
    # Letters of ASCII alone, as OpenSSL has it.
    plain = b" ".join(value.lower().split())
    return _encoded(_SEQUENCE, _encoded(kind, name) + _encoded(0x0C, plain))


def _members(der: bytes) -> list[tuple[int, bytes]]:
    """(tag, content) of each element (X.690, lengths of up to four bytes)."""
    found, at = list[tuple[int, bytes]](), 0
    while at < len(der):
        if at + 2 > len(der):
            raise ValueError("not DER")
        tag, size, start = der[at], der[at + 1], at + 2
        if size & 0x80:
            width = size & 0x7F
            if not 0 < width <= 4:
                raise ValueError("not DER")
            size, start = int.from_bytes(der[start : start + width]), start + width
        at = start + size
        if at > len(der):
            raise ValueError("not DER")
        found.append((tag, der[start:at]))
    if not found:
        raise ValueError("not DER")
    return found


def _encoded(tag: int, content: bytes) -> bytes:
    size = len(content)
    width = (size.bit_length() + 7) // 8
    length = bytes([size]) if size < 0x80 else bytes([0x80 | width]) + size.to_bytes(width)
    return bytes([tag]) + length + content


def jks(ders: Iterable[bytes]) -> bytes:
    """A Java key store with `ders` as trusted certificates, in the form that every version reads (JKS, version 2)."""
    every = tuple(dict.fromkeys(ders))
    data = _JKS_MAGIC + _JKS_VERSION.to_bytes(4) + len(every).to_bytes(4)
    for index, der in enumerate(every):
        alias = f"sluicegate-{index}".encode()
        # The date of an entry means nothing here, and the same certificates are the same bytes.
        data += _TRUSTED.to_bytes(4) + len(alias).to_bytes(2) + alias + bytes(8)
        data += b"\0\5X.509" + len(der).to_bytes(4) + der
    return data + hashlib.sha1(_PASSWORD + _SALT + data, usedforsecurity=False).digest()


def read_jks(data: bytes) -> tuple[bytes, ...] | None:
    """The trusted certificates of a Java key store; None: another format, or damaged, or with keys in it."""
    if data[:8] != _JKS_MAGIC + _JKS_VERSION.to_bytes(4):
        return None
    at, found = 12, list[bytes]()
    for _ in range(int.from_bytes(data[8:12])):
        if int.from_bytes(data[at : at + 4]) != _TRUSTED:
            return None
        at += 6 + int.from_bytes(data[at + 4 : at + 6]) + 8
        at += 2 + int.from_bytes(data[at : at + 2])
        size = int.from_bytes(data[at : at + 4])
        found.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    # The digest at the end is all that is left, whatever its password was.
    return tuple(found) if at + 20 == len(data) else None
