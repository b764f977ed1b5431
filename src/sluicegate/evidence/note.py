"""C2SP signed notes and the checkpoints in them, as text. Pure: it signs with what it is given.

Sources: https://c2sp.org/signed-note@v1.0.0, https://c2sp.org/tlog-checkpoint@v1.0.0; the text of a
verifier key is that of golang.org/x/mod/sumdb/note. What is read here is not verified: see
`sluicegate.verify.notes`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from sluicegate.evidence import tree
from sluicegate.evidence.receipt import Sign

# The signature type of plain Ed25519 over the text of the note.
ED25519 = b"\x01"
KEY_BYTES = 32
KEY_ID_BYTES = 4
# A reader must take 16 and should stop somewhere; nobody needs more witnesses than that.
MAX_SIGNATURES = 16
# 16 post-quantum signatures of nearly 5 KB each are 107 KB in base64; our own note is 250 bytes.
MAX_NOTE_BYTES = 131_072
# The readers in use count leaves in a signed 64-bit integer.
MAX_TREE_SIZE = 2**63 - 1
_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z")
_KEY_ID = re.compile(r"[0-9a-f]{8}\Z")
# The only control character of a note is the newline.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_DASH = "\u2014 "


class NoteError(Exception):
    """The text is not a note, checkpoint or verifier key in the format we write, or would not be one."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line. `name` and `key_id` claim a key; `value` is what that key made of the text."""

    name: str
    key_id: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A text, its final newline included, and the signatures below it."""

    text: str
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the text of a checkpoint claims: the head of one log at one size."""

    origin: str
    size: int
    root: bytes


def origin(nonce: str) -> str:
    """The name of one run's tree, and of the key that signs its head."""
    return f"sluicegate/run/{nonce}"


def key_id(name: str, public: bytes) -> bytes:
    """The four bytes that stand for an Ed25519 key under `name` in a signature line.

    Raises:
        NoteError: `name` cannot name a key, or `public` is not 32 bytes long.
    """
    _check_name(name)
    _need(len(public) == KEY_BYTES, f"the key has {len(public)} bytes, not {KEY_BYTES}")
    return hashlib.sha256(name.encode() + b"\n" + ED25519 + public).digest()[:KEY_ID_BYTES]


def write_vkey(name: str, public: bytes) -> str:
    """The verifier key text `name+id+key`, as Go's note tools take it.

    Raises:
        NoteError: `name` cannot name a key, or `public` is not 32 bytes long.
    """
    return f"{name}+{key_id(name, public).hex()}+{base64.b64encode(ED25519 + public).decode()}"


def read_vkey(text: str) -> tuple[str, bytes]:
    """The name and the 32-byte Ed25519 key of a verifier key text.

    Raises:
        NoteError: another form, another kind of key, or an id that is not this key's.
    """
    name, _, rest = text.partition("+")
    given, plus, encoded = rest.partition("+")
    _need(plus, "not a verifier key: name, id and key are joined by +")
    raw = exact_base64(encoded, "the verifier key")
    _need(raw[:1] == ED25519, "the verifier key is not an Ed25519 key")
    wanted = key_id(name, raw[1:]).hex()
    _need(_KEY_ID.match(given), "the key id is not 8 digits of lower-case hex")
    _need(given == wanted, f"the key id is {given}, that of this name and key is {wanted}")
    return name, raw[1:]


def write_body(head: Checkpoint) -> str:
    """The text of a checkpoint: origin, size and root, one line each, and no extension lines.

    Extension lines are left out because not every cosignature covers them. The origin must be able
    to name a key, because the log's signature line bears the same name.

    Raises:
        NoteError: the origin, the size or the root cannot stand in a checkpoint.
    """
    _check_name(head.origin)
    _check_head(head)
    return f"{head.origin}\n{head.size}\n{base64.b64encode(head.root).decode()}\n"


def read_body(text: str) -> Checkpoint:
    """The checkpoint `text` is, if `write_body` makes the same text of it.

    Raises:
        NoteError: it does not.
    """
    lines = text.split("\n")
    whole = len(lines) == 4 and not lines[3]
    _need(whole, "a checkpoint is three lines: origin, size and root")
    _check_name(lines[0])
    root = exact_base64(lines[2], "the root")
    head = Checkpoint(lines[0], number(lines[1], "the tree size"), root)
    _check_head(head)
    return head


def sign(text: str, name: str, public: bytes, signer: Sign) -> bytes:
    """The note over `text` with one signature, made by `signer`, whose public key is `public`.

    Raises:
        NoteError: `text` cannot be the text of a note, or `name` and `public` cannot name a key.
    """
    _check_text(text)
    line = Signature(name, key_id(name, public), signer(text.encode()))
    return write(Note(text, (line,)))


def sign_checkpoint(head: Checkpoint, public: bytes, signer: Sign) -> bytes:
    """The signed checkpoint of `head`: the key has the name of the origin, as the standard wants it.

    Raises:
        NoteError: what cannot stand in a checkpoint, or `public` is not 32 bytes long.
    """
    return sign(write_body(head), head.origin, public, signer)


def write(note: Note) -> bytes:
    """The bytes of `note`.

    Raises:
        NoteError: a text, a name or a number of signatures that no note has.
    """
    _check_text(note.text)
    lines = "".join(map(_line, note.signatures))
    data = f"{note.text}\n{lines}".encode()
    _check_count(len(note.signatures))
    _need(len(data) <= MAX_NOTE_BYTES, f"the note is longer than {MAX_NOTE_BYTES} bytes")
    return data


def read(data: bytes) -> Note:
    """The note `data` is, if `write` makes the same bytes of it. No signature is verified.

    Raises:
        NoteError: it does not.
    """
    _need(len(data) <= MAX_NOTE_BYTES, f"the note is longer than {MAX_NOTE_BYTES} bytes")
    try:
        whole = data.decode()
    except UnicodeDecodeError as error:
        raise NoteError("the note is not UTF-8") from error
    # The text may have empty lines of its own: the last one is what separates it.
    cut = whole.rfind("\n\n")
    _need(cut >= 0, "no empty line between the text of the note and its signatures")
    text, below = whole[: cut + 1], whole[cut + 2 :]
    _check_text(text)
    _need(below.endswith("\n"), "the note does not end with a signature line and its newline")
    lines = below[:-1].split("\n")
    _check_count(len(lines))
    return Note(text, tuple(map(_read_line, lines)))


def one_line(data: bytes) -> str:
    """The checkpoint `data`, as `sign_checkpoint` makes it, on one line: origin, size, root and signature.

    Nothing is lost: `from_line` makes the same bytes of it.

    Raises:
        NoteError: not a checkpoint with one signature, of the key that the origin names.
    """
    found = read(data)
    head = read_body(found.text)
    _need(len(found.signatures) == 1, "the checkpoint has not one signature alone")
    only = found.signatures[0]
    _need(only.name == head.origin, "the checkpoint is not signed in the name of its origin")
    signature = base64.b64encode(only.key_id + only.value).decode()
    return f"{head.origin} {head.size} {base64.b64encode(head.root).decode()} {signature}"


def from_line(origin: str, size: str, root: str, signature: str) -> bytes:
    """The checkpoint whose `one_line` has these words. No signature is verified, nor that it is a note at all."""
    return f"{origin}\n{size}\n{root}\n\n{_DASH}{origin} {signature}\n".encode()


def exact_base64(text: str, what: str) -> bytes:
    """The bytes `text` encodes, if base64 makes the same text of them; `what` names them in the error.

    Raises:
        NoteError: another alphabet, bits that are dropped, missing padding, or anything around it.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteError(f"{what} is not base64") from error
    _need(base64.b64encode(raw).decode() == text, f"{what} is base64 that encodes differently")
    return raw


def number(text: str, what: str) -> int:
    """The number up to 2^63 - 1 that `text` spells in decimal digits; `what` names it in the error.

    Raises:
        NoteError: a sign, a leading zero, other digits, or a larger number.
    """
    _need(_NUMBER.match(text), f"{what} is not a number without leading zeros")
    _need(int(text) <= MAX_TREE_SIZE, f"{what} is beyond 2^63 - 1")
    return int(text)


def _line(found: Signature) -> str:
    _check_name(found.name)
    _need(len(found.key_id) == KEY_ID_BYTES, f"a key id has {KEY_ID_BYTES} bytes")
    _need(found.value, "a signature is empty")
    encoded = base64.b64encode(found.key_id + found.value).decode()
    return f"{_DASH}{found.name} {encoded}\n"


def _read_line(line: str) -> Signature:
    _need(line.startswith(_DASH), "a signature line does not begin with an em dash and a space")
    name, space, encoded = line[len(_DASH) :].partition(" ")
    _need(space, "a signature line without a signature")
    _check_name(name)
    raw = exact_base64(encoded, "a signature")
    _need(len(raw) > KEY_ID_BYTES, f"a signature is {len(raw)} bytes, of which the key id is 4")
    return Signature(name, raw[:KEY_ID_BYTES], raw[KEY_ID_BYTES:])


def _check_count(count: int) -> None:
    _need(0 < count <= MAX_SIGNATURES, f"a note has 1 to {MAX_SIGNATURES} signatures, not {count}")


def _check_text(text: str) -> None:
    _need(text.endswith("\n"), "the text of a note ends with a newline")
    _need(not _CONTROL.search(text), "the text of the note has a control character")
    _check_unicode(text, "the text of the note")


def _check_name(name: str) -> None:
    _need(name, "the name of a key is empty")
    plain = "+" not in name and not any(letter.isspace() for letter in name)
    _need(plain and not _CONTROL.search(name), "the name of a key has a space, a + or a control")
    _check_unicode(name, "the name of a key")


def _check_unicode(text: str, what: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise NoteError(f"{what} is not Unicode") from error


def _check_head(head: Checkpoint) -> None:
    _need(0 <= head.size <= MAX_TREE_SIZE, "the tree size is not between 0 and 2^63 - 1")
    wanted = tree.HASH_BYTES
    _need(len(head.root) == wanted, f"the root has {len(head.root)} bytes, not {wanted}")
    _need(head.size or head.root == tree.EMPTY_ROOT, "the root is not that of an empty tree")


def _need(ok: object, message: str) -> None:
    if not ok:
        raise NoteError(message)
