"""YAML text to plain nodes with their places: the small, unambiguous part of YAML that a policy needs."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import yaml

from sluicegate.policy.model import PolicyError

# A policy of a thousand rules is 50 KB; this much text is an accident or an attack.
MAX_BYTES = 1 << 20
# Document, allow, rule, ports: four. Deeper text is not a policy, and recursion has an end.
MAX_DEPTH = 8
_BREAK = re.compile(r"\r\n|\n")
_STAR = 'a wildcard needs quotes: "*.example.com"'
_CORE = "tag:yaml.org,2002:"
_WORDS = {"bool": "a boolean", "null": "null", "int": "an integer", "float": "a number"}
_KINDS = _WORDS | {"timestamp": "a date", "merge": "a merge key", "value": "a default key"}


@dataclass(frozen=True, slots=True)
class Node:
    """One value and where it stands. `value` is a scalar's text; `kind` what YAML 1.1 takes it for.

    `kind` is `str`, `int`, `bool`, `null`, `float`, `timestamp` ..., `list` or `mapping`.
    """

    kind: str
    line: int
    column: int
    value: str = ""
    items: tuple[Node, ...] = ()
    pairs: tuple[tuple[Node, Node], ...] = ()

    @property
    def called(self) -> str:
        """The kind and text in words, for messages."""
        if self.kind in {"list", "mapping"}:
            return f"a {self.kind}"
        if self.kind == "str":
            return f'"{self.value[:80]}"'
        if not self.value:
            return "nothing"
        return f"{self.value[:80]}, which YAML reads as {_KINDS.get(self.kind, self.kind)}"


def read(text: str, source: str) -> Node:
    """The one document in `text`.

    Raises:
        PolicyError: not YAML, or YAML that a reviewer and a parser could read differently.
    """
    _check_characters(text, source)
    try:
        return _Builder(source).build(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = error.problem or "unreadable"
        here = text.splitlines()[line - 1 : line]
        hint = _STAR if here and re.search(r"(?:^|[\s\[,])\*", here[0]) else ""
        raise PolicyError(source, line, column, f"not YAML: {problem}", hint) from error
    except yaml.YAMLError as error:
        raise PolicyError(source, 1, 1, f"not YAML: {error}".splitlines()[0]) from error


def _check_characters(text: str, source: str) -> None:
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        said = f"policy has {size} bytes, more than {MAX_BYTES}"
        raise PolicyError(source, 0, 0, said, "name fewer hosts, or split the policy")
    line = start = index = 0
    while index < len(text):
        found = _BREAK.match(text, index)
        if found:
            line, start, index = line + 1, found.end(), found.end()
            continue
        char = text[index]
        # YAML 1.1 breaks lines at NEL, LS and PS, editors do not; bidirectional controls reorder what
        # a reviewer sees. Both let text look like a comment and be a rule.
        if char != "\t" and unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
            message = f"character U+{ord(char):04X} is invisible or a control"
            hint = "remove it; save the file as plain UTF-8 text"
            raise PolicyError(source, line + 1, index - start + 1, message, hint)
        index += 1


class _Builder:
    """Events to nodes without recursion; every use of YAML that hides something is refused."""

    def __init__(self, source: str) -> None:
        self._source = source
        # One entry per open collection: its node-maker and what it holds so far.
        self._open: list[tuple[str, tuple[int, int], list[Node]]] = []
        self._root: Node | None = None

    def build(self, text: str) -> Node:
        loader = yaml.CSafeLoader(text)
        try:
            while loader.check_event():
                event = loader.get_event()
                if event is not None:
                    self._event(event, loader.resolve)
        finally:
            loader.dispose()
        if self._root is None:
            hint = "begin with `version: 1`"
            raise PolicyError(self._source, 1, 1, "policy is empty", hint)
        return self._root

    def _event(self, event: yaml.Event, resolve: Callable[..., str]) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            if self._root is not None:
                self._refuse(event, "a second document", "one policy a file: pass several files")
            if event.version or event.tags:
                self._refuse(event, "a YAML directive", "remove the line that begins with %")
        elif isinstance(event, yaml.AliasEvent):
            self._refuse(event, "an alias", f"write the value out; {_STAR}")
        elif isinstance(event, yaml.NodeEvent):
            if event.anchor is not None:
                self._refuse(event, "an anchor", "write the value out where it is used")
            self._node(event, resolve)
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            kind, place, held = self._open.pop()
            if kind == "list":
                self._add(Node(kind, *place, items=tuple(held)))
            else:
                self._add(Node(kind, *place, pairs=self._pairs(held)))

    def _node(self, event: yaml.NodeEvent, resolve: Callable[..., str]) -> None:
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._refuse(event, f"the tag {tag[:80]}", "remove the tag")
        if isinstance(event, yaml.ScalarEvent):
            plain = event.implicit[0]
            kind = resolve(yaml.ScalarNode, event.value, (True, False)) if plain else _CORE + "str"
            self._add(Node(kind.removeprefix(_CORE), *_place(event), event.value))
            return
        if len(self._open) >= MAX_DEPTH:
            self._refuse(event, f"nesting deeper than {MAX_DEPTH}", "")
        kind = "list" if isinstance(event, yaml.SequenceStartEvent) else "mapping"
        self._open.append((kind, _place(event), []))

    def _add(self, node: Node) -> None:
        if self._open:
            self._open[-1][2].append(node)
        else:
            self._root = node

    def _pairs(self, held: list[Node]) -> tuple[tuple[Node, Node], ...]:
        seen: dict[str, int] = {}
        pairs = tuple(zip(held[::2], held[1::2], strict=True))
        for key, _ in pairs:
            if key.kind in {"list", "mapping"}:
                raise PolicyError(self._source, key.line, key.column, "a key must be a word")
            if key.value in seen:
                message = f'key "{key.value[:80]}" stands twice, first on line {seen[key.value]}'
                hint = "put both values under one key"
                raise PolicyError(self._source, key.line, key.column, message, hint)
            seen[key.value] = key.line
        return pairs

    def _refuse(self, event: yaml.Event, what: str, hint: str) -> NoReturn:
        message = f"{what} has no place in a policy"
        raise PolicyError(self._source, *_place(event), message, hint)


def _place(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)
