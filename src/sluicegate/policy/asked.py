"""The conditions of a rule, from nodes to pairs of name and glob."""

from __future__ import annotations

import re
from collections.abc import Callable

from sluicegate.policy.conditions import CUT, MAX_CONDITION_VALUE, Pairs
from sluicegate.policy.document import Node
from sluicegate.policy.scalars import fail, items_of, text_of

# A rule with more of them is a program; each costs a look at every pair of every request to its host.
MAX_NAMES = 16
MAX_GLOBS = 16
MAX_STARS = 8
# RFC 9110 section 5.6.2, with something in it that can be read.
HEADER = re.compile(r"(?=.*[A-Za-z0-9])[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}", re.ASCII)
PARAMETER = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?", re.ASCII)
# What says where a request goes, or where it ends: the gate reads these and writes its own.
FRAMING = frozenset(
    (
        *("host", "connection", "proxy-connection", "keep-alive", "te", "trailer", "upgrade"),
        *("transfer-encoding", "content-length", "expect", "http2-settings", "proxy-authorization"),
    )
)
# What conditions look at stands on record. Beside HTTP's own, where well-known services take their keys.
SECRET = frozenset(
    (
        *("authorization", "cookie", "api-key", "apikey", "x-api-key", "x-apikey", "x-api-token"),
        *("x-access-token", "x-auth-key", "x-auth-token", "x-amz-security-token", "private-token"),
        *("x-goog-api-key", "x-functions-key", "x-github-token", "x-gitlab-token", "job-token"),
        *("x-vault-token", "x-secret", "x-secret-key", "x-token", "x-subject-token"),
    )
)


def parameters(node: Node) -> Pairs:
    """The pairs of `query`, sorted.

    Raises:
        RuleError: a name or glob that no request could meet.
    """
    return _pairs(node, "query", "{page: [a, b]}", parameter)


def headers(node: Node) -> Pairs:
    """The pairs of `headers`, sorted, names in lower case.

    Raises:
        RuleError: a name or glob that no request could meet, or one that has no place on record.
    """
    return _pairs(node, "headers", "{x-mode: read}", _condition_header)


def parameter(node: Node, what: str) -> str:
    """The name of a query parameter.

    Raises:
        RuleError: it is none, or has characters that are not visible.
    """
    text = text_of(node, what)
    if not PARAMETER.fullmatch(text) or "%" in text or CUT in text:
        hint = "write it decoded, in printable ASCII, up to 128 characters"
        fail(node, f'"{text[:80]}" is not the name of a parameter', hint)
    return text


def header(node: Node, what: str) -> str:
    """The name of a header that is neither framing nor for one hop, in lower case.

    Raises:
        RuleError: it is another one, or none.
    """
    text = text_of(node, what)
    if text.startswith(":") and len(text) > 1:
        fail(node, f"{text[:80]} is HTTP/2's own", "host, methods and paths say the same")
    if not HEADER.fullmatch(text):
        fail(node, f'"{text[:80]}" is not the name of a header', f"{what}: x-api-key")
    if text.lower().replace("_", "-") in FRAMING:
        fail(
            node,
            f"{text.lower()} is a header that the gate itself reads and writes",
            "name another one",
        )
    return text.lower()


def _condition_header(node: Node, what: str) -> str:
    name = header(node, what)
    if name.replace("_", "-") in SECRET:
        message = f"{name} would stand on record: its value is a secret"
        fail(node, message, "put it in by `secrets:`, which has hosts and methods of its own")
    return name


def _pairs(node: Node, what: str, example: str, named: Callable[[Node, str], str]) -> Pairs:
    if node.kind != "mapping":
        fail(node, f"{what} wants a mapping and got {node.called}", f"{what}: {example}")
    if not node.pairs:
        fail(node, f"{what} is empty: it asks for nothing", f"{what}: {example}")
    if len(node.pairs) > MAX_NAMES:
        fail(node, f"{what} has {len(node.pairs)} names, more than {MAX_NAMES}", "write two rules")
    found = set[tuple[str, str]]()
    names = set[str]()
    for key, value in node.pairs:
        name = named(key, what)
        if name in names:
            fail(key, f"{name} stands twice in {what}", f"{name}: [one, other]")
        names.add(name)
        globs = items_of(value, f"{what} {name}", "[a, b]") if value.kind == "list" else (value,)
        if len(globs) > MAX_GLOBS:
            said = f"{what} {name} has {len(globs)} globs, more than {MAX_GLOBS}"
            fail(value, said, "shorten it: * is any characters")
        found |= {(name, _glob(glob, f"{what} {name}", what)) for glob in globs}
    return tuple(sorted(found))


def _glob(node: Node, what: str, kind: str) -> str:
    text = text_of(node, what)
    if len(text) > MAX_CONDITION_VALUE or text.count("*") > MAX_STARS or "**" in text:
        message = (
            f"{what} is longer than {MAX_CONDITION_VALUE}, or has ** or more than {MAX_STARS} stars"
        )
        fail(node, message, "shorten it: * is any characters")
    if text.endswith(CUT):
        fail(node, f"{what} ends in {CUT}, as values do that were cut", "end it in *")
    if not text.isprintable() or (
        kind == "headers" and (not text.isascii() or text != text.strip())
    ):
        plain = "ASCII without spaces around it" if kind == "headers" else "text without controls"
        fail(node, f"{what} is not {plain}: no value could match", "put * for what is not")
    return text
