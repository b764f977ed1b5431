"""What a policy's author expects it to allow and deny: a file beside the policy, and what of it does not hold. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from sluicegate.facts import Decision, Verdict
from sluicegate.policy import decide, document
from sluicegate.policy.document import Node
from sluicegate.policy.explain import UrlError, judge
from sluicegate.policy.model import METHOD, Policy, PolicyError

VERSION = 1
KEYS = ("version", "allow", "deny")
ITEM = ("url", "rule", "headers", "resolves")
EXAMPLE = "- GET https://example.com/simple/"
# One takes a fraction of a millisecond; nobody writes more by hand.
MAX_EXPECTATIONS = 10_000


@dataclass(frozen=True, slots=True)
class Expectation:
    """One line. `rule`: what must decide it; `headers` are sent; `resolves`: addresses that its name has."""

    line: int
    allow: bool
    method: str
    url: str
    rule: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    resolves: tuple[str, ...] = ()


def parse(text: str, source: str) -> tuple[Expectation, ...]:
    """The expectations in `text`, in its order; `source` names the file in errors.

    Raises:
        PolicyError: anything that is not understood.
    """
    reader = _Reader(source)
    root = document.read(text, source)
    keys = reader.mapping(root, "the file", KEYS)
    version = keys.get("version")
    if version is None or version.value != str(VERSION):
        reader.fail(version or root, "version is missing or unknown", f"version: {VERSION}")
    found = [
        reader.item(item, f"{name}[{index}]", allow=name == "allow")
        for name in ("allow", "deny")
        if name in keys
        for index, item in enumerate(reader.items(keys[name], name))
    ]
    if not found:
        reader.fail(root, "nothing is expected", f"allow:\n  {EXAMPLE}")
    if len(found) > MAX_EXPECTATIONS:
        reader.fail(root, f"more than {MAX_EXPECTATIONS} expectations", "split the file")
    return tuple(sorted(found, key=lambda one: one.line))


def broken(policies: tuple[Policy, ...], expected: Expectation) -> str | None:
    """Why the policies do not do what is expected, in words; None if they do.

    What observe mode alone lets through counts as denied: an enforcing run denies it.

    Raises:
        UrlError: its URL is none of a kind that is judged.
    """
    found = judge(policies, expected.url, expected.method, expected.headers)
    decision = _answered(policies, found.decision, expected.resolves)
    allowed = decision.verdict is Verdict.ALLOW and not decision.observed
    word = "allowed" if allowed else "denied"
    if allowed is not expected.allow:
        wanted = "allowed" if expected.allow else "denied"
        return f"expected to be {wanted}, and is {word} ({decision.rule}): {decision.reason}"
    if expected.rule and expected.rule not in _names(decision):
        return f"{word} as expected, but by {decision.rule}, not by {expected.rule}"
    return None


def _answered(policies: tuple[Policy, ...], made: Decision, addresses: tuple[str, ...]) -> Decision:
    if not addresses or made.verdict is not Verdict.ALLOW or made.name is None:
        return made
    return decide.answered(policies, made, addresses)[1] or made


def _names(decision: Decision) -> tuple[str, str, str]:
    """What a decision's rule may be called: whole, `allow[0]`, or its place."""
    first, _, place = decision.rule.partition(" ")
    return decision.rule, first, place


class _Reader:
    def __init__(self, source: str) -> None:
        self._source = source

    def item(self, node: Node, what: str, *, allow: bool) -> Expectation:
        """One expectation: a text, or a mapping with `url`."""
        if node.kind != "mapping":
            method, url = self._asked(node, what)
            return Expectation(node.line, allow, method, url)
        keys = self.mapping(node, what, ITEM)
        if "url" not in keys:
            self.fail(
                node, f"{what} has no url", "- {url: GET https://example.com/, rule: allow[0]}"
            )
        method, url = self._asked(keys["url"], f"{what}.url")
        headers = self._mapping_of_texts(keys["headers"], what) if "headers" in keys else ()
        resolves = (
            [self._text(one, what) for one in self.items(keys["resolves"], what)]
            if "resolves" in keys
            else []
        )
        for address in resolves:
            if not decide.is_literal(address):
                self.fail(
                    keys["resolves"], f'"{address[:80]}" is not an address', "resolves: [10.0.0.1]"
                )
        rule = self._text(keys["rule"], what) if "rule" in keys else ""
        return Expectation(node.line, allow, method, url, rule, headers, tuple(resolves))

    def _asked(self, node: Node, what: str) -> tuple[str, str]:
        words = self._text(node, what).split()
        method, url = (["GET", *words] if len(words) == 1 else words)[:2] if words else ("", "")
        if len(words) not in {1, 2} or not METHOD.fullmatch(method):
            self.fail(node, f"{what} wants a URL, before it a method or none", EXAMPLE)
        try:
            judge((), url, method)
        except UrlError as error:
            raise PolicyError(
                self._source, node.line, node.column, f"{what}: {error}", error.hint
            ) from error
        return method, url

    def _mapping_of_texts(self, node: Node, what: str) -> tuple[tuple[str, str], ...]:
        if node.kind != "mapping":
            self.fail(
                node,
                f"{what}.headers wants a mapping and got {node.called}",
                "headers: {accept: text/html}",
            )
        return tuple((key.value, self._text(value, f"{what}.headers")) for key, value in node.pairs)

    def items(self, node: Node, what: str) -> Sequence[Node]:
        """Those of a list."""
        if node.kind != "list":
            self.fail(node, f"{what} wants a list and got {node.called}", EXAMPLE)
        return node.items

    def _text(self, node: Node, what: str) -> str:
        if node.kind != "str":
            self.fail(
                node,
                f"{what} wants text and got {node.called}",
                f'put quotes around it: "{node.value[:80]}"',
            )
        return node.value

    def mapping(self, node: Node, what: str, known: tuple[str, ...]) -> dict[str, Node]:
        """By key, of those that are `known`."""
        if node.kind != "mapping":
            self.fail(
                node, f"{what} wants a mapping and got {node.called}", f"keys: {', '.join(known)}"
            )
        for key, _ in node.pairs:
            if key.value not in known:
                self.fail(
                    key, f'{what} has no key "{key.value[:80]}"', f"one of: {', '.join(known)}"
                )
        return {key.value: value for key, value in node.pairs}

    def fail(self, node: Node, message: str, hint: str) -> NoReturn:
        """Raises `PolicyError`."""
        raise PolicyError(self._source, node.line, node.column, message, hint)
