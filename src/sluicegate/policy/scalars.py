"""What every part of the grammar does with a node: its text, its list, its number, or the error that says why not."""

from __future__ import annotations

import re
from typing import NoReturn

from sluicegate.policy.document import Node

# A pebibyte: beyond what a run can move, and exact in JSON.
MAX_BYTES = 1 << 50
UNITS = {
    "": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}
_NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
SIZE = re.compile(r"([1-9][0-9]{0,15})([A-Za-z]{0,3})", re.ASCII)


class RuleError(Exception):
    """The author of one rule, limit or secret is at fault; the grammar adds the file."""

    def __init__(self, node: Node, message: str, hint: str) -> None:
        super().__init__(message)
        self.node, self.message, self.hint = node, message, hint


def fail(node: Node, message: str, hint: str) -> NoReturn:
    """Raises `RuleError`."""
    raise RuleError(node, message, hint)


def items_of(node: Node, what: str, example: str) -> tuple[Node, ...]:
    """The items of a list that is not empty.

    Raises:
        RuleError: it is no list, or an empty one.
    """
    if node.kind != "list":
        hint = f"{what}: [{node.value}]" if node.value else f"{what}: {example}"
        fail(node, f"{what} wants a list and got {node.called}", hint)
    if not node.items:
        fail(node, f"{what} is empty: the rule could never match", f"{what}: {example}")
    return node.items


def text_of(node: Node, what: str) -> str:
    """The text of a node that YAML takes for text.

    Raises:
        RuleError: it takes it for something else.
    """
    if node.kind != "str":
        hint = f'put quotes around it: "{node.value[:80]}"' if node.value else f"{what} is text"
        fail(node, f"{what} wants text and got {node.called}", hint)
    return node.value


def count_of(node: Node, what: str, most: int, example: int) -> int:
    """An integer from 1 to `most`.

    Raises:
        RuleError: anything else.
    """
    key = what.rpartition(".")[2]
    if node.kind != "int" or not _NUMBER.fullmatch(node.value):
        fail(node, f"{what} wants an integer and got {node.called}", f"{key}: {example}")
    if int(node.value) > most:
        fail(node, f"{what} is {node.value}, more than {most}", f"{key}: {most}")
    return int(node.value)


def size_of(node: Node, what: str) -> int:
    """Bytes: `500`, `500KB` (of 1000) or `10MiB` (of 1024).

    Raises:
        RuleError: no size, nothing at all, or more than `MAX_BYTES`.
    """
    key = what.rpartition(".")[2]
    found = SIZE.fullmatch(node.value) if node.kind in {"int", "str"} else None
    if found is None and node.value == "0":
        hint = "to let no content out, name the methods without it: methods: [GET, HEAD]"
        fail(node, f"{what} is 0, which not even a request fits into", hint)
    if found is None:
        fail(node, f"{what} wants a size and got {node.called}", f"{key}: 10MiB")
    if found[2] not in UNITS:
        near = {unit.lower(): unit for unit in UNITS} | {"k": "KB", "m": "MB", "g": "GB", "t": "TB"}
        unit = near.get(found[2].lower(), "MiB")
        units = ", ".join(filter(None, UNITS))
        fail(node, f'{what} has the unit "{found[2]}", not {units}', f"{key}: {found[1]}{unit}")
    size = int(found[1]) * UNITS[found[2]]
    if size > MAX_BYTES:
        fail(node, f"{what} is {node.value}, more than {MAX_BYTES} bytes", f"{key}: 1024TiB")
    return size
