from __future__ import annotations

import pytest

from sluicegate.facts import Facts, Protocol
from sluicegate.policy import grammar, remedies
from sluicegate.policy.decide import decide


def inside(method: str, path: str) -> Facts:
    return Facts(
        *(Protocol.HTTPS, "198.18.0.7", 443),
        synthetic="a.example",
        sni="a.example",
        host="a.example",
        method=method,
        path=path,
    )


def test_the_lines_for_a_request_inside_tls_name_method_and_path() -> None:
    lines = remedies.remedy("a.example", None, 443, inside("POST", "/a/b?token=x"))
    assert lines == '- host: a.example\n  methods: [POST]\n  paths: ["/a/b"]'
    other = remedies.remedy("a.example", None, 8443, inside("GET", "/"))
    assert other == '- host: a.example\n  ports: [8443]\n  methods: [GET]\n  paths: ["/"]'


@pytest.mark.parametrize(
    "path",
    ["/a", "/a/../b", "/%C3%A9%22%5E", "/%F0%9F%98%80", "/a//b", "/*", "/" + "a" * 2000, "*"],
)
@pytest.mark.parametrize("method", ["GET", "PROPFIND", "NO", "OFF", "M-SEARCH", "Y"])
def test_the_lines_are_a_rule_that_allows(method: str, path: str) -> None:
    facts = inside(method, path)
    lines = remedies.remedy("a.example", None, 443, facts)
    assert lines is not None
    assert lines.isascii()
    policy = grammar.parse(f"version: 1\nallow:\n{lines}\n", "p")
    assert decide((policy,), facts).rule == "allow[0] p:3"


@pytest.mark.parametrize("path", ["/a*", "/a/**", "/a%2fb", "/" + "a" * 2000, "/100%25"])
def test_a_path_that_a_rule_would_take_for_another_is_left_out(path: str) -> None:
    lines = remedies.remedy("a.example", None, 443, inside("GET", path))
    assert lines == "- host: a.example\n  methods: [GET]"


@pytest.mark.parametrize("method", ["get", "CONNECT", "G\u00cbT"])
def test_no_line_for_what_no_policy_can_name(method: str) -> None:
    assert remedies.remedy("a.example", None, 443, inside(method, "/")) is None


def test_other_flows_have_the_plain_line() -> None:
    assert remedies.remedy("a.example", None, 22, Facts(Protocol.OPAQUE, "198.18.0.7", 22)) == (
        "- host: a.example\n  ports: [22]"
    )
    assert remedies.plain(None, "::ffff:c000:207", 443) == "- ip: 192.0.2.7/32"
    assert remedies.plain(None, "2001:db8::1", 80) == "- ip: 2001:db8::1/128"
    assert remedies.method("a.example", None, 80, "TRACE") == (
        "- host: a.example\n  ports: [80]\n  methods: [TRACE]"
    )
