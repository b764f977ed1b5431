from __future__ import annotations

from dataclasses import replace

import pytest

from sluicegate.policy import grammar, normal
from sluicegate.policy.model import Policy, PolicyError, Secret

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


SECRETS = """\
version: 1
allow: [{host: a.example}, {host: "*.b.example"}]
secrets:
  - {fd: pass, as: PASS, hosts: [a.example], methods: [PUT, GET], basic: git}
  - {env: REAL, as: KEY, hosts: ["*.b.example", a.example], header: X-Key}
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
        "version: 1\nagent: {outputs: [a, b]}",
        "version: 1\nagent: {writable: [.git]}",
        "version: 1\nallow: [{host: a.example, query: {b: [y, x], a: '*'}}]",
        "version: 1\ndeny: [{ip: 10.0.0.1, headers: {X-B: y, a: x}}]",
        "version: 1\nallow: [{host: a.example, inspect: false}]",
        "version: 1\nallow: [{host: a.example, inspect: true}]",
        "version: 1\ninspect: all",
        "version: 1\ninspect: none",
        "version: 1\nrecord: digests",
        "version: 1\nlimits: {upload: 1KB}",
        "version: 1\nlimits: {upload_per_host: 1TiB}",
        "version: 1\nlimits: {requests_per_minute: 1}",
        "version: 1\nlimits: {names_per_wildcard: 1}",
        SECRETS,
    ],
)
def test_whatever_decides_is_in_the_hash(text: str) -> None:
    assert normal.policy_hash(parse(text)) != normal.policy_hash(parse("version: 1"))
    assert normal.policy_hash(parse(text)).startswith("sha256:")
    back = normal.read(normal.policy_text(parse(text)))
    assert normal.policy_text(back) == normal.policy_text(parse(text))
    (one,), (other,) = parse(text), back
    bare = [
        replace(
            policy,
            source="",
            allow=tuple(sorted((replace(r, label="") for r in policy.allow), key=repr)),
            deny=tuple(sorted((replace(r, label="") for r in policy.deny), key=repr)),
            secrets=tuple(sorted(policy.secrets, key=repr)),
        )
        for policy in (one, other)
    ]
    assert bare[0] == bare[1]


def test_a_secret_is_in_the_text_by_all_but_its_value() -> None:
    assert (
        b'"secrets":[{"hosts":["*.b.example","a.example"],"key":"x-key","name":"KEY",'
        b'"place":"header","source":{"env":"REAL"}},{"hosts":["a.example"],"key":"git",'
        b'"methods":["GET","PUT"],"name":"PASS","place":"basic","source":{"fd":"pass"}}]'
    ) in normal.policy_text(parse(SECRETS))


def test_every_new_member_has_its_place_in_the_text() -> None:
    text = (
        "version: 1\nallow: [{host: a.example, query: {b: [y, x]}, headers: {X-C: z}, inspect: true}]"
        "\ninspect: all\nrecord: digests\nlimits: {upload: 1KiB, upload_per_host: 2KB,"
        " requests_per_minute: 3, names_per_wildcard: 4}"
    )
    assert normal.policy_text(parse(text)) == (
        b'{"policies":[{"allow":[{"headers":{"x-c":["z"]},"host":"a.example","inspect":true,'
        b'"ports":[80,443],"query":{"b":["x","y"]}}],"bind":[],"deny":[],"env":[],"inspect":"all",'
        b'"mode":"enforce","names_per_wildcard":4,"record":"digests","requests_per_minute":3,'
        b'"upload":1024,"upload_per_host":2000}],"version":1}'
    )


def test_policies_without_the_new_members_keep_their_hash() -> None:
    old = ONE + "limits: {connections: 7}\nmode: observe\n"
    paths = "version: 1\nallow: [{host: c.example, ports: [80], methods: [GET], paths: [/a]}]"
    # As versions before requests inside TLS were judged gave it.
    assert normal.policy_hash(parse(old, paths)) == (
        "sha256:fbe34c343d20c98f25db3f7c16ae4aac422a233fa2fd4d7fe9737382557c9b2f"
    )


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


SECRET = b'{"hosts":["a.example"],"name":"K","place":"bearer","source":{"env":"K"}}'
RULE = b'{"policies":[{"allow":[%s],"bind":[],"deny":[],"env":[],"mode":"enforce"}],"version":1}'


def test_the_secret_of_the_next_test_is_one() -> None:
    text = (RULE % b"").replace(b'"}]', b'","secrets":[' + SECRET + b"]}]")
    assert normal.read(text)[0].secrets == (
        Secret("K", ("env", "K"), ("a.example",), (), "bearer"),
    )
    signs = text.replace(b"bearer", b"sigv4")
    assert normal.read(signs)[0].secrets[0].place == "sigv4"


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
        RULE % b'{"host":"a.example","ports":[80],"query":["a"]}',
        RULE % b'{"host":"a.example","ports":[80],"query":{"a":"b"}}',
        RULE % b'{"host":"a.example","ports":[80],"query":{"a":[5]}}',
        RULE % b'{"host":"a.example","ports":[80],"query":{"a":["c","b"]}}',
        RULE % b'{"host":"a.example","ports":[80],"query":{"a":[]}}',
        RULE % b'{"host":"a.example","ports":[80],"query":{}}',
        RULE % b'{"headers":{"a":5},"host":"a.example","ports":[80]}',
        RULE % b'{"host":"a.example","inspect":1,"ports":[80]}',
        RULE % b'{"host":"a.example","inspect":null,"ports":[80]}',
        (RULE % b"").replace(b'"mode"', b'"inspect":"auto","mode"'),
        (RULE % b"").replace(b'"mode"', b'"inspect":["all"],"mode"'),
        (RULE % b"").replace(b"}]", b',"record":"all"}]'),
        (RULE % b"").replace(b"}]", b',"upload":"1"}]'),
        (RULE % b"").replace(b"}]", b',"upload":1.5}]'),
        (RULE % b"").replace(b"}]", b',"upload":0}]'),
        (RULE % b"").replace(b"}]", b',"requests_per_minute":0}]'),
        (RULE % b"").replace(b"}]", b',"names_per_wildcard":-1}]'),
        (RULE % b"").replace(b"}]", b',"secrets":[]}]'),
        (RULE % b"").replace(b"}]", b',"secrets":[5]}]'),
        *(
            (RULE % b"").replace(b"}]", b',"secrets":[' + SECRET.replace(old, new) + b"]}]")
            for old, new in (
                (b"}}", b'},"value":"x"}'),
                (b'"K"', b"5"),
                (b'"bearer"', b'"cookie"'),
                (b'{"env":"K"}', b'{"env":"K","fd":"K"}'),
                (b'{"env":"K"}', b"{}"),
                (b'{"env":"K"}', b'"K"'),
                (b'"env"', b'"url"'),
                (b'"a.example"', b'"A.example"'),
                (b'"a.example"', b'"*"'),
            )
        ),
        RULE % b'{"host":"a.example","paths":"/","ports":[80]}',
        (RULE % b"").replace(b"enforce", b"off"),
        (RULE % b"").replace(b'"env":[]', b'"env":["B","A"]'),
        (RULE % b"").replace(b'"deny"', b'"connections":true,"deny"'),
    ],
)
def test_a_text_we_would_not_have_written_is_refused(text: bytes) -> None:
    with pytest.raises(PolicyError, match=r"not (a|the canonical form of a) normalised policy"):
        normal.read(text)
