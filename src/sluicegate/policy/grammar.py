"""Policy text to `Policy`: a strict schema, and errors that say where, what and how to mend it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import NoReturn

from sluicegate.policy import credentials, document, presets, rules
from sluicegate.policy.document import Node
from sluicegate.policy.model import Policy, PolicyError, Rule, Secret
from sluicegate.policy.scalars import RuleError, count_of, size_of

VERSION = 1
KEYS = ("version", "mode", "allow", "deny", "inspect", "limits", "record", "secrets", "agent")
# Written here rather than left unknown: a policy that asks for them must not seem to have them.
LATER = ("scan",)
AGENT = ("env", "bind", "outputs", "writable")
MODES = ("enforce", "observe")
INSPECT = ("auto", "all", "none")
RECORD = ("digests",)
# The gate's descriptors: two a connection, and a process seldom gets more than a million.
MAX_CONNECTIONS = 100_000
# More of either limits nothing: a gate serves some thousand requests a second, and asks for fewer names.
MAX_REQUESTS = 1_000_000
MAX_NAMES = 100_000
# The most, and what a remedy shows.
COUNTS = {
    "connections": (MAX_CONNECTIONS, 2000),
    "requests_per_minute": (MAX_REQUESTS, 600),
    "names_per_wildcard": (MAX_NAMES, 8),
}
LIMITS = ("connections", "upload", "upload_per_host", "requests_per_minute", "names_per_wildcard")
# What one command needs has a handful; each costs a look at every request.
MAX_SECRETS = 64
# What GitHub takes for the name of an output; a step has a handful.
OUTPUT = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}", re.ASCII)
MAX_OUTPUTS = 64
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
RELATIVE = re.compile(r"[^\x00-\x1f\x7f]{1,4096}")
BIND = re.compile(r"(?:~/|/)[^\x00-\x1f\x7f]{1,4095}")


def parse(
    text: str, source: str, expand: presets.Expand | None = None, more: tuple[Rule, ...] = ()
) -> Policy:
    """The policy that `text` says, with `more` rules under `allow`.

    `source` names the file in labels and errors; `expand` says what presets are: without it they are errors.

    Raises:
        PolicyError: anything that is not understood to the last character.
    """
    return _Reader(source, expand).policy(document.read(text, source), more)


class _Reader:
    def __init__(self, source: str, expand: presets.Expand | None) -> None:
        self._source, self._expand = source, expand

    def policy(self, root: Node, more: tuple[Rule, ...]) -> Policy:
        keys = self._mapping(root, "the policy", KEYS, LATER)
        if "version" not in keys:
            self._fail(root, "version is missing", f"begin with `version: {VERSION}`")
        version = keys["version"]
        if version.kind != "int" or version.value != str(VERSION):
            self._fail(
                version, f"version is {version.called}, not {VERSION}", f"version: {VERSION}"
            )
        limits = self._optional(keys, "limits", LIMITS)
        agent = self._optional(keys, "agent", AGENT)
        allow = self._rules(keys.get("allow"), "allow")
        policy = Policy(
            source=self._source,
            observe=self._word(keys, "mode", MODES) == "observe",
            allow=(*allow, *presets.numbered(more, "allow", len(allow))),
            deny=self._rules(keys.get("deny"), "deny"),
            env=self._env(agent.get("env")),
            bind=self._bind(agent.get("bind")),
            outputs=self._outputs(agent.get("outputs")),
            writable=self._writable(agent.get("writable")),
            inspect=self._word(keys, "inspect", INSPECT) or INSPECT[0],
            digests=self._word(keys, "record", RECORD) == "digests",
            connections=self._count(limits, "connections"),
            upload=self._size(limits, "upload"),
            upload_per_host=self._size(limits, "upload_per_host"),
            requests_per_minute=self._count(limits, "requests_per_minute"),
            names_per_wildcard=self._count(limits, "names_per_wildcard"),
        )
        self._agrees(policy, keys)
        return replace(policy, secrets=self._secrets(keys.get("secrets"), policy))

    def _word(self, keys: dict[str, Node], name: str, known: tuple[str, ...]) -> str | None:
        if name not in keys:
            return None
        word = self._text(keys[name], name, f"{name}: {known[0]}")
        if word not in known:
            self._fail(keys[name], f'{name} "{word[:80]}" is not known', _near(word, known))
        return word

    def _list(self, node: Node | None, where: str, what: str, example: str) -> tuple[Node, ...]:
        # `allow:` with nothing after it is how people write an empty list.
        if node is None or (node.kind == "null" and not node.value):
            return ()
        if node.kind != "list":
            hint = f"{where}: [{example}]"
            self._fail(node, f"{where} wants a list of {what} and got {node.called}", hint)
        return node.items

    def _rules(self, node: Node | None, where: str) -> tuple[Rule, ...]:
        items = self._list(node, where, "rules", "{host: example.com}")
        found = list[Rule]()
        for index, item in enumerate(items):
            found += presets.numbered(self._line(item, where, index), where, len(found))
        return tuple(found)

    def _line(self, node: Node, where: str, index: int) -> tuple[Rule, ...]:
        what = f"{where}[{index}]"
        if node.kind != "mapping":
            hint = f"- host: {node.value}" if node.kind == "str" else "- host: example.com"
            self._fail(node, f"{what} wants a mapping and got {node.called}", hint)
        preset = any(key.value == "preset" for key, _ in node.pairs)
        known = (*presets.KEYS, *rules.KEYS) if preset else rules.KEYS
        keys = self._mapping(node, what, known, rules.LATER)
        label = f"{self._source}:{node.line}"
        try:
            if preset:
                return presets.rules(keys, node, where, label, self._expand)
            return (rules.build(keys, node, where, label),)
        except RuleError as error:
            self._fail(error.node, f"{what}: {error.message}", error.hint)

    def _count(self, limits: dict[str, Node], name: str) -> int | None:
        if name not in limits:
            return None
        try:
            return count_of(limits[name], f"limits.{name}", *COUNTS[name])
        except RuleError as error:
            self._fail(error.node, error.message, error.hint)

    def _size(self, limits: dict[str, Node], name: str) -> int | None:
        if name not in limits:
            return None
        try:
            return size_of(limits[name], f"limits.{name}")
        except RuleError as error:
            self._fail(error.node, error.message, error.hint)

    def _agrees(self, policy: Policy, keys: dict[str, Node]) -> None:
        """Nothing, if `inspect: none` leaves no rule without what it asks for."""
        if policy.inspect != "none":
            return
        remedy = "write inspect: auto, which opens TLS only where a rule needs it"
        for where, found in (("allow", policy.allow), ("deny", policy.deny)):
            # A pair for each rule: a line may be several, those of a preset; and options add some of their own.
            lines = {str(node.line): node for node in (keys[where].items if where in keys else ())}
            for rule in found:
                node = lines.get(rule.label.rpartition(":")[2], keys["inspect"])
                on_tls = not rule.ports or 443 in rule.ports
                if rule.inspect or (rule.narrow and on_tls):
                    what = "inspect: true" if rule.inspect else f"a {_narrowed(rule)}"
                    message = f"inspect: none, and {rule.label.partition(' ')[0]} has {what} on TLS"
                    hint = f"{remedy}, or limit the rule to clear HTTP: ports: [80]"
                    self._fail(node, message, remedy if rule.inspect else hint)
        if "secrets" in keys and keys["secrets"].items:
            message = "inspect: none, and secrets are put only into opened TLS"
            self._fail(keys["secrets"].items[0], message, remedy)

    def _secrets(self, node: Node | None, policy: Policy) -> tuple[Secret, ...]:
        items = self._list(node, "secrets", "secrets", credentials.EXAMPLE[2:])
        if len(items) > MAX_SECRETS and node is not None:
            message = f"secrets has {len(items)} entries, more than {MAX_SECRETS}"
            self._fail(node, message, "keep those that the command needs")
        found: dict[str, Secret] = {}
        for index, item in enumerate(items):
            what = f"secrets[{index}]"
            if item.kind != "mapping":
                # Not quoted: it may be the secret itself.
                self._fail(item, f"{what} wants a mapping", credentials.EXAMPLE)
            for key, _ in item.pairs:
                if key.value.lower() in credentials.LITERAL:
                    message = (
                        f"{what}: {key.value} has no place here: secrets never stand in the file"
                    )
                    hint = "say where the value comes from: env: NAME, file: PATH or fd: NAME"
                    self._fail(key, message, hint)
            keys = self._mapping(item, what, credentials.KEYS, ())
            try:
                secret = credentials.build(keys, item)
                credentials.check(secret, keys, policy)
            except RuleError as error:
                self._fail(error.node, f"{what}: {error.message}", error.hint)
            if secret.name in found:
                message = f"{what}: {secret.name} stands twice: a variable has one placeholder"
                self._fail(item, message, "give one of them another name with as: NAME")
            found[secret.name] = secret
        return tuple(found.values())

    def _env(self, node: Node | None) -> tuple[str, ...]:
        hint = "env: [HF_HOME]"
        texts = self._texts(node, "agent.env", hint)
        for item, text in texts:
            if "=" in text:
                message = f'agent.env takes names, not values: "{text.partition("=")[0]}"'
                self._fail(item, message, "give values with --env NAME=VALUE")
            if not VARIABLE.fullmatch(text):
                self._fail(item, f"{item.called} is not a variable's name", hint)
        return tuple(dict.fromkeys(text for _, text in texts))

    def _bind(self, node: Node | None) -> tuple[str, ...]:
        hint = "bind: [~/.cache/pip]"
        texts = self._texts(node, "agent.bind", hint)
        for item, text in texts:
            if text in {"~", "~/", "/"}:
                message = f'"{text}" is all of the {"file system" if text == "/" else "home"}'
                self._fail(item, message, f"name the directory that is needed: {hint}")
            if not BIND.fullmatch(text):
                self._fail(item, f"{item.called} does not begin with / or ~/", hint)
            if {".", "..", ""} & set(text.rstrip("/").split("/")[1:]):
                self._fail(item, f"{item.called} has an empty segment, . or ..", hint)
        return tuple(dict.fromkeys(text.rstrip("/") for _, text in texts))

    def _outputs(self, node: Node | None) -> tuple[str, ...]:
        hint = "outputs: [result]"
        texts = self._texts(node, "agent.outputs", hint)
        for item, text in texts:
            if not OUTPUT.fullmatch(text):
                self._fail(item, f"{item.called} is not an output's name", hint)
        if node is not None and len(texts) > MAX_OUTPUTS:
            message = f"agent.outputs has {len(texts)} names, more than {MAX_OUTPUTS}"
            self._fail(node, message, "keep those that later steps read")
        return tuple(dict.fromkeys(text for _, text in texts))

    def _writable(self, node: Node | None) -> tuple[str, ...]:
        hint = "writable: [.github/workflows]"
        texts = self._texts(node, "agent.writable", hint)
        for item, text in texts:
            if text.startswith(("/", "~")) or not RELATIVE.fullmatch(text):
                self._fail(item, f"{item.called} is not a path within the workspace", hint)
            if {".", "..", ""} & set(text.rstrip("/").split("/")):
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
        self, keys: dict[str, Node], name: str, known: tuple[str, ...]
    ) -> dict[str, Node]:
        return self._mapping(keys[name], name, known, ()) if name in keys else {}

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


def _narrowed(rule: Rule) -> str:
    kinds = ("methods", "paths", "query", "headers")
    return "condition on " + next(kind for kind in kinds if getattr(rule, kind))


def _near(word: str, known: Iterable[str]) -> str:
    import difflib  # only a mistake needs it

    close = difflib.get_close_matches(word.lower(), known, 1, 0.6)
    return f"did you mean {close[0]}?" if close else f"one of: {', '.join(known)}"
