"""WebSocket (RFC 6455): the handshake's two heads, and frames as they come. Pure.

No extension is ever agreed on, so every frame can be read, and each is checked before any of it is passed on.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import enum
import hashlib
import re
from dataclasses import dataclass

from sluicegate.wire.cursor import WireError
from sluicegate.wire.http import Framing, Headers, Request, Response

PROTOCOL = "websocket"
VERSION = "13"
KEY_BYTES = 16  # of the nonce, section 4.1
# What a server appends to the key before it hashes, section 1.3.
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MASK_BYTES = 4
MAX_HEAD_BYTES = 14  # two, eight of the length, and the mask
MAX_CONTROL_BYTES = 125  # section 5.5
_LEAST_16, _LEAST_64 = (
    126,
    65_536,
)  # lengths that need 16 and 64 bits; section 5.2 wants the shortest
# Codes that may stand in a close frame: section 7.4, and IANA's registry as far as it goes on.
_CODES = frozenset((1000, 1001, 1002, 1003, *range(1007, 1015)))
_FREE_CODES = range(3000, 5000)
PROTOCOL_ERROR, POLICY_VIOLATION = 1002, 1008
_UTF8 = codecs.getincrementaldecoder("utf-8")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_PREFIX = "sec-websocket-"
_KEY, _EXTENSIONS = f"{_PREFIX}key", f"{_PREFIX}extensions"
_VERSION, _SUBPROTOCOL = f"{_PREFIX}version", f"{_PREFIX}protocol"


class Opcode(enum.IntEnum):
    """Kinds of frames, section 5.2."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10

    @property
    def control(self) -> bool:
        """Whether it may stand between the frames of a message."""
        return self >= Opcode.CLOSE


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame's head; `key` is its mask, empty where there is none."""

    opcode: Opcode
    fin: bool
    length: int
    key: bytes = b""


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the payload of `frame`, unmasked, from the byte `at` on. Control frames come whole."""

    frame: Frame
    payload: bytes
    at: int

    @property
    def begins(self) -> bool:
        return not self.at

    @property
    def head_bytes(self) -> int:
        """Those of the frame's head, of its first part alone."""
        return len(write_head(self.frame)) if self.begins else 0

    @property
    def ends(self) -> bool:
        return self.at + len(self.payload) == self.frame.length


def check_offer(request: Request) -> None:
    """Nothing, if `request` asks for a WebSocket as section 4.1 has it.

    Raises:
        WireError: it is another request to some servers.
    """
    if request.method != "GET" or not request.version_minor or request.framing is not Framing.NONE:
        raise WireError("a WebSocket is asked for by GET of HTTP/1.1 without a body")
    keys, versions = _all(request.headers, _KEY), _all(request.headers, _VERSION)
    if len(keys) != 1 or not _is_key(keys[0]):
        raise WireError(f"Sec-WebSocket-Key is not base64 of {KEY_BYTES} bytes, once")
    if versions != [VERSION]:
        raise WireError(f"Sec-WebSocket-Version is not {VERSION}, once")
    names = _subprotocols(request.headers)
    if len(set(names)) != len(names) or not all(map(_TOKEN.fullmatch, names)):
        raise WireError("Sec-WebSocket-Protocol is not a list of different names")


def offer(headers: Headers) -> Headers:
    """`headers` of a request without those of the handshake that a server must not see, extensions before all.

    `permessage-deflate` would make frames that can not be read without unpacking what anybody may have packed.
    """
    own = {_KEY, _VERSION, _SUBPROTOCOL}
    return tuple(
        (name, value)
        for name, value in headers
        if not name.lower().replace("_", "-").startswith(_PREFIX) or name.lower() in own
    )


def check_answer(request: Request, response: Response) -> None:
    """Nothing, if the 101 of `response` is the answer to the WebSocket of `request`.

    Raises:
        WireError: it is not, or it agrees to what was not offered (section 4.1, what a client must check).
    """
    headers = response.headers
    options = ",".join(_all(headers, "connection")).lower().split(",")
    upgrade = [value.lower() for value in _all(headers, "upgrade")]
    if upgrade != [PROTOCOL] or "upgrade" not in map(str.strip, options):
        raise WireError("a 101 that does not say it is a WebSocket")
    (key,) = _all(request.headers, _KEY)
    if _all(headers, f"{_PREFIX}accept") != [accept(key)]:
        raise WireError("Sec-WebSocket-Accept is not the answer to the key")
    if _all(headers, _EXTENSIONS):
        raise WireError("an extension of WebSocket that was not offered")
    chosen = _all(headers, _SUBPROTOCOL)
    if len(chosen) > 1 or not set(chosen) <= set(_subprotocols(request.headers)):
        raise WireError("a Sec-WebSocket-Protocol that was not offered")


def accept(key: str) -> str:
    """The Sec-WebSocket-Accept for `key`, section 4.2.2."""
    digest = hashlib.sha1(key.encode() + _MAGIC, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def masked(data: bytes, key: bytes, at: int) -> bytes:
    """`data`, which stands in its payload from the byte `at` on, with its mask put on or taken off; no key: itself."""
    if not key or not data:
        return data
    turned = key[at % MASK_BYTES :] + key[: at % MASK_BYTES]
    long = turned * (len(data) // MASK_BYTES + 1)
    # One operation on a long number is fifty times as fast as one on each byte.
    mixed = int.from_bytes(data, "little") ^ int.from_bytes(long[: len(data)], "little")
    return mixed.to_bytes(len(data), "little")


def write_head(frame: Frame) -> bytes:
    """The bytes before the payload."""
    first = frame.fin << 7 | frame.opcode
    bit = 128 if frame.key else 0
    if frame.length < _LEAST_16:
        return bytes((first, bit | frame.length)) + frame.key
    if frame.length < _LEAST_64:
        return bytes((first, bit | 126)) + frame.length.to_bytes(2) + frame.key
    return bytes((first, bit | 127)) + frame.length.to_bytes(8) + frame.key


def write_close(code: int, reason: str) -> bytes:
    """A server's close frame; the reason in ASCII, as much of it as there is room for."""
    payload = code.to_bytes(2) + reason.encode("ascii", "replace")[: MAX_CONTROL_BYTES - 2]
    return write_head(Frame(Opcode.CLOSE, True, len(payload))) + payload


def read_head(stream: bytes, *, client: bool) -> tuple[Frame, int] | None:
    """The head that `stream` begins with, of a frame from a `client` or a server, and its size; None: need more.

    Raises:
        WireError: a head that section 5.2 forbids where no extension was agreed on.
    """
    if not stream:
        return None
    fin, number = stream[0] >> 7 == 1, stream[0] & 15
    if stream[0] & 0x70 or number not in _KNOWN:
        raise WireError("a frame with bits or of a kind that nobody has agreed on")
    opcode = Opcode(number)
    if len(stream) < 2:
        return None
    length, size = stream[1] & 127, 2
    if (stream[1] >> 7 == 1) != client:
        raise WireError("a frame without its mask" if client else "a server's frame with a mask")
    if opcode.control and (not fin or length > MAX_CONTROL_BYTES):
        raise WireError("a control frame that is split, or longer than 125 bytes")
    if length >= _LEAST_16:
        size, least = (4, _LEAST_16) if length == _LEAST_16 else (10, _LEAST_64)
        if len(stream) < size:
            return None
        length = int.from_bytes(stream[2:size])
        if length < least or length >> 63:
            raise WireError("a frame whose length is not written as short as can be")
    end = size + MASK_BYTES * client
    if len(stream) < end:
        return None
    return Frame(opcode, fin, length, stream[size:end]), end


@dataclass(slots=True)
class FrameReader:
    """Fed with what a `client` or a server sends after the handshake.

    After a close frame it is `closed`, and drops what follows (section 1.4).
    """

    client: bool
    closed: bool = False
    # Whether a message is under way that has further frames.
    inside: bool = False
    _buffer: bytes = b""
    _frame: Frame | None = None
    _at: int = 0
    _text: codecs.IncrementalDecoder | None = None

    @property
    def begun(self) -> bool:
        """Whether there is part of a frame of which more must come."""
        return bool(self._buffer) or self._frame is not None

    def feed(self, data: bytes) -> list[Part]:
        """The parts of frames that `data` completes or continues, each of them checked.

        Raises:
            WireError: frames that section 5 or 7 forbids, or text that is not UTF-8 (section 8.1).
        """
        parts = list[Part]()
        if self.closed:
            return parts
        data, self._buffer, at = self._buffer + data, b"", 0
        while True:
            if self._frame is None:
                found = read_head(data[at : at + MAX_HEAD_BYTES], client=self.client)
                if found is None:
                    break
                self._frame, size = found
                self._begin(self._frame)
                at += size
            frame = self._frame
            raw = data[at : at + frame.length - self._at]
            missing = len(raw) < frame.length - self._at
            if missing and (frame.opcode.control or not raw):
                break
            at += len(raw)
            part = Part(frame, masked(raw, frame.key, self._at), self._at)
            self._check(part)
            parts.append(part)
            if missing:
                self._at += len(raw)
                break
            self._frame, self._at = None, 0
            if frame.opcode is Opcode.CLOSE:
                self.closed = True
                return parts
        self._buffer = data[at:]
        return parts

    def _begin(self, frame: Frame) -> None:
        if frame.opcode.control:
            return
        if self.inside != (frame.opcode is Opcode.CONTINUATION):
            raise WireError("a message within another one, or the rest of none")
        self.inside = True
        if frame.opcode is not Opcode.CONTINUATION:
            self._text = _UTF8() if frame.opcode is Opcode.TEXT else None

    def _check(self, part: Part) -> None:
        frame = part.frame
        if frame.opcode is Opcode.CLOSE:
            _check_close(part.payload)
        if frame.opcode.control:
            return
        last = frame.fin and part.ends
        try:
            if self._text is not None:
                self._text.decode(part.payload, last)
        except UnicodeDecodeError as error:
            raise WireError("a text that is not UTF-8") from error
        self.inside = not last


_KNOWN = frozenset(Opcode)


def _check_close(payload: bytes) -> None:
    if not payload:
        return
    code = int.from_bytes(payload[:2])
    if len(payload) < 2 or not (code in _CODES or code in _FREE_CODES):
        raise WireError("a close frame without a code that may be sent")
    try:
        payload[2:].decode()
    except UnicodeDecodeError as error:
        raise WireError("a close frame whose reason is not UTF-8") from error


def _is_key(text: str) -> bool:
    try:
        nonce = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return len(nonce) == KEY_BYTES and base64.b64encode(nonce).decode() == text


def _subprotocols(headers: Headers) -> list[str]:
    return [name.strip(" \t") for value in _all(headers, _SUBPROTOCOL) for name in value.split(",")]


def _all(headers: Headers, name: str) -> list[str]:
    return [value for key, value in headers if key.lower() == name]
