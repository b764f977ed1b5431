from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sluicegate.evidence import keys, packet
from sluicegate.verify import (
    IncompleteError,
    UntrustedError,
    VerificationError,
    Verified,
    library,
    verify,
)
from sluicegate.verify.files import UnreadableError
from sluicegate.verify.packet import FINISHED, Level
from tests.cli.test_verify import VECTORS
from tests.evidence import made
from tests.verify.test_foreign import LIVE, PIN
from tests.verify.test_foreign import packet as theirs


@pytest.fixture
def where(tmp_path: Path) -> Path:
    directory = tmp_path / "packet"
    directory.mkdir()
    for name, data in made.files(directory, made.some()).items():
        (directory / name).write_bytes(data)
    return directory


def test_what_was_found(where: Path) -> None:
    found = verify(str(where), [made.PIN], expect={"identity": "ci", "tier": "netns-root"})
    assert isinstance(found, Verified)
    assert all(ok for ok, _ in found.levels.values())
    assert (found.receipts, found.signer_key) == (9, made.PUBLIC)
    assert (found.allowed, found.denied, found.dropped, found.questions) == (1, 2, 4, 3)
    assert found.totals["block"] == 3
    assert found.policy_hash == made.digest(made.POLICY)
    assert found.boundary["close"]["run"]["agent_identity"] == "ci"  # type: ignore[index]
    with pytest.raises(AttributeError):
        found.receipts = 1  # type: ignore[misc]


def test_a_key_in_every_form(where: Path, tmp_path: Path) -> None:
    text = keys.write_public(made.PIN)
    (tmp_path / "k.pub").write_text(text)
    for given in (made.PIN, made.PUBLIC, made.PUBLIC.upper(), text, str(tmp_path / "k.pub")):
        assert verify(str(where), [given]).signer_key == made.PUBLIC
    for bad in (b"short", "0" * 63, str(tmp_path / "none"), "no\nkey\n"):
        with pytest.raises(library.UsageError):
            verify(str(where), [bad])


def test_each_failure_has_its_class_code_and_report(where: Path) -> None:
    with pytest.raises(UntrustedError, match="no key given") as no_key:
        verify(str(where), [])
    assert no_key.value.exit_code == 4
    assert no_key.value.report.receipts == 9  # type: ignore[attr-defined]
    with pytest.raises(UntrustedError, match="identity is ci, not the expected me"):
        verify(str(where), [made.PIN], expect={"identity": "me"})
    with pytest.raises(VerificationError, match="receipts is 9") as other:
        verify(str(where), [made.PIN], expect={"receipts": "8"})
    assert other.value.exit_code == 1
    with pytest.raises(library.UsageError, match="colour") as usage:
        verify(str(where), [made.PIN], expect={"colour": "red"})
    assert usage.value.exit_code == 2
    with pytest.raises(library.UsageError, match="HIGH is no level"):
        verify(str(where), [made.PIN], require=["HIGH"])
    assert verify(str(where), [], require=["intact", Level.CLOSED]).receipts == 9


def test_a_prefix_and_what_is_not_there(where: Path) -> None:
    for name in FINISHED:
        (where / name).unlink()
    lines = (where / "evidence.jsonl").read_bytes().splitlines(keepends=True)
    (where / "evidence.jsonl").write_bytes(b"".join(lines[:4]))
    (where / "boundary.json").write_bytes(packet.boundary(made.OPENED, None))
    with pytest.raises(IncompleteError, match="no session_close") as prefix:
        verify(str(where), [made.PIN])
    assert prefix.value.exit_code == 3
    (where / "evidence.jsonl").unlink()
    (where / "evidence.jsonl").symlink_to("/dev/zero")
    with pytest.raises(library.UsageError):
        verify(str(where), [made.PIN])
    (where / "evidence.jsonl").unlink()
    (where / "evidence.jsonl").mkdir()
    with pytest.raises(UnreadableError) as unreadable:
        verify(str(where), [made.PIN])
    assert unreadable.value.exit_code == 2


def test_a_checkpoint_from_outside(where: Path, tmp_path: Path) -> None:
    head = (where / "checkpoint").read_bytes()
    assert verify(str(where), [made.PIN], checkpoints=[head]).receipts == 9
    (tmp_path / "other").mkdir()
    other = made.files(tmp_path / "other", made.some())["checkpoint"]
    with pytest.raises(VerificationError, match="not of this record"):
        verify(str(where), [made.PIN], checkpoints=[head, other])
    with pytest.raises(VerificationError, match="not of this record"):
        verify(str(VECTORS / "valid-chain.jsonl"), [PIN], checkpoints=[head])
    with pytest.raises(library.UsageError):
        verify(str(VECTORS / "valid-single.json"), [PIN], checkpoints=[head])
    with pytest.raises(library.UsageError, match="holds no checkpoint"):
        verify(str(where), [made.PIN], checkpoints=[b"none"])


def test_a_stripped_packet_of_ours_is_not_another_producers(where: Path) -> None:
    kept = {"evidence.jsonl", "packet.json", "summary.md"}
    for name in sorted(path.name for path in where.iterdir()):
        if name in kept:
            continue
        (where / name).unlink()
        with pytest.raises(VerificationError) as failed:
            verify(str(where), [made.PIN], require=["INTACT"])
        assert failed.value.exit_code == 1
    (where / "packet.json").unlink()
    with pytest.raises(VerificationError):
        verify(str(where), [made.PIN], require=["INTACT"])


def test_a_packet_of_another_producer(tmp_path: Path) -> None:
    (tmp_path / "evidence.jsonl").write_bytes(LIVE)
    (tmp_path / "packet.json").write_text(json.dumps(theirs()))
    (tmp_path / "verifier.txt").write_text("VALID")
    chain = ["INTACT", "CLOSED", "PINNED"]
    with pytest.raises(UntrustedError, match="ACCOUNTED: no facts"):
        verify(str(tmp_path), [PIN])
    found = verify(str(tmp_path), [PIN], require=chain)
    assert "not sealed, no facts" in found.levels["INTACT"][1]
    assert found.boundary == {}
    with pytest.raises(UntrustedError, match="repo is not in the record"):
        verify(str(tmp_path), [PIN], require=chain, expect={"repo": "o/r"})


def test_importing_it_loads_nothing_it_does_not_need() -> None:
    code = (
        "import sys, builtins; before = set(sys.modules); real = builtins.open\n"
        "def refuse(*a, **k): raise AssertionError(a)\n"
        "builtins.open = refuse\n"
        "from sluicegate.verify import verify, Verified, VerificationError\n"
        "bad = ('yaml', 'socket', 'ssl', 'subprocess', 'asyncio', 'publicsuffixlist', 'setproctitle')\n"
        "rooms = ('sluicegate.gate', 'sluicegate.cli', 'sluicegate.boundary', 'sluicegate.evidence.notary')\n"
        "new = set(sys.modules) - before\n"
        "print([m for m in new if m in bad or m.startswith(rooms)])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_a_path_that_is_no_text(where: Path) -> None:
    assert verify(where, [made.PIN]).signer_key == made.PUBLIC


@pytest.mark.parametrize(
    ("given", "more", "said"),
    [
        (None, {}, "want a path as a text"),
        (7, {}, "want a path as a text"),
        ("", {}, "want a path as a text"),
        ("a\0b", {}, "want a path as a text"),
        (b"packet", {}, "want a path as a text"),
        (".", {"keys": made.PUBLIC}, "keys: want a list, each bytes or str"),
        (".", {"keys": None}, "keys: want a list, each bytes or str"),
        (".", {"keys": [7]}, "keys: want a list, each bytes or str"),
        (".", {"require": "INTACT"}, "require: want a list, each Level or str"),
        (".", {"checkpoints": b"head"}, "checkpoints: want a list, each bytes"),
        (".", {"checkpoints": ["head"]}, "checkpoints: want a list, each bytes"),
        (".", {"expect": ["sha"]}, "expect: want a mapping of texts to texts"),
        (".", {"expect": {"sha": 7}}, "expect: want a mapping of texts to texts"),
    ],
)
def test_arguments_of_another_kind(given: Any, more: dict[str, Any], said: str) -> None:
    keys_given = more.pop("keys", [made.PIN])
    with pytest.raises(library.UsageError, match=said):
        verify(given, keys_given, **more)


@pytest.mark.parametrize("text", ["a\0b", "\ud800", ""])
def test_what_no_file_can_be_called_is_wrong_usage(where: Path, text: str) -> None:
    with pytest.raises(library.UsageError):
        verify(text, [made.PIN])
    with pytest.raises(library.UsageError):
        verify(str(where), [text])
