from __future__ import annotations

import errno
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.boundary import numbers
from sluicegate.boundary.model import BoundaryError
from sluicegate.boundary.seccomp import EXCHANGES, program

KILL, ALLOW, ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
I386, X86_64, ARM, AARCH64 = 0x40000003, 0xC000003E, 0x40000028, 0xC00000B7
BOTH = pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
WORD = st.integers(0, 0xFFFFFFFF)
CODE = {name: program(name) for name in numbers.MACHINES}

# Each example asks hundreds of questions of an interpreter written in Python.
few = settings(max_examples=20, deadline=None)


def run(code: bytes, number: int, arch: int, *args: int) -> int:
    """What the kernel's interpreter would return: enough of classic BPF for a filter without memory."""
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, arch, 0, *(args + (0,) * (6 - len(args))))
    ops: list[tuple[int, int, int, int]] = list(struct.iter_unpack("<HBBI", code))
    at, a = 0, 0
    for _ in range(len(ops)):
        op, yes, no, value = ops[at]
        at += 1
        match op:
            case 0x20:
                assert value % 4 == 0
                (a,) = struct.unpack_from("<I", data, value)
            case 0x54:
                a &= value
            case 0x15:
                at += yes if a == value else no
            case 0x25:
                at += yes if a > value else no
            case 0x45:
                at += yes if a & value else no
            case 0x06:
                return int(value)
            case _:
                raise AssertionError(f"unknown instruction {op:#x}")
    raise AssertionError("fell off the end")


def judge(machine: str, name: str, *args: int) -> str:
    table = numbers.MACHINES[machine]
    got = run(CODE[machine], table.calls[name], table.audit_arch, *args)
    if got == ALLOW:
        return "allow"
    if got == KILL:
        return "kill"
    assert got & 0xFFFF0000 == ERRNO
    return errno.errorcode[got & 0xFFFF]


@BOTH
@given(number=WORD, args=st.lists(st.integers(0, 2**64 - 1), max_size=6))
def test_every_foreign_abi_is_killed(machine: str, number: int, args: list[int]) -> None:
    own = numbers.MACHINES[machine].audit_arch
    for arch in {I386, X86_64, ARM, AARCH64, 0} - {own}:
        assert run(CODE[machine], number, arch, *args) == KILL


@given(number=WORD, args=st.lists(st.integers(0, 2**64 - 1), max_size=6))
def test_x32_is_killed(number: int, args: list[int]) -> None:
    assert run(CODE["x86_64"], number | 0x40000000, X86_64, *args) == KILL


@BOTH
@given(number=st.integers(numbers.NEWEST + 1, 0x3FFFFFFF), first=WORD)
def test_calls_younger_than_the_table_do_not_exist(machine: str, number: int, first: int) -> None:
    arch = numbers.MACHINES[machine].audit_arch
    assert run(CODE[machine], number, arch, first) == ERRNO | errno.ENOSYS


@BOTH
@given(number=st.integers(0, numbers.NEWEST), args=st.lists(WORD, max_size=6))
def test_what_no_rule_names_is_allowed(machine: str, number: int, args: list[int]) -> None:
    table = numbers.MACHINES[machine]
    if number not in table.calls.values():
        assert run(CODE[machine], number, table.audit_arch, *args) == ALLOW


@BOTH
@few
@given(args=st.lists(st.integers(0, 2**64 - 1), max_size=6))
def test_refused_calls_are_refused_whatever_the_arguments(machine: str, args: list[int]) -> None:
    known = numbers.MACHINES[machine].calls
    assert {judge(machine, name, *args) for name in numbers.REFUSED if name in known} == {"EPERM"}
    assert judge(machine, "clone3", *args) == "ENOSYS"


@BOTH
@few
@given(high=st.integers(0, 2**32 - 1), flags=st.sampled_from([0, 0o2000000, 0o4000, 0o2004000]))
def test_sockets_by_family_type_and_protocol(machine: str, high: int, flags: int) -> None:
    def socket(family: int, kind: int, protocol: int) -> str:
        top = high << 32
        return judge(machine, "socket", top | family, top | kind | flags, top | protocol)

    for family in (2, 10):
        assert {socket(family, 1, 0), socket(family, 1, 6)} == {"allow"}
        assert {socket(family, 2, 0), socket(family, 2, 17)} == {"allow"}
        assert {socket(family, 1, p) for p in (132, 262, 17)} == {"EPROTONOSUPPORT"}
        assert {socket(family, 2, p) for p in (136, 33, 262, 115)} == {"EPROTONOSUPPORT"}
        assert {socket(family, 2, p) for p in (1, 58)} == {"EPERM"}
        assert {socket(family, k, p) for k in (0, 3, 4, 5, 6, 10) for p in (0, 1, 6, 255)} == {
            "EPERM"
        }
    assert {socket(1, kind, 0) for kind in (1, 2, 3, 5)} == {"allow"}
    assert {socket(16, kind, 0) for kind in (2, 3)} == {"allow"}
    assert {socket(16, 3, p) for p in range(1, 24)} == {"EPROTONOSUPPORT"}
    others = set(range(64)) - {1, 2, 10, 16}
    assert {socket(family, k, 0) for family in others for k in (1, 2, 3)} == {"EAFNOSUPPORT"}


@BOTH
@given(family=WORD)
def test_socket_pairs_are_unix_only(machine: str, family: int) -> None:
    assert judge(machine, "socketpair", family, 1) == ("allow" if family == 1 else "EAFNOSUPPORT")


@BOTH
@given(flags=st.integers(0, 2**64 - 1))
def test_no_flag_of_clone_or_unshare_makes_a_namespace(machine: str, flags: int) -> None:
    assert judge(machine, "clone", flags) == ("EPERM" if flags & 0x7E020000 else "allow")
    assert judge(machine, "unshare", flags) == ("EPERM" if flags & 0x7E020080 else "allow")


@BOTH
def test_ordinary_forks_and_threads_pass(machine: str) -> None:
    thread, fork, vfork = 0x3D0F00, 0x1200011, 0x4111
    assert {judge(machine, "clone", flags) for flags in (thread, fork, vfork)} == {"allow"}
    assert judge(machine, "unshare", 0x400) == "allow"  # CLONE_FILES


@BOTH
@given(high=st.integers(0, 2**32 - 1), command=WORD)
def test_nothing_is_typed_into_a_terminal(machine: str, high: int, command: int) -> None:
    top = high << 32
    assert {judge(machine, "ioctl", 0, top | c) for c in (0x5412, 0x541C)} == {"EPERM"}
    if command not in (0x5412, 0x541C, *EXCHANGES):
        assert judge(machine, "ioctl", 0, top | command) == "allow"


@BOTH
def test_files_exchange_no_blocks(machine: str) -> None:
    top = 1 << 32
    assert {judge(machine, "ioctl", 3, top | command) for command in EXCHANGES} == {"EPERM"}


@BOTH
@given(domain=WORD)
def test_execution_domains(machine: str, domain: int) -> None:
    fine = domain in (0, 0xFFFFFFFF, 0x40000)
    assert judge(machine, "personality", domain) == ("allow" if fine else "EPERM")
    assert judge(machine, "personality", 0x40000) == "allow"
    assert judge(machine, "personality", 8) == "EPERM"


@BOTH
@given(high=st.integers(0, 2**32 - 1), mode=WORD)
def test_no_call_makes_a_file_set_id(machine: str, high: int, mode: int) -> None:
    calls, top = numbers.MACHINES[machine].calls, high << 32
    fine = "EPERM" if mode & 0o6000 else "allow"
    for name, place in (
        *(("chmod", 1), ("fchmod", 1), ("creat", 1), ("mknod", 1), ("fchmodat", 2), ("mknodat", 2)),
    ):
        if name in calls:
            assert judge(machine, name, *([0] * place), top | mode) == fine
    for name, place in (("open", 1), ("openat", 2)):
        if name in calls:
            before = [0] * place
            assert judge(machine, name, *before, top | 0o101, top | mode) == fine
            assert judge(machine, name, *before, top | 0o20200000, top | mode) == fine
            # Without O_CREAT the register holds anything.
            assert judge(machine, name, *before, top | 0o2000001, top | mode) == "allow"
    assert {judge(machine, name, 0, 0, mode) for name in ("openat2", "fchmodat2")} == {"ENOSYS"}
    assert {"fchmod", "fchmodat", "openat", "mknodat"} <= calls.keys()


@BOTH
def test_the_program_fits_the_kernel(machine: str) -> None:
    code = program(machine)
    assert len(code) % 8 == 0
    assert len(code) // 8 <= 4096


def test_an_unknown_machine_has_no_filter() -> None:
    with pytest.raises(BoundaryError, match="machine riscv64") as caught:
        program("riscv64")
    assert caught.value.hint == "run on aarch64 or x86_64, 64-bit"


@BOTH
def test_without_network_there_is_no_socket_of_any_family(machine: str) -> None:
    table, code = numbers.MACHINES[machine], program(machine, network=False)
    for family in range(50):
        got = run(code, table.calls["socket"], table.audit_arch, family, 1, 0)
        assert got == ERRNO | errno.EPERM
    assert run(code, table.calls["socketpair"], table.audit_arch, 1) == ALLOW
