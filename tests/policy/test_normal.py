from __future__ import annotations

import pytest

from sluicegate.policy import grammar, normal
from sluicegate.policy.model import Policy, PolicyError

ONE = """\
version: 1
allow:
  - host: b.example
    ports: [443, 22]
  - host: "*.A.example"
  - host: b.example
    ports: [22, 443, 22]
deny:
  - ip: 10.0.0.0/8
agent: {env: [B, A]}
"""
SAME = """\
agent: {env: [A, B]}
deny: [{ip: 10.0.0.0/8}]
allow: [{host: "*.a.example.", ports: [443, 80]}, {ports: [22, 443], host: B.example}]
version: 1
mode: enforce
"""


def parse(*texts: str) -> tuple[Policy, ...]:
    return tuple(grammar.parse(text, f"p{index}") for index, text in enumerate(texts))


def test_the_text_is_the_golden_one() -> None:
    golden = (
        b'{"policies":[{"allow":[{"host":"*.a.example","ports":[80,443]},'
        b'{"host":"b.example","ports":[22,443]}],"bind":[],"deny":[{"ip":"10.0.0.0/8"}],'
        b'"env":["A","B"],"mode":"enforce"}],"version":1}'
    )
    assert normal.policy_text(parse(ONE)) == golden
    # The digest is of these bytes as `sha256sum` gives it.
    assert (
        normal.policy_hash(parse(ONE))
        == "sha256:6c3efcba58e6d514acdef7c822f10604fba87fc239821add3bf69c17448b9c92"
    )


def test_order_spelling_and_repetition_make_no_difference() -> None:
    other = "version: 1\nlimits: {connections: 5}\nmode: observe\n"
    assert normal.policy_text(parse(ONE)) == normal.policy_text(parse(SAME))
    assert normal.policy_text(parse(ONE, SAME)) == normal.policy_text(parse(ONE))
    assert normal.policy_hash(parse(ONE, other)) == normal.policy_hash(parse(other, SAME))


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\nmode: observe",
        "version: 1\nallow: [{host: a.example}]",
        "version: 1\ndeny: [{host: a.example}]",
        "version: 1\nallow: [{host: '*.a.example'}]",
        "version: 1\nallow: [{host: a.example, ports: [80]}]",
        "version: 1\nallow: [{host: a.example, ports: [80], methods: [GET]}]",
        "version: 1\nallow: [{host: a.example, ports: [80], paths: [/a]}]",
        "version: 1\nlimits: {connections: 1}",
        "version: 1\nagent: {bind: [/a]}",
    ],
)
def test_whatever_decides_is_in_the_hash(text: str) -> None:
    assert normal.policy_hash(parse(text)) != normal.policy_hash(parse("version: 1"))
    assert normal.policy_hash(parse(text)).startswith("sha256:")
    back = normal.read(normal.policy_text(parse(text)))
    assert normal.policy_text(back) == normal.policy_text(parse(text))


def test_no_policy_at_all_has_a_text_too() -> None:
    assert normal.policy_text(()) == b'{"policies":[],"version":1}'
    assert normal.read(normal.policy_text(())) == ()


def test_labels_name_the_place_in_the_text() -> None:
    (policy,) = normal.read(normal.policy_text(parse(ONE)), "policy.json")
    assert [rule.label for rule in policy.allow + policy.deny] == [
        "allow[0] of policies[0] policy.json",
        "allow[1] of policies[0] policy.json",
        "deny[0] of policies[0] policy.json",
    ]
    assert policy.allow[0].wildcard
    assert policy.deny[0].ports == ()


RULE = b'{"policies":[{"allow":[%s],"bind":[],"deny":[],"env":[],"mode":"enforce"}],"version":1}'


@pytest.mark.parametrize(
    "text",
    [
        *(
            b"",
            b"[]",
            b"{}",
            b"null",
            b'{"policies":{},"version":1}',
            b'{"policies":[],"version":2}',
        ),
        *(b' {"policies":[],"version":1}', b'{"version":1,"policies":[]}', b'{"policies":[5]}'),
        RULE % b'{"host":"a.example"}',
        RULE % b'{"host":"A.example","ports":[80]}',
        RULE % b'{"host":"*","ports":[80]}',
        RULE % b'{"host":5,"ports":[80]}',
        RULE % b'{"host":"10.0.0.1","ip":"10.0.0.1/32","ports":[80]}',
        RULE % b'{"ip":"10.0.0.1/8","ports":[80]}',
        RULE % b'{"ip":"10.0.0.1","ports":[80]}',
        RULE % b'{"ip":5,"ports":[80]}',
        RULE % b'{"ports":[80]}',
        RULE % b'{"host":"a.example","ports":[true]}',
        RULE % b'{"host":"a.example","ports":[80.0]}',
        RULE % b'{"host":"a.example","ports":[0]}',
        RULE % b'{"host":"a.example","ports":[443,80]}',
        RULE % b'{"host":"a.example","ports":[80],"x":1}',
        RULE % b'{"host":"a.example","methods":[5],"ports":[80]}',
        RULE % b'{"host":"a.example","paths":"/","ports":[80]}',
        (RULE % b"").replace(b"enforce", b"off"),
        (RULE % b"").replace(b'"env":[]', b'"env":["B","A"]'),
        (RULE % b"").replace(b'"deny"', b'"connections":true,"deny"'),
    ],
)
def test_a_text_we_would_not_have_written_is_refused(text: bytes) -> None:
    with pytest.raises(PolicyError, match=r"not (a|the canonical form of a) normalised policy"):
        normal.read(text)
