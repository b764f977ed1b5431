from dataclasses import replace

from sluicegate.evidence import counts, journal, records
from sluicegate.evidence.records import MAX_ADDRESSES, Client, Outcome
from sluicegate.facts import Decision, Facts, Protocol, Verdict, Via

WHO = Client(7, 40_000)
ID = "00000000-0000-7000-8000-000000000001"
HTTP = Facts(
    *(Protocol.HTTP, "198.18.0.1", 80, Via.DIRECT, "a.test"),
    host="a.test",
    method="GET",
    path="/p\xe9\n?token=secret",
)
YES = Decision(Verdict.ALLOW, "allow[0] p:1", "a.test port 80 is allowed", 80, "a.test")
NO = Decision(Verdict.DENY, "default", "no rule", 80, "a.test", remedy="- host: a.test")


def test_an_intent_and_its_outcome() -> None:
    intent = records.decision(WHO, HTTP, YES, ID)
    assert intent["verdict"] == "allow"
    assert intent["phase"] == "intent"
    assert (intent["action_type"], intent["method"]) == ("read", "GET")
    assert intent["target"] == r"http://a.test/p\xe9\x0a"
    end = Outcome("complete", 1, 2, 3, ("192.0.2.1",), "192.0.2.1", 200)
    outcome = records.outcome(WHO, HTTP, YES, ID, end)
    assert (outcome["action_id"], outcome["phase"], outcome["layer"]) == (ID, "outcome", "outcome")
    assert outcome["pattern"] == "status=200 bytes=3 reason=complete"
    flow = outcome["flow"]
    assert isinstance(flow, dict)
    assert (flow["bytes_up"], flow["bytes_down"], flow["peer"]) == (1, 2, "192.0.2.1")
    assert flow["query_bytes"] == len("token=secret")
    assert "secret" not in str((intent, outcome))


def test_what_conditions_look_at_is_on_record() -> None:
    asked = replace(HTTP, query=(("mode", "read"), ("...", "...")), headers=(("x-mode", "a"),))
    for message in (
        records.decision(WHO, asked, YES, ID),
        records.outcome(WHO, asked, YES, ID, Outcome("complete")),
    ):
        flow = message["flow"]
        assert isinstance(flow, dict)
        assert flow["query"] == [["mode", "read"], ["...", "..."]]
        assert flow["headers"] == [["x-mode", "a"]]
    plain = records.decision(WHO, HTTP, YES, ID)["flow"]
    assert isinstance(plain, dict)
    assert not plain.keys() & {"query", "headers"}


def test_a_long_list_of_addresses_is_cut_and_counted() -> None:
    many = tuple(f"192.0.2.{n}" for n in range(MAX_ADDRESSES + 1))
    for end, count in (
        (Outcome("x", addresses=many[:2], address_count=2), None),
        (Outcome("x", addresses=many[:2], address_count=9), 9),
        (Outcome("x", addresses=many, address_count=17), 17),
    ):
        flow = records.outcome(WHO, HTTP, YES, ID, end)["flow"]
        assert isinstance(flow, dict)
        assert flow["addresses"] == list(end.addresses[:MAX_ADDRESSES])
        assert flow.get("address_count") == count


def test_a_block_names_rule_reason_and_remedy() -> None:
    block = records.decision(WHO, HTTP, NO, ID)
    assert (block["verdict"], block["layer"], block["pattern"]) == ("block", "allowlist", "default")
    flow = block["flow"]
    assert isinstance(flow, dict)
    assert (flow["reason"], flow["remedy"], flow["connection"]) == ("no rule", "- host: a.test", 7)
    assert "phase" not in block


def test_targets() -> None:
    tls = Facts(Protocol.TLS, "2001:db8::1", 443)
    bare = Decision(Verdict.DENY, "default", "x", 443, None, "2001:db8::1")
    assert records.target(tls, bare) == "tls://[2001:db8::1]:443"
    proxied = Facts(Protocol.OPAQUE, "192.0.2.1", 3128, Via.SOCKS, None, "b.test", 22)
    assert records.target(proxied, Decision(Verdict.DENY, "mismatch", "x", 22)) == "tcp://b.test:22"
    assert records.decision(WHO, proxied, bare, ID)["transport"] == "connect"


def test_the_notary_takes_them_all() -> None:
    long = Facts(Protocol.HTTP, "192.0.2.1", 80, method="GET", path="/" + "\xff" * 60_000)
    six = ("2001:db8:1111:2222:3333:4444:5555:6666",) * 4000
    for message in (
        records.decision(WHO, HTTP, YES, ID, ech=True),
        records.decision(WHO, long, NO, ID),
        records.warning(WHO, HTTP, YES, ID),
        records.outcome(WHO, long, YES, ID, Outcome("x")),
        records.outcome(WHO, long, YES, ID, Outcome("\xff" * 9999, addresses=six)),
        counts.overload(3, "connections", ID),
    ):
        assert journal.check(message) is message
        assert len(str(message)) < journal.MAX_LINE_BYTES / 2
