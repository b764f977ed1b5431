from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate.evidence import keys, note, tree
from sluicegate.verify import packet
from sluicegate.verify.packet import Level
from tests.evidence import made

SIGN = keys.signer(made.SEED)[0]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return made.files(tmp_path_factory.mktemp("t"), made.some())


def origin(files: dict[str, bytes]) -> str:
    return files["checkpoint"].decode().splitlines()[0]


def head(files: dict[str, bytes], size: int, seed: bytes = made.SEED, **other: bytes) -> bytes:
    grown = tree.EMPTY
    for line in files["evidence.jsonl"].splitlines()[:size]:
        grown = tree.grown(grown, line)
    point = note.Checkpoint(origin(files), size, other.get("root", tree.root(grown)))
    sign, public = keys.signer(seed)
    return note.sign_checkpoint(point, bytes.fromhex(public), sign)


def outcome(files: dict[str, bytes], *given: bytes) -> tuple[int, str]:
    report = packet.verify(files, [made.PIN], checkpoints=given)
    return report.outcome, report.reached[Level.INTACT][1]


def test_a_record_continues_every_earlier_head_of_itself(files: dict[str, bytes]) -> None:
    count = len(files["evidence.jsonl"].splitlines())
    every = [head(files, size) for size in range(count + 1)]
    assert outcome(files, *every, files["checkpoint"])[0] == packet.VALID


def test_a_rewritten_or_cut_record_does_not(files: dict[str, bytes], tmp_path: Path) -> None:
    count = len(files["evidence.jsonl"].splitlines())
    cases = {
        "the first 3 lines were other ones": head(files, 3, root=b"0" * 32),
        f"was cut: it covers {count + 1} lines": head(files, count + 1),
        "no signature by a pinned key": head(files, 3, seed=b"x" * 32),
        "checkpoint from outside": b"nonsense",
    }
    for said, given in cases.items():
        code, why = outcome(files, given)
        assert code == packet.INVALID
        assert said in why
    other = made.files(tmp_path, made.some())
    assert outcome(files, other["checkpoint"])[0] == packet.INVALID


def test_a_prefix_is_held_to_what_was_shown_of_it(files: dict[str, bytes]) -> None:
    lines = files["evidence.jsonl"].splitlines(keepends=True)
    opened = packet.audit.boundary(made.OPENED, None)
    cut = {
        "evidence.jsonl": b"".join(lines[:4]),
        "flows.jsonl": files["flows.jsonl"],
        "policy.json": files["policy.json"],
        "boundary.json": opened,
    }
    assert outcome(cut, head(files, 4))[0] == packet.UNPROVEN
    assert outcome(cut, head(files, 5))[0] == packet.INVALID
