"""Records that are odd and right: the verifier in JavaScript takes them as ours does. The wrong ones are the corpus."""

from __future__ import annotations

from pathlib import Path

from sluicegate.verify.packet import INVALID, UNPROVEN
from tests.evidence import made
from tests.peers.second import Case, Files, agree, prefix, put, second, signed_again, unchanged

ODD_FACTS = {
    "the largest": b'{"a":9007199254740991,"b":-9007199254740991,"kind":"connection"}',
    "several lines": b'{"kind":"a","remedy":"x\\n\\"y\\\\z\\" <&>"}',
    "every kind of value": b'{"":null,"a":[true,false,{}],"kind":"","z":[]}',
    "names like an object's own": b'{"__proto__":{"a":1},"constructor":"a","kind":"a"}',
    "deep": b'{"a":' + b"[" * 127 + b"]" * 127 + b',"kind":"a"}',
}


def test_signed_again_it_is_the_same(files: Files, beating: Files, tmp_path: Path) -> None:
    assert signed_again(files, unchanged, 6) == prefix(files, 6)
    assert agree([Case("a prefix", prefix(files, 6)), Case("beats", beating)], tmp_path) == [
        UNPROVEN,
        UNPROVEN,
    ]


def test_facts_that_are_odd_and_right(files: Files, tmp_path: Path) -> None:
    cases = []
    for name, facts in ODD_FACTS.items():
        again = signed_again(files, put(1, request_id=made.digest(facts)), 3)
        rest = files["flows.jsonl"].partition(b"\n")[2]
        cases.append(Case(name, again | {"flows.jsonl": facts + b"\n" + rest}))
    # They can be read; what they say is what no gate does.
    assert agree(cases, tmp_path) == [INVALID] * len(ODD_FACTS)
    reports = second(cases, tmp_path)
    assert all(report["levels"]["INTACT"]["reached"] for report in reports)
