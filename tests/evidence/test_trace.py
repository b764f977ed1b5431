from __future__ import annotations

from sluicegate.evidence import seal, trace
from sluicegate.evidence.packet import Tally
from tests.evidence import made


def test_the_predicate_is_one_that_can_be_sealed() -> None:
    found = trace.trace(Tally(), made.OPENED, made.digest(b"p"), "0" * 32)
    assert seal.trace_statement({"policy.json": "0" * 64}, None, found)
    assert found["monitoredProcess"]["hostID"].endswith("0" * 32)  # type: ignore[index]


def test_many_hosts_are_cut_and_none_is_invented() -> None:
    tally = Tally()
    for n in range(300):
        record = {
            "verdict": "allow",
            "transport": "forward",
            "timestamp": "t",
            "target": f"tls://h{n}.example:443",
        }
        tally.add(record)
    rows = trace.trace(tally, {}, "sha256:0", "n")["monitorLog"]["network"]  # type: ignore[index]
    assert len(rows) == 1 + trace.MAX_HOSTS


def test_commit_and_results_are_those_of_the_opening() -> None:
    assert trace.commit({"commit": "a" * 40}) == "a" * 40
    assert trace.commit({"commit": ""}) is None
    assert trace.commit({}) is None
    assert trace.results({}) == {"probe": "unknown"}
    assert trace.results({"probe": {"results": {"uid": "passed"}}}) == {"uid": "passed"}
