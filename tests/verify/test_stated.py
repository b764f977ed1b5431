"""What a line of a connection states."""

from __future__ import annotations

import pytest

from sluicegate.evidence import records
from sluicegate.facts import Decision, Facts, Protocol, Verdict
from sluicegate.verify import stated
from sluicegate.verify.strict import VerificationError

WHO = records.Client(1, 40_000)
CLEAR = Facts(Protocol.HTTP, "198.18.0.1", 80, host="a.example", method="GET", path="/a")
INSIDE = Facts(Protocol.HTTPS, "198.18.0.1", 443, sni="a.example", method="GET", path="/a?b")
ALLOW = Decision(Verdict.ALLOW, "allow[0] p:1", "allowed", 443, "a.example")


@pytest.mark.parametrize("facts", [CLEAR, INSIDE])
def test_facts_come_back_as_they_were_written(facts: Facts) -> None:
    flow = records.decision(WHO, facts, ALLOW, "id")["flow"]
    assert isinstance(flow, dict)
    read = stated.read(flow, "it")
    # Of a query its length is on record, and no letter.
    path, query = str(facts.path).partition("?")[0], str(read.path).partition("?")[2]
    assert (read.protocol, read.method, str(read.path).partition("?")[0]) == (
        facts.protocol,
        "GET",
        path,
    )
    assert query.strip("-") == ""


@pytest.mark.parametrize("facts", [CLEAR, INSIDE])
def test_an_end_comes_back_as_it_was_written(facts: Facts) -> None:
    kernel = (1, 2) if facts is CLEAR else None
    end = records.Outcome("complete", 1, 2, 3, ("192.0.2.1",), "192.0.2.1", 200, 0, kernel)
    flow = records.outcome(WHO, facts, ALLOW, "id", end)["flow"]
    assert isinstance(flow, dict)
    assert stated.outcome(flow, "it") == end


def test_within_tls_the_kernel_counts_nothing() -> None:
    end = records.Outcome("complete", 1, 2, 3, ("192.0.2.1",), "192.0.2.1", kernel=(1, 2))
    flow = records.outcome(WHO, INSIDE, ALLOW, "id", end)["flow"]
    assert isinstance(flow, dict)
    with pytest.raises(VerificationError, match="the kernel does not see into TLS"):
        stated.outcome(flow, "it")
