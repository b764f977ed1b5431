from __future__ import annotations

import pytest

from sluicegate.policy import grammar
from sluicegate.policy.explain import Target, UrlError, explain, read_url

RULES = """\
version: 1
allow:
  - host: github.com
    ports: [22, 443]
  - host: example.com
    ports: [80]
    methods: [GET]
    paths: ["/simple/**"]
  - host: "*.example.org"
  - ip: 10.1.2.0/24
    ports: [5432]
deny:
  - host: gist.github.com
"""
POLICY = grammar.parse(RULES, "p.yaml")


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://Example.com/a?b#c", Target("https", "example.com", 443, "/a?b")),
        ("https://example.com", Target("https", "example.com", 443, "/")),
        ("HTTP://example.com:8080/a?b#c", Target("http", "example.com", 8080, "/a?b")),
        ("http://example.com?x", Target("http", "example.com", 80, "/?x")),
        ("http://example.com", Target("http", "example.com", 80, "/")),
        ("ssh://git@github.com/x", Target("ssh", "github.com", 22)),
        ("ssh://git@github.com:2222", Target("ssh", "github.com", 2222)),
        ("tcp://[2001:DB8::1]:5432", Target("tcp", "2001:db8::1", 5432)),
        ("example.com:5432", Target("tcp", "example.com", 5432)),
        ("0x7f.1:80", Target("http", "127.0.0.1", 80, "/")),
        ("example.com:443", Target("https", "example.com", 443, "/")),
        ("tcp://example.com:443", Target("tcp", "example.com", 443)),
    ],
)
def test_urls(url: str, target: Target) -> None:
    assert read_url(url) == target


@pytest.mark.parametrize(
    ("url", "said", "hint"),
    [
        ("ftp://example.com", 'scheme "ftp" is not known', "one of: http, https, ssh, tcp"),
        ("example.com", "has no port", "example.com:443"),
        ("tcp://example.com", "has no port", "example.com:443"),
        ("https://", "is not understood", "https://example.com/"),
        ("https://user@example.com", "authority has userinfo", "https://example.com/"),
        ("https://example.com:99999", "port is not a number", "https://example.com/"),
        ("", "is not understood", "https://example.com/"),
    ],
)
def test_urls_that_are_refused(url: str, said: str, hint: str) -> None:
    with pytest.raises(UrlError) as caught:
        read_url(url)
    assert said in str(caught.value)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://github.com/x", True),
        ("ssh://git@github.com/x", True),
        ("http://github.com/", False),
        ("https://gist.github.com", False),
        ("http://example.com/simple/x", True),
        ("http://example.com/upload", False),
        ("https://example.com/simple/x", False),
        ("https://a.example.org", True),
        ("https://example.org", False),
        ("10.1.2.3:5432", True),
        ("http://10.1.2.3:5432", True),
        ("10.1.3.3:5432", False),
    ],
)
def test_the_verdict_is_the_one_of_the_gate(url: str, allowed: bool) -> None:
    text, opened = explain((POLICY,), url)
    assert opened is allowed
    assert f"verdict: {'allowed' if allowed else 'denied'} (" in text


def test_an_allowed_url_names_file_and_rule() -> None:
    assert explain((POLICY,), "https://github.com/x")[0].splitlines() == [
        "github.com port 443, TLS: method and path are not seen",
        "p.yaml: allows by allow[0] p.yaml:3",
        "verdict: allowed (allow[0] p.yaml:3): github.com port 443 is allowed",
        "still refused if the name resolves to an internal address that no ip rule allows",
    ]
    assert "internal" not in explain((POLICY,), "10.1.2.3:5432")[0]


def test_a_near_miss_and_the_line_to_add() -> None:
    assert explain((POLICY,), "github.com:9418")[0].splitlines()[1:] == [
        "p.yaml: denies: no rule allows github.com port 9418",
        "  allow[0] p.yaml:3 is for this host, but for ports 22, 443, not 9418",
        "verdict: denied (default): no rule allows github.com port 9418",
        "add under allow in p.yaml:",
        "  - host: github.com",
        "    ports: [9418]",
    ]


@pytest.mark.parametrize(
    ("url", "method", "why"),
    [
        ("http://example.com/simple/x", "POST", "but for method GET, not POST"),
        ("http://example.com/upload", "GET", "but for path /simple/**"),
        ("http://example.com/simple//x", "GET", "but the path can be read in two ways"),
        ("https://example.com:80/", "GET", "but for path /simple/**"),
        ("https://example.com/", "GET", "but for port 80, not 443"),
        ("https://example.org/", "GET", "for names below example.org, not for example.org itself"),
        ("10.1.2.3:22", "GET", "but for port 5432, not 22"),
    ],
)
def test_what_a_rule_missed(url: str, method: str, why: str) -> None:
    text, opened = explain((POLICY,), url, method)
    assert not opened
    assert why in text


@pytest.mark.parametrize(
    ("url", "method"),
    [
        ("http://example.com/upload", "POST"),
        ("http://example.com/a%20b%22%5e", "GET"),
        ("http://example.com:8443/x", "GET"),
        ("http://example.com/simple/x", "PROPFIND"),
        ("http://example.com/simple//x", "GET"),
        ("http://example.com/*", "GET"),
        ("http://b.example.net/x", "GET"),
        ("[::ffff:192.0.2.1]:22", "GET"),
        ("192.0.2.1:22", "GET"),
        ("https://bücher.example/", "GET"),
    ],
)
def test_the_line_to_add_is_a_policy_that_allows(url: str, method: str) -> None:
    text, opened = explain((POLICY,), url, method)
    assert not opened
    lines = text.partition("add under allow in p.yaml:\n")[2]
    assert lines
    wider = grammar.parse(f"version: 1\nallow:\n{lines}\n", "q.yaml")
    assert explain((wider,), url, method)[1]


def test_a_deny_rule_leaves_no_line_to_add() -> None:
    text = explain((POLICY,), "https://gist.github.com")[0]
    assert text.endswith("no line allows this: a deny rule beats every allow rule")
    lacking = grammar.parse("version: 1", "q.yaml")
    assert "add under" not in explain((lacking, POLICY), "https://gist.github.com")[0]


def test_several_files_and_observe() -> None:
    other = grammar.parse("version: 1\nallow: [{host: github.com}]", "q.yaml")
    text, opened = explain((POLICY, other), "ssh://github.com")
    assert not opened
    assert "p.yaml: allows by allow[0] p.yaml:3\nq.yaml: denies: no rule" in text
    assert "add under allow in q.yaml:" in text
    watching = grammar.parse("version: 1\nmode: observe", "w.yaml")
    text, opened = explain((POLICY, watching), "https://github.com")
    assert opened
    assert "w.yaml: would deny: no rule allows github.com port 443" in text
    assert "enforce mode would deny it" in text


def test_no_policy() -> None:
    text, opened = explain((), "https://github.com")
    assert not opened
    assert "no policy: nothing is allowed" in text
    assert "add under allow in the policy:" in text


def test_what_a_port_is_not_for_has_no_line_to_add() -> None:
    for url in ("http://example.com:443/x", "tcp://github.com:443", "ssh://example.com:80"):
        text, opened = explain((POLICY,), url)
        assert not opened
        assert "(protocol)" in text
        assert "no line allows this by name; an ip rule takes any protocol" in text


INSIDE = grammar.parse(
    """\
version: 1
allow:
  - host: api.example
    methods: [POST]
    paths: ["/v1/**"]
  - host: api.example
    query: {mode: read}
    headers: {x-mode: a}
  - host: other.example
deny:
  - host: gist.example
secrets:
  - {env: KEY, hosts: [api.example], header: x-key}
  - {env: BASIC, hosts: [other.example], methods: [PUT], basic: true}
  - {env: AWS, hosts: [other.example], methods: [POST], sigv4: true}
""",
    "p.yaml",
)


def test_a_request_inside_tls_names_what_opens_it_and_what_is_put_in() -> None:
    text, allowed = explain((INSIDE,), "https://api.example/v1/x?y", "POST")
    assert allowed
    assert text.splitlines() == [
        "POST /v1/x?y at api.example port 443, inside TLS",
        "p.yaml: has TLS opened by allow[0] p.yaml:3",
        "p.yaml: allows by allow[0] p.yaml:3",
        "secret KEY: its value takes the placeholder's place in the header x-key",
        "verdict: allowed (allow[0] p.yaml:3): this POST request to api.example port 443 is allowed",
        "still refused if the name resolves to an internal address that no ip rule allows",
    ]


def test_a_key_that_signs_is_put_nowhere() -> None:
    text = explain((INSIDE,), "https://other.example/", "POST")[0]
    assert "\nsecret AWS: an AWS signature by its placeholder becomes one by its value\n" in text
    text, allowed = explain((INSIDE,), "https://other.example/")
    assert allowed
    kept = (
        "\nsecret AWS: is not for GET, but POST: a request signed with its placeholder is denied\n"
    )
    assert kept in text
    text = explain((INSIDE,), "http://other.example/", "POST")[0]
    assert kept.replace("GET, but POST", "clear HTTP") in text
    assert "secret AWS: " not in explain((INSIDE,), "https://other.example/", "TRACE")[0]


def test_a_denied_request_inside_tls_has_a_narrow_line_to_add() -> None:
    text, allowed = explain((INSIDE,), "https://api.example/v2/x?mode=write", "PUT")
    assert not allowed
    assert text.splitlines()[2:] == [
        "p.yaml: denies: no rule allows this PUT request to api.example port 443",
        "  allow[0] p.yaml:3 is for this host, but for method POST, not PUT",
        "  allow[1] p.yaml:6 is for this host, but for query mode: read in every reading",
        "verdict: denied (default): no rule allows this PUT request to api.example port 443",
        "add under allow in p.yaml:",
        "  - host: api.example",
        "    methods: [PUT]",
        '    paths: ["/v2/x"]',
    ]
    assert "secret" not in text


def test_headers_are_said_and_lacking_ones_named() -> None:
    url = "https://api.example/?mode=read"
    text, allowed = explain((INSIDE,), url)
    assert not allowed
    assert "but for headers x-mode: a in every occurrence" in text
    assert explain((INSIDE,), url, headers=[("X-Mode", " a")])[1]
    assert not explain((INSIDE,), url, headers=[("X-Mode", "a"), ("x_mode", "b")])[1]


@pytest.mark.parametrize(
    ("method", "put"),
    [
        (
            "PUT",
            "takes the placeholder's place in the header authorization, as password of the user it names",
        ),
        ("GET", "is not for GET, but PUT: a request with its placeholder is denied"),
    ],
)
def test_which_secret_is_put_in_depends_on_the_method(method: str, put: str) -> None:
    text = explain((INSIDE,), "https://other.example/", method)[0]
    assert "has TLS opened by secret BASIC" in text
    (said,) = [line for line in text.splitlines() if line.startswith("secret BASIC: ")]
    assert said.endswith(put)


@pytest.mark.parametrize("url", ["https://gist.example/", "https://unknown.example/"])
def test_what_is_denied_by_name_is_not_opened(url: str) -> None:
    everything = grammar.parse("version: 1\ninspect: all", "q.yaml")
    text, allowed = explain((INSIDE, everything), url)
    assert not allowed
    assert "opened" not in text
    assert "TLS: method and path are not seen" in text


def test_a_secret_that_another_file_does_not_list_is_not_put_in() -> None:
    other = grammar.parse("version: 1\nallow: [{host: api.example}]", "q.yaml")
    assert "secret" not in explain((INSIDE, other), "https://api.example/v1/x", "POST")[0]
