from __future__ import annotations

import pytest

from sluicegate.policy import grammar
from sluicegate.policy.expectations import Expectation, broken, parse
from sluicegate.policy.model import PolicyError

POLICY = (
    grammar.parse(
        """
version: 1
allow:
  - {host: api.example.com, methods: [GET], paths: ["/v1/**"], headers: {x-mode: read}}
  - {host: db.example.com, ports: [5432]}
  - {ip: 10.1.0.0/16, ports: [5432]}
deny:
  - host: bad.example.com
""",
        "p.yaml",
    ),
)
TEXT = """
version: 1
allow:
  - url: GET https://api.example.com/v1/x
    headers: {X-Mode: read}
    rule: allow[0]
  - db.example.com:5432
  - {url: "db.example.com:5432", resolves: [10.1.2.3], rule: "p.yaml:5"}
  - 10.1.9.9:5432
deny:
  - POST https://api.example.com/v1/x
  - {url: "db.example.com:5432", resolves: ["10.9.9.9"], rule: internal-address}
  - {url: https://bad.example.com/, rule: "deny[0] p.yaml:8"}
  - 169.254.169.254:80
"""


def test_what_holds() -> None:
    wanted = parse(TEXT, "t.yaml")
    assert len(wanted) == 8
    assert [broken(POLICY, one) for one in wanted] == [None] * 8
    assert wanted[0] == Expectation(
        4, True, "GET", "https://api.example.com/v1/x", "allow[0]", (("X-Mode", "read"),)
    )


@pytest.mark.parametrize(
    ("line", "allow", "why"),
    [
        (
            "GET https://api.example.com/v1/x",
            True,
            "expected to be allowed, and is denied (default)",
        ),
        ("db.example.com:5432", False, "expected to be denied, and is allowed (allow[1] p.yaml:5)"),
        (
            '{url: "db.example.com:5432", rule: "allow[0]"}',
            True,
            "allowed as expected, but by allow[1] p.yaml:5, not by allow[0]",
        ),
        (
            '{url: "db.example.com:5432", resolves: [10.9.9.9]}',
            True,
            "expected to be allowed, and is denied (internal-address)",
        ),
    ],
)
def test_what_does_not_hold(line: str, allow: bool, why: str) -> None:
    word = "allow" if allow else "deny"
    (one,) = parse(f"version: 1\n{word}:\n  - {line}\n", "t.yaml")
    assert (broken(POLICY, one) or "").startswith(why)


def test_observe_mode_allows_nothing_that_enforcing_would_not() -> None:
    (policy,) = (grammar.parse("version: 1\nmode: observe\n", "p.yaml"),)
    (one,) = parse("version: 1\ndeny: [a.example:443]\n", "t.yaml")
    assert broken((policy,), one) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 2\nallow: [a.example:1]", "version is missing or unknown"),
        ("allow: [a.example:1]", "version is missing"),
        ("version: 1", "nothing is expected"),
        ("version: 1\nalow: []", 'no key "alow"'),
        ("version: 1\nallow: {a: b}", "allow wants a list"),
        ("version: 1\nallow: [a b c]", "wants a URL, before it a method or none"),
        ('version: 1\nallow: [""]', "wants a URL"),
        ("version: 1\nallow: [get https://a.example/]", "wants a URL"),
        ("version: 1\nallow: [a.example]", "has no port"),
        ("version: 1\nallow: [ftp://a.example/]", 'scheme "ftp" is not known'),
        ("version: 1\nallow: [{rule: x}]", "has no url"),
        ("version: 1\nallow: [{url: https://a.example/, rule: 5}]", "wants text and got 5"),
        ("version: 1\nallow: [{url: https://a.example/, what: x}]", 'no key "what"'),
        ("version: 1\nallow: [{url: https://a.example/, headers: [x]}]", "headers wants a mapping"),
        ("version: 1\nallow: [{url: https://a.example/, resolves: [x]}]", "is not an address"),
        ("- a", "the file wants a mapping"),
        ("version: 1\nallow: [12]", "wants text and got 12"),
    ],
)
def test_what_is_not_understood(text: str, said: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse(text, "t.yaml")
    assert said in str(caught.value)
    assert str(caught.value).startswith("t.yaml:")


def test_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluicegate.policy.expectations.MAX_EXPECTATIONS", 1)
    with pytest.raises(PolicyError, match="more than 1 expectations"):
        parse("version: 1\nallow: [a.example:1, b.example:1]\n", "t.yaml")
