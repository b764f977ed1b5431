from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.evidence import keys, note, tree

# RFC 8032 section 7.1, test 1. All that is signed with it here was also made with
# golang.org/x/mod v0.43.0 sumdb/note and filippo.io/torchwood v0.9.0, to the byte.
SIGN, PUBLIC_HEX = keys.signer(
    bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
)
PUBLIC = bytes.fromhex(PUBLIC_HEX)
ORIGIN = "sluicegate.example/run/1"
VKEY = "sluicegate.example/run/1+f0d73446+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"
HEAD = note.Checkpoint(
    ORIGIN, 7, bytes.fromhex("ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c")
)
BODY = f"{ORIGIN}\n7\n3bib5AOAnjJXUNPSY814kpwpQreUKjS3fhIslZSnTIw=\n"
SIGNED = (
    BODY
    + "\n\u2014 sluicegate.example/run/1 8Nc0RiLDHANHFusd+1FvGUslJpYmqZwTjY/cM4jGtfSfR54SMSzn4Y"
    "+sQLftg7E2ZbuYHA07htgjOJYXdXnWWs3arwo=\n"
).encode()

# The example in the documentation of golang.org/x/mod/sumdb/note.
PETER_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
PETER_TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
PETER_NOTE = (
    PETER_TEXT
    + "\n\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXg"
    "KvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()

# The example in C2SP signed-note: its text has an empty line and letters beyond ASCII.
QUASIMODO_TEXT = (
    "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n"
)
QUASIMODO_NOTE = (
    QUASIMODO_TEXT
    + "\n\u2014 quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC"
    "+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"
).encode()


def refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(note.NoteError) as found:
        call()
    assert str(found.value) == message


def test_key_ids() -> None:
    assert note.key_id(ORIGIN, PUBLIC).hex() == "f0d73446"
    peter = bytes.fromhex(keys.signer(PETER_SEED)[1])
    assert note.key_id("PeterNeumann", peter).hex() == "c74f20a3"


def test_verifier_keys() -> None:
    assert note.write_vkey(ORIGIN, PUBLIC) == VKEY
    assert note.read_vkey(VKEY) == (ORIGIN, PUBLIC)
    name, public = note.read_vkey(PETER_VKEY)
    assert note.write_vkey(name, public) == PETER_VKEY


def test_a_verifier_key_of_the_go_checksum_database() -> None:
    text = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
    assert note.write_vkey(*note.read_vkey(text)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a verifier key: name, id and key are joined by +"),
        ("name+00000000", "not a verifier key: name, id and key are joined by +"),
        (VKEY.replace("f0d73446", "f0d73447"), "the key id is f0d73447, that of this name and key"),
        (VKEY.replace("f0d73446", "F0D73446"), "the key id is not 8 digits of lower-case hex"),
        (VKEY.replace("run/1+", "run/2+"), "the key id is f0d73446, that of this name and key is "),
        (VKEY.replace("+Ad", "+Bd"), "the verifier key is not an Ed25519 key"),
        (VKEY.replace("+Add", "+Ad!"), "the verifier key is not base64"),
        (VKEY + "\n", "the verifier key is not base64"),
        (VKEY[:-4], "the key has 29 bytes, not 32"),
        (VKEY[VKEY.index("+") :], "the name of a key is empty"),
        ("a b" + VKEY[VKEY.index("+") :], "the name of a key has a space, a + or a control"),
    ],
)
def test_what_is_no_verifier_key(text: str, message: str) -> None:
    with pytest.raises(note.NoteError) as found:
        note.read_vkey(text)
    assert str(found.value).startswith(message)


def test_no_part_of_a_verifier_key_is_one() -> None:
    for start in range(len(VKEY)):
        for stop in range(start, len(VKEY) + 1):
            if (start, stop) != (0, len(VKEY)):
                with pytest.raises(note.NoteError):
                    note.read_vkey(VKEY[start:stop])


def test_the_checkpoint_go_makes() -> None:
    assert note.write_body(HEAD) == BODY
    assert note.read_body(BODY) == HEAD
    assert note.sign_checkpoint(HEAD, PUBLIC, SIGN) == SIGNED


def test_the_notes_of_the_documents() -> None:
    sign, public = keys.signer(PETER_SEED)
    assert note.sign(PETER_TEXT, "PeterNeumann", bytes.fromhex(public), sign) == PETER_NOTE
    for data, text in ((PETER_NOTE, PETER_TEXT), (QUASIMODO_NOTE, QUASIMODO_TEXT)):
        found = note.read(data)
        assert found.text == text
        assert note.write(found) == data
    (line,) = note.read(QUASIMODO_NOTE).signatures
    assert (line.name, line.key_id.hex()) == ("quasimodo.example/salvatore", "367ba04b")
    assert len(line.value) == 64


def test_the_checkpoint_of_an_empty_tree() -> None:
    head = note.Checkpoint(ORIGIN, 0, tree.root(tree.EMPTY))
    assert note.read_body(note.write_body(head)) == head
    assert note.write_body(head).split("\n")[1] == "0"


def test_the_signature_covers_the_text_and_its_last_newline_only() -> None:
    asked: list[bytes] = []

    def signer(message: bytes) -> bytes:
        asked.append(message)
        return b"s" * 64

    note.sign_checkpoint(HEAD, PUBLIC, signer)
    assert asked == [BODY.encode()]


ROOT = BODY.split("\n")[2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a checkpoint is three lines: origin, size and root"),
        (BODY[:-1], "a checkpoint is three lines: origin, size and root"),
        (BODY + "extension\n", "a checkpoint is three lines: origin, size and root"),
        (BODY + "\n", "a checkpoint is three lines: origin, size and root"),
        (f"\n7\n{ROOT}\n", "the name of a key is empty"),
        (f"a b\n7\n{ROOT}\n", "the name of a key has a space, a + or a control"),
        (f"a+b\n7\n{ROOT}\n", "the name of a key has a space, a + or a control"),
        (f"a\x7f\u00a0\n7\n{ROOT}\n", "the name of a key has a space, a + or a control"),
        (f"a\n07\n{ROOT}\n", "the tree size is not a number without leading zeros"),
        (f"a\n+7\n{ROOT}\n", "the tree size is not a number without leading zeros"),
        (f"a\n-7\n{ROOT}\n", "the tree size is not a number without leading zeros"),
        (f"a\n7 \n{ROOT}\n", "the tree size is not a number without leading zeros"),
        (f"a\n1_0\n{ROOT}\n", "the tree size is not a number without leading zeros"),
        (f"a\n\u0667\n{ROOT}\n", "the tree size is not a number without leading zeros"),
        (f"a\n\n{ROOT}\n", "the tree size is not a number without leading zeros"),
        (f"a\n1{'0' * 5000}\n{ROOT}\n", "the tree size is not a number without leading zeros"),
        (f"a\n{2**63}\n{ROOT}\n", "the tree size is beyond 2^63 - 1"),
        (f"a\n0\n{ROOT}\n", "the root is not that of an empty tree"),
        (f"a\n7\n{ROOT[:-1]}\n", "the root is not base64"),
        (f"a\n7\n {ROOT}\n", "the root is not base64"),
        (f"a\n7\n{ROOT}\r\n", "the root is not base64"),
        (f"a\n7\n{ROOT[:-2]}x=\n", "the root is base64 that encodes differently"),
        (f"a\n7\n{ROOT[:-4]}\n", "the root has 30 bytes, not 32"),
        ("a\n7\n\n", "the root has 0 bytes, not 32"),
    ],
)
def test_what_is_no_checkpoint(text: str, message: str) -> None:
    refused(lambda: note.read_body(text), message)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (note.Checkpoint("", 7, HEAD.root), "the name of a key is empty"),
        (note.Checkpoint("a\nb", 7, HEAD.root), "the name of a key has a space, a + or a control"),
        (note.Checkpoint("a\x01", 7, HEAD.root), "the name of a key has a space, a + or a control"),
        (note.Checkpoint("a\ud800", 7, HEAD.root), "the name of a key is not Unicode"),
        (note.Checkpoint("a", -1, HEAD.root), "the tree size is not between 0 and 2^63 - 1"),
        (note.Checkpoint("a", 2**63, HEAD.root), "the tree size is not between 0 and 2^63 - 1"),
        (note.Checkpoint("a", 7, b"short"), "the root has 5 bytes, not 32"),
        (note.Checkpoint("a", 0, HEAD.root), "the root is not that of an empty tree"),
    ],
)
def test_what_no_checkpoint_can_say(head: note.Checkpoint, message: str) -> None:
    refused(lambda: note.sign_checkpoint(head, PUBLIC, SIGN), message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the text of a note ends with a newline"),
        ("no newline", "the text of a note ends with a newline"),
        ("a\tb\n", "the text of the note has a control character"),
        ("a\r\n", "the text of the note has a control character"),
        ("a\0\n", "the text of the note has a control character"),
        ("a\udc80\n", "the text of the note is not Unicode"),
        ("a" * 140_000 + "\n", "the note is longer than 131072 bytes"),
    ],
)
def test_what_no_note_can_say(text: str, message: str) -> None:
    refused(lambda: note.sign(text, ORIGIN, PUBLIC, SIGN), message)


def test_what_no_key_signs() -> None:
    refused(lambda: note.sign("a\n", ORIGIN, b"k", SIGN), "the key has 1 bytes, not 32")
    refused(lambda: note.sign("a\n", ORIGIN, PUBLIC, lambda _: b""), "a signature is empty")
    long = note.Signature("a", b"12345", b"s")
    refused(lambda: note.write(note.Note("a\n", (long,))), "a key id has 4 bytes")
    spaced = note.Signature("a\u3000b", b"1234", b"s")
    message = "the name of a key has a space, a + or a control"
    refused(lambda: note.write(note.Note("a\n", (spaced,))), message)


def test_a_text_that_is_none_is_not_written_either() -> None:
    one = note.Signature("a", b"1234", b"s")
    message = "the text of a note ends with a newline"
    refused(lambda: note.write(note.Note("no newline", (one,))), message)


def test_the_longest_note() -> None:
    one = note.Signature("a", b"1234", b"s")
    rest = len(note.write(note.Note("\n", (one,))))
    longest = note.Note("x" * (note.MAX_NOTE_BYTES - rest) + "\n", (one,))
    assert note.read(note.write(longest)) == longest
    longer = note.Note("x" + longest.text, (one,))
    refused(lambda: note.write(longer), "the note is longer than 131072 bytes")
    refused(lambda: note.read(b"x" + note.write(longest)), "the note is longer than 131072 bytes")


@pytest.mark.parametrize("count", [0, 17])
def test_the_number_of_signatures(count: int) -> None:
    one = note.Signature("a", b"1234", b"s")
    message = f"a note has 1 to 16 signatures, not {count}"
    refused(lambda: note.write(note.Note("a\n", (one,) * count)), message)
    if count:
        refused(lambda: note.read(b"a\n\n" + "\u2014 a MTIzNHM=\n".encode() * count), message)
    sixteen = note.Note("a\n", (one,) * 16)
    assert note.read(note.write(sixteen)) == sixteen


DASH = "\u2014".encode()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no empty line between the text of the note and its signatures"),
        (BODY.encode(), "no empty line between the text of the note and its signatures"),
        (SIGNED[:-1], "the note does not end with a signature line and its newline"),
        (BODY.encode() + b"\n", "the note does not end with a signature line and its newline"),
        (SIGNED + b"\n", "the note does not end with a signature line and its newline"),
        (SIGNED + b"x\n", "a signature line does not begin with an em dash and a space"),
        (
            SIGNED.replace(DASH, "\u2013".encode()),
            "a signature line does not begin with an em dash and a space",
        ),
        (
            SIGNED.replace(DASH + b" ", DASH),
            "a signature line does not begin with an em dash and a space",
        ),
        (SIGNED.replace(b"\n", b"\r\n"), "no empty line between the text of the note and its sig"),
        (SIGNED.replace(b"7\n", b"7\r\n"), "the text of the note has a control character"),
        (SIGNED.replace(b"7\n", b"7\xff\n"), "the note is not UTF-8"),
        (SIGNED.replace(b"7\n", b"7\xed\xa0\x80\n"), "the note is not UTF-8"),
        (SIGNED.replace(b" 8Nc0", b""), "a signature line without a signature"),
        (SIGNED.replace(b" 8Nc0", b"  8Nc0"), "a signature is not base64"),
        (SIGNED.replace(b"wo=\n", b"wo= \n"), "a signature is not base64"),
        (SIGNED.replace(b"wo=\n", b"wp=\n"), "a signature is base64 that encodes differently"),
        (SIGNED.replace(b"wo=\n", b"wo\n"), "a signature is not base64"),
        (b"a\n\n" + DASH + b" a MTIzNA==\n", "a signature is 4 bytes, of which the key id is 4"),
        (b"a\n\n" + DASH + b" a \n", "a signature is 0 bytes, of which the key id is 4"),
        (b"a\n\n" + DASH + b"  MTIzNHM=\n", "the name of a key is empty"),
        (b"a\n\n" + DASH + b" a+b MTIzNHM=\n", "the name of a key has a space, a + or a control"),
        (b"a\n\n" + DASH + b" a\x1b MTIzNHM=\n", "the name of a key has a space, a + or a control"),
        (b"a" * 140_000, "the note is longer than 131072 bytes"),
    ],
)
def test_what_is_no_note(data: bytes, message: str) -> None:
    with pytest.raises(note.NoteError) as found:
        note.read(data)
    assert str(found.value).startswith(message)


NAMES = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=20)
SIGNATURES = st.builds(
    note.Signature,
    NAMES,
    st.binary(min_size=4, max_size=4),
    st.binary(min_size=1, max_size=80),
)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["C"]) | st.just("\n")).map(
    lambda text: text + "\n"
)


@given(TEXTS, st.lists(SIGNATURES, min_size=1, max_size=16))
def test_a_note_comes_back(text: str, lines: list[note.Signature]) -> None:
    made = note.Note(text, tuple(lines))
    assert note.read(note.write(made)) == made


@given(st.integers(0, len(SIGNED) - 1), st.integers(0, 255))
def test_what_is_read_is_written_the_same(place: int, letter: int) -> None:
    data = SIGNED[:place] + bytes([letter]) + SIGNED[place + 1 :]
    try:
        found = note.read(data)
    except note.NoteError:
        return
    assert note.write(found) == data
    try:
        head = note.read_body(found.text)
    except note.NoteError:
        return
    assert note.write_body(head) == found.text


@given(NAMES, st.integers(1, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_a_checkpoint_comes_back(name: str, size: int, root: bytes) -> None:
    head = note.Checkpoint(name, size, root)
    assert note.read_body(note.write_body(head)) == head


@pytest.mark.parametrize("text", ["-1", "+1", "01", "1 ", "", "1\n", "\u0661"])
def test_what_is_no_number(text: str) -> None:
    refused(lambda: note.number(text, "it"), "it is not a number without leading zeros")


def test_numbers() -> None:
    assert [note.number(text, "it") for text in ("0", "10", str(2**63 - 1))] == [0, 10, 2**63 - 1]
    refused(lambda: note.number(str(2**63), "it"), "it is beyond 2^63 - 1")


def test_a_checkpoint_on_one_line_is_the_same_checkpoint() -> None:
    sign, public = keys.signer(b"k" * 32)
    head = note.Checkpoint("sluicegate/run/" + "1" * 32, 7, b"r" * 32)
    made = note.sign_checkpoint(head, bytes.fromhex(public), sign)
    words = note.one_line(made).split(" ")
    assert words[:2] == [head.origin, "7"]
    assert note.from_line(*words) == made


@pytest.mark.parametrize("change", ["twice", "another name", "no checkpoint"])
def test_what_does_not_fit_on_one_line(change: str) -> None:
    sign, public = keys.signer(b"k" * 32)
    key = bytes.fromhex(public)
    text = note.write_body(note.Checkpoint("log", 7, b"r" * 32))
    made = note.sign("hello\n" if change == "no checkpoint" else text, "log", key, sign)
    if change == "twice":
        made += made.splitlines(keepends=True)[-1]
    if change == "another name":
        made = note.sign(text, "other", key, sign)
    with pytest.raises(note.NoteError):
        note.one_line(made)
