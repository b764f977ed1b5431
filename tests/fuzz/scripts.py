"""Scripts of changes: any bytes are one, so a fuzzer that knows nothing of packets writes them. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.vectors import recipes
from tests.vectors.runs import Files

# What turns one meaning into another more often than chance does.
WORDS = (
    *(b"\n", b"\r\n", b" ", b"\0", b"\\u0000", b"\\ud800", b"\x7f", b"\xff", b"\xef\xbb\xbf"),
    *("\u0085".encode(), "\u2028".encode(), b'"', b"\\", b",", b"{", b"}", b"[", b"]", b"{}", b":"),
    *(b"0", b"-0", b"1.0", b"1e0", b"NaN", b"9007199254740993", b"true", b"false", b"null"),
    *(b"allow", b"block", b"warn", b'"v":2,', b"ed25519:", b"sha256:", b"genesis", b"0" * 64),
    *(b"receipt_session", b"boundary", b"session_close", b"checkpoint", b"transcript_root"),
)
VALUES: tuple[object, ...] = (
    *(None, True, False, 0, 1, -1, 2**53, "", "a", "allow", "block", "0" * 64, [], [1], {}),
    {"a": None},
)
MOST_EDITS = 8


class Script:
    """Choices, read off bytes; when they are spent, every choice is the first."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    @property
    def spent(self) -> bool:
        return self.at >= len(self.data)

    def number(self, below: int) -> int:
        size = 1 if below <= 256 else 2 if below <= 65_536 else 3
        taken = self.data[self.at : self.at + size]
        self.at += size
        return int.from_bytes(taken) % max(1, below)

    def of(self, things: Any) -> Any:
        return things[self.number(len(things))]

    def take(self, most: int) -> bytes:
        size = self.number(most + 1)
        taken = self.data[self.at : self.at + size]
        self.at += size
        return taken


def changed(data: bytes, bases: Mapping[str, Files]) -> Files:
    """The packet `whole` after the script `data`, whose author has no key."""
    script, files = Script(data), dict(bases["whole"])
    for _ in range(MOST_EDITS):
        if script.spent:
            break
        EDITS[script.number(len(EDITS))](script, files, bases)
    return files


def bent(data: bytes, whole: bytes) -> bytes:
    """One file after the script `data`."""
    script, files = Script(data), {"it": whole}
    for _ in range(MOST_EDITS):
        if script.spent:
            break
        script.of((_bytes, _bytes, _words, _cut, _copy, _lines, _lines))(script, files, {})
    return files["it"]


def _file(script: Script, files: Files) -> str:
    return str(script.of(sorted(files)))


def _bytes(script: Script, files: Files, _: object) -> None:
    name = _file(script, files)
    data = files[name]
    at = script.number(len(data) + 1)
    how = script.number(3)
    if how == 0:
        files[name] = (
            data[:at]
            + bytes([(data[at] if at < len(data) else 0) ^ 1 << script.number(8)])
            + data[at + 1 :]
        )
    else:
        end = at + script.number(16) if how == 1 else at
        files[name] = data[:at] + script.take(16) + data[end:]


def _words(script: Script, files: Files, _: object) -> None:
    name = _file(script, files)
    data, word = files[name], script.of(WORDS)
    at = script.number(len(data) + 1)
    over = len(word) if script.number(2) else 0
    files[name] = data[:at] + word + data[at + over :]


def _cut(script: Script, files: Files, _: object) -> None:
    name = _file(script, files)
    at = script.number(len(files[name]) + 1)
    files[name] = files[name][:at] if script.number(2) else files[name][at:]


def _copy(script: Script, files: Files, _: object) -> None:
    """A piece of a file, to another place of it or out of it."""
    name = _file(script, files)
    data = files[name]
    start, size, to = (
        script.number(len(data) + 1),
        script.number(1024),
        script.number(len(data) + 1),
    )
    piece = data[start : start + size] if script.number(2) else b""
    files[name] = data[:to] + piece + data[to + (0 if piece else size) :]


def _lines(script: Script, files: Files, bases: Mapping[str, Files]) -> None:
    """A line dropped, doubled, moved, cut after, or taken from another run."""
    name = _file(script, files)
    lines = files[name].splitlines(keepends=True)
    if not lines:
        return
    at, to, how = script.number(len(lines)), script.number(len(lines)), script.number(6)
    line = lines[at]
    if how == 0:
        del lines[at]
    elif how == 1:
        lines.insert(to, line)
    elif how == 2:
        lines.insert(to, lines.pop(at))
    elif how == 3:
        del lines[at:]
    else:
        others = [other.get(name, b"") for other in bases.values()] or [b""]
        theirs = script.of(others).splitlines(keepends=True)
        lines[at:] = theirs[at:] if how == 4 else [*theirs[at : at + 1], *lines[at + 1 :]]
    files[name] = b"".join(lines)


def _files(script: Script, files: Files, bases: Mapping[str, Files]) -> None:
    """A file dropped, emptied, added, exchanged with another of the packet or of another run."""
    name, other, how = _file(script, files), _file(script, files), script.number(5)
    if how == 0 and len(files) > 1:
        del files[name]
    elif how == 1:
        files[name] = script.take(16)
    elif how == 2:
        files[script.of(("report.html", "Packet.json", "a\n", ""))] = script.take(16)
    elif how == 3:
        files[name], files[other] = files[other], files[name]
    else:
        files[name] = script.of(sorted(bases.items()))[1].get(name, b"")


def _value(script: Script, files: Files, _: object) -> None:
    """One value of one line or file, spelled as its writer spells it."""
    name = _file(script, files)
    data = files[name]
    lines = data.splitlines(keepends=True) if name.endswith("l") else [data]
    if not lines:
        return
    at = script.number(len(lines))
    try:
        found = json.loads(lines[at])
        replaced(script, found)
        end = b"\n" if lines[at].endswith(b"\n") else b""
        lines[at] = recipes.spelled(name, found) + end
    except (ValueError, TypeError, RecursionError):
        return  # an edit before this one broke it
    files[name] = b"".join(lines)


def replaced(script: Script, found: Any) -> None:
    """Another value somewhere in `found`, or none."""
    for _ in range(6):
        if not isinstance(found, dict | list) or not found:
            return
        names = sorted(found) if isinstance(found, dict) else range(len(found))
        name = script.of(names)
        if isinstance(found[name], dict | list) and script.number(4):
            found = found[name]
            continue
        if script.number(4):
            found[name] = script.of(VALUES)
        else:
            del found[name]
        return


def _rehash(_script: Script, files: Files, bases: Mapping[str, Files]) -> None:
    cook = recipes.Cook(files, bases)
    try:
        recipes.VERBS["rehash"](cook, {"do": "rehash"})
    except (ValueError, TypeError, KeyError):
        return  # nothing is left that has hashes


EDITS: tuple[Callable[[Script, Files, Mapping[str, Files]], None], ...] = (
    *(_bytes, _words, _cut, _copy, _lines, _lines, _files, _value, _value, _rehash),
)
