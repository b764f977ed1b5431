"""Tree heads and seals that are odd and right, for both verifiers. The wrong ones are the corpus."""

from __future__ import annotations

from pathlib import Path

from sluicegate.evidence import keys, note, seal
from sluicegate.verify.packet import VALID
from tests.peers.second import (
    OTHER,
    OTHER_SEED,
    Case,
    Files,
    agree,
    finished,
    resealed,
    sealed_again,
)


def test_notes_with_more_signatures(files: Files, tmp_path: Path) -> None:
    honest = files["checkpoint"]
    text, _, line = honest.partition(b"\n\n")
    other_sign = keys.signer(OTHER_SEED)[0]
    witness = note.sign(
        f"{text.decode()}\n", "witness.example", bytes.fromhex(OTHER), other_sign
    ).partition(b"\n\n")[2]
    notes = {"honest": honest, "a witness": honest + witness, "twice": honest + line}
    notes["sixteen"] = honest + witness * 15
    cases = [Case(name, resealed(files | {"checkpoint": data})) for name, data in notes.items()]
    assert agree(cases, tmp_path) == [VALID] * len(cases)


def test_sealed_again_it_is_the_same(files: Files) -> None:
    assert finished(files, files) == files
    for name in (seal.SEAL, seal.PROBES):
        assert sealed_again(files, lambda _: None, name) == files
