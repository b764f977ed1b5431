from __future__ import annotations

import pytest

from sluicegate.policy import grammar
from sluicegate.policy.model import PolicyError, Secret

VALUE = "sk-live-0123456789abcdef"
ALLOW = 'allow: [{host: a.example}, {host: "*.b.example"}]'
REST = "hosts: [a.example], bearer: true"


def secrets(entry: str, more: str = "") -> tuple[Secret, ...]:
    return grammar.parse(f"version: 1\n{ALLOW}\nsecrets:\n  - {entry}\n{more}", "p").secrets


def refused(entry: str, more: str = "") -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        secrets(entry, more)
    return caught.value


@pytest.mark.parametrize(
    ("entry", "secret"),
    [
        (
            "{env: KEY, hosts: [A.example.], header: X-Api-Key}",
            Secret("KEY", ("env", "KEY"), ("a.example",), (), "header", "x-api-key"),
        ),
        (
            "{env: REAL, as: KEY, hosts: ['*.c.b.example', a.example], bearer: true}",
            Secret("KEY", ("env", "REAL"), ("*.c.b.example", "a.example"), (), "bearer"),
        ),
        (
            "{file: ~/.key, as: KEY, hosts: [x.b.example], methods: [POST, GET], basic: git}",
            Secret("KEY", ("file", "~/.key"), ("x.b.example",), ("GET", "POST"), "basic", "git"),
        ),
        (
            "{fd: key-1, as: KEY, hosts: [a.example], basic: true}",
            Secret("KEY", ("fd", "key-1"), ("a.example",), (), "basic"),
        ),
        (
            "{env: KEY, hosts: [a.example], query: key}",
            Secret("KEY", ("env", "KEY"), ("a.example",), (), "query", "key"),
        ),
        (
            "{env: KEY, hosts: [a.example], sigv4: true}",
            Secret("KEY", ("env", "KEY"), ("a.example",), (), "sigv4"),
        ),
        (
            "{env: KEY, hosts: [a.example], header: Authorization}",
            Secret("KEY", ("env", "KEY"), ("a.example",), (), "header", "authorization"),
        ),
    ],
)
def test_a_secret_says_whence_and_where(entry: str, secret: Secret) -> None:
    assert secrets(entry) == (secret,)


@pytest.mark.parametrize(
    ("entry", "said", "hint"),
    [
        (
            f"{{value: {VALUE}, {REST}}}",
            "value has no place here: secrets never stand",
            "env: NAME",
        ),
        (f"{{token: {VALUE}, {REST}}}", "token has no place here", "file: PATH"),
        (f"{{Secret: {VALUE}, env: KEY, {REST}}}", "Secret has no place here", "fd: NAME"),
        (f"{{env: {VALUE}, {REST}}}", "env wants the name of a variable", "never stands in"),
        (f"{{env: 'KEY={VALUE}', {REST}}}", "env wants the name of a variable", "name alone"),
        (f"{{env: KEY, as: {VALUE}, {REST}}}", "as wants the name of a variable", "as: API_KEY"),
        (f"{{file: {VALUE}, as: KEY, {REST}}}", "file wants a path", "file: ~/.config/api.key"),
        (f"{{fd: '{VALUE}/+', as: KEY, {REST}}}", "fd wants a name of letters", "fd: API_KEY"),
        (VALUE, "secrets[0] wants a mapping", "{env: API_KEY"),
        (f"{{fd: 3, as: KEY, {REST}}}", "fd wants a name of letters", "when the command is run"),
        (f"{{file: /k, {REST}}}", "file without as", "add as: API_KEY"),
        (f"{{fd: k, {REST}}}", "fd without as", "add as: API_KEY"),
        (f"{{{REST}}}", "where its value comes from is missing", "one of: env, file, fd"),
        (f"{{env: KEY, fd: k, {REST}}}", "env and fd in one secret", "keep one of"),
        ("{env: KEY, bearer: true}", "hosts is missing", "hosts: [api.example.com]"),
        ("{env: KEY, hosts: [], bearer: true}", "hosts is empty", "hosts:"),
        ("{env: KEY, hosts: a.example, bearer: true}", "hosts wants a list", "hosts: [a.example]"),
        ("{env: KEY, hosts: ['*'], bearer: true}", "bare wildcard", "name the hosts"),
        ("{env: KEY, hosts: ['*.github.io'], bearer: true}", "strangers' hosts", "one by one"),
        ("{env: KEY, hosts: [10.0.0.1], bearer: true}", "is an address", "ip:"),
        (
            "{env: KEY, hosts: [c.example], bearer: true}",
            "c.example is not allowed",
            "- host: c.ex",
        ),
        ("{env: KEY, hosts: ['*.a.example'], bearer: true}", "is not allowed", '"*.a.example"'),
        ("{env: KEY, hosts: [b.example], bearer: true}", "b.example is not allowed", "- host: b"),
        (
            "{env: KEY, hosts: [a.example]}",
            "the place that it is put into is missing",
            "bearer: tr",
        ),
        (f"{{env: KEY, {REST}, header: x-a}}", "header and bearer in one secret", "keep one of"),
        ("{env: KEY, hosts: [a.example], bearer: false}", "bearer wants true", "bearer: true"),
        ("{env: KEY, hosts: [a.example], bearer: yes}", "bearer wants true", "bearer: true"),
        ("{env: KEY, hosts: [a.example], sigv4: AKIAX}", "sigv4 wants true: AWS", "sigv4: true"),
        (f"{{env: KEY, {REST}, sigv4: true}}", "bearer and sigv4 in one secret", "keep one of"),
        ("{env: KEY, hosts: [a.example], basic: a:b}", "without a colon", "basic: git"),
        ("{env: KEY, hosts: [a.example], basic: ''}", "without a colon", "basic: git"),
        ("{env: KEY, hosts: [a.example], basic: no}", "basic wants text", "quotes"),
        ("{env: KEY, hosts: [a.example], header: Host}", "host is a header that the gate", "other"),
        ("{env: KEY, hosts: [a.example], header: TE}", "te is a header that the gate", "other"),
        ("{env: KEY, hosts: [a.example], header: Content-Length}", "that the gate", "other"),
        (
            "{env: KEY, hosts: [a.example], header: a b}",
            "not the name of a header",
            "header: x-api",
        ),
        ("{env: KEY, hosts: [a.example], query: a%20b}", "not the name of a param", "decoded"),
        (f"{{env: KEY, {REST}, methods: [get]}}", "not a method in upper case", "methods: [GET]"),
        (f"{{env: KEY, {REST}, host: a}}", 'secrets[0] has no key "host"', "did you mean hosts?"),
        (f"{{env: KEY, {REST}}}\n  - {{env: KEY, {REST}}}", "KEY stands twice", "as: NAME"),
        (f"{{env: KEY, {REST}}}\n  - {{fd: k, as: KEY, {REST}}}", "KEY stands twice", "as: NAME"),
    ],
)
def test_secrets_that_are_refused(entry: str, said: str, hint: str) -> None:
    error = refused(entry)
    assert said in error.message
    assert hint in error.hint
    assert error.line >= 4
    assert VALUE not in f"{error} {error.hint}"


@pytest.mark.parametrize(
    ("more", "said", "hint"),
    [
        ("agent: {env: [KEY]}", "agent.env gives the command KEY itself", "from agent.env"),
        ("inspect: none", "inspect: none, and secrets are put only into opened TLS", "auto"),
    ],
)
def test_what_would_show_or_never_use_a_secret(more: str, said: str, hint: str) -> None:
    error = refused(f"{{env: KEY, {REST}}}", more)
    assert said in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    ("rule", "place", "said"),
    [
        ("{host: a.example, inspect: false}", "bearer: true", "a.example is never opened"),
        ("{host: a.example, headers: {x-key: k}}", "header: X_Key", "in a rule's condition"),
        ("{host: a.example, query: {key: k}}", "query: KEY", "in a rule's condition"),
    ],
)
def test_rules_against_a_secret(rule: str, place: str, said: str) -> None:
    text = f"version: 1\nallow: [{rule}]\nsecrets: [{{env: K, hosts: [a.example], {place}}}]"
    with pytest.raises(PolicyError) as caught:
        grammar.parse(text, "p")
    assert said in caught.value.message
    assert caught.value.line == 3


def test_a_host_below_the_secret_that_is_never_opened() -> None:
    text = (
        'version: 1\nallow: [{host: "*.a.example"}, {host: b.a.example, inspect: false}]\n'
        'secrets: [{env: K, hosts: ["*.a.example"], bearer: true}]'
    )
    with pytest.raises(PolicyError, match=r"inspect: false of allow\[1\] p:2"):
        grammar.parse(text, "p")


@pytest.mark.parametrize("text", ["secrets:", "secrets: []"])
def test_no_secrets(text: str) -> None:
    assert grammar.parse(f"version: 1\ninspect: none\n{text}", "p").secrets == ()


def test_secrets_are_a_list_and_bounded() -> None:
    with pytest.raises(PolicyError, match="wants a list of secrets and got a mapping"):
        grammar.parse(f"version: 1\n{ALLOW}\nsecrets: {{env: KEY, {REST}}}", "p")
    many = ", ".join(f"{{env: K{i}, {REST}}}" for i in range(65))
    with pytest.raises(PolicyError, match="65 entries, more than 64"):
        grammar.parse(f"version: 1\n{ALLOW}\nsecrets: [{many}]", "p")
