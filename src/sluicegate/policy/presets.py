"""What a preset is to the policy: rows with their sources, put in where a line of `allow` names it. Pure.

What the rows are is the room `presets`' to say; the policy is handed a function. The rules it makes are like any
others: the normalised policy holds them, and nothing of the preset.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from sluicegate.policy.document import Node
from sluicegate.policy.model import Rule
from sluicegate.policy.scalars import RuleError, fail, items_of, text_of
from sluicegate.wire import names

KEYS = ("preset", "repos")
READ = ("GET", "HEAD")
# OWNER/REPO: what code hosts call a repository; no dots alone, which would be steps in a path.
REPO = re.compile(r"(?!\.)[A-Za-z0-9_.-]{1,100}/(?!\.{1,2}$)[A-Za-z0-9_.-]{1,100}", re.ASCII)
# Each is some globs of every row; whoever needs more of them wants all.
MAX_REPOS = 64


class PresetError(Exception):
    """A preset that is not there, or can not be said on this machine; `hint` is the remedy."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


@dataclass(frozen=True, slots=True)
class Row:
    """One rule of a preset: `host` as policies write it (or an address), and where that it needs it is said.

    Empty `methods` or `paths` mean any, as in rules.
    """

    host: str
    source: str
    ports: tuple[int, ...] = (443,)
    methods: tuple[str, ...] = READ
    paths: tuple[str, ...] = ()
    query: tuple[tuple[str, str], ...] = ()


# The rows of a preset, for the repositories that its line names. Raises PresetError.
Expand = Callable[[str, tuple[str, ...]], tuple[Row, ...]]


def rules(
    keys: dict[str, Node], node: Node, where: str, label: str, expand: Expand | None
) -> tuple[Rule, ...]:
    """The rules that the line `- preset: NAME` stands for; each has the line's label.

    Raises:
        RuleError: in `deny`, beside other keys, without `expand`, or what `expand` says.
    """
    name = text_of(keys["preset"], "preset")
    if where == "deny":
        hint = "deny what it has by host: `sluicegate presets NAME` lists it"
        fail(node, "preset in deny: a preset is a list of what is needed", hint)
    other = next((key for key in keys if key not in KEYS), None)
    if other is not None:
        hint = f"remove {other}, or write rules: `sluicegate presets NAME` lists them"
        fail(
            keys[other],
            f"{other} beside preset, which has hosts, methods and paths of its own",
            hint,
        )
    repos = _repos(keys["repos"]) if "repos" in keys else ()
    if expand is None:
        fail(
            keys["preset"],
            "presets are not read here",
            "write rules: `sluicegate presets NAME` lists them",
        )
    try:
        rows = expand(name, repos)
    except PresetError as error:
        raise RuleError(keys["preset"], error.message, error.hint) from error
    return made(rows, label, name)


def made(rows: tuple[Row, ...], label: str, name: str) -> tuple[Rule, ...]:
    """The rules that `rows` are, each with `label` and the preset's `name`; none twice."""
    return tuple(dict.fromkeys(_rule(row, label, name) for row in rows))


def numbered(rules: Iterable[Rule], where: str, start: int) -> tuple[Rule, ...]:
    """`rules`, whose labels are places, as those from number `start` of `where`: each has a name of its own."""
    named = enumerate(rules, start)
    return tuple(replace(rule, label=f"{where}[{index}] {rule.label}") for index, rule in named)


def is_repo(text: str) -> bool:
    """Whether `text` is OWNER/REPO."""
    return REPO.fullmatch(text) is not None


def _rule(row: Row, label: str, name: str) -> Rule:
    bare = names.is_address(row.host)
    return Rule(
        label=label,
        host=None if bare else row.host.removeprefix("*."),
        wildcard=row.host.startswith("*."),
        network=str(ipaddress.ip_network(row.host)) if bare else None,
        ports=tuple(sorted(row.ports)),
        methods=tuple(sorted(row.methods)),
        paths=row.paths,
        query=row.query,
        preset=name,
    )


def _repos(node: Node) -> tuple[str, ...]:
    items = items_of(node, "repos", "[OWNER/REPO]")
    if len(items) > MAX_REPOS:
        fail(
            node,
            f"repos has {len(items)} entries, more than {MAX_REPOS}",
            "leave repos out: then it is all of them",
        )
    found = []
    for item in items:
        text = text_of(item, "repos")
        if not is_repo(text):
            fail(item, f'"{text[:80]}" is not OWNER/REPO', "repos: [OWNER/REPO]")
        found.append(text.removesuffix(".git"))
    return tuple(dict.fromkeys(found))
