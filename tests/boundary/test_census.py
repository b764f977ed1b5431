from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sluicegate.boundary import census
from sluicegate.boundary.census import LIST_NS, Census, Depth, Table


@dataclass
class Fake:
    """Processes by number with their sockets; `read` is whom the search looked into, in order."""

    sockets: dict[int, set[int]]
    ran: dict[int, int] = field(default_factory=dict)
    threads: dict[int, set[int]] = field(default_factory=dict)
    closed: set[int] = field(default_factory=set)  # those that may not be looked into
    tells: bool = True
    quick: dict[int, set[int]] = field(default_factory=dict)  # what a quick look sees instead
    read: list[int] = field(default_factory=list)
    listed: list[int] = field(default_factory=list)
    forgotten: list[int] = field(default_factory=list)

    def pids(self, above: int) -> list[int]:
        self.listed.append(above)
        return sorted(pid for pid in self.sockets if pid >= above)

    def counts(self, pids: Iterable[int]) -> list[int]:
        return [self._count(pid) for pid in pids]

    def _count(self, pid: int) -> int:
        if pid not in self.sockets:
            return -1
        return len(self.sockets[pid]) + 1 if self.tells else 0

    def activity(self, pid: int) -> int:
        return self.ran.get(pid, 0)

    def table(self, pid: int, most: int, depth: Depth) -> Table:
        self.read.append(pid)
        if depth is Depth.QUICK and pid in self.quick:
            return Table(frozenset(self.quick[pid]), 1)
        inodes = sorted(self.sockets[pid], reverse=True)
        if depth is Depth.THREADS:
            inodes += sorted(self.threads.get(pid, ()))
        if pid in self.closed:
            return Table(frozenset(), 1, whole=False)
        return Table(frozenset(inodes[:most]), min(most, len(inodes)) + 1, len(inodes) <= most)

    def forget(self, pid: int) -> None:
        self.forgotten.append(pid)


def idle(count: int) -> dict[int, set[int]]:
    return {pid: {pid * 1000} for pid in range(2, 2 + count)}


def test_one_holder_two_holders_and_none() -> None:
    fake = Fake({1: {5}, 2: {5, 6}, 3: {6, 7}, 4: set()})
    # The first process is ours, and not looked into.
    assert Census(fake).holders([5, 6, 8], 1) == ({5: [2], 6: [2, 3]}, True)
    assert 1 not in fake.read


def test_a_second_pass_reads_the_changed_the_new_and_the_recent_only() -> None:
    fake = Fake(idle(200))
    search = Census(fake)
    assert search.holders([2000], 1)[0] == {2000: [2]}
    fake.read.clear()
    fake.sockets[50].add(1)
    fake.sockets[900] = {2}
    assert search.holders([1, 2], 2) == ({1: [50], 2: [900]}, True)
    assert sorted(fake.read) == [2, 50, 900]
    assert fake.listed == [0, 202]


def test_a_recent_holder_with_another_socket_in_the_same_place_is_found_at_once() -> None:
    fake = Fake(idle(200))
    search = Census(fake)
    search.holders([9000], 1)
    fake.sockets[9], fake.read = {1}, []
    assert search.holders([1], 2) == ({1: [9]}, True)
    assert fake.read == [9]


def test_one_that_ran_is_read_before_those_that_slept() -> None:
    fake = Fake(idle(200))
    search = Census(fake)
    search.holders([], 1)
    fake.sockets[7], fake.ran[7], fake.read = {1}, 5, []
    assert search.holders([1], 2) == ({1: [7]}, True)
    assert fake.read == [7]


def test_what_no_sign_told_is_found_by_reading_everybody() -> None:
    fake = Fake(idle(20))
    search = Census(fake)
    search.holders([], 1)
    fake.sockets[7] = {1}
    assert search.holders([1], 2) == ({1: [7]}, True)


def test_without_counts_everybody_is_read_each_time() -> None:
    fake = Fake(idle(20), tells=False)
    search = Census(fake)
    search.holders([2000], 1)
    fake.sockets[7], fake.sockets[8] = {1}, {1}
    assert search.holders([1], 2) == ({1: [7, 8]}, True)


def test_who_let_go_since_is_no_holder() -> None:
    fake = Fake({2: {5}, 3: {5}})
    search = Census(fake)
    assert search.holders([5], 1)[0] == {5: [2, 3]}
    for pid in range(10, 10 + census.RECENT):
        fake.sockets[pid] = {pid}
    search.holders(range(10, 10 + census.RECENT), 2)
    fake.sockets[3] = {6}
    assert search.holders([5], 3) == ({5: [2]}, True)


def test_who_is_gone_is_forgotten() -> None:
    fake = Fake({2: {5}, 3: {6}})
    search = Census(fake)
    search.holders([5], 1)
    del fake.sockets[2]
    assert search.holders([5], 2) == ({}, True)
    assert 2 in fake.forgotten


def test_numbers_that_start_again_from_the_bottom_are_seen() -> None:
    fake = Fake({400: {5}})
    search = Census(fake)
    search.holders([5], 1)
    fake.sockets[3] = {6}
    assert search.holders([6], 2) == ({6: [3]}, True)
    fake.sockets[4] = {5}
    assert search.holders([5], 2 + LIST_NS) == ({5: [4, 400]}, True)


def test_threads_are_looked_at_where_nobody_else_was_found() -> None:
    fake = Fake({2: {5}, 3: {6}}, threads={3: {9}})
    assert Census(fake).holders([9], 1) == ({9: [3]}, True)


def test_a_search_that_is_cut_says_so_and_goes_on_the_next_time() -> None:
    fake = Fake({pid: {pid * 1000 + n for n in range(9)} for pid in range(2, 12)})
    search = Census(fake, most_links=50)
    found, whole = search.holders([11_004], 1)
    assert (found, whole) == ({}, False)
    assert len(fake.read) <= 6
    assert search.holders([11_004], 2)[0] == {11_004: [11]}


def test_one_that_may_not_be_looked_into_leaves_the_answer_open() -> None:
    fake = Fake({2: {5}, 3: {6}}, closed={3})
    assert Census(fake).holders([5], 1) == ({5: [2]}, False)


def test_a_crowd_is_bounded_and_said() -> None:
    fake = Fake({pid: set() for pid in range(2, census.MAX_PROCESSES + 9)})
    assert Census(fake).holders([5], 1) == ({}, False)
    assert max(fake.read) <= census.MAX_PROCESSES + 2


def test_what_a_quick_look_misses_or_takes_from_memory_is_read_again() -> None:
    fake = Fake({2: {5}, 3: {6}})
    search = Census(fake)
    search.holders([5, 6], 1)
    fake.sockets, fake.quick = {2: {7}, 3: {8}}, {2: {5}, 3: {6}}
    assert search.holders([7], 2) == ({7: [2]}, True)
    fake.sockets, fake.quick = {2: {9}, 3: {6}}, {2: {7}, 3: {6}}
    assert search.holders([7], 3) == ({}, True)
