"""`${{ }}` as the runner reads it: literals, contexts, ==, !=, !, &&, ||, and the functions that workflows here use.

Docs of GitHub Actions, "Evaluate expressions in workflows and actions".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][\w-]*)"
    r"|(?P<sign>==|!=|&&|\|\||[!().,\[\]]))"
)
WHOLE = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
Functions = Mapping[str, Callable[..., Any]]


def expand(text: str, contexts: Mapping[str, Any], functions: Functions) -> str:
    """`text` with the value of each `${{ }}` in its place: nothing is quoted, which is what injections live on."""
    return WHOLE.sub(lambda found: as_text(evaluate(found[1], contexts, functions)), text)


def as_text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def evaluate(text: str, contexts: Mapping[str, Any], functions: Functions) -> Any:
    return _Reader(text, contexts, functions).value()


class _Reader:
    def __init__(self, text: str, contexts: Mapping[str, Any], functions: Functions) -> None:
        self.contexts, self.functions = contexts, functions
        self.tokens: list[tuple[str, str]] = []
        at, text = 0, text.rstrip()
        while at < len(text):
            found = TOKEN.match(text, at)
            assert found, f"not an expression: {text[at:]!r}"
            kind = str(found.lastgroup)
            self.tokens.append((kind, found[kind]))
            at = found.end()

    def value(self) -> Any:
        found = self.either()
        assert not self.tokens, f"left over: {self.tokens}"
        return found

    def take(self, *signs: str) -> str:
        if self.tokens and self.tokens[0][0] == "sign" and self.tokens[0][1] in signs:
            return self.tokens.pop(0)[1]
        return ""

    def either(self) -> Any:
        found = self.both()
        while self.take("||"):
            other = self.both()
            found = found or other
        return found

    def both(self) -> Any:
        found = self.equal()
        while self.take("&&"):
            other = self.equal()
            found = found and other
        return found

    def equal(self) -> Any:
        found = self.single()
        while sign := self.take("==", "!="):
            # Texts are compared without regard to case.
            one, other = (as_text(v).lower() for v in (found, self.single()))
            found = (one == other) == (sign == "==")
        return found

    def single(self) -> Any:
        if self.take("!"):
            return not self.single()
        if self.take("("):
            found = self.either()
            assert self.take(")")
            return found
        kind, word = self.tokens.pop(0)
        if kind == "text":
            return word[1:-1].replace("''", "'")
        if kind == "number":
            return float(word) if "." in word else int(word)
        assert kind == "name", word
        if word in {"true", "false", "null"}:
            return {"true": True, "false": False, "null": None}[word]
        return self.inside(self.call(word) if self.take("(") else self.context(word))

    def call(self, name: str) -> Any:
        given = []
        while not self.take(")"):
            given.append(self.either())
            self.take(",")
        return self.functions[name](*given)

    def context(self, name: str) -> Any:
        assert name in self.contexts, f"no context {name}"
        return self.contexts[name]

    def inside(self, found: Any) -> Any:
        while sign := self.take(".", "["):
            key = self.tokens.pop(0)[1] if sign == "." else self.either()
            assert sign == "." or self.take("]")
            # What is not there is nothing, not an error.
            found = found.get(key) if isinstance(found, Mapping) else None
        return found
