"""Numbers of the system calls the filter speaks about, per machine, and which it refuses. Pure.

From the kernel's own tables: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sluicegate.boundary.model import BoundaryError

# The last call both tables had when this one was written: file_setattr, Linux 6.17.
NEWEST = 469

# Refused with EPERM whatever the arguments, each group with what it would otherwise reach.
REFUSED = (
    # sockets and files without the calls that are judged
    *("io_uring_setup", "io_uring_enter", "io_uring_register"),
    # other processes: their memory, their descriptors
    *(
        "ptrace",
        "process_vm_readv",
        "process_vm_writev",
        "process_madvise",
        "process_mrelease",
        "pidfd_getfd",
        "kcmp",
    ),
    # programs in the kernel, and its most attacked interfaces
    *(
        "bpf",
        "perf_event_open",
        "userfaultfd",
        "modify_ldt",
        "uselib",
        "_sysctl",
        "lookup_dcookie",
        "nfsservctl",
        "vserver",
    ),
    # the key store: shared over sessions, and a way out of other confinement (CVE-2024-42318)
    *("keyctl", "add_key", "request_key"),
    # other namespaces and file systems
    *(
        "setns",
        "mount",
        "umount2",
        "pivot_root",
        "chroot",
        "move_mount",
        "open_tree",
        "open_tree_attr",
        "fsopen",
        "fsmount",
        "fsconfig",
        "fspick",
        "mount_setattr",
        "quotactl",
        "quotactl_fd",
        "swapon",
        "swapoff",
    ),
    # files by inode, past every mount that hides them
    *("open_by_handle_at", "name_to_handle_at", "fanotify_init", "fanotify_mark"),
    # the machine: its kernel, modules, clock, log, ports, terminals
    *(
        "kexec_load",
        "kexec_file_load",
        "init_module",
        "finit_module",
        "delete_module",
        "create_module",
        "query_module",
        "get_kernel_syms",
        "acct",
        "reboot",
        "syslog",
        "settimeofday",
        "clock_settime",
        "adjtimex",
        "clock_adjtime",
        "iopl",
        "ioperm",
        "vhangup",
        "sethostname",
        "setdomainname",
    ),
)

# Since Linux 5.1 a new call has one number on every machine.
_SAME = {
    "openat2": 437,
    "fchmodat2": 452,
    "clone3": 435,
    "process_madvise": 440,
    "process_mrelease": 448,
    "pidfd_getfd": 438,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "move_mount": 429,
    "open_tree": 428,
    "open_tree_attr": 467,
    "fsopen": 430,
    "fsmount": 432,
    "fsconfig": 431,
    "fspick": 433,
    "mount_setattr": 442,
    "quotactl_fd": 443,
}
_X86_64 = {
    "seccomp": 317,
    "socket": 41,
    "socketpair": 53,
    "clone": 56,
    "unshare": 272,
    "ioctl": 16,
    "personality": 135,
    "ptrace": 101,
    "process_vm_readv": 310,
    "process_vm_writev": 311,
    "kcmp": 312,
    "bpf": 321,
    "perf_event_open": 298,
    "userfaultfd": 323,
    "keyctl": 250,
    "add_key": 248,
    "request_key": 249,
    "setns": 308,
    "mount": 165,
    "umount2": 166,
    "pivot_root": 155,
    "chroot": 161,
    "open_by_handle_at": 304,
    "name_to_handle_at": 303,
    "kexec_load": 246,
    "kexec_file_load": 320,
    "init_module": 175,
    "finit_module": 313,
    "delete_module": 176,
    "acct": 163,
    "swapon": 167,
    "swapoff": 168,
    "reboot": 169,
    "syslog": 103,
    "quotactl": 179,
    "settimeofday": 164,
    "clock_settime": 227,
    "adjtimex": 159,
    "clock_adjtime": 305,
    "lookup_dcookie": 212,
    "nfsservctl": 180,
    "fanotify_init": 300,
    "fanotify_mark": 301,
    "vhangup": 153,
    "sethostname": 170,
    "setdomainname": 171,
    "create_module": 174,
    "query_module": 178,
    "get_kernel_syms": 177,
    "iopl": 172,
    "ioperm": 173,
    "_sysctl": 156,
    "uselib": 134,
    "modify_ldt": 154,
    "vserver": 236,
}
_X86_64 |= {"rt_sigaction": 13}
# Calls that exist on the older machine alone; the newer one has only their *at forms.
_X86_64 |= {"open": 2, "creat": 85, "chmod": 90, "mknod": 133}
_X86_64 |= {"fchmod": 91, "fchmodat": 268, "openat": 257, "mknodat": 259}
_AARCH64 = {
    "rt_sigaction": 134,
    "fchmod": 52,
    "fchmodat": 53,
    "openat": 56,
    "mknodat": 33,
    "seccomp": 277,
    "socket": 198,
    "socketpair": 199,
    "clone": 220,
    "unshare": 97,
    "ioctl": 29,
    "personality": 92,
    "ptrace": 117,
    "process_vm_readv": 270,
    "process_vm_writev": 271,
    "kcmp": 272,
    "bpf": 280,
    "perf_event_open": 241,
    "userfaultfd": 282,
    "keyctl": 219,
    "add_key": 217,
    "request_key": 218,
    "setns": 268,
    "mount": 40,
    "umount2": 39,
    "pivot_root": 41,
    "chroot": 51,
    "open_by_handle_at": 265,
    "name_to_handle_at": 264,
    "kexec_load": 104,
    "kexec_file_load": 294,
    "init_module": 105,
    "finit_module": 273,
    "delete_module": 106,
    "acct": 89,
    "swapon": 224,
    "swapoff": 225,
    "reboot": 142,
    "syslog": 116,
    "quotactl": 60,
    "settimeofday": 170,
    "clock_settime": 112,
    "adjtimex": 171,
    "clock_adjtime": 266,
    "lookup_dcookie": 18,
    "nfsservctl": 42,
    "fanotify_init": 262,
    "fanotify_mark": 263,
    "vhangup": 58,
    "sethostname": 161,
    "setdomainname": 162,
}


@dataclass(frozen=True, slots=True)
class Machine:
    """One ABI: its name for the audit subsystem (linux/audit.h), its calls, and whether x32 shares it."""

    audit_arch: int
    x32: bool
    calls: Mapping[str, int]

    def number(self, name: str) -> int:
        """The number of a call that every machine must have.

        Raises:
            BoundaryError: the table lacks it, so a rule would be missing without notice.
        """
        if name not in self.calls:
            raise BoundaryError(f"no number for system call {name}")
        return self.calls[name]


MACHINES: Mapping[str, Machine] = MappingProxyType(
    {
        "x86_64": Machine(0xC000003E, True, MappingProxyType({**_SAME, **_X86_64})),
        "aarch64": Machine(0xC00000B7, False, MappingProxyType({**_SAME, **_AARCH64})),
    }
)
