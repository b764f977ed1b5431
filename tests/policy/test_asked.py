from __future__ import annotations

import pytest

from sluicegate.policy import asked, document, scalars
from sluicegate.policy.document import Node


def node(text: str) -> Node:
    return document.read(f"- {text}", "p").items[0]


def test_names_with_one_glob_or_several() -> None:
    assert asked.parameters(node("{b: '*', a: [y, x, y], 'filter[id]': ''}")) == (
        ("a", "x"),
        ("a", "y"),
        ("b", "*"),
        ("filter[id]", ""),
    )
    assert asked.headers(node("{X-Mode: read, accept: 'text/*'}")) == (
        ("accept", "text/*"),
        ("x-mode", "read"),
    )


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("a", 'wants a mapping and got "a"', "query: {page"),
        ("[a]", "wants a mapping and got a list", "query: {page"),
        ("{}", "query is empty", "query: {page"),
        ("{a: 1}", "query a wants text and got 1", 'quotes around it: "1"'),
        ("{a: true}", "query a wants text and got true", 'quotes around it: "true"'),
        ("{a: }", "query a wants text and got nothing", "query a is text"),
        ("{a: []}", "query a is empty", "[a, b]"),
        ("{a: [1]}", "query a wants text and got 1", "quotes"),
        ("{1: a}", "query wants text and got 1", "quotes"),
        ("{on: a}", "query wants text and got on", "quotes"),
        ("{'%61': a}", "is not the name of a parameter", "write it decoded"),
        ("{' a': a}", "is not the name of a parameter", "printable ASCII"),
        ("{\u00e9: a}", "is not the name of a parameter", "printable ASCII"),
        ("{'...': a}", "is not the name of a parameter", "printable ASCII"),
        ("{a: '**'}", "has **", "* is any characters"),
        ("{a: '" + "a*" * 9 + "'}", "more than 8 stars", "shorten it"),
        ("{a: " + "a" * 257 + "}", "longer than 256", "shorten it"),
        ("{a: 'x...'}", "ends in ...", "end it in *"),
        ('{a: "x\\ty"}', "text without controls", "put * for what is not"),
        ("{a: [" + ", ".join(f"b{i}" for i in range(17)) + "]}", "17 globs", "shorten it"),
        ("{" + ", ".join(f"b{i}: a" for i in range(17)) + "}", "17 names", "two rules"),
    ],
)
def test_parameters_that_are_refused(text: str, said: str, hint: str) -> None:
    with pytest.raises(scalars.RuleError) as caught:
        asked.parameters(node(text))
    assert said in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("{Host: a}", "host is a header that the gate itself reads and writes", "another one"),
        ("{Transfer-Encoding: a}", "transfer-encoding is a header that the gate", "another one"),
        ("{content_length: a}", "content_length is a header that the gate", "another one"),
        ("{Upgrade: websocket}", "upgrade is a header that the gate", "another one"),
        ("{':path': a}", ":path is HTTP/2's own", "host, methods and paths"),
        ("{Authorization: a}", "authorization would stand on record", "`secrets:`"),
        ("{cookie: a}", "cookie would stand on record", "`secrets:`"),
        ("{a b: a}", "is not the name of a header", "headers: x-api-key"),
        ("{'...': a}", "is not the name of a header", "headers: x-api-key"),
        ("{X-A: a, x-a: b}", "x-a stands twice", "x-a: [one, other]"),
        ("{x-a: ' b'}", "ASCII without spaces around it", "put *"),
        ("{x-a: \u00e9}", "ASCII without spaces around it", "put *"),
    ],
)
def test_headers_that_are_refused(text: str, said: str, hint: str) -> None:
    with pytest.raises(scalars.RuleError) as caught:
        asked.headers(node(text))
    assert said in caught.value.message
    assert hint in caught.value.hint
