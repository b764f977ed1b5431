"""The commands of a real packet's VERIFY.md, run as they stand, where there is no network and nothing of ours."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sluicegate.evidence import keys
from tests.peers.conftest import Packet
from tests.peers.second import OTHER

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# In order: the key, the tree head, both seals, the files.
HEAD, SEALS, FILES = 1, 2, 3


@pytest.fixture
def packet(packets: dict[str, Packet]) -> Path:
    """Of a run with a key that was given; `release.pub` lies beside it."""
    return packets["denied"].directory


@pytest.fixture
def copy(packet: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(packet, tmp_path / "packet"))


def blocks(packet: Path) -> list[str]:
    found = BLOCK.findall((packet / "VERIFY.md").read_text())
    assert len(found) == 4
    return list(found)


def failed(packet: Path, key: Path | str, commands: list[str], scratch: Path) -> list[int]:
    """Which of the blocks fail, each after those before it in one shell."""
    scratch.mkdir()
    told = "\n".join(f"{block}echo $? >{scratch}/{n}" for n, block in enumerate(commands))
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", told],
        cwd=packet,
        env={"PATH": "/usr/bin:/bin", "KEY": str(key), "TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
        check=False,
    )
    codes = [(scratch / str(n)).read_text().strip() for n in range(len(commands))]
    assert codes[0] == "0", done.stderr
    return [n for n, code in enumerate(codes) if code != "0"]


def check(packet: Path, key: Path | str, commands: list[str]) -> list[int]:
    return failed(packet, key, commands, packet.parent / "scratch")


def test_they_accept_a_real_packet(packet: Path, copy: Path) -> None:
    pub = packet.parent / "release.pub"
    assert check(copy, pub, blocks(copy)) == []
    digits = keys.read_public(pub.read_text()).hex()
    assert failed(copy, digits, blocks(copy), copy.parent / "digits") == []
    assert f"signer: `{digits}`" in (copy / "VERIFY.md").read_text()
    # They left nothing in it.
    assert sorted(os.listdir(copy)) == sorted(os.listdir(packet))


def test_they_refuse_another_key(copy: Path) -> None:
    assert check(copy, OTHER, blocks(copy)) == [HEAD, SEALS]


def edited(name: str, old: bytes, new: bytes) -> Callable[[Path], object]:
    def edit(packet: Path) -> None:
        data = (packet / name).read_bytes()
        assert old in data
        (packet / name).write_bytes(data.replace(old, new, 1))

    return edit


def other_size(packet: Path) -> None:
    lines = (packet / "checkpoint").read_text().split("\n")
    lines[1] = str(int(lines[1]) - 1)
    (packet / "checkpoint").write_text("\n".join(lines))


def other_statement(name: str) -> Callable[[Path], object]:
    def change(packet: Path) -> None:
        bundle = json.loads((packet / name).read_bytes())
        envelope = bundle["dsseEnvelope"]
        statement = base64.b64decode(envelope["payload"])
        changed = re.sub(rb'"sha256":"[0-9a-f]{64}"', b'"sha256":"' + b"0" * 64 + b'"', statement)
        assert changed != statement
        envelope["payload"] = base64.b64encode(changed).decode()
        text = json.dumps(bundle, sort_keys=True, separators=(",", ":"))
        (packet / name).write_text(text)

    return change


def swapped(packet: Path) -> None:
    """The other seal, also signed by the key, in the place of the one over everything."""
    shutil.copy(packet / "probes.sigstore.json", packet / "seal.sigstore.json")


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (edited("evidence.jsonl", b'"block"', b'"allow"'), [FILES]),
        (edited("flows.jsonl", b"denied.test", b"allowed.tst"), [FILES]),
        (edited("summary.md", b"sluicegate", b"sluicegatE"), [FILES]),
        (edited("boundary.json", b"{", b"{ "), [FILES]),
        (other_size, [HEAD, FILES]),
        (edited("checkpoint", b"sluicegate", b"sluicegatE"), [HEAD, FILES]),
        (other_statement("seal.sigstore.json"), [SEALS, FILES]),
        (other_statement("probes.sigstore.json"), [SEALS, FILES]),
        (edited("seal.sigstore.json", b'"sig":"', b'"sig":"AA'), [SEALS]),
        (swapped, [FILES]),
        (lambda packet: (packet / "flows.jsonl").unlink(), [FILES]),
        (lambda packet: (packet / "checkpoint").unlink(), [HEAD, FILES]),
        (lambda packet: (packet / "seal.sigstore.json").unlink(), [SEALS, FILES]),
        (lambda packet: (packet / "report.html").write_text("all is well"), [FILES]),
        (lambda packet: (packet / ".hidden").write_text(""), [FILES]),
    ],
)
def test_they_refuse_what_was_changed(
    packet: Path, copy: Path, change: Callable[[Path], object], wanted: list[int]
) -> None:
    commands = blocks(copy)
    change(copy)
    assert check(copy, packet.parent / "release.pub", commands) == wanted
