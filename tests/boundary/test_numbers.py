from __future__ import annotations

import re
from pathlib import Path

import pytest

from sluicegate.boundary.model import BoundaryError
from sluicegate.boundary.numbers import MACHINES, NEWEST, REFUSED


def test_no_number_stands_for_two_calls() -> None:
    for machine in MACHINES.values():
        assert len(set(machine.calls.values())) == len(machine.calls)
        assert max(machine.calls.values()) <= NEWEST


def test_every_refused_call_is_known_somewhere_and_named_once() -> None:
    assert len(set(REFUSED)) == len(REFUSED)
    # What only ever existed on one of the two machines.
    old = {
        *("_sysctl", "create_module", "get_kernel_syms", "query_module", "uselib", "vserver"),
        *("iopl", "ioperm", "modify_ldt"),
    }
    for name in REFUSED:
        assert name in MACHINES["x86_64"].calls
        assert name in MACHINES["aarch64"].calls or name in old


def test_the_numbers_are_those_of_the_headers() -> None:
    """Checked where the machine has its headers; a number is never wrong in one place only."""
    for path in Path("/usr/include").glob("**/asm/unistd_64.h"):
        found = dict(re.findall(r"#define __NR_(\w+) (\d+)", path.read_text()))
        for name, number in MACHINES["x86_64"].calls.items():
            assert found.get(name, str(number)) == str(number)
    for path in Path("/usr/include/asm-generic").glob("unistd.h"):
        found = dict(re.findall(r"#define __NR_(\w+) (\d+)", path.read_text()))
        for name, number in MACHINES["aarch64"].calls.items():
            assert found.get(name, str(number)) == str(number)


def test_a_rule_without_a_number_is_an_error() -> None:
    with pytest.raises(BoundaryError, match="no number for system call socketcall"):
        MACHINES["x86_64"].number("socketcall")
