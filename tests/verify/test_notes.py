from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.evidence import keys, note
from sluicegate.verify import notes
from sluicegate.verify.strict import VerificationError
from tests.evidence.test_note import (
    BODY,
    HEAD,
    ORIGIN,
    PETER_NOTE,
    PETER_TEXT,
    PETER_VKEY,
    PUBLIC,
    SIGN,
    SIGNED,
)

OTHER_SIGN, OTHER_HEX = keys.signer(b"o" * 32)
OTHER = bytes.fromhex(OTHER_HEX)
MINE = note.read(SIGNED).signatures[0]
# A log that is real: a tree head of the Go checksum database, and the key every Go tool pins.
SUMDB = (
    "go.sum database tree\n65209736\n5+uGFjx6xBZG8ip1+wi77v+grwbhhukIrxEUS8PXvRo=\n\n"
    "\u2014 sum.golang.org Az3grnbssgK7ubgFX36gVETtNv0U23qxyAhAMai2QUfeGa3nB/akvkMdlUErfcZz7l/R3cV"
    "tYspg3dxXABkGZZKdsQ8=\n"
).encode()
SUMDB_VKEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"


def with_lines(*lines: note.Signature, text: str = BODY) -> bytes:
    return note.write(note.Note(text, lines))


def line(name: str, public: bytes, value: bytes) -> note.Signature:
    return note.Signature(name, note.key_id(name, public), value)


def refused(data: bytes, message: str, pinned: Sequence[bytes] = (PUBLIC,)) -> None:
    with pytest.raises(VerificationError) as found:
        notes.checkpoint(data, ORIGIN, pinned, "checkpoint")
    assert str(found.value) == f"checkpoint: {message}"


NONE = f"no signature by a pinned key of {ORIGIN}"
BAD = "the signature of a pinned key does not verify"


def test_a_checkpoint() -> None:
    found = notes.checkpoint(SIGNED, ORIGIN, [PUBLIC], "checkpoint")
    assert found == notes.TreeHead(ORIGIN, 7, HEAD.root)


def test_any_pinned_key_will_do() -> None:
    assert notes.checkpoint(SIGNED, ORIGIN, [OTHER, PUBLIC, PUBLIC], "it").size == 7


def test_the_notes_others_made() -> None:
    name, public = note.read_vkey(PETER_VKEY)
    assert notes.opened(PETER_NOTE, name, [public], "it") == PETER_TEXT
    name, public = note.read_vkey(SUMDB_VKEY)
    text = notes.opened(SUMDB, name, [public], "it")
    assert text.startswith("go.sum database tree\n65209736\n")
    with pytest.raises(VerificationError, match="does not verify"):
        notes.opened(SUMDB.replace(b"65209736", b"65209737"), name, [public], "it")


def test_no_pinned_key() -> None:
    refused(SIGNED, NONE, pinned=[])
    refused(SIGNED, NONE, pinned=[OTHER])


def test_signatures_of_unknown_keys_are_passed_over() -> None:
    strangers = [
        line("witness.example/w1", OTHER, b"not even 64 bytes"),
        line(ORIGIN, OTHER, b"s" * 64),  # a name that is known, an id that is not
        note.Signature("witness.example/w2", MINE.key_id, b"s" * 64),  # and the other way round
        note.Signature(ORIGIN, b"\xff\xff\xff\xff", MINE.value),
    ]
    assert notes.checkpoint(with_lines(*strangers, MINE), ORIGIN, [PUBLIC], "it").size == 7
    assert notes.checkpoint(with_lines(MINE, *strangers), ORIGIN, [PUBLIC], "it").size == 7
    refused(with_lines(*strangers), NONE)


def test_a_bad_signature_of_a_pinned_key_condemns_the_note() -> None:
    bad = dataclasses.replace(MINE, value=bytes(64))
    for lines in ([bad], [MINE, bad], [bad, MINE], [line(ORIGIN, OTHER, bytes(64)), MINE]):
        refused(with_lines(*lines), BAD, pinned=[PUBLIC, OTHER])
    for value in (MINE.value[:-1], MINE.value + b"\0", b"x"):
        refused(with_lines(dataclasses.replace(MINE, value=value)), BAD)


def test_the_same_signature_twice_is_one() -> None:
    assert notes.checkpoint(with_lines(MINE, MINE), ORIGIN, [PUBLIC], "it").size == 7


def test_two_pinned_keys_with_one_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(note, "key_id", lambda name, public: MINE.key_id)
    for pinned in ([PUBLIC, OTHER], [OTHER, PUBLIC]):
        assert notes.checkpoint(SIGNED, ORIGIN, pinned, "it").size == 7
    refused(SIGNED, BAD, pinned=[OTHER])


def test_sixteen_signatures_and_no_more() -> None:
    strangers = [line(f"witness.example/w{number}", OTHER, b"s" * 3_400) for number in range(15)]
    data = with_lines(*strangers, MINE)
    assert notes.checkpoint(data, ORIGIN, [PUBLIC], "it").size == 7
    more = data + note.write(note.Note("a\n", (MINE,)))[3:]
    refused(more, "a note has 1 to 16 signatures, not 17")


def test_a_key_that_signs_for_another_log() -> None:
    other = note.write_body(dataclasses.replace(HEAD, origin="sluicegate.example/run/2"))
    signed = note.sign(other, ORIGIN, PUBLIC, SIGN)
    refused(signed, f"the origin is 'sluicegate.example/run/2', not '{ORIGIN}'")
    with pytest.raises(VerificationError, match="no signature by a pinned key of other"):
        notes.checkpoint(SIGNED, "other", [PUBLIC], "it")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BODY + "extension\n", "a checkpoint is three lines: origin, size and root"),
        ("a\n", "a checkpoint is three lines: origin, size and root"),
        (BODY.replace("\n7\n", "\n07\n"), "the tree size is not a number without leading zeros"),
        (BODY.replace("\n7\n", "\n0\n"), "the root is not that of an empty tree"),
        (BODY.replace("\n7\n", f"\n{2**63}\n"), "the tree size is beyond 2^63 - 1"),
        (BODY.replace("Iw=", "Ix="), "the root is base64 that encodes differently"),
    ],
)
def test_a_well_signed_note_that_is_no_checkpoint(text: str, message: str) -> None:
    refused(note.sign(text, ORIGIN, PUBLIC, SIGN), message)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no empty line between the text of the note and its signatures"),
        (SIGNED[:-1], "the note does not end with a signature line and its newline"),
        (b"\xff" + SIGNED, "the note is not UTF-8"),
        (b"\0" + SIGNED, "the text of the note has a control character"),
        (b" " + SIGNED, BAD),
        (SIGNED.replace(b"\n7\n", b"\n8\n"), BAD),
        (SIGNED.replace(b"\n3bib", b"\n4bib"), BAD),
        (SIGNED.replace(b"\n\n", b"\n\n\n"), BAD),
        (b"x" * 131_073, "the note is longer than 131072 bytes"),
    ],
)
def test_a_note_that_was_touched(data: bytes, message: str) -> None:
    refused(data, message)


def test_a_pin_that_is_no_key() -> None:
    refused(SIGNED, "the key has 5 bytes, not 32", pinned=[b"short"])
    with pytest.raises(VerificationError, match="the name of a key is empty"):
        notes.checkpoint(SIGNED, "", [PUBLIC], "it")


@given(st.integers(0, len(SIGNED) - 1), st.integers(0, 255))
def test_no_byte_can_be_another(place: int, letter: int) -> None:
    data = SIGNED[:place] + bytes([letter]) + SIGNED[place + 1 :]
    if data != SIGNED:
        with pytest.raises(VerificationError):
            notes.checkpoint(data, ORIGIN, [PUBLIC], "it")


def test_no_part_of_a_checkpoint_is_one() -> None:
    for cut in range(len(SIGNED)):
        for data in (SIGNED[:cut], SIGNED[cut + 1 :]):
            with pytest.raises(VerificationError):
                notes.checkpoint(data, ORIGIN, [PUBLIC], "it")
