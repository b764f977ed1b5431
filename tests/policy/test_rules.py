from __future__ import annotations

import dataclasses

import pytest

from sluicegate.policy import document, rules, scalars
from sluicegate.policy.model import Rule


def build(text: str, where: str = "allow") -> Rule:
    node = document.read("{" + text + "}", "p")
    return rules.build({key.value: value for key, value in node.pairs}, node, where, "label")


def refused(text: str, where: str = "allow") -> scalars.RuleError:
    with pytest.raises(scalars.RuleError) as caught:
        build(text, where)
    return caught.value


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("host: Example.COM.", Rule("label", "example.com")),
        ("host: bücher.example", Rule("label", "xn--bcher-kva.example")),
        ('host: "*.Example.com"', Rule("label", "example.com", wildcard=True)),
        ("host: a.example, ports: [443, 22, 22]", Rule("label", "a.example", ports=(22, 443))),
        ("ip: 10.1.2.0/24", Rule("label", network="10.1.2.0/24")),
        ("ip: 192.0.2.7", Rule("label", network="192.0.2.7/32")),
        ("ip: '2001:DB8::/32'", Rule("label", network="2001:db8::/32")),
        ("ip: '::1'", Rule("label", network="::1/128")),
        ("ip: 10.0.0.0/8", Rule("label", network="10.0.0.0/8")),
    ],
)
def test_hosts_and_networks_have_one_form(text: str, rule: Rule) -> None:
    assert build(text) == rule


def test_a_request_rule_for_clear_http() -> None:
    rule = build("host: a.example, ports: [80], methods: [HEAD, GET], paths: [/b*, /a/**]")
    assert (rule.ports, rule.methods, rule.paths) == ((80,), ("GET", "HEAD"), ("/a/**", "/b*"))


def test_a_deny_rule_is_for_every_port_and_may_be_as_wide_as_it_likes() -> None:
    assert build("host: a.example", "deny").ports == ()
    assert build("ip: 0.0.0.0/0", "deny").network == "0.0.0.0/0"
    assert build('host: "*.github.io"', "deny").wildcard
    assert build("ip: '::/0', ports: [25]", "deny").ports == (25,)


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("ports: [80]", "neither host nor ip", "host: example.com"),
        ("host: a.example, ip: 10.0.0.1", "host and ip in one rule", "two rules"),
        ("host: '*'", 'bare wildcard "*" is every host', "name the hosts"),
        ("host: '*.*'", "bare wildcard", "name the hosts"),
        ("host: '*.com'", "com is a public suffix", "*.yours.com"),
        ("host: '*.co.uk'", "co.uk is a public suffix", "*.yours.co.uk"),
        ("host: '*.blob.core.windows.net'", "is a shared suffix", "name the hosts one by one"),
        ("host: '*.amazonaws.com'", "covers strangers' hosts", "name the hosts one by one"),
        ("host: 'a.*.example'", "wildcard inside", '"*.example.com"'),
        ("host: 'a*.example'", "wildcard inside", '"*.example.com"'),
        ("host: '*.1.2.3.4'", "is an address", "ip: 1.2.3.4"),
        ("host: 10.0.0.1", "10.0.0.1 is an address", "ip: 10.0.0.1"),
        ("host: 0x7f.1", "is an address", "ip: 127.0.0.1"),
        ("host: '[::1]'", "is an address", "ip: ::1"),
        ("host: 10.0.0.0/8", "is a network", "ip: 10.0.0.0/8"),
        ("host: https://a.example:8/b", "host is a URL", "host: a.example"),
        ("host: a.example/b", "host has a path", "host: a.example"),
        ("host: 'a.example:22'", "host has a port", "ports: [22]"),
        ("host: a b", "is not a host", "host: example.com"),
        ("host: a..b", "is not a host", "host: example.com"),
        ('host: "a\\0.example"', "is not a host", "host: example.com"),
        ("host: no", "no, which YAML reads as a boolean", 'quotes around it: "no"'),
        ("host: 1.2", "1.2, which YAML reads as a number", 'quotes around it: "1.2"'),
        ("host: ", "got nothing", "host is text"),
        ("host: [a]", "got a list", "host is text"),
    ],
)
def test_hosts_that_are_refused(text: str, said: str, hint: str) -> None:
    error = refused(text)
    assert said in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("ip: 10.1.2.3/8", "has host bits set", "ip: 10.0.0.0/8"),
        ("ip: '2001:db8::1/64'", "has host bits set", "ip: 2001:db8::/64"),
        ("ip: 0.0.0.0/0", "0.0.0.0/0 is wider than /8", "name the networks"),
        ("ip: 0.0.0.0/1", "wider than /8", "name the networks"),
        ("ip: '::/0'", "::/0 is wider than /16", "name the networks"),
        ("ip: '::ffff:10.0.0.0/104'", "is IPv4 inside IPv6", "ip: 10.0.0.0/8"),
        ("ip: '::ffff:a00:1'", "is IPv4 inside IPv6", "ip: 10.0.0.1/32"),
        ("ip: a.example", "is not an address", "host: ..."),
        ("ip: '*'", "is not an address", "host: ..."),
        ("ip: 10.0.0.0/255.0.0.0", "is not an address", "ip: 10.1.2.0/24"),
        ("ip: 10.0.0.0/08", "is not an address", "ip: 10.1.2.0/24"),
        ("ip: 10.0.0.0/33", "is not an address", "ip: 10.1.2.0/24"),
        ("ip: 010.0.0.1", "is not an address", "ip: 10.1.2.0/24"),
        ("ip: 10.0.0", "is not an address", "ip: 10.1.2.0/24"),
        ("ip: 'fe80::1%eth0'", "is not an address", "ip: 10.1.2.0/24"),
        ("ip: '167772161'", "is not an address", "ip: 10.1.2.0/24"),
        ("ip: 167772161", "which YAML reads as an integer", "quotes"),
    ],
)
def test_networks_that_are_refused(text: str, said: str, hint: str) -> None:
    error = refused(text)
    assert said in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    ("ports", "said", "hint"),
    [
        ("[22:22]", "22:22, which YAML reads as another number", "name each port"),
        ("[010]", "010, which YAML reads as another number", "ports: [10]"),
        ("[0x50]", "0x50, which YAML reads as another number", "name each port"),
        ("[8_0]", "8_0, which YAML reads as another number", "name each port"),
        ("[0b1]", "0b1, which YAML reads as another number", "name each port"),
        ("[80.0]", "80.0, which YAML reads as a number", "ports: [80]"),
        ("[no]", "no, which YAML reads as a boolean", "name each port"),
        ("[true]", "true, which YAML reads as a boolean", "name each port"),
        ("['80']", 'not "80"', "ports: [80]"),
        ("[80-90]", 'not "80-90"', "name each port"),
        ("[0]", "not 0", "name each port"),
        ("[-1]", "not -1", "name each port"),
        ("[65536]", "not 65536", "name each port"),
        ("[99999999999999999999]", "not 9999", "name each port"),
        ("[~]", "not ~, which YAML reads as null", "name each port"),
        ("[[80]]", "not a list", "name each port"),
        ("80", "ports wants a list and got 80", "ports: [80]"),
        ("", "ports wants a list and got nothing", "ports: [443]"),
        ("[]", "ports is empty", "ports: [443]"),
    ],
)
def test_ports_that_are_refused(ports: str, said: str, hint: str) -> None:
    error = refused(f"host: a.example, ports: {ports}")
    assert said in error.message
    assert hint in error.hint


@pytest.mark.parametrize("where", ["allow", "deny"])
@pytest.mark.parametrize(
    ("extra", "rule"),
    [
        ("methods: [GET]", {"methods": ("GET",)}),
        ("paths: ['/a']", {"paths": ("/a",)}),
        ("query: {b: [y, x, x], a: ''}", {"query": (("a", ""), ("b", "x"), ("b", "y"))}),
        ("headers: {X-Mode: read*}", {"headers": (("x-mode", "read*"),)}),
    ],
)
@pytest.mark.parametrize("ports", ["", "ports: [443], ", "ports: [80, 8080], "])
def test_requests_are_judged_in_clear_http_and_https(
    where: str, extra: str, rule: dict[str, tuple[object, ...]], ports: str
) -> None:
    plain = build(f"host: a.example, {ports}", where)
    assert build(f"host: a.example, {ports}{extra}", where) == dataclasses.replace(plain, **rule)
    assert build(f"ip: 10.0.0.1, {ports}{extra}", where).narrow


@pytest.mark.parametrize("value", [True, False])
def test_inspect_of_an_allow_rule(*, value: bool) -> None:
    assert build(f"host: a.example, inspect: {str(value).lower()}").inspect is value
    assert build("host: a.example").inspect is None


@pytest.mark.parametrize(
    ("text", "where", "said", "hint"),
    [
        ("host: a.example, inspect: yes", "allow", "true or false and got yes", "inspect: false"),
        ("host: a.example, inspect: all", "allow", 'true or false and got "all"', "inspect: false"),
        ("host: a.example, inspect: true", "deny", "inspect on a deny rule", "remove the key"),
        ("ip: 10.0.0.1, inspect: false", "allow", "inspect on an ip rule", "rule with the host"),
        *(
            (f"host: a.example, inspect: false, {key}: {value}", "allow", f"{key} in one rule", key)
            for key, value in (
                *(("methods", "[GET]"), ("paths", "[/]")),
                *(("query", "{a: b}"), ("headers", "{a: b}")),
            )
        ),
    ],
)
def test_inspect_that_is_refused(text: str, where: str, said: str, hint: str) -> None:
    error = refused(text, where)
    assert said in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    ("extra", "said", "hint"),
    [
        ("methods: [get]", '"get" is not a method in upper case', "methods: [GET]"),
        ("methods: ['GET ']", "is not a method", "[GET, HEAD]"),
        ("methods: GET", "methods wants a list", "methods: [GET]"),
        ("methods: []", "could never match", "methods: [GET, HEAD]"),
        ("methods: [on]", "which YAML reads as a boolean", 'quotes around it: "on"'),
        ("methods: [CONNECT]", "CONNECT asks a proxy", "leave it out"),
        ("paths: [a]", '"a" does not begin with /', 'paths: ["/a"]'),
        ("paths: [/a/../b]", "is not how the gate sees a path", 'paths: ["/b"]'),
        ("paths: ['/a%20b']", "is not how the gate sees a path", 'paths: ["/a b"]'),
        ("paths: ['/a?b=c']", "is not how the gate sees a path", 'paths: ["/a"]'),
        ("paths: [/a//b]", "is not how the gate sees a path", "write it decoded"),
        ("paths: [/a;b]", "is not how the gate sees a path", "write it decoded"),
        ("paths: [/***]", "stars", "shorten it"),
        ("paths: [/" + "*a" * 17 + "]", "stars", "shorten it"),
        ("paths: [/" + "a" * 1024 + "]", "longer than 1024", "shorten it"),
        ("paths: []", "could never match", "paths:"),
    ],
)
def test_requests_that_are_refused(extra: str, said: str, hint: str) -> None:
    error = refused(f"host: a.example, ports: [80], {extra}")
    assert said in error.message
    assert hint in error.hint
