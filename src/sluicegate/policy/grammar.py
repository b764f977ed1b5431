"""Policy text to `Policy`: a strict schema, and errors that say where, what and how to mend it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NoReturn

from sluicegate.policy import document, rules
from sluicegate.policy.document import Node
from sluicegate.policy.model import Policy, PolicyError, Rule

VERSION = 1
KEYS = ("version", "mode", "allow", "deny", "limits", "agent")
# Written here rather than left unknown: a policy that asks for them must not seem to have them.
LATER = ("inspect", "scan", "secrets", "preset")
LIMITS = ("connections",)
LATER_LIMITS = ("upload", "upload_per_host", "names_per_wildcard")
AGENT = ("env", "bind")
MODES = ("enforce", "observe")
# The gate's descriptors: two a connection, and a process seldom gets more than a million.
MAX_CONNECTIONS = 100_000
_NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
_BIND = re.compile(r"(?:~/|/)[^\x00-\x1f\x7f]{1,4095}")


def parse(text: str, source: str) -> Policy:
    """The policy that `text` says; `source` names the file in labels and errors.

    Raises:
        PolicyError: anything that is not understood to the last character.
    """
    return _Reader(source).policy(document.read(text, source))


class _Reader:
    def __init__(self, source: str) -> None:
        self._source = source

    def policy(self, root: Node) -> Policy:
        keys = self._mapping(root, "the policy", KEYS, LATER)
        if "version" not in keys:
            self._fail(root, "version is missing", f"begin with `version: {VERSION}`")
        version = keys["version"]
        if version.kind != "int" or version.value != str(VERSION):
            self._fail(
                version, f"version is {version.called}, not {VERSION}", f"version: {VERSION}"
            )
        mode = MODES[0]
        if "mode" in keys:
            mode = self._text(keys["mode"], "mode", "mode: enforce")
            if mode not in MODES:
                self._fail(keys["mode"], f'mode "{mode}" is not known', _near(mode, MODES))
        limits = self._optional(keys, "limits", LIMITS, LATER_LIMITS)
        agent = self._optional(keys, "agent", AGENT, ())
        return Policy(
            source=self._source,
            observe=mode == "observe",
            allow=self._rules(keys.get("allow"), "allow"),
            deny=self._rules(keys.get("deny"), "deny"),
            connections=self._connections(limits.get("connections")),
            env=self._env(agent.get("env")),
            bind=self._bind(agent.get("bind")),
        )

    def _rules(self, node: Node | None, where: str) -> tuple[Rule, ...]:
        # `allow:` with nothing after it is how people write an empty list.
        if node is None or (node.kind == "null" and not node.value):
            return ()
        if node.kind != "list":
            hint = f"{where}: [{{host: example.com}}]"
            self._fail(node, f"{where} wants a list of rules and got {node.called}", hint)
        return tuple(self._rule(item, where, index) for index, item in enumerate(node.items))

    def _rule(self, node: Node, where: str, index: int) -> Rule:
        what = f"{where}[{index}]"
        if node.kind != "mapping":
            hint = f"- host: {node.value}" if node.kind == "str" else "- host: example.com"
            self._fail(node, f"{what} wants a mapping and got {node.called}", hint)
        keys = self._mapping(node, what, rules.KEYS, rules.LATER)
        try:
            return rules.build(keys, node, where, f"{what} {self._source}:{node.line}")
        except rules.RuleError as error:
            self._fail(error.node, f"{what}: {error.message}", error.hint)

    def _connections(self, node: Node | None) -> int | None:
        if node is None:
            return None
        if node.kind != "int" or not _NUMBER.fullmatch(node.value):
            message = f"limits.connections wants an integer and got {node.called}"
            self._fail(node, message, "connections: 2000")
        if int(node.value) > MAX_CONNECTIONS:
            message = f"limits.connections is {node.value}, more than {MAX_CONNECTIONS}"
            self._fail(node, message, f"connections: {MAX_CONNECTIONS}")
        return int(node.value)

    def _env(self, node: Node | None) -> tuple[str, ...]:
        hint = "env: [HF_HOME]"
        texts = self._texts(node, "agent.env", hint)
        for item, text in texts:
            if "=" in text:
                message = f'agent.env takes names, not values: "{text.partition("=")[0]}"'
                self._fail(item, message, "give values with --env NAME=VALUE")
            if not _VARIABLE.fullmatch(text):
                self._fail(item, f"{item.called} is not a variable's name", hint)
        return tuple(dict.fromkeys(text for _, text in texts))

    def _bind(self, node: Node | None) -> tuple[str, ...]:
        hint = "bind: [~/.cache/pip]"
        texts = self._texts(node, "agent.bind", hint)
        for item, text in texts:
            if text in {"~", "~/", "/"}:
                message = f'"{text}" is all of the {"file system" if text == "/" else "home"}'
                self._fail(item, message, f"name the directory that is needed: {hint}")
            if not _BIND.fullmatch(text):
                self._fail(item, f"{item.called} does not begin with / or ~/", hint)
            if {".", "..", ""} & set(text.rstrip("/").split("/")[1:]):
                self._fail(item, f"{item.called} has an empty segment, . or ..", hint)
        return tuple(dict.fromkeys(text.rstrip("/") for _, text in texts))

    def _texts(self, node: Node | None, what: str, hint: str) -> list[tuple[Node, str]]:
        if node is None:
            return []
        if node.kind != "list":
            self._fail(node, f"{what} wants a list and got {node.called}", hint)
        return [(item, self._text(item, what, hint)) for item in node.items]

    def _text(self, node: Node, what: str, hint: str) -> str:
        if node.kind != "str":
            self._fail(node, f"{what} wants text and got {node.called}", hint)
        return node.value

    def _optional(
        self, keys: dict[str, Node], name: str, known: tuple[str, ...], later: tuple[str, ...]
    ) -> dict[str, Node]:
        return self._mapping(keys[name], name, known, later) if name in keys else {}

    def _mapping(
        self, node: Node, what: str, known: tuple[str, ...], later: tuple[str, ...]
    ) -> dict[str, Node]:
        if node.kind != "mapping":
            hint = f"keys: {', '.join(known)}"
            self._fail(node, f"{what} wants a mapping and got {node.called}", hint)
        for key, _ in node.pairs:
            if key.value in later:
                hint = "remove the key; this sluicegate does not have it and would not enforce it"
                self._fail(key, f'key "{key.value}" is not yet supported', hint)
            if key.value not in known:
                message = f'{what} has no key "{key.value[:80]}"'
                self._fail(key, message, _near(key.value, known))
        return {key.value: value for key, value in node.pairs}

    def _fail(self, node: Node, message: str, hint: str) -> NoReturn:
        raise PolicyError(self._source, node.line, node.column, message, hint)


def _near(word: str, known: Iterable[str]) -> str:
    import difflib  # only a mistake needs it

    close = difflib.get_close_matches(word.lower(), known, 1, 0.6)
    return f"did you mean {close[0]}?" if close else f"one of: {', '.join(known)}"
