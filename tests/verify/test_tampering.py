"""Every way we know to change a packet, on every file of it: never accepted, never a traceback, the place named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sluicegate.evidence import keys, packet
from sluicegate.verify import packet as check
from sluicegate.verify.packet import Level
from tests.evidence import made

Edit = Callable[[bytes], bytes]


def mid(data: bytes) -> int:
    return data.index(b":", len(data) // 2)


def number(text: bytes) -> Edit:
    """The first integer member of the second half, as `text`."""

    def edit(data: bytes) -> bytes:
        at = next(
            n for n in range(len(data)) if data[n : n + 1].isdigit() and data[n - 1 : n] == b":"
        )
        end = next(n for n in range(at, len(data)) if not data[n : n + 1].isdigit())
        return data[:at] + text.replace(b"N", data[at:end]) + data[end:]

    return edit


EDITS: dict[str, Edit] = {
    "empty": lambda data: b"",
    "truncate": lambda data: data[: len(data) // 2],
    "last byte": lambda data: data[:-1],
    "bom": lambda data: b"\xef\xbb\xbf" + data,
    "crlf": lambda data: data.replace(b"\n", b"\r\n"),
    "trailing space": lambda data: data.replace(b"\n", b" \n"),
    "leading space": lambda data: b" " + data,
    "blank line": lambda data: data + b"\n",
    "line separator": lambda data: data.replace(b"\n", "\u2028".encode()),
    "nul": lambda data: data[: mid(data)] + b"\0" + data[mid(data) :],
    "escaped nul": lambda data: data.replace(b'":"', b'":"\\u0000', 1),
    "duplicate key": lambda data: b'{"v":2,' + data[1:] if data[:1] == b"{" else data + data,
    "float": number(b"N.0"),
    "exponent": number(b"Ne0"),
    "huge": number(b"9" * 4400),
    "beyond 2^53": number(b"9007199254740993"),
    "nan": number(b"NaN"),
    "minus zero": number(b"-0"),
    "deep": lambda data: b'{"a":' * 5000 + data,
    "utf-16": lambda data: data.decode().encode("utf-16"),
    "not utf-8": lambda data: data[: mid(data)] + b"\xff" + data[mid(data) :],
    "appended": lambda data: data + b"{}\n",
    "escaped letter": lambda data: data.replace(b'"a', b'"\\u0061', 1),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return made.files(tmp_path_factory.mktemp("t"), made.some())


@pytest.mark.parametrize("edit", EDITS)
def test_no_edit_of_any_file_is_accepted(files: dict[str, bytes], edit: str) -> None:
    for name, data in files.items():
        if name == "policy.json" and edit in {"float", "exponent", "huge", "beyond 2^53", "nan"}:
            continue  # it holds no number
        if name == "policy.json" and edit == "minus zero":
            continue
        changed = EDITS[edit](data)
        if changed == data:
            continue
        report = check.verify(files | {name: changed}, [made.PIN])
        assert report.outcome in {check.INVALID, check.UNPROVEN}, name
        said = report.reached[Level.INTACT if report.outcome == check.INVALID else Level.CLOSED]
        assert not said[0]
        assert len(said[1]) < 400


def rehashed(files: dict[str, bytes], seed: bytes) -> dict[str, bytes]:
    """The record signed again by another key, with links and bindings that hold."""
    from sluicegate.evidence import chain, journal

    sign, key = keys.signer(seed)
    run = chain.Run("a" * 32, "b" * 32, made.digest(made.POLICY), key, 0, posture())
    book = journal.Journal(run, sign)
    evidence, facts = book.open("open", "2026-01-02T03:04:05Z"), b""
    whole = packet.boundary(made.OPENED, made.CLOSED)
    last = {"boundary_sha256": made.digest(whole), **dict(made.CLOSED["counters"])}  # type: ignore[call-overload]
    for told in (book.boundary(last, "boundary", "2026-01-02T03:04:06Z"),):
        facts, evidence = facts + told[0], evidence + told[1]
    evidence += book.close("close", "done", "2026-01-02T03:04:07Z")
    forged = files | {"evidence.jsonl": evidence, "flows.jsonl": facts}
    del forged["packet.json"]
    report = check.verify(forged, [], finished=False)
    return forged | {
        "packet.json": packet.packet(
            report.tally, report.boundary, report.policy_hash, report.root, report.signer_key
        )
    }


def posture() -> str:
    return packet.opening_digest(made.OPENED).removeprefix("sha256:")


def test_signed_again_by_another_key(files: dict[str, bytes]) -> None:
    forged = rehashed(files, b"x" * 32)
    assert (
        json.loads(forged["packet.json"])["verifier"]["verdict"] == "valid"
    )  # it says so of itself
    assert check.verify(forged, [made.PIN]).outcome == check.UNTRUSTED
    assert check.verify(forged, []).outcome == check.UNTRUSTED


@pytest.mark.parametrize("name", ["evidence.jsonl", "flows.jsonl", "boundary.json", "packet.json"])
def test_spliced_from_another_run(files: dict[str, bytes], tmp_path: Path, name: str) -> None:
    other = made.files(tmp_path, [made.message(9)])
    if other[name] != files[name]:
        assert check.verify(files | {name: other[name]}, [made.PIN]).outcome == check.INVALID


def test_spliced_lines_of_another_run(files: dict[str, bytes], tmp_path: Path) -> None:
    theirs = made.files(tmp_path, made.some())["evidence.jsonl"].splitlines(keepends=True)
    ours = files["evidence.jsonl"].splitlines(keepends=True)
    for at in range(1, len(ours)):
        for spliced in (ours[:at] + theirs[at:], [*ours[:at], theirs[at], *ours[at + 1 :]]):
            changed = files | {"evidence.jsonl": b"".join(spliced)}
            report = check.verify(changed, [made.PIN])
            assert report.outcome == check.INVALID
            assert f"line {at + 1}" in report.reached[Level.INTACT][1]
