"""What must hold of every policy and every flow, not of the ones somebody thought of."""

from __future__ import annotations

import dataclasses
import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from sluicegate.facts import Decision, Facts, Protocol, Verdict, Via
from sluicegate.policy import decide as deciding
from sluicegate.policy import normal, opening
from sluicegate.policy.conditions import headers, query
from sluicegate.policy.decide import admit, decide
from sluicegate.policy.model import Policy, Rule, Secret

# Few values, so that rules and flows meet often.
NAMES = st.sampled_from(["a.example", "b.a.example", "c.b.a.example", "b.example"])
ADDRESSES = st.sampled_from(
    ["192.0.2.7", "10.0.0.1", "::ffff:a00:1", "::ffff:c000:207", "2001:db8::1", "64:ff9b::c000:207"]
)
NETWORKS = st.sampled_from(
    ["192.0.2.0/24", "192.0.2.7/32", "10.0.0.0/8", "2001:db8::/32", "64:ff9b::/96", "0.0.0.0/0"]
)
PORTS = st.sampled_from([22, 80, 443])
ALLOWED_PORTS = st.sampled_from([(22, 80, 443), (80,), (80, 443), (22,)])
DENIED_PORTS = st.sampled_from([(), (80,), (22, 443)])
METHODS = st.sampled_from(["GET", "POST"])
SOME_METHODS = st.sampled_from([(), (), ("GET",), ("POST",), ("GET", "POST")])
SOME_GLOBS = st.sampled_from([(), (), ("/**",), ("/a/*",), ("/a", "/*/b")])
PATHS = st.sampled_from(["/", "/a", "/a/b", "/a/../b", "//a", "/a%2fb", "/c/b", "*"])
QUERIES = st.sampled_from(
    [
        "",
        "?q=a",
        "?q=b",
        "?q=a&q=b",
        "?Q=a",
        "?q=a;b",
        "?q=%61",
        "?q=a+",
        "?q=a%2fb",
        "?q=" + "a" * 300,
    ]
)
FIELDS = st.sampled_from(
    [(), (("H", "a"),), (("h", "b"),), (("H", "a"), ("h", "b")), (("H", "a, b"),)]
)
SOME_QUERY = st.sampled_from([(), (), (), (("q", "a"),), (("q", "*"),), (("q", "a"), ("q", "b"))])
SOME_HEADERS = st.sampled_from([(), (), (), (("h", "a"),), (("h", "*"),)])
NAMED = frozenset("q"), frozenset("h")


@st.composite
def rules(draw: st.DrawFn, *, deny: bool) -> Rule:
    more = {
        "ports": draw(DENIED_PORTS if deny else ALLOWED_PORTS),
        "methods": draw(SOME_METHODS),
        "paths": draw(SOME_GLOBS),
        "query": draw(SOME_QUERY),
        "headers": draw(SOME_HEADERS),
    }
    if draw(st.booleans()):
        rule = Rule("rule", host=draw(NAMES), wildcard=draw(st.booleans()), **more)
        if deny or draw(st.booleans()):
            return rule
        return dataclasses.replace(rule, inspect=draw(st.sampled_from([True, rule.narrow])))
    return Rule("rule", network=draw(NETWORKS), **more)


POLICY = st.builds(
    Policy,
    st.just("p"),
    st.sampled_from([False, False, True]),
    st.lists(rules(deny=False), min_size=2, max_size=8).map(tuple),
    st.lists(rules(deny=True), max_size=1).map(tuple),
    inspect=st.sampled_from(["auto", "auto", "all", "none"]),
    secrets=st.sampled_from(
        [(), (), (Secret("K", ("env", "K"), ("*.a.example",), ("GET",), "bearer"),)]
    ),
)
POLICIES = st.lists(POLICY, min_size=1, max_size=2).map(tuple)


@st.composite
def flows(draw: st.DrawFn) -> Facts:
    """Mostly flows whose claims agree; the mismatches have their own test."""
    name = draw(st.none() | NAMES)
    address = draw(ADDRESSES)
    known = draw(st.booleans())
    facts = Facts(
        Protocol.OPAQUE,
        "198.18.0.7" if name and known else address,
        draw(PORTS),
        synthetic=name if known else None,
        sni=name,
    )
    if not draw(st.booleans()):
        return facts
    if draw(st.booleans()):
        return dataclasses.replace(facts, protocol=Protocol.TLS)
    host = name if name is not None else address
    target = draw(PATHS) + draw(QUERIES)
    more = {"host": host, "method": draw(METHODS), "path": target, "query": query(target, NAMED[0])}
    more["headers"] = headers(draw(FIELDS), NAMED[1])
    if draw(st.booleans()):
        return dataclasses.replace(facts, protocol=Protocol.HTTPS, **more)
    return dataclasses.replace(facts, protocol=Protocol.HTTP, sni=None, **more)


FLOWS = flows()
HELLOS = flows().map(
    lambda facts: Facts(
        Protocol.TLS, facts.address, facts.port, synthetic=facts.synthetic, sni=facts.sni
    )
)
ANSWERS = st.lists(ADDRESSES, max_size=3).map(tuple)


def outcome(
    policies: tuple[Policy, ...], facts: Facts, answer: tuple[str, ...]
) -> tuple[Verdict, str | None, str | None, bool, frozenset[str]]:
    """All of a decision that opens anything: labels and reasons are words."""
    made = decide(policies, facts)
    good = admit(policies, made, answer, facts)[0]
    return made.verdict, made.name, made.address, made.observed, frozenset(good)


def opens(policies: tuple[Policy, ...], facts: Facts) -> bool:
    return decide(policies, facts).verdict is Verdict.ALLOW


def shuffled(policies: tuple[Policy, ...], draw: st.DataObject) -> tuple[Policy, ...]:
    mixed = [
        dataclasses.replace(
            policy,
            allow=tuple(draw.draw(st.permutations(policy.allow))),
            deny=tuple(draw.draw(st.permutations(policy.deny))),
        )
        for policy in policies
    ]
    return tuple(draw.draw(st.permutations(mixed)))


@given(POLICIES, FLOWS, ANSWERS, st.data())
def test_order_never_matters(
    policies: tuple[Policy, ...], facts: Facts, answer: tuple[str, ...], data: st.DataObject
) -> None:
    other = shuffled(policies, data)
    assert outcome(other, facts, answer) == outcome(policies, facts, answer)
    assert normal.policy_text(other) == normal.policy_text(policies)


@given(POLICIES, FLOWS, ANSWERS)
def test_the_normal_form_decides_the_same(
    policies: tuple[Policy, ...], facts: Facts, answer: tuple[str, ...]
) -> None:
    text = normal.policy_text(policies)
    again = normal.read(text)
    assert outcome(again, facts, answer) == outcome(policies, facts, answer)
    assert normal.policy_text(again) == text


@given(POLICIES, rules(deny=True), st.integers(0, 2), FLOWS, ANSWERS)
def test_a_further_deny_never_allows_more(
    policies: tuple[Policy, ...], rule: Rule, index: int, facts: Facts, answer: tuple[str, ...]
) -> None:
    at = index % len(policies)
    denier = dataclasses.replace(policies[at], deny=(*policies[at].deny, rule))
    tighter = (*policies[:at], denier, *policies[at + 1 :])
    assert opens(tighter, facts) <= opens(policies, facts)
    made = decide(policies, facts)
    # The same decision, judged with the tighter policies: no address more.
    before, after = admit(policies, made, answer, facts)[0], admit(tighter, made, answer, facts)[0]
    assert set(after) <= set(before)


@given(POLICIES, POLICY, FLOWS, ANSWERS)
def test_a_further_file_only_tightens(
    policies: tuple[Policy, ...], further: Policy, facts: Facts, answer: tuple[str, ...]
) -> None:
    together = (*policies, further)
    assert opens(together, facts) <= opens(policies, facts)
    made = decide(policies, facts)
    assert set(admit(together, made, answer, facts)[0]) <= set(
        admit(policies, made, answer, facts)[0]
    )


@given(POLICIES, FLOWS)
def test_enforce_allows_no_more_than_observe(policies: tuple[Policy, ...], facts: Facts) -> None:
    strict = tuple(dataclasses.replace(policy, observe=False) for policy in policies)
    assert opens(strict, facts) <= opens(policies, facts)
    made = decide(policies, facts)
    if made.observed:
        assert not opens(strict, facts)


EVERYTHING = Policy(
    "p",
    observe=True,
    allow=(
        Rule("r", host="a.example", ports=(22, 80, 443)),
        Rule("r", host="example", wildcard=True, ports=(22, 80, 443)),
        Rule("r", network="0.0.0.0/0", ports=(22, 80, 443)),
        Rule("r", network="::/0", ports=(22, 80, 443)),
    ),
)


@given(FLOWS, st.sampled_from(["sni", "host", "target"]), NAMES)
def test_every_mismatch_is_denied(facts: Facts, claim: str, name: str) -> None:
    other = dataclasses.replace(facts, **{claim: name})
    claims = {other.synthetic, other.target, other.sni, other.host} - {None}
    made = decide((EVERYTHING,), other)
    assert (made.rule == "mismatch") is (len(claims) > 1)
    assert (made.verdict is Verdict.ALLOW) is (len(claims) <= 1)


@given(FLOWS, st.integers(1, 65535))
def test_a_host_port_of_another_port_is_denied(facts: Facts, port: int) -> None:
    other = dataclasses.replace(facts, host_port=port)
    assert (decide((EVERYTHING,), other).rule == "mismatch") is (port != facts.port)


@given(POLICIES, FLOWS)
def test_an_allowed_flow_goes_where_the_rules_say(
    policies: tuple[Policy, ...], facts: Facts
) -> None:
    made = decide(policies, facts)
    assert (made.name is None) != (made.address is None)
    if made.verdict is Verdict.DENY or made.observed:
        return
    for policy in policies:
        assert any(
            rule.network is not None
            if made.address is not None
            else rule.host is not None and (made.name or "").endswith(rule.host)
            for rule in policy.allow
        )


@given(FLOWS)
def test_nothing_is_allowed_by_nothing(facts: Facts) -> None:
    assert not opens((), facts)
    assert not opens((Policy("p"),), facts)


@given(POLICIES, ANSWERS, PORTS)
def test_no_internal_address_without_an_ip_rule(
    policies: tuple[Policy, ...], answer: tuple[str, ...], port: int
) -> None:
    made = Decision(Verdict.ALLOW, "r", "fine", port, name="a.example")
    inside = {"10.0.0.1", "::ffff:a00:1"} & set(admit(policies, made, answer)[0])
    wanted = ipaddress.ip_address("10.0.0.1")
    for policy in policies if inside else ():
        nets = [ipaddress.ip_network(r.network) for r in policy.allow if r.network]
        assert any(wanted in net for net in nets)


def test_the_ways_to_name_a_target_are_all_known() -> None:
    # A new way to name a destination needs a line in `subject`, and a case above.
    assert {way.name for way in Via} == {"DIRECT", "CONNECT", "ABSOLUTE", "SOCKS"}


@given(POLICIES, FLOWS)
def test_several_policies_are_their_intersection(
    policies: tuple[Policy, ...], facts: Facts
) -> None:
    # By address or by name: each policy alone must allow one and the same of the two.
    if facts.synthetic is None and facts.sni is not None:
        facts = dataclasses.replace(facts, synthetic=facts.sni)
    assert opens(policies, facts) is all(opens((policy,), facts) for policy in policies)


@given(POLICIES, FLOWS)
def test_relaxed_policies_are_never_stricter(policies: tuple[Policy, ...], facts: Facts) -> None:
    assert opens(policies, facts) <= opens(deciding.relaxed(policies), facts)
    loose = deciding.preliminary(deciding.relaxed(policies), facts)
    assert opens(policies, facts) <= (loose.verdict is Verdict.ALLOW)


@given(POLICIES, FLOWS | HELLOS)
def test_what_is_not_seen_is_allowed_by_no_rule_with_conditions(
    policies: tuple[Policy, ...], facts: Facts
) -> None:
    if facts.method is not None:
        return
    unasked = tuple(
        dataclasses.replace(policy, allow=tuple(rule for rule in policy.allow if not rule.narrow))
        for policy in policies
    )
    assert opens(policies, facts) is opens(unasked, facts)


@given(POLICIES, HELLOS)
def test_named_tls_that_is_not_opened_is_denied_by_no_rule_with_conditions(
    policies: tuple[Policy, ...], facts: Facts
) -> None:
    if opening.opens(policies, facts) or facts.synthetic is None:
        return  # of a bare address the rules on networks count, opened or not
    unasked = tuple(
        dataclasses.replace(policy, deny=tuple(rule for rule in policy.deny if not rule.narrow))
        for policy in policies
    )
    assert opens(policies, facts) is opens(unasked, facts)


@given(POLICIES, HELLOS)
def test_the_normal_form_opens_the_same(policies: tuple[Policy, ...], facts: Facts) -> None:
    again = normal.read(normal.policy_text(policies))
    assert opening.opens(again, facts) is opening.opens(policies, facts)
    assert deciding.named(again) == deciding.named(policies)


@given(POLICIES, POLICY, HELLOS, st.data())
def test_a_further_file_closes_nothing_that_was_opened(
    policies: tuple[Policy, ...], further: Policy, facts: Facts, data: st.DataObject
) -> None:
    assert opening.opens(policies, facts) <= opening.opens((*policies, further), facts)
    assert opening.opens(shuffled(policies, data), facts) is opening.opens(policies, facts)


@given(POLICIES, FLOWS, QUERIES, FIELDS)
def test_a_further_parameter_or_header_meets_no_more_allow_and_no_fewer_deny_conditions(
    policies: tuple[Policy, ...], facts: Facts, more: str, fields: tuple[tuple[str, str], ...]
) -> None:
    # What is not there at all, or by a name that only some servers take for it, may well be what is missing.
    if facts.method is None or "q" not in dict(facts.query) or not facts.headers:
        return
    wider = dataclasses.replace(
        facts,
        query=(*facts.query, *query(f"/{more}", NAMED[0])),
        headers=(*facts.headers, *headers(fields, NAMED[1])),
    )
    assert opens(policies, wider) <= opens(policies, facts)
