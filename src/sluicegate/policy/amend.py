"""A policy's text with further rules in it, everything else as its author wrote it. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from sluicegate.policy import grammar, normal, presets
from sluicegate.policy.model import PolicyError

_ALLOW = re.compile(r"allow:[ \t]*(?:\[[ \t]*\][ \t]*)?(#.*)?\n?")
_ITEM = re.compile(r"( *)- ")
_NOTHING = re.compile(r"[ \t]*(#.*)?\n?")


def amended(text: str, rules: Sequence[str], comment: str) -> str | None:
    """`text` with `rules` (as `policy.remedies` writes them) at the end of its `allow`, each below `comment`.

    None where the text is written so that this can not be done, or would say anything else than these rules more.
    """
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    at = next((n for n, line in enumerate(lines) if _ALLOW.fullmatch(line)), None)
    if at is None:
        lines.append("allow:\n")
        at = len(lines) - 1
    indent, end = "  ", at + 1
    for number in range(at + 1, len(lines)):
        item = _ITEM.match(lines[number])
        if item is None and not _NOTHING.fullmatch(lines[number]) and lines[number][0] != " ":
            break
        if item is not None and end == at + 1:
            indent = item[1]
        if not _NOTHING.fullmatch(lines[number]):
            end = number + 1
    kept = _ALLOW.fullmatch(lines[at])
    lines[at] = f"allow:  {kept[1]}\n" if kept is not None and kept[1] else "allow:\n"
    added = [f"{indent}# {comment}\n{_indented(rule, indent)}" for rule in rules]
    new = "".join((*lines[:end], *added, *lines[end:]))
    return new if _says(text, new, rules) else None


def _indented(rule: str, indent: str) -> str:
    return "".join(f"{indent}{line}\n" for line in rule.splitlines())


def _rows(_name: str, _repos: tuple[str, ...]) -> tuple[presets.Row, ...]:
    """What presets are made of is not in the text."""
    return ()


def _says(text: str, new: str, rules: Sequence[str]) -> bool:
    """Whether `new` is `text` and the rules, and nothing else."""
    alone = "version: 1\nallow:\n" + "".join(_indented(rule, "  ") for rule in rules)
    try:
        before, after, more = (grammar.parse(one, "policy", _rows) for one in (text, new, alone))
    except PolicyError:
        return False
    wanted = replace(before, allow=before.allow + more.allow)
    return normal.policy_text((after,)) == normal.policy_text((wanted,))
