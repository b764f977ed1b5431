"""What is granted beside flows: each key, loosened and tightened."""

from __future__ import annotations

import dataclasses

import pytest

from sluicegate.gate.limits import Limits
from sluicegate.policy import grammar, granted
from sluicegate.policy.model import Policy

HOSTS = 'allow: [{host: a.example}, {host: "*.b.example"}]'


def parsed(text: str) -> tuple[Policy, ...]:
    return (grammar.parse(f"version: 1\n{HOSTS}\n{text}", "p.yaml"),)


SECRET = "secrets: [{env: K, hosts: [a.example], bearer: true%s}]"
LOOSER = [
    (
        "agent: {env: [A]}",
        "agent: {env: [A, B]}",
        "agent.env: now the command is given the variable B",
    ),
    (
        "agent: {bind: [~/.cache/pip]}",
        "agent: {bind: [~/.cache]}",
        "agent.bind: now the command may write to ~/.cache",
    ),
    # A credential store below a directory that is bound stays hidden; one that is bound itself is shown.
    (
        "agent: {bind: [~/.config]}",
        "agent: {bind: [~/.config/gh]}",
        (
            "agent.bind: now ~/.config/gh is named itself,"
            " which shows and lets change what is hidden or read-only in ~/.config"
        ),
    ),
    (
        "",
        "agent: {outputs: [result]}",
        "agent.outputs: now the command may hand result to later steps",
    ),
    (
        "",
        "agent: {writable: [.github/workflows]}",
        "agent.writable: now the command may write to .github/workflows, which later steps execute",
    ),
    ("record: digests", "", "record: now digests of contents are not put on record"),
    ("limits: {upload: 5MB}", "limits: {upload: 6MB}", "limits.upload: now 6000000, else 5000000"),
    ("limits: {upload_per_host: 5MB}", "", "limits.upload_per_host: now none, else 5000000"),
    (
        "limits: {requests_per_minute: 5}",
        "limits: {requests_per_minute: 6}",
        "limits.requests_per_minute: now 6, else 5",
    ),
    ("limits: {names_per_wildcard: 5}", "", "limits.names_per_wildcard: now none, else 5"),
    ("", "limits: {connections: 3000}", "limits.connections: now 3000, else 2000"),
    ("limits: {connections: 5}", "", "limits.connections: now 2000, else 5"),
    ("", SECRET % "", "secrets: now env K is put into requests to a.example (bearer)"),
    (SECRET % "", "", "secrets: now the value of env K is not looked for in requests"),
    (
        SECRET % ", methods: [GET]",
        SECRET % ", methods: [GET, POST]",
        "secrets: now env K is put into POST requests to a.example (bearer)",
    ),
    (
        SECRET % ", methods: [GET]",
        SECRET % "",
        "secrets: now env K is put into requests to a.example (bearer)",
    ),
    (
        "secrets: [{env: K, hosts: [x.b.example], header: x-key}]",
        'secrets: [{env: K, hosts: ["*.b.example"], header: x-key}]',
        "secrets: now env K is put into requests to *.b.example (header x-key)",
    ),
    (
        "",
        "secrets: [{env: K, hosts: [a.example], methods: [GET], sigv4: true}]",
        "secrets: now env K signs GET requests to a.example (sigv4)",
    ),
]


@pytest.mark.parametrize(("old", "new", "said"), LOOSER)
def test_each_grant_more_is_said_and_its_reverse_is_less(old: str, new: str, said: str) -> None:
    found = granted.compare(parsed(old), parsed(new))
    assert said in found.more
    back = granted.compare(parsed(new), parsed(old))
    assert said.replace(" now ", " before ") in back.less
    assert said not in back.more


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            'secrets: [{env: K, hosts: ["*.b.example"], query: k}]',
            "secrets: [{env: K, hosts: [x.b.example], methods: [GET], query: k}]",
        ),
        ("limits: {names_per_wildcard: 5}", "limits: {names_per_wildcard: 4}"),
        ("", "limits: {connections: 5}"),
    ],
)
def test_what_is_within_what_was_is_no_more(old: str, new: str) -> None:
    found = granted.compare(parsed(old), parsed(new))
    assert (found.more, found.undecided) == ([], [])


def names(allow: str, limit: str = "limits: {names_per_wildcard: 1}") -> tuple[Policy, ...]:
    return (grammar.parse(f"version: 1\nallow: [{allow}]\n{limit}", "p.yaml"),)


@pytest.mark.parametrize(
    ("new", "same"),
    [
        ('{host: "*.b.example"}', True),
        ('{host: "*.c.b.example"}', False),  # two such would count to one each
        ("{host: x.b.example}", True),
        ("{host: x.b.example}, {host: y.b.example}", False),
        ('{host: "*.b.example"}, {host: x.b.example}', False),  # x no longer counts
    ],
)
def test_names_below_a_wildcard_are_counted_as_before_or_that_is_not_proven(
    new: str, same: bool
) -> None:
    found = granted.compare(names('{host: "*.b.example"}'), names(new))
    assert (found.undecided == []) is same, found.undecided


def test_a_member_that_nobody_compares_is_not_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    # A new key of the policy needs its line in granted.py; until then a change of it is not called tight.
    monkeypatch.setattr(granted, "KNOWN", granted.KNOWN - {"digests"})
    found = granted.compare(parsed(""), parsed("record: digests"))
    assert found.undecided == ["digests: differs, and what that means is not compared here"]
    assert granted.compare(parsed(""), parsed("")).undecided == []


def test_the_gates_own_number_of_connections() -> None:
    assert Limits().connections == granted.OWN_CONNECTIONS


def test_a_further_file_grants_nothing() -> None:
    one, other = parsed("agent: {env: [A]}"), parsed("agent: {env: [A, B]}\nlimits: {upload: 5MB}")
    assert granted.compare(one, (*one, *other)).more == []
    assert granted.compare((*one, *other), one).more == ["limits.upload: now none, else 5000000"]
    assert {one.name for one in dataclasses.fields(Policy)} >= granted.KNOWN
