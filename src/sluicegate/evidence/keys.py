"""Ed25519 keys as text. Pure: files are read and written by the caller, dice are arguments.

The private and the public text are the published ones, of two lines. A private key under a passphrase is one of ours:

    sluicegate-ed25519-encrypted-v1
    scrypt n=131072 r=8 p=1 salt=BASE64
    aes-256-gcm nonce=BASE64 public=HEX
    BASE64

The salt has 16 bytes, the nonce 12, the public key 64 lower-case digits; the last line is the seed's 32 bytes encrypted
and the tag's 16. scrypt (RFC 7914) of the passphrase's bytes makes the AES key of 32 bytes; the first three lines, each
with its line feed, are the associated data. Base64 is the standard one with padding, and canonical.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.modes import GCM

PRIVATE = "pipelock-ed25519-private-v1"
PUBLIC = "pipelock-ed25519-public-v1"
ENCRYPTED = "sluicegate-ed25519-encrypted-v1"
KEY_BYTES, SIGNATURE_BYTES = 32, 64
SEED_BYTES, SECRET_BYTES = 32, 64  # libsodium keeps the public half with the seed
SALT_BYTES, NONCE_BYTES, TAG_BYTES = 16, 12, 16
# Memory is 128 * n * r bytes: 128 MiB and a third of a second for ours. Whoever wrote a file decides what reading it
# costs, so 256 MiB is the most we spend; below 16 MiB guessing would be too cheap to call it encrypted.
SCRYPT_N, SCRYPT_R, SCRYPT_P = 1 << 17, 8, 1
MIN_SCRYPT_N, MAX_SCRYPT_N = 1 << 14, 1 << 18

# What may be overwritten is better; what can not be is taken too.
Secret = bytes | bytearray | memoryview

_DIGITS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
# As text, which the library compiles at the first use: a run with no key from outside reads none.
_PRIVATE_TEXT = rb"\s*" + PRIVATE.encode() + rb"[ \t]*\r?\n[ \t]*([A-Za-z0-9+/]{86})==\s*"
_PRIVATE_HEAD = rb"\s*" + PRIVATE.encode() + rb"\s"
_ENCRYPTED_HEAD = ENCRYPTED.encode() + rb"\s"
_ENCRYPTED_TEXT = (
    rf"{ENCRYPTED}\n"
    r"scrypt n=([1-9][0-9]{4,5}) r=8 p=1 salt=([A-Za-z0-9+/]{22}==)\n"
    r"aes-256-gcm nonce=([A-Za-z0-9+/]{16}) public=([0-9a-f]{64})\n"
    r"([A-Za-z0-9+/]{64})\n"
)


class KeyTextError(Exception):
    """The text is not a key that we can read; `hint` is the remedy where there is one of its own."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Signer:
    """Signs with a key that it alone holds: calls give the 64 bytes of a signature (RFC 8032, Ed25519).

    The key is in memory of ours, kept from the swap where the kernel allows that, until `forget`. Not in an object of
    a library, which nothing could overwrite; libsodium also signs in two thirds of OpenSSL's time, and is loaded in a
    tenth of it.
    """

    __slots__ = ("_ffi", "_half", "_key", "_lib", "public")

    def __init__(self, seed: Secret | None) -> None:
        """Take the key of `seed`, or make one that nobody else ever held; `public`: its public half, 64 hex digits.

        Raises:
            ValueError: a seed that is not of 32 bytes.
        """
        # The package's own calls want a key as `bytes`, and take a tenth of a start to import.
        from nacl._sodium import ffi, lib

        if seed is not None and len(seed) != SEED_BYTES:
            raise ValueError(f"want a seed of {SEED_BYTES} bytes, got {len(seed)}")
        public, key = bytearray(KEY_BYTES), bytearray(SECRET_BYTES)
        halves = (ffi.from_buffer(public), ffi.from_buffer(key))
        lib.sodium_mlock(halves[1], SECRET_BYTES)
        if seed is None:
            lib.crypto_sign_keypair(*halves)
        else:
            lib.crypto_sign_seed_keypair(*halves, ffi.from_buffer(seed))
        self._key: bytearray | None = key
        self._ffi, self._lib, self._half = ffi, lib, halves[1]
        self.public = public.hex()

    def __call__(self, message: bytes) -> bytes:
        """The signature over `message`.

        Raises:
            RuntimeError: the key is forgotten.
        """
        if self._key is None:
            raise RuntimeError("the key is forgotten")
        ffi = self._ffi
        signed = ffi.new("unsigned char[]", SIGNATURE_BYTES + len(message))
        self._lib.crypto_sign(signed, ffi.NULL, message, len(message), self._half)
        return bytes(ffi.buffer(signed, SIGNATURE_BYTES))

    def forget(self) -> None:
        """Overwrite the key: nothing can be signed any more."""
        if self._key is not None:
            wipe(self._key)
            self._key = None


def signer(seed: Secret) -> tuple[Signer, str]:
    """A signing function, and the public key as 64 hex digits, of a 32-byte seed."""
    sign = Signer(seed)
    return sign, sign.public


def wipe(secret: Secret) -> None:
    """Overwrite `secret` with zeros, if it is memory that can be written."""
    if isinstance(secret, bytearray) or (isinstance(secret, memoryview) and not secret.readonly):
        secret[:] = bytes(len(secret))


def verifies(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` over `message` was made by the holder of `public` (RFC 8032, Ed25519).

    libsodium refuses keys and nonces of small order too, which can sign for several messages at once.
    """
    if len(public) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    opened, failure = _opener()
    try:
        opened(signature + message, public)
    except failure:
        return False
    return True


@functools.cache
def _opener() -> tuple[Callable[[bytes, bytes], bytes], type[Exception]]:
    # Late: a run that only signs loads no second library.
    from nacl.bindings import crypto_sign_open
    from nacl.exceptions import BadSignatureError

    return crypto_sign_open, BadSignatureError


def write_private(seed: bytes) -> str:
    """The two-line private key text."""
    public = bytes.fromhex(signer(seed)[1])
    return f"{PRIVATE}\n{base64.b64encode(seed + public).decode()}\n"


def write_public(public: bytes) -> str:
    """The two-line public key text."""
    return f"{PUBLIC}\n{base64.b64encode(public).decode()}\n"


def write_encrypted(
    seed: bytes, passphrase: Secret, salt: bytes, nonce: bytes, n: int = SCRYPT_N
) -> str:
    """The private key text that only `passphrase` opens; `salt` and `nonce` are random and used once."""
    head = _Head(n, salt, nonce, signer(seed)[1])
    sealed = _cipher(head, passphrase).encryptor()
    sealed.authenticate_additional_data(head.text().encode())
    body = sealed.update(seed) + sealed.finalize() + sealed.tag
    return f"{head.text()}{base64.b64encode(body).decode()}\n"


def read_private(text: str | Secret, passphrase: Secret = b"") -> bytearray:
    """The seed in a private key text, encrypted or not. No copy of it stays behind for the caller to overwrite.

    Raises:
        KeyTextError: another format, halves that do not belong together, or not the passphrase.
    """
    data = text.encode("ascii", "replace") if isinstance(text, str) else text
    if re.match(_ENCRYPTED_HEAD, data):
        return _opened(bytes(data).decode("ascii", "replace"), passphrase)
    found = re.fullmatch(_PRIVATE_TEXT, data)
    if found is None:
        if not len(data):
            raise KeyTextError("its text is empty")
        if re.match(_PRIVATE_HEAD, data):
            raise KeyTextError("the second line is not the base64 of 64 bytes")
        raise KeyTextError(f"not a key text: the first line must be {PRIVATE} or {ENCRYPTED}")
    if passphrase:
        raise KeyTextError("it is not encrypted, but a passphrase was given", "give none")
    raw = _decoded(memoryview(data)[slice(*found.span(1))])
    seed, public = raw[:SEED_BYTES], raw[SEED_BYTES:]
    wipe(raw)
    _same(seed, public.hex())
    return seed


def read_public(text: str) -> bytes:
    """The key in a public key text, or in 64 hex digits.

    Raises:
        KeyTextError: neither of the two.
    """
    if re.fullmatch(r"[0-9a-fA-F]{64}", text.strip()):
        return bytes.fromhex(text.strip())
    lines = text.strip().splitlines()
    if len(lines) != 2 or lines[0].strip() != PUBLIC:
        raise KeyTextError(f"not a key text: the first line must be {PUBLIC}")
    try:
        raw = base64.b64decode(lines[1].strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise KeyTextError("the second line is not base64") from error
    if len(raw) != 32:
        raise KeyTextError(f"the key has {len(raw)} bytes, not 32")
    return raw


def load_decryption() -> None:
    """Import now what an encrypted key needs: a process may be unable to later."""
    _cipher(_Head(2, bytes(SALT_BYTES), bytes(NONCE_BYTES), ""), b"").decryptor()


@dataclass(frozen=True, slots=True)
class _Head:
    """The first three lines of an encrypted text."""

    n: int
    salt: bytes
    nonce: bytes
    public: str

    def text(self) -> str:
        salt, nonce = (base64.b64encode(value).decode() for value in (self.salt, self.nonce))
        return (
            f"{ENCRYPTED}\nscrypt n={self.n} r={SCRYPT_R} p={SCRYPT_P} salt={salt}\n"
            f"aes-256-gcm nonce={nonce} public={self.public}\n"
        )


def _opened(text: str, passphrase: Secret) -> bytearray:
    """The seed in an encrypted text; accepts only what would be written the same."""
    whole = text.rstrip() + "\n"
    found = re.fullmatch(_ENCRYPTED_TEXT, whole)
    if found is None:
        raise KeyTextError(f"its lines are not those of {ENCRYPTED}")
    head = _Head(int(found[1]), base64.b64decode(found[2]), base64.b64decode(found[3]), found[4])
    body = base64.b64decode(found[5])
    if whole != f"{head.text()}{base64.b64encode(body).decode()}\n":
        raise KeyTextError("its base64 is not canonical")
    if head.n & (head.n - 1) or not MIN_SCRYPT_N <= head.n <= MAX_SCRYPT_N:
        raise KeyTextError(
            f"its scrypt n is {head.n}, not a power of two from {MIN_SCRYPT_N} to {MAX_SCRYPT_N}"
        )
    if not passphrase:
        raise KeyTextError("it is encrypted, and no passphrase was given", "use --passphrase-fd N")
    seed = _decrypted(head, body, passphrase)
    _same(seed, head.public)
    return seed


def _decrypted(head: _Head, body: bytes, passphrase: Secret) -> bytearray:
    from cryptography.exceptions import InvalidTag

    opened = _cipher(head, passphrase, body[SEED_BYTES:]).decryptor()
    opened.authenticate_additional_data(head.text().encode())
    # Into memory that can be overwritten; the library wants room for a block more than it fills.
    seed = bytearray(SEED_BYTES + TAG_BYTES - 1)
    opened.update_into(body[:SEED_BYTES], seed)
    try:
        opened.finalize()
    except InvalidTag as error:
        wipe(seed)
        raise KeyTextError(
            "the passphrase is wrong, or the text was changed",
            "the passphrase is the whole line, blanks included",
        ) from error
    del seed[SEED_BYTES:]
    return seed


def _cipher(head: _Head, passphrase: Secret, tag: bytes | None = None) -> Cipher[GCM]:
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES256
    from cryptography.hazmat.primitives.ciphers.modes import GCM
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    try:
        kdf = Scrypt(head.salt, 32, head.n, SCRYPT_R, SCRYPT_P)
        key = kdf.derive(passphrase)
    except MemoryError as error:
        raise KeyTextError(f"too little memory for scrypt with n={head.n}") from error
    return Cipher(AES256(key), GCM(head.nonce, tag))


def _same(seed: bytearray, public: str) -> None:
    """Raises KeyTextError, and wipes the seed, unless `public` is its public key."""
    if signer(seed)[1] != public:
        wipe(seed)
        raise KeyTextError("the public half does not belong to the private half")


def _decoded(text: memoryview) -> bytearray:
    """The bytes of unpadded base64. Not the library's: that leaves a copy behind which nobody can overwrite."""
    raw, at = bytearray(len(text) * 6 // 8), 0
    held = bits = 0
    for digit in text:
        held, bits = (held << 6 | _DIGITS.index(digit)) & 0xFFF, bits + 6
        if bits >= 8:
            bits -= 8
            raw[at] = held >> bits & 0xFF
            at += 1
    if held & (1 << bits) - 1:
        wipe(raw)
        raise KeyTextError("the second line is not canonical base64")
    return raw
