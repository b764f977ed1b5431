from __future__ import annotations

import dataclasses

from sluicegate.facts import Facts, Protocol
from sluicegate.policy import retold
from sluicegate.policy.seen import Fate, Seen
from tests.policy.test_again import GET, PLAIN, TLS, parsed, seen

POST = dataclasses.replace(GET, method="POST", path="/up?---")


def test_alike_changes_are_one_group() -> None:
    some = [
        dataclasses.replace(
            seen(one, fate, rule="default"), seq=seq, up=10, down=2, program="/usr/bin/x"
        )
        for seq, (one, fate) in enumerate(
            [(GET, Fate.OBSERVED), (POST, Fate.OBSERVED), (GET, Fate.OBSERVED)]
        )
    ]
    told = retold.retell([some, some[:1]], parsed("allow: []"))
    (group,) = told.of(passes=False)
    assert (group.where, group.program, group.was, group.now) == (
        *("a.example:443", "x"),
        *("default (observe mode)", "default"),
    )
    assert (group.count, group.up, group.down, group.example) == (4, 40, 8, "GET /x")
    assert group.seqs == [(0, 0), (0, 1), (0, 2), (1, 0)]
    assert told.count(passes=False) == 4
    assert (told.of(passes=True), told.same) == ([], 0)


def test_what_stays_is_counted_alone() -> None:
    told = retold.retell([[seen(TLS), seen(GET)]], parsed(PLAIN))
    assert (told.groups, told.same) == ({}, 2)


def test_an_opened_connection_has_no_bytes_of_its_own() -> None:
    some = [dataclasses.replace(seen(TLS, opened=True), up=100)]
    (group,) = retold.retell([some], parsed("allow: []")).of(passes=False)
    assert (group.up, group.example) == (0, "TLS")


def test_many_receipts_are_not_all_named() -> None:
    some = [dataclasses.replace(seen(TLS), seq=seq) for seq in range(9)]
    (group,) = retold.retell([some], parsed("allow: []")).of(passes=False)
    assert group.seqs == [(0, seq) for seq in range(retold.MAX_NAMED)]


def test_places() -> None:
    six = Seen(0, Facts(Protocol.OPAQUE, "2001:db8::1", 22), Fate.ALLOWED, "r", "why")
    assert (retold.place(six), retold.words(six)) == ("[2001:db8::1]:22", "TCP")
    claims = seen(dataclasses.replace(GET, host="b.example"))
    assert retold.place(claims) == "198.18.0.7:443"
