"""Every way we know to change a packet, on every file of it: never accepted, never a traceback, the place named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sluicegate.verify import packet as check
from sluicegate.verify.packet import Level
from tests.evidence import made

Edit = Callable[[bytes], bytes]


def mid(data: bytes) -> int:
    return max(data.find(b":", len(data) // 2), len(data) // 2)


def number(text: bytes) -> Edit:
    """The first integer member of the second half, as `text`."""

    def edit(data: bytes) -> bytes:
        places = range(1, len(data))
        at = next((n for n in places if data[n : n + 1].isdigit() and data[n - 1 : n] == b":"), 0)
        if not at:
            return data  # it holds no number
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
        changed = EDITS[edit](data)
        if changed == data:
            continue
        report = check.verify(files | {name: changed}, [made.PIN])
        assert report.outcome in {check.INVALID, check.UNPROVEN}, name
        said = report.reached[Level.INTACT if report.outcome == check.INVALID else Level.CLOSED]
        assert not said[0]
        assert len(said[1]) < 400


def test_spliced_lines_of_another_run(files: dict[str, bytes], tmp_path: Path) -> None:
    theirs = made.files(tmp_path, made.some())["evidence.jsonl"].splitlines(keepends=True)
    ours = files["evidence.jsonl"].splitlines(keepends=True)
    for at in range(1, len(ours)):
        for spliced in (ours[:at] + theirs[at:], [*ours[:at], theirs[at], *ours[at + 1 :]]):
            changed = files | {"evidence.jsonl": b"".join(spliced)}
            report = check.verify(changed, [made.PIN])
            assert report.outcome == check.INVALID
            assert f"line {at + 1}" in report.reached[Level.INTACT][1]
