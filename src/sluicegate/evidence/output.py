"""What the command hands to later steps: a file of outputs, judged before anything of it is passed on. Pure.

The format is GitHub's: `name=value`, or `name<<DELIMITER`, lines, `DELIMITER`. What the command wrote is never passed
on as it stands: names that a policy grants are written anew, each between delimiters that it could not know.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sluicegate import jcs, orders

# The file; GitHub takes 1 MiB of outputs from a whole job.
MAX_FILE_BYTES = 1_048_576
MAX_VALUE_BYTES = 262_144
MAX_REFUSED = 64  # told by name; the rest is counted
MAX_NAME = 100
DELIMITER_BYTES = 16
_HASHES = re.compile(r"##(vso)?\[")
NOT_GRANTED = "not granted by every policy"
CONTROL = "a control character, or bytes that are not UTF-8"
COMMAND = "a line that a runner takes for a command"
TOO_LONG = f"more than {MAX_VALUE_BYTES} bytes"
TOO_LARGE = f"the file has more than {MAX_FILE_BYTES} bytes"
UNENDED = "its delimiter does not come"
NO_OUTPUT = "not an output: no name and value"
REASONS = (CONTROL, COMMAND, NOT_GRANTED, NO_OUTPUT, TOO_LARGE, TOO_LONG, UNENDED)


@dataclass(frozen=True, slots=True)
class Outputs:
    """`given`: (name, value), sorted by name. `refused`: (name as `orders.spelled`, why), in the file's order."""

    given: tuple[tuple[str, str], ...] = ()
    refused: tuple[tuple[str, str], ...] = ()


def judged(data: bytes, granted: Sequence[str]) -> Outputs:
    """Which outputs in the file's bytes may be passed on.

    Of a name that comes twice the last counts, as on GitHub: if that one is refused, none is passed on.
    """
    given, refused = dict[str, str](), list[tuple[str, str]]()
    lines = data.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    lines.reverse()
    while lines:
        line = lines.pop().removesuffix(b"\r")
        if not line:
            continue
        name, value, why = _read(line, lines)
        why = why or ("" if name in granted else NOT_GRANTED) or _wrong(value)
        if why:
            given.pop(name, None)  # whoever reads it would have had the last one
            refused.append(
                (orders.spelled(name.encode("utf-8", "surrogateescape"))[:MAX_NAME], why)
            )
        else:
            given[name] = value.decode()
    return Outputs(tuple(sorted(given.items())), tuple(refused))


def _read(line: bytes, lines: list[bytes]) -> tuple[str, bytes, str]:
    """The name and value that begin with `line`, or why they are none; takes the value's from the end of `lines`."""
    equals, here = line.find(b"="), line.find(b"<<")
    if equals >= 0 and (here < 0 or equals < here):
        return _name(line[:equals]), line[equals + 1 :], "" if equals else NO_OUTPUT
    if here < 0:
        return _name(line), b"", NO_OUTPUT
    name, delimiter = _name(line[:here]), line[here + 2 :]
    found = list[bytes]()
    while lines:
        piece = lines.pop().removesuffix(b"\r")
        if piece == delimiter and delimiter:
            return name, b"\n".join(found), "" if name else NO_OUTPUT
        found.append(piece)
    return name, b"", UNENDED


def _name(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _wrong(value: bytes) -> str:
    if len(value) > MAX_VALUE_BYTES:
        return TOO_LONG
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return CONTROL
    # Line breaks that other readers see (NEL, LS, PS) and what reorders a line are controls too.
    if any(not c.isprintable() and c not in "\n\t " for c in text):
        return CONTROL
    # A later step may print it: `::name::` at a line's beginning, `##[name]` (Azure: `##vso[name]`) anywhere.
    if any(line.lstrip().startswith("::") or _HASHES.search(line) for line in text.split("\n")):
        return COMMAND
    return ""


def written(outputs: Outputs, delimiters: Sequence[str]) -> bytes:
    """The text for the runner's file; `delimiters`: one a value, made of dice that nobody inside can see.

    Raises:
        ValueError: a delimiter is a line of its value.
    """
    out = list[str]()
    for (name, value), delimiter in zip(outputs.given, delimiters, strict=True):
        if delimiter in value:
            raise ValueError("a delimiter that the value has")
        out.append(f"{name}<<{delimiter}\n{value}\n{delimiter}\n")
    return "".join(out).encode()


def report(outputs: Outputs) -> Mapping[str, jcs.Json]:
    """What workspace.json says of them: values by length and digest."""
    given: list[jcs.Json] = [
        {
            "name": name,
            "bytes": len(value.encode()),
            "sha256": hashlib.sha256(value.encode()).hexdigest(),
        }
        for name, value in outputs.given
    ]
    refused: list[jcs.Json] = [
        {"name": name, "why": why} for name, why in outputs.refused[:MAX_REFUSED]
    ]
    return {"given": given, "refused": refused, "refused_count": len(outputs.refused)}
