from __future__ import annotations

import pytest

from sluicegate.policy import grammar, lint


def findings(rules: str) -> list[str]:
    policy = grammar.parse(f"version: 1\n{rules}", "p")
    return [f"{found.rule.label}: {found.message}" for found in lint.lint(policy)]


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        ("host: dns.google", "dns.google"),
        ("host: mozilla.cloudflare-dns.com", "cloudflare-dns.com"),
        ("host: '*.quad9.net'", "dns.quad9.net"),
        ("host: '*.cloudflare-dns.com'", "cloudflare-dns.com"),
        ("ip: 1.1.1.1", "1.1.1.1"),
        ("ip: 8.0.0.0/8", "8.8.8.8"),
        ("ip: '2620:fe::/48'", "2620:fe::fe"),
    ],
)
def test_public_resolvers_are_ways_out(rule: str, name: str) -> None:
    (found,) = findings(f"allow: [{{{rule}}}]")
    assert found.startswith(f"allow[0] p:2: {name} is a public DNS-over-HTTPS resolver")


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        ("host: web.archive.org", "web.archive.org"),
        ("host: denied-test.translate.goog", "translate.goog"),
        ("host: '*.wp.com'", "wp.com"),
        ("host: camo.githubusercontent.com, methods: [GET]", "camo.githubusercontent.com"),
    ],
)
def test_relays_are_ways_out_unless_paths_are_named(rule: str, name: str) -> None:
    (found,) = findings(f"allow: [{{{rule}}}]")
    assert found.startswith(f"allow[0] p:2: {name} passes on what it is told to")
    assert findings(f"allow: [{{{rule}, paths: [/a]}}]") == []
    assert findings(f"allow: [{{host: a.example}}]\ndeny: [{{{rule}}}]") == []


@pytest.mark.parametrize(
    ("allow", "deny"),
    [
        ("host: a.example", "host: a.example"),
        ("host: b.a.example", "host: '*.a.example'"),
        ("host: '*.a.example'", "host: '*.a.example'"),
        ("host: '*.b.a.example'", "host: '*.a.example'"),
        ("host: a.example, ports: [80]", "host: a.example, ports: [80, 443]"),
        ("ip: 10.1.0.0/16", "ip: 10.0.0.0/8"),
        ("ip: 'fd00:1::/32'", "ip: 'fd00::/8'"),
    ],
)
def test_a_rule_that_is_denied_whole(allow: str, deny: str) -> None:
    (found,) = findings(f"allow: [{{{allow}}}]\ndeny: [{{{deny}}}]")
    assert found == "allow[0] p:2: never allows anything: deny[0] p:3 denies all of it"


@pytest.mark.parametrize(
    ("allow", "deny"),
    [
        ("host: a.example", "host: b.example"),
        ("host: a.example", "host: '*.a.example'"),
        ("host: '*.a.example'", "host: b.a.example"),
        ("host: '*.a.example'", "host: a.example"),
        ("host: a.example", "host: a.example, ports: [80]"),
        ("host: a.example, ports: [80]", "host: a.example, ports: [80], methods: [POST]"),
        ("ip: 10.0.0.0/8", "ip: 10.1.0.0/16"),
        ("ip: 10.0.0.0/8", "ip: '::/0'"),
        ("host: a.example", "ip: 0.0.0.0/0"),
        ("ip: 10.0.0.0/8", "host: a.example"),
    ],
)
def test_a_rule_that_is_denied_in_part_is_fine(allow: str, deny: str) -> None:
    assert findings(f"allow: [{{{allow}}}]\ndeny: [{{{deny}}}]") == []


def test_repetition_is_found() -> None:
    same = "{host: a.example, ports: [443, 80]}"
    assert findings(f"allow: [{{host: a.example}}, {same}, {{host: b.example}}]") == [
        "allow[1] p:2: says the same as allow[0] p:2"
    ]


def test_a_rule_that_is_not_looked_at_on_tls() -> None:
    rules = "{host: a.example, methods: [GET]}, {host: a.example, inspect: false, ports: [443]}"
    assert findings(f"allow: [{rules}]") == [
        "allow[0] p:2: is not looked at on TLS: inspect: false of allow[1] p:2 is for the same host"
    ]
    below = '{host: "*.a.example", methods: [GET]}, {host: b.a.example, inspect: false}'
    assert findings(f"allow: [{below}]") == []
    assert findings(f"allow: [{rules.replace('443', '8443')}]") == []


def test_rules_that_differ_in_what_they_ask_for_are_not_the_same() -> None:
    more = ("query: {a: b}", "headers: {a: b}", "inspect: true", "methods: [GET]", "paths: [/a]")
    rules = ", ".join(f"{{host: a.example, {text}}}" for text in more)
    assert findings(f"allow: [{rules}, {{host: a.example}}]") == []
    asked = "{host: a.example, query: {a: b}}"
    assert findings(f"allow: [{{host: a.example}}]\ndeny: [{asked}]") == []
    assert len(findings(f"allow: [{asked}, {asked}]")) == 1
