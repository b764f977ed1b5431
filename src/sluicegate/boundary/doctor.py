"""Which tier this machine gives, and why not the other. Every answer is tried, not guessed."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass

from sluicegate.boundary import network, seccomp, warden
from sluicegate.boundary import syscalls as sys_
from sluicegate.boundary.model import ROOT_TIER, ROOTLESS_TIER, BoundaryError

# A trial takes milliseconds; a module that has to be loaded takes its time.
_TRIAL_SECONDS = 10
_NAMESPACES = (
    sys_.CLONE_NEWNET
    | sys_.CLONE_NEWNS
    | sys_.CLONE_NEWIPC
    | sys_.CLONE_NEWUTS
    | sys_.CLONE_NEWPID
    | sys_.CLONE_NEWCGROUP
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried. `remedy` says what to do where it is not `ok`.

    `tiers` are those that cannot be without it; none means that it is good to have.
    """

    name: str
    ok: bool
    detail: str
    remedy: str
    tiers: tuple[str, ...] = (ROOT_TIER, ROOTLESS_TIER)


def tiers(findings: tuple[Finding, ...]) -> tuple[str, ...]:
    """The tiers that nothing in `findings` stands against, the stronger one first."""
    missing = {tier for finding in findings if not finding.ok for tier in finding.tiers}
    return tuple(tier for tier in (ROOT_TIER, ROOTLESS_TIER) if tier not in missing)


def examine() -> tuple[Finding, ...]:
    """What this machine can do, for the user who asks. Leaves nothing behind."""
    root = os.geteuid() == 0
    found = [_release(), _root(root), _ordinary(root)]
    found += [_tool("ip", "iproute2"), _tool("nft", "nftables"), _filter(), _interpreter()]
    if not root:
        found.append(_user_namespaces())
        if not found[-1].ok:
            # Whatever else would be tried needs one, and would be blamed for it.
            return tuple(found)
    found += [
        _tried("namespaces", _namespaces, "run on the host, or give the container CAP_SYS_ADMIN"),
        _tried(
            "capture",
            _capture,
            "load the kernel modules nft_tproxy, nf_tproxy_ipv4, nf_tproxy_ipv6, nfnetlink_log",
        ),
        _tried(
            "overlay", _overlay, "load the module overlay; without it trees are bound read-only"
        ),
        _tried("proc", _proc, "the container masks /proc: run outside, or with an unmasked one"),
    ]
    if root:
        remedy = "needs Linux 5.12; a workspace must belong to the command's user without it"
        found.append(_tried("id-mapped mounts", _id_mapped, remedy, ()))
    return tuple(found)


def _release() -> Finding:
    numbers = re.match(r"(\d+)\.(\d+)", platform.release())
    new = numbers is not None and (int(numbers[1]), int(numbers[2])) >= (5, 12)
    return Finding("kernel", new, platform.release(), "Linux 5.12 or newer is needed")


def _root(root: bool) -> Finding:
    detail = "running as root" if root else f"running as uid {os.geteuid()}"
    return Finding("root", root, detail, "start with sudo for this tier", (ROOT_TIER,))


def _ordinary(root: bool) -> Finding:
    detail = "root takes the other tier" if root else "an ordinary user"
    return Finding("ordinary user", not root, detail, "start without sudo", (ROOTLESS_TIER,))


def _sysctl(path: str) -> str | None:
    with contextlib.suppress(OSError), open(f"/proc/sys/{path}") as file:
        return file.read().strip()
    return None


def _user_namespaces() -> Finding:
    refusals = (
        ("kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
        (
            "kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0, or use sudo",
        ),
        ("user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000"),
    )
    allowed, detail = _try(sys_.own_user_namespace)
    for path, value, remedy in refusals:
        if not allowed and _sysctl(path) == value:
            name = path.replace("/", ".")
            return Finding("user namespaces", False, f"{name} is {value}", remedy, (ROOTLESS_TIER,))
    remedy = "a container or a security module refuses them: run outside of it, or use sudo"
    return Finding("user namespaces", allowed, detail, remedy, (ROOTLESS_TIER,))


def _tool(name: str, package: str) -> Finding:
    path = network.find_tool(name)
    return Finding(name, path is not None, path or "not found", f"install {package}")


def _filter() -> Finding:
    try:
        size = len(seccomp.program(platform.machine()))
    except (BoundaryError, KeyError) as error:
        return Finding("system call filter", False, str(error), "x86_64 or aarch64 is needed")
    has = _sysctl("kernel/seccomp/actions_avail") is not None
    detail = f"{size} bytes for {platform.machine()}" if has else "the kernel has no seccomp"
    return Finding("system call filter", has, detail, "a kernel with CONFIG_SECCOMP_FILTER")


def _interpreter() -> Finding:
    """Not our need, but a surprise: a command started with this very interpreter may not see it."""
    hidden, path = "", os.path.realpath(sys.executable)
    while path != "/":
        path = os.path.dirname(path)
        with contextlib.suppress(OSError):
            if not os.stat(path).st_mode & 0o001:
                hidden = path
    detail = f"{hidden} is closed to other users" if hidden else os.path.realpath(sys.executable)
    remedy = "commands that run as another user need another Python; the boundary does not"
    return Finding("interpreter", not hidden, detail, remedy, ())


def _tried(
    name: str,
    trial: Callable[[], None],
    remedy: str,
    needed: tuple[str, ...] = (ROOT_TIER, ROOTLESS_TIER),
) -> Finding:
    def inside() -> None:
        _enter()
        trial()

    ok, detail = _try(inside)
    return Finding(name, ok, detail, remedy, () if name == "overlay" else needed)


def _try(trial: Callable[[], object]) -> tuple[bool, str]:
    """Does `trial` succeed in a child of its own? And what it said if not."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        said = "died"
        try:
            signal.alarm(_TRIAL_SECONDS)
            trial()
            said = "works"
        except (OSError, BoundaryError) as error:
            said = str(error)
        finally:
            theirs.send(said.encode()[:1000])
            os._exit(0)
    theirs.close()
    said = ours.recv(1000).decode("utf-8", "replace") or "no answer"
    ours.close()
    os.waitpid(pid, 0)
    return said == "works", said


def _enter() -> None:
    if os.geteuid() != 0:
        sys_.own_user_namespace()
    sys_.unshare(sys_.CLONE_NEWNET | sys_.CLONE_NEWNS)
    sys_.mount("none", "/", "", sys_.MS_REC | sys_.MS_PRIVATE)


def _namespaces() -> None:
    sys_.unshare(_NAMESPACES)


def _capture() -> None:
    network.configure()
    network.open_sockets().close()


def _overlay() -> None:
    sys_.mount("stage", "/sys", "tmpfs")
    for name in ("lower", "upper", "work", "target"):
        os.mkdir(f"/sys/{name}")
    options = "lowerdir=/sys/lower,upperdir=/sys/upper,workdir=/sys/work"
    sys_.mount("overlay", "/sys/target", "overlay", 0, options + ",userxattr")


def _proc() -> None:
    sys_.unshare(sys_.CLONE_NEWPID)
    pid = os.fork()
    if pid == 0:
        code = 0
        try:
            sys_.mount("proc", "/sys", "proc")
        except OSError as error:
            code = error.errno or 1
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise OSError(code, os.strerror(code))


def _id_mapped() -> None:
    """Tried on the file system of the current directory, which is where a workspace would be."""
    tree = sys_.open_tree(os.getcwd())
    mapping = warden.user_namespace(warden.swap(0, 1), warden.swap(0, 1))
    sys_.mount_setattr(tree, sys_.MOUNT_ATTR_NOSUID, mapping)
