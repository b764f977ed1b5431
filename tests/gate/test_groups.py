from sluicegate import jcs
from sluicegate.evidence.counts import PER_LINE
from sluicegate.gate import groups
from sluicegate.gate.groups import Groups

SECOND = groups.INTERVAL_NS


def make() -> Groups[str]:
    return Groups(lambda key: {"name": key}, lambda _: "(other)")


def total(lines: list[groups.Line]) -> int:
    return sum(int(str(group["count"])) for line in lines for group in line)


def test_groups_are_counted_and_wait_for_the_second() -> None:
    counted = make()
    counted.add("a")
    counted.add("a", 2)
    counted.add("b")
    assert counted.lines(SECOND - 1) == []
    assert counted.lines(SECOND) == [[{"name": "a", "count": 3}, {"name": "b", "count": 1}]]
    assert counted.lines(2 * SECOND) == []
    assert counted.pending == 0


def test_a_full_line_does_not_wait() -> None:
    counted = make()
    for n in range(PER_LINE):
        counted.add(str(n))
    (line,) = counted.lines(1)
    assert len(line) == PER_LINE


def test_lines_are_bounded_in_groups_and_bytes() -> None:
    counted = make()
    for n in range(1000):
        counted.add(f"{n:0>253}")
    lines = counted.lines(SECOND)
    assert total(lines) == 1000
    for line in lines:
        assert len(line) <= PER_LINE
        assert len(jcs.encode(list[jcs.Json](line))) <= groups.LINE_BYTES + 2


def test_beyond_the_bound_only_the_sum_is_kept() -> None:
    counted = make()
    for n in range(groups.PENDING + 500):
        counted.add(str(n))
    assert counted.pending == groups.PENDING + 1
    lines = counted.drain()
    assert lines[-1][-1] == {"name": "(other)", "count": 500}
    assert total(lines) == groups.PENDING + 500


def test_a_flood_gets_a_burst_and_then_a_line_a_second() -> None:
    counted, sent = make(), 0
    for second in range(1, 40):
        for n in range(groups.PENDING):
            counted.add(str(n))
        sent = len(counted.lines(second * SECOND))
    assert sent == 1
    rest = counted.drain()
    assert 0 < total(rest) <= groups.PENDING * 39


def test_nothing_is_lost_over_many_turns() -> None:
    counted, seen = make(), 0
    for turn in range(50_000):
        counted.add(str(turn % 30_011))
        if turn % 100 == 0:
            seen += total(counted.lines(turn * 10_000))
    assert seen + total(counted.drain()) == 50_000
