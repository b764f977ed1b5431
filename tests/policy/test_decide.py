from __future__ import annotations

import dataclasses

import pytest

from sluicegate.facts import Decision, Facts, Protocol, Verdict, Via
from sluicegate.policy import grammar
from sluicegate.policy.decide import (
    admit,
    barring,
    decide,
    deciding,
    is_literal,
    named,
    placed,
    relaxed,
)
from sluicegate.policy.model import Policy, Rule, Secret
from sluicegate.policy.opening import opener, opens

POOL = "198.18.0.7"
BARE = "192.0.2.7"


def policy(text: str, source: str = "p") -> Policy:
    return grammar.parse(f"version: 1\n{text}", source)


def flow(name: str, port: int = 443, **more: object) -> Facts:
    facts = Facts(Protocol.TLS, POOL, port, synthetic=name)
    return dataclasses.replace(facts, **more)


def request(method: str, path: str, name: str = "a.example", port: int = 80) -> Facts:
    return flow(name, port, protocol=Protocol.HTTP, host=name, method=method, path=path)


def allowed(text: str, facts: Facts) -> bool:
    return decide((policy(text),), facts).verdict is Verdict.ALLOW


A = "allow: [{host: a.example}]"
WILD = 'allow: [{host: "*.a.example"}]'
NET = "allow: [{ip: 192.0.2.0/24, ports: [5432]}]"


def test_an_allowed_name_says_rule_name_and_port() -> None:
    assert decide((policy(A),), flow("a.example", sni="a.example")) == Decision(
        Verdict.ALLOW, "allow[0] p:2", "a.example port 443 is allowed", 443, name="a.example"
    )


def test_what_no_rule_allows_is_denied_with_the_line_to_add() -> None:
    decision = decide((policy(A),), flow("b.example", 22))
    assert decision == Decision(
        Verdict.DENY,
        "default",
        "no rule allows b.example port 22",
        22,
        name="b.example",
        remedy="- host: b.example\n  ports: [22]",
    )
    assert decide((), flow("b.example")).verdict is Verdict.DENY
    assert decide((Policy("p"),), flow("b.example")).remedy == "- host: b.example"


@pytest.mark.parametrize("facts", [flow("b.example", 22), Facts(Protocol.OPAQUE, BARE, 5432)])
@pytest.mark.parametrize("address", [None, "2001:db8::5", "::ffff:c000:207"])
def test_the_line_to_add_allows_it(facts: Facts, address: str | None) -> None:
    if address is not None:
        facts = dataclasses.replace(facts, address=address, synthetic=None)
    remedy = decide((Policy("p"),), facts).remedy
    assert remedy is not None
    assert allowed("allow:\n" + "\n".join(f"  {line}" for line in remedy.splitlines()), facts)


@pytest.mark.parametrize(
    ("text", "name", "port", "allow"),
    [
        (A, "a.example", 443, True),
        (A, "a.example", 80, True),
        (A, "a.example", 22, False),
        (A, "b.a.example", 443, False),
        (A, "xa.example", 443, False),
        (A, "a.example.evil.example", 443, False),
        (WILD, "b.a.example", 443, True),
        (WILD, "c.b.a.example", 443, True),
        (WILD, "a.example", 443, False),
        (WILD, "xa.example", 443, False),
        (A + "\ndeny: [{host: a.example}]", "a.example", 443, False),
        (A + "\ndeny: [{host: a.example, ports: [22]}]", "a.example", 443, True),
        (WILD + "\ndeny: [{host: b.a.example}]", "b.a.example", 443, False),
        (WILD + "\ndeny: [{host: b.a.example}]", "c.b.a.example", 443, True),
        (WILD + '\ndeny: [{host: "*.b.a.example"}]', "c.b.a.example", 443, False),
        (NET, "192.0.2.7.example", 5432, False),
    ],
)
def test_names(text: str, name: str, port: int, allow: bool) -> None:
    assert allowed(text, flow(name, port)) is allow


@pytest.mark.parametrize(
    ("text", "address", "port", "allow"),
    [
        (NET, BARE, 5432, True),
        (NET, BARE, 443, False),
        (NET, "192.0.3.7", 5432, False),
        (NET, "::ffff:c000:207", 5432, True),
        (NET, "64:ff9b::c000:207", 5432, False),
        (A, BARE, 443, False),
        ("allow: [{ip: '2001:db8::/32'}]", "2001:db8::1", 443, True),
        ("allow: [{ip: '2001:db8::/32'}]", BARE, 443, False),
        ("allow: [{ip: 10.0.0.0/8}]", "10.1.2.3", 443, True),
        (NET + "\ndeny: [{ip: 192.0.2.7}]", BARE, 5432, False),
        (NET + "\ndeny: [{ip: 0.0.0.0/0}]", BARE, 5432, False),
        (NET + "\ndeny: [{ip: '::/0'}]", BARE, 5432, True),
    ],
)
def test_bare_addresses(text: str, address: str, port: int, allow: bool) -> None:
    decision = decide((policy(text),), Facts(Protocol.OPAQUE, address, port))
    assert (decision.verdict is Verdict.ALLOW) is allow
    assert (decision.name, decision.address) == (None, address)


@pytest.mark.parametrize(
    "address", ["64:ff9b::c000:207", "2002:c000:207::1", "::c000:207", "::ffff:c000:207"]
)
def test_a_denied_ipv4_address_stays_denied_inside_ipv6(address: str) -> None:
    text = f"allow: [{{ip: '{address}'}}]" if "ffff" not in address else "allow: [{ip: 192.0.2.7}]"
    facts = Facts(Protocol.OPAQUE, address, 443)
    assert allowed(text, facts)
    assert not allowed(text + "\ndeny: [{ip: 192.0.2.0/24}]", facts)


def test_a_teredo_address_is_denied_by_its_server_and_client() -> None:
    facts = Facts(Protocol.OPAQUE, "2001:0:c000:207:0:0:34ff:8ef8", 443)
    text = "allow: [{ip: '2001::/16'}]"
    assert allowed(text, facts)
    assert not allowed(text + "\ndeny: [{ip: 192.0.2.7}]", facts)
    assert not allowed(text + "\ndeny: [{ip: 203.0.113.7}]", facts)


def test_a_bare_address_with_a_name_is_looked_up_by_the_gate() -> None:
    facts = Facts(Protocol.TLS, BARE, 443, sni="a.example")
    decision = decide((policy(A),), facts)
    assert (decision.verdict, decision.name, decision.address) == (
        Verdict.ALLOW,
        "a.example",
        None,
    )
    assert not allowed(A + "\ndeny: [{ip: 192.0.2.7}]", facts)
    by_address = decide((policy("allow: [{ip: 192.0.2.7}]"),), facts)
    assert (by_address.name, by_address.address) == (None, BARE)
    # A denied name does not pass because its address was named instead.
    assert not allowed("allow: [{ip: 192.0.2.7}]\ndeny: [{host: a.example}]", facts)


def test_one_file_allows_the_address_and_another_the_name_is_not_both() -> None:
    facts = Facts(Protocol.TLS, BARE, 443, sni="a.example")
    files = (policy(A), policy("allow: [{ip: 192.0.2.7}]"))
    assert decide(files, facts).verdict is Verdict.DENY


ALL = "allow: [{host: a.example}, {host: b.example}, {ip: 192.0.2.0/24}, {ip: 203.0.113.9}]"


@pytest.mark.parametrize("mode", ["enforce", "observe"])
@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (flow("a.example", sni="b.example"), "synthetic name a.example and sni b.example differ"),
        (flow("a.example", host="b.example"), "synthetic name a.example and host b.example"),
        (flow("a.example", target="b.example"), "synthetic name a.example and target b.example"),
        (flow("a.example", target=BARE), f"synthetic name a.example and target {BARE} differ"),
        (
            Facts(Protocol.TLS, BARE, 3128, Via.CONNECT, None, "a.example", 443, "b.example"),
            "target a.example and sni b.example differ",
        ),
        (
            Facts(Protocol.HTTP, BARE, 80, sni="a.example", host="b.example"),
            "sni a.example and host b.example differ",
        ),
        (
            Facts(Protocol.HTTP, BARE, 80, host="203.0.113.9"),
            f"address {BARE} and host 203.0.113.9 differ",
        ),
        (
            Facts(Protocol.HTTP, BARE, 3128, Via.CONNECT, None, BARE, 80, host="203.0.113.9"),
            f"address {BARE} and host 203.0.113.9 differ",
        ),
        (flow("a.example", 80, host="a.example", host_port=443), "host port 443 and port 80"),
        (
            flow("a.example", 80, target="a.example", target_port=443, host_port=80),
            "host port 80 and port 443 differ",
        ),
    ],
)
def test_every_mismatch_is_denied_whatever_the_policy(facts: Facts, said: str, mode: str) -> None:
    decision = decide((policy(f"mode: {mode}\n{ALL}"),), facts)
    assert (decision.verdict, decision.rule, decision.remedy) == (Verdict.DENY, "mismatch", None)
    assert decision.reason.startswith(said)


def test_a_fault_is_denied_whatever_the_policy() -> None:
    facts = flow("a.example", fault="bare line feed")
    for text in (A, "mode: observe\n" + A):
        decision = decide((policy(text),), facts)
        assert (decision.verdict, decision.rule) == (Verdict.DENY, "fault")
        assert decision.reason == "bare line feed"


def test_the_target_of_a_proxy_request_is_judged_not_the_proxy() -> None:
    facts = Facts(Protocol.TLS, BARE, 3128, Via.CONNECT, None, "a.example", 443, "a.example")
    decision = decide((policy(A),), facts)
    assert (decision.verdict, decision.name, decision.port) == (Verdict.ALLOW, "a.example", 443)
    bare = Facts(Protocol.OPAQUE, "192.0.2.1", 3128, Via.SOCKS, None, "192.0.2.9", 5432)
    assert decide((policy(NET),), bare).address == "192.0.2.9"
    outside = dataclasses.replace(bare, target="203.0.113.5")
    assert decide((policy(NET),), outside).verdict is Verdict.DENY


GET = "allow: [{host: a.example, ports: [80], methods: [GET], paths: ['/simple/**']}]"
NOT_POST = "\ndeny: [{host: a.example, ports: [80], methods: [POST]}]"
NOT_ADMIN = "\ndeny: [{host: a.example, ports: [80], paths: ['/admin/**']}]"


@pytest.mark.parametrize(
    ("text", "facts", "allow"),
    [
        (GET, request("GET", "/simple/x"), True),
        (GET, request("GET", "/simple/x?y=/../z"), True),
        (GET, request("HEAD", "/simple/x"), False),
        (GET, request("get", "/simple/x"), False),
        (GET, request("GET", "/other"), False),
        (GET, request("GET", "/simple/../other"), False),
        (GET, request("GET", "/simple/%2e%2e/other"), False),
        (GET, request("GET", "/simple/..%2fother"), False),
        (GET, request("GET", "/simple//x"), False),
        (GET, request("GET", "*"), False),
        (GET, request("GET", "/simple/x", port=8080), False),
        (GET, flow("a.example", 80), False),
        (A + NOT_POST, request("GET", "/"), True),
        (A + NOT_POST, request("POST", "/"), False),
        (A + NOT_POST, flow("a.example", 443), True),
        # What can not be seen can not be shown to be something else.
        (A + NOT_POST, flow("a.example", 80), False),
        (A + NOT_ADMIN, request("GET", "/x"), True),
        (A + NOT_ADMIN, request("GET", "/admin/x"), False),
        (A + NOT_ADMIN, request("GET", "/x/../admin/x"), False),
        (A + NOT_ADMIN, request("GET", "//admin/x"), False),
        (A + NOT_ADMIN, request("GET", "/admin;x/y"), False),
        (A + NOT_ADMIN, flow("a.example", 80), False),
    ],
)
def test_methods_and_paths(text: str, facts: Facts, allow: bool) -> None:
    assert allowed(text, facts) is allow


def test_every_file_must_allow_and_a_deny_outranks_a_missing_line() -> None:
    one, two = policy(A, "one"), policy("allow: [{host: b.example}]", "two")
    deny = policy(A + "\ndeny: [{host: a.example}]", "three")
    facts = flow("a.example")
    assert decide((one, one), facts).verdict is Verdict.ALLOW
    for files in ((one, two), (two, one)):
        decision = decide(files, facts)
        assert (decision.verdict, decision.rule) == (Verdict.DENY, "default")
        assert decision.remedy == "- host: a.example"
    for files in ((two, deny), (deny, two)):
        decision = decide(files, facts)
        assert (decision.rule, decision.remedy) == ("deny[0] three:3", None)


OBSERVE = "mode: observe\n"


def test_observe_lets_through_and_marks_it() -> None:
    files = (policy(OBSERVE + A),)
    assert not decide(files, flow("a.example")).observed
    other = decide(files, flow("b.example"))
    assert (other.verdict, other.rule, other.observed) == (Verdict.ALLOW, "default", True)
    assert other.remedy == "- host: b.example"
    denied = decide((policy(OBSERVE + "deny: [{host: b.example}]"),), flow("b.example"))
    assert (denied.verdict, denied.rule, denied.observed) == (Verdict.ALLOW, "deny[0] p:3", True)


def test_observe_in_one_file_does_not_loosen_another() -> None:
    watching, strict = policy(OBSERVE + "allow:"), policy(A)
    for files in ((watching, strict), (strict, watching)):
        assert decide(files, flow("b.example")).verdict is Verdict.DENY
        assert decide(files, flow("a.example")).observed


@pytest.mark.parametrize("address", ["10.0.0.1", "169.254.169.254", "::ffff:a00:1", "fd00::1"])
def test_observe_never_opens_the_inside(address: str) -> None:
    decision = decide((policy(OBSERVE + "allow:"),), Facts(Protocol.OPAQUE, address, 80))
    assert (decision.verdict, decision.rule) == (Verdict.DENY, "internal-address")
    assert "is internal" in decision.reason
    allowed_name = decide((policy(OBSERVE + "allow:"),), flow("b.example"))
    assert admit((policy(OBSERVE + "allow:"),), allowed_name, (address,))[0] == ()


def test_observe_of_a_bare_address_that_claims_a_name() -> None:
    inside = Facts(Protocol.TLS, "10.0.0.1", 443, sni="b.example")
    decision = decide((policy(OBSERVE + "allow:"),), inside)
    # The name is looked up by the gate; the address the client chose is never dialled.
    assert (decision.name, decision.address, decision.observed) == ("b.example", None, True)


YES = Decision(Verdict.ALLOW, "allow[0] p:2", "fine", 443, name="a.example")


def test_admit_keeps_public_addresses_in_order() -> None:
    found = ("2001:db8::1", BARE, "203.0.113.9")
    assert admit((policy(A),), YES, found) == (found, None)


def test_admit_of_nothing() -> None:
    assert admit((policy(A),), YES, ()) == ((), "the name has no address")
    no = dataclasses.replace(YES, verdict=Verdict.DENY, reason="why not")
    assert admit((policy(A),), no, (BARE,)) == ((), "why not")


@pytest.mark.parametrize(
    "address",
    [
        *("10.0.0.1", "127.0.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"),
        *("::1", "::", "fd00::1", "fe80::1", "::ffff:a00:1", "64:ff9b::a00:1", "2002:a00:1::"),
    ],
)
def test_one_internal_address_refuses_the_answer(address: str) -> None:
    for found in ((address,), (BARE, address), (address, BARE)):
        good, reason = admit((policy(A),), YES, found)
        assert good == ()
        assert reason is not None
        assert reason.startswith(f"{address} is internal (")
        assert reason.endswith("no ip rule allows it on port 443")


def test_an_ip_rule_of_every_file_admits_an_internal_address() -> None:
    inside = policy(A + "\ndeny: []")
    both = policy("allow: [{host: a.example}, {ip: 10.0.0.0/8}]")
    other = policy("allow: [{host: a.example}, {ip: 10.0.0.0/8, ports: [22]}]")
    assert admit((both,), YES, ("10.0.0.1", BARE)) == (("10.0.0.1", BARE), None)
    assert admit((both,), YES, ("::ffff:a00:1",)) == (("::ffff:a00:1",), None)
    assert admit((other,), YES, ("10.0.0.1",))[0] == ()
    assert admit((both, inside), YES, ("10.0.0.1",))[0] == ()
    assert admit((), YES, ("10.0.0.1",))[0] == ()


def test_admit_leaves_out_denied_addresses() -> None:
    text = A + "\ndeny: [{ip: 192.0.2.0/24}, {ip: '2001:db8::/32', ports: [22]}]"
    assert admit((policy(text),), YES, (BARE, "203.0.113.9")) == (("203.0.113.9",), None)
    assert admit((policy(text),), YES, (BARE,)) == ((), f"{BARE} is denied by deny[0] p:3")
    assert admit((policy(text),), YES, ("2001:db8::1",))[0] == ("2001:db8::1",)
    assert admit((policy(OBSERVE + text),), YES, (BARE,))[0] == (BARE,)


def test_admit_knows_the_request_or_assumes_the_worst() -> None:
    text = A + "\ndeny: [{ip: 192.0.2.0/24, ports: [80], methods: [POST]}]"
    files, clear = (policy(text),), dataclasses.replace(YES, port=80)
    assert admit(files, clear, (BARE,), request("GET", "/"))[0] == (BARE,)
    assert admit(files, clear, (BARE,), request("POST", "/"))[0] == ()
    assert admit(files, clear, (BARE,))[0] == ()
    assert admit(files, YES, (BARE,))[0] == (BARE,)


OBSERVED = f"mode: observe\n{A}"


@pytest.mark.parametrize("protocol", [Protocol.HTTP, Protocol.OPAQUE])
def test_port_443_of_a_host_is_for_tls(protocol: Protocol) -> None:
    facts = flow("a.example", protocol=protocol)
    decision = decide((policy(A),), facts)
    assert (decision.verdict, decision.rule) == (Verdict.DENY, "protocol")
    assert decision.reason == "port 443 of a host is for TLS, and these bytes are not"
    assert decide((policy(OBSERVED),), facts).observed
    assert decide((policy(A), policy(OBSERVED)), facts).verdict is Verdict.DENY
    # No line would help, so none is given.
    assert decide((policy(A),), flow("b.example", protocol=protocol)).remedy is None
    denied = decide((policy(A + "\ndeny: [{host: a.example}]"),), facts)
    assert denied.rule == "deny[0] p:3"


def test_port_80_of_a_host_is_for_http_or_tls() -> None:
    assert not allowed(A, flow("a.example", 80, protocol=Protocol.OPAQUE))
    for protocol in (Protocol.TLS, Protocol.SERVER_FIRST):
        assert allowed(A, flow("a.example", 80, protocol=protocol))
    assert allowed(A, request("GET", "/"))


def test_an_ip_rule_takes_any_protocol() -> None:
    rule = "allow: [{ip: 192.0.2.0/24, ports: [443]}]"
    assert allowed(rule, Facts(Protocol.OPAQUE, BARE, 443))


@pytest.mark.parametrize("method", ["TRACE", "PURGE", "PROPFIND"])
def test_a_method_that_is_not_common_must_be_named(method: str) -> None:
    decision = decide((policy(A),), request(method, "/"))
    assert (decision.verdict, decision.rule) == (Verdict.DENY, "method")
    assert decision.remedy == f"- host: a.example\n  ports: [80]\n  methods: [{method}]"
    assert allowed(f"allow:\n{decision.remedy}", request(method, "/"))
    assert decide((policy(A),), request(method, "/", "b.example")).rule == "default"
    assert decide((policy(OBSERVED),), request(method, "/")).observed


def test_of_an_address_the_remedy_names_the_address() -> None:
    facts = Facts(Protocol.HTTP, BARE, 80, host=BARE, method="PURGE", path="/")
    decision = decide((policy("allow: [{ip: 192.0.2.0/24, ports: [80]}]"),), facts)
    assert decision.remedy == f"- ip: {BARE}/32\n  ports: [80]\n  methods: [PURGE]"
    assert allowed(f"allow:\n{decision.remedy}", facts)


OVERLAPPING = Policy(
    "p",
    allow=(
        Rule("allow[0]", "a.test"),
        Rule("allow[1]", "test", wildcard=True),
        Rule("allow[2]", "a.test", ports=(22,)),
    ),
    deny=(
        Rule("deny[0]", network="192.0.2.0/24", ports=()),
        Rule("deny[1]", network="192.0.2.1/32", ports=(443,)),
        Rule("deny[2]", "d.test", ports=()),
        Rule("deny[3]", "d.test", ports=(443,)),
    ),
)
WATCHED = dataclasses.replace(OVERLAPPING, observe=True, deny=())
CLOSED = Policy("c", allow=(Rule("allow[9]", "b.test"),))


@pytest.mark.parametrize(
    ("policies", "name", "labels"),
    [
        ((OVERLAPPING,), "a.test", ["allow[0]", "allow[1]"]),
        ((OVERLAPPING, WATCHED), "a.test", ["allow[0]", "allow[1]"] * 2),
        ((OVERLAPPING,), "d.test", ["deny[2]", "deny[3]"]),
        ((WATCHED, OVERLAPPING), "d.test", ["deny[2]", "deny[3]"]),
        ((OVERLAPPING, CLOSED), "a.test", []),
        ((OVERLAPPING,), "other.example", []),
        ((), "a.test", []),
    ],
)
def test_every_rule_that_decides(
    policies: tuple[Policy, ...], name: str, labels: list[str]
) -> None:
    facts = Facts(Protocol.TLS, "198.18.0.1", 443, synthetic=name, sni=name)
    decision = decide(policies, facts)
    assert [rule.label for rule in deciding(policies, facts, decision)] == labels
    assert decision.rule in (labels or ["default"])
    differs = dataclasses.replace(facts, sni="x.test")
    assert deciding(policies, differs, decide(policies, differs)) == ()


def test_every_rule_that_bars_an_address() -> None:
    def labels(address: str, port: int) -> list[str]:
        return [rule.label for rule in barring((OVERLAPPING, WATCHED), address, port)]

    assert labels("192.0.2.1", 443) == ["deny[0]", "deny[1]"]
    assert labels("192.0.2.1", 80) == ["deny[0]"]
    assert labels("203.0.113.1", 443) == []


@pytest.mark.parametrize(
    ("text", "ok"),
    [
        ("192.0.2.1", True),
        ("2001:db8::1", True),
        ("::ffff:c000:201", True),
        ("fe80::1%eth0", True),
        ("::ffff:192.0.2.1", False),
        ("2001:DB8::1", False),
        ("192.0.2.01", False),
        ("192.0.2.1%eth0", False),
        ("fe80::1%", False),
        ("fe80::1%eth0%", False),
        ("a.test", False),
        ("", False),
    ],
)
def test_what_an_address_is(text: str, ok: bool) -> None:
    assert is_literal(text) is ok


def inside(method: str, target: str, name: str = "a.example", **more: object) -> Facts:
    facts = flow(name, protocol=Protocol.HTTPS, sni=name, host=name, method=method, path=target)
    return dataclasses.replace(facts, **more)


GET_443 = "allow: [{host: a.example, methods: [GET], paths: ['/simple/**']}]"
ASKS = "allow: [{host: a.example, query: {mode: read}, headers: {x-mode: [a, b*]}}]"
NOT_ASKED = A + "\ndeny: [{host: a.example, query: {mode: write}, headers: {x-mode: [a, b*]}}]"
READ, WRITE = (("mode", "read"),), (("mode", "write"),)
HEAD = (("x-mode", "bc"),)


@pytest.mark.parametrize(
    ("text", "facts", "allow"),
    [
        (A, inside("POST", "/x"), True),
        (A, inside("TRACE", "/x"), False),
        (GET_443, inside("GET", "/simple/x"), True),
        (GET_443, inside("GET", "/simple/..%2fx"), False),
        (GET_443, inside("POST", "/simple/x"), False),
        (GET_443, inside("GET", "/simple/x", "b.example"), False),
        # Not opened, so not seen.
        (GET_443, flow("a.example", sni="a.example"), False),
        (ASKS, inside("GET", "/", query=READ, headers=HEAD), True),
        (ASKS, inside("GET", "/", query=READ), False),
        (ASKS, inside("GET", "/", headers=HEAD), False),
        (ASKS, inside("GET", "/", query=READ + WRITE, headers=HEAD), False),
        (ASKS, inside("GET", "/", query=READ, headers=(*HEAD, ("x-mode", "c"))), False),
        (ASKS, flow("a.example", sni="a.example"), False),
        (ASKS, dataclasses.replace(request("GET", "/"), query=READ, headers=HEAD), True),
        (ASKS, flow("a.example", sni="a.example", query=READ, headers=HEAD), False),
        (NOT_ASKED, inside("GET", "/"), True),
        (NOT_ASKED, inside("GET", "/", query=WRITE, headers=HEAD), False),
        (NOT_ASKED, inside("GET", "/", query=READ + WRITE, headers=HEAD), False),
        (NOT_ASKED, inside("GET", "/", query=WRITE), True),
        (NOT_ASKED, inside("GET", "/", query=(("...", "..."),), headers=HEAD), False),
        (NOT_ASKED, inside("GET", "/", path=None, headers=HEAD), False),
        (NOT_ASKED, flow("a.example", sni="a.example"), False),
    ],
)
def test_requests_inside_tls(text: str, facts: Facts, *, allow: bool) -> None:
    assert allowed(text, facts) is allow


def test_a_denied_request_inside_tls_has_its_method_and_path_in_the_line_to_add() -> None:
    facts = inside("POST", "/a/b?c=d")
    decision = decide((policy(GET_443),), facts)
    assert (decision.verdict, decision.rule) == (Verdict.DENY, "default")
    assert decision.reason == "no rule allows this POST request to a.example port 443"
    assert decision.remedy == '- host: a.example\n  methods: [POST]\n  paths: ["/a/b"]'
    assert allowed(f"allow:\n{decision.remedy}", facts)
    assert decide((), facts).remedy == decision.remedy
    assert decide((policy("mode: observe"),), facts).observed
    odd = decide((policy(A),), inside("PURGE", "/"))
    assert (odd.rule, odd.remedy) == (
        "method",
        "- host: a.example\n  ports: [443]\n  methods: [PURGE]",
    )


def test_requests_inside_tls_come_on_any_port_of_a_host() -> None:
    for port in (80, 443):
        assert allowed(A, inside("GET", "/", port=port))


TLS = flow("a.example", sni="a.example")
SECRET = "\nsecrets: [{env: K, hosts: [a.example], methods: [GET], bearer: true}]"


@pytest.mark.parametrize(
    ("text", "by"),
    [
        (A, None),
        ("allow: [{host: a.example, methods: [GET]}]", "allow[0] p:2"),
        ("allow: [{host: a.example, paths: [/a]}]", "allow[0] p:2"),
        ("allow: [{host: a.example, query: {a: b}}]", "allow[0] p:2"),
        ("allow: [{host: a.example, headers: {a: b}}]", "allow[0] p:2"),
        ("allow: [{host: a.example, inspect: true}]", "allow[0] p:2"),
        ("allow: [{host: a.example, inspect: false}]", None),
        ("allow: [{host: b.example, methods: [GET]}, {host: a.example}]", None),
        ("allow: [{host: a.example, ports: [80], methods: [GET]}, {host: a.example}]", None),
        (A + "\ndeny: [{host: a.example, methods: [GET]}]", "deny[0] p:3"),
        (A + "\ndeny: [{host: a.example, ports: [80], methods: [GET]}]", None),
        (A + "\ndeny: [{host: a.example}]", None),
        (A + SECRET, "secret K"),
        (A + "\ninspect: all", "inspect: all"),
        ("inspect: all", "inspect: all"),
        ("inspect: all\nallow: [{host: a.example, inspect: false}]", None),
        ("inspect: all\nallow: [{host: b.example, inspect: false}]", "inspect: all"),
        ("inspect: none\n" + A, None),
        (
            "allow: [{host: a.example, inspect: false}]\ndeny: [{host: a.example, paths: [/a]}]",
            "deny[0] p:3",
        ),
    ],
)
def test_tls_is_opened_where_a_policy_needs_it(text: str, by: str | None) -> None:
    assert opener(policy(text), TLS) == by
    assert opens((policy(text),), TLS) is (by is not None)
    assert opens((policy(text), policy(A)), TLS) is opens((policy(A), policy(text)), TLS)
    assert opens((policy(text), policy(A)), TLS) is (by is not None)


def test_a_name_that_is_left_alone_below_a_rule_with_conditions() -> None:
    pinned = flow("b.a.example", sni="b.a.example")
    wide = 'allow: [{host: "*.a.example", methods: [GET]}, {host: b.a.example, inspect: false}]'
    assert not opens((policy(wide),), pinned)
    assert allowed(wide, pinned)
    assert opens((policy(wide),), flow("c.a.example", sni="c.a.example"))
    # Another file's needs are its own, and a deny rule has to see whom it denies.
    assert opens((policy(wide), policy('allow: [{host: "*.a.example", methods: [GET]}]')), pinned)
    assert opens((policy(wide + "\ndeny: [{host: b.a.example, paths: [/a]}]"),), pinned)


EVERY = policy("inspect: all")


@pytest.mark.parametrize(
    "facts",
    [
        Facts(Protocol.TLS, BARE, 443),
        Facts(Protocol.TLS, BARE, 443, sni=BARE),
        dataclasses.replace(TLS, fault="no hello"),
        dataclasses.replace(TLS, sni="b.example"),
        dataclasses.replace(TLS, protocol=Protocol.OPAQUE),
        dataclasses.replace(TLS, protocol=Protocol.SERVER_FIRST),
        request("GET", "/"),
    ],
)
def test_what_has_no_name_or_is_no_tls_is_never_opened(facts: Facts) -> None:
    assert not opens((EVERY,), facts)
    assert not opens((), TLS)


def test_a_bare_address_with_a_name_is_opened_by_rules_of_both() -> None:
    facts = Facts(Protocol.TLS, BARE, 443, sni="a.example")
    assert opens((EVERY,), facts)
    assert opens((policy("allow: [{ip: 192.0.2.0/24, methods: [GET]}]"),), facts)
    assert opens((policy("allow: [{host: a.example, methods: [GET]}]"),), facts)
    assert not opens((policy("allow: [{ip: 192.0.2.0/24}]"),), facts)


def test_what_rules_ask_for_by_name() -> None:
    one = policy("allow: [{host: a.example, query: {a: x, B: [y, z]}}]")
    two = policy("deny: [{host: a.example, query: {c: x}, headers: {X-D: y}}]")
    assert named((one, two)) == (frozenset("aBc"), frozenset(("x-d",)))
    assert named(()) == (frozenset(), frozenset())


def test_relaxed_policies_ask_for_name_and_port_alone() -> None:
    (loose,) = relaxed((policy(ASKS + "\ndeny: [{host: a.example, query: {a: b}}]"),))
    assert not loose.deny
    assert not any(rule.narrow for rule in loose.allow)
    assert decide((loose,), TLS).verdict is Verdict.ALLOW


def test_a_secret_goes_into_opened_tls_to_its_hosts_and_methods_alone() -> None:
    more = "{host: b.example}, {host: b.a.example}, {ip: 192.0.2.7}"
    (one,) = files = (policy(f"allow: [{{host: a.example}}, {more}]" + SECRET),)

    def put(facts: Facts, secrets: tuple[Secret, ...] = one.secrets) -> tuple[Secret, ...]:
        return placed(secrets, facts, decide(files, facts))

    assert put(inside("GET", "/")) == one.secrets
    assert put(inside("PUT", "/"), (dataclasses.replace(one.secrets[0], methods=()),))
    for facts in (
        inside("POST", "/"),
        inside("GET", "/", "b.example"),
        inside("GET", "/", "b.a.example"),
        inside("GET", "/", sni="b.example"),
        request("GET", "/"),
        TLS,
        # The client chose the address, and an ip rule lets it.
        inside("GET", "/", synthetic=None, address=BARE),
        inside("GET", "/", synthetic=None, address=BARE, sni=BARE, host=BARE),
    ):
        assert put(facts) == ()
    # By its name the gate looks it up itself.
    assert placed(one.secrets, inside("GET", "/", synthetic=None, address="192.0.2.8"), YES)
