"""Lines that cover what was seen, and no more than there is evidence for."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluicegate.facts import Facts, Protocol
from sluicegate.policy import grammar, learn, suggestion
from sluicegate.policy.again import Judge
from sluicegate.policy.learn import Learnt, Preset, globs_of
from sluicegate.policy.model import Policy, Rule
from sluicegate.policy.needs import needs
from sluicegate.policy.seen import Fate, Seen
from tests.policy.test_again import GET, TLS, seen


def learnt(*some: Seen, presets: tuple[Preset, ...] = ()) -> Learnt:
    return learn.learn(needs([some]).all(), presets)


def rules(found: Learnt) -> list[tuple[object, ...]]:
    return [
        (
            line.rule.host or line.rule.network,
            line.rule.wildcard,
            line.rule.ports,
            line.rule.methods,
            line.rule.paths,
        )
        for line in found.lines
        if line.rule is not None
    ]


def get(path: str, method: str = "GET", name: str = "a.example") -> Seen:
    facts = dataclasses.replace(GET, synthetic=name, sni=name, host=name, path=path, method=method)
    return seen(facts)


def test_requests_are_covered_by_method_and_path() -> None:
    found = learnt(get("/x"), get("/x", "HEAD"), get("/y"), get("/up", "POST"))
    assert rules(found) == [
        ("a.example", False, (443,), ("GET", "HEAD"), ("/x", "/y")),
        ("a.example", False, (443,), ("POST",), ("/up",)),
    ]
    assert [len(line.seen) for line in found.lines] == [3, 1]
    assert found.uncovered == []


def test_what_nobody_looked_into_is_covered_by_name_and_port() -> None:
    ssh = dataclasses.replace(TLS, protocol=Protocol.SERVER_FIRST, sni=None, port=22)
    assert rules(learnt(seen(TLS), get("/x"), seen(ssh))) == [
        ("a.example", False, (22, 443), (), ())
    ]


def test_a_connection_in_which_nothing_was_asked() -> None:
    assert rules(learnt(seen(TLS, opened=True))) == [
        ("a.example", False, (443,), ("HEAD",), ("/",))
    ]


@pytest.mark.parametrize(
    ("asked", "globs"),
    [
        (["/simple/six/"], ("/simple/six/",)),
        (["/a", "/b", "/c"], ("/a", "/b", "/c")),
        (["/p/a/1", "/p/b/2"], ("/p/a/1", "/p/b/2")),
        (["/p/a/1", "/p/b/2", "/p/c/3"], ("/p/**",)),
        (["/p/a/1", "/p/a/2", "/p/a/3", "/q"], ("/p/a/**", "/q")),
        ([f"/{n}" for n in range(12)], tuple(sorted(f"/{n}" for n in range(12)))),
        ([f"/{n}" for n in range(13)], ("/**",)),
    ],
)
def test_paths_are_made_wider_by_evidence_alone(asked: list[str], globs: tuple[str, ...]) -> None:
    assert globs_of(asked) == globs


def test_a_path_that_no_rule_can_name_leaves_the_method() -> None:
    assert rules(learnt(get("/a//b"), get("/x"))) == [("a.example", False, (443,), ("GET",), ())]


def names(count: int, below: str) -> list[Seen]:
    return [get("/x", name=f"n{number}.{below}") for number in range(count)]


def test_a_wildcard_needs_several_names_of_one_owner() -> None:
    assert [host for host, *_ in rules(learnt(*names(4, "cdn.example.com")))] == [
        f"n{number}.cdn.example.com" for number in range(4)
    ]
    (one,) = rules(learnt(*names(5, "cdn.example.com")))
    assert one == ("cdn.example.com", True, (443,), ("GET",), ("/x",))
    for shared in ("github.io", "cloudfront.net", "co.uk"):
        assert all(not wildcard for _, wildcard, *_ in rules(learnt(*names(9, shared))))


def test_a_wildcard_does_not_mix_what_was_looked_into_with_what_was_not() -> None:
    some = [
        *names(5, "cdn.example.com"),
        seen(dataclasses.replace(TLS, synthetic="z.cdn.example.com", sni=None)),
    ]
    assert all(not wildcard for _, wildcard, *_ in rules(learnt(*some)))


READ = Preset("reading", (Rule("p", host="a.example", ports=(443,), methods=("GET", "HEAD")),))
WIDER = Preset("wider", (*READ.rules, Rule("p", host="b.example", ports=(443,), methods=("GET",))))


def test_a_preset_stands_for_what_it_covers_whole() -> None:
    found = learnt(get("/x"), get("/y", name="b.example"), presets=(READ, WIDER))
    assert [(line.preset, line.notes) for line in found.lines] == [
        ("wider", ("a.example", "b.example"))
    ]
    assert found.uncovered == []
    partly = learnt(get("/x"), get("/x", "POST"), presets=(READ,))
    assert all(line.rule is not None for line in partly.lines)
    closed = learnt(seen(TLS), presets=(READ,))
    assert all(line.rule is not None for line in closed.lines)


def test_what_stays_closed_is_kept_closed_where_another_line_would_open_it() -> None:
    closed = seen(dataclasses.replace(TLS, synthetic="b.example", sni="b.example"))
    found = learnt(get("/x"), closed, presets=(WIDER,))
    assert [(line.preset, line.rule and line.rule.inspect) for line in found.lines] == [
        ("wider", None),
        ("", False),
    ]
    assert found.uncovered == []


def test_doubtful_needs_are_no_lines() -> None:
    found = learnt(
        seen(dataclasses.replace(TLS, synthetic="dns.google", sni="dns.google")), get("/x")
    )
    assert [line.rule and line.rule.host for line in found.lines] == ["a.example"]
    assert [line.rule and line.rule.host for line in found.doubtful] == ["dns.google"]


NAMES = st.sampled_from(
    [
        *("a.example", "b.example", "x.cdn.example.com", "y.cdn.example.com", "z.cdn.example.com"),
        "on.no",
    ]
    + [f"n{number}.cdn.example.com" for number in range(4)]
)
ADDRESSES = st.sampled_from(
    ["192.0.2.7", "10.0.0.5", "2001:db8::1", "::ffff:c000:207", "169.254.169.254"]
)
PATHS = st.sampled_from(
    ["/", "/a", "/a/b", "/a/c", "/a/d", "/x/", "//", "*", '/q"\\u', "/a%20b", "/%c3%a9", "/x?--"]
)
METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "TRACE", "OPTIONS", "NO", "get", "X-A"])


@st.composite
def some_seen(draw: st.DrawFn) -> Seen:
    name = draw(st.none() | NAMES)
    address = None if name is not None and draw(st.booleans()) else draw(ADDRESSES)
    port = draw(st.sampled_from([22, 80, 443, 8443]))
    protocol = draw(st.sampled_from(list(Protocol)))
    facts = Facts(protocol, address or "198.18.0.7", port, synthetic=None if address else name)
    opened = False
    if protocol in {Protocol.HTTP, Protocol.HTTPS}:
        facts = dataclasses.replace(facts, host=name, method=draw(METHODS), path=draw(PATHS))
    if protocol in {Protocol.TLS, Protocol.HTTPS}:
        facts = dataclasses.replace(facts, sni=name)
        opened = protocol is Protocol.TLS and name is not None and draw(st.booleans())
    fate = draw(st.sampled_from([*Fate, Fate.ALLOWED, Fate.OBSERVED, Fate.OBSERVED]))
    rule = (
        "default"
        if fate in {Fate.ALLOWED, Fate.OBSERVED}
        else draw(st.sampled_from(["internal-address", "secret", "default"]))
    )
    answers = draw(st.sampled_from([(), (), ("192.0.2.1",), ("10.0.0.9", "192.0.2.1")]))
    return Seen(
        draw(st.integers(0, 1 << 20)),
        facts,
        fate,
        rule,
        draw(st.text(max_size=20)),
        opened=opened,
        program=draw(
            st.sampled_from(
                [
                    "",
                    "/usr/bin/pip",
                    "/tmp/a\nallow:\n  - host: evil.example",
                    "/x/\x1b[2J\u202e\xe9",
                ]
            )
        ),
        addresses=answers if name is not None and address is None else (),
        peer=answers[-1] if answers and name is not None and address is None else None,
        up=7,
    )


def possible(one: Seen) -> bool:
    """Whether the gate could have let it through: by name on a port that speaks this."""
    spoken = {
        443: {Protocol.TLS, Protocol.HTTPS},
        80: {Protocol.HTTP, Protocol.TLS, Protocol.HTTPS},
    }
    about = one.facts
    named = about.synthetic or about.sni or about.host
    known = spoken.get(about.port, set(Protocol)) | {Protocol.SERVER_FIRST}
    if named is None:
        return about.protocol is not Protocol.HTTPS  # opened by a name alone
    return about.protocol in known


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(some_seen(), max_size=12, unique_by=lambda one: one.seq))
def test_what_is_suggested_covers_what_it_says_and_reads_as_it_was_written(
    some: list[Seen],
) -> None:
    found = needs([some])
    got = learn.learn(found.all())
    assert [one for one in got.uncovered if possible(one)] == []
    text = suggestion.text(got, ["from a\nversion: 2"], found.others, many=False)
    policy = grammar.parse(text, "s.yaml")
    assert {learn.bare(rule) for rule in policy.allow} == {
        learn.bare(r) for r in learn.rules_of(got.lines, ())
    }
    assert (policy.deny, policy.observe, policy.secrets) == ((), False, ())
    judge = Judge((policy,))
    claimed = {
        one.seq: one for line in got.lines for _, one in line.seen if one not in got.uncovered
    }
    assert all(judge.again(one).passes for one in claimed.values())
    told = {one.seq for line in (*got.lines, *got.doubtful) for _, one in line.seen}
    named = {one.seq for one in some if one.passed and one.facts.method != "get" and possible(one)}
    assert named <= told
    nothing = Policy("p")
    assert not any(Judge((nothing,)).again(one).passes for one in some)
