"""What the host looks like before anything is unshared: the facts that the plan is made from."""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import stat
from collections.abc import Iterator

from sluicegate.boundary import plan, repositories, stores
from sluicegate.boundary.model import ROOTLESS_TIER, Command, Spec


def survey(spec: Spec) -> plan.Host:
    """The facts of this host that matter to `spec`. Reads /proc, so call it outside."""
    homes = tuple(dict.fromkeys((spec.home, *_homes(spec))))
    writable = (spec.workspace, *spec.binds)
    there = [found for top in writable for found in below(top)]
    gits = [path for path, is_socket in there if not is_socket]
    return plan.Host(
        mounts=tuple(_mounts()),
        entries=tuple(_entries()) if spec.tier == ROOTLESS_TIER else (),
        stores=_covers(
            [*stores.candidates(homes), *_perhaps(homes), *_matches(homes, spec.workspace)]
        ),
        hidden=_covers([spec.packet, *spec.hidden, *_beside(spec.workspace)]),
        sockets=tuple(sorted({*_sockets(), *(path for path, is_socket in there if is_socket)})),
        abstract=tuple(sorted({path for path in _bound_names() if path.startswith("@")})),
        texts=tuple(_texts(spec.command)),
        home_exists=os.path.isdir(spec.home),
        guarded=repositories.found(writable, gits, spec.free, tuple(_git_settings(homes))),
    )


def _mounts() -> Iterator[tuple[str, str]]:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields = line.split()
            path = _unescape(fields[4])
            kind = fields[fields.index("-") + 1]
            # A mount may lie under another one; only what a path leads to is there.
            if path != "/" and os.path.lexists(path):
                yield path, kind


def _unescape(text: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text


def _entries() -> Iterator[plan.Entry]:
    for entry in sorted(os.scandir("/"), key=lambda e: e.name):
        if entry.is_symlink():
            yield plan.Entry(entry.name, os.readlink(entry.path))
        elif entry.is_dir(follow_symlinks=False):
            yield plan.Entry(entry.name)


def _homes(spec: Spec) -> Iterator[str]:
    """Other homes whose stores are covered: of the uid, of the workspace's owner, of everybody."""
    yield "/root"
    for uid in (spec.command.uid, os.stat(spec.workspace).st_uid):
        with contextlib.suppress(KeyError):
            yield pwd.getpwuid(uid).pw_dir
    with contextlib.suppress(OSError):
        yield from (entry.path for entry in os.scandir("/home"))


def _git_settings(homes: tuple[str, ...]) -> Iterator[str]:
    """Where git of a later step finds settings beside a repository's own (git-config(1), Files)."""
    yield "/etc/gitconfig"
    # Ours is the job's, which under sudo is not the command's.
    for home in dict.fromkeys((*homes, os.path.expanduser("~"))):
        yield from (f"{home}/.gitconfig", f"{home}/.config/git/config")


def _matches(homes: tuple[str, ...], workspace: str) -> Iterator[str]:
    places = [(home, pattern) for home in homes for pattern in stores.PATTERNS_IN_HOME]
    places += [(workspace, pattern) for pattern in stores.PATTERNS_BESIDE_WORKSPACE]
    for top, pattern in places:
        yield from (f"{top}/{name}" for name in glob.glob(pattern, root_dir=top))


def _perhaps(homes: tuple[str, ...]) -> Iterator[str]:
    for path in stores.perhaps(homes):
        if stores.has_secret(repositories.readable(path)):
            yield path


def _covers(paths: list[str]) -> tuple[tuple[str, bool], ...]:
    found = dict[str, bool]()
    for path in paths:
        with contextlib.suppress(OSError):
            mode = os.stat(path).st_mode
            # /dev/null as "no configuration" is the command's as it is everybody's.
            if not stat.S_ISCHR(mode):
                # The target of a link is what must not be readable.
                found[os.path.realpath(path)] = stat.S_ISDIR(mode)
    return tuple(sorted(found.items()))


def _sockets() -> Iterator[str]:
    """The host's pathname sockets that the kernel's tables tell of.

    They do not tell of all: a name there may be relative, of another mount namespace (a container's that shares the
    tree) or from before a rename, and a user sees only their own tables.
    """
    for path in _bound_names():
        if path.startswith("/") and os.path.lexists(path):
            yield os.path.realpath(path)


def below(top: str) -> Iterator[tuple[str, bool]]:
    """Every socket file in the tree, whoever listens there, and every `.git`; whether it is a socket."""
    left = [top]
    while left:
        # Not a directory, or one that the command may not read either.
        with contextlib.suppress(OSError), os.scandir(left.pop()) as entries:
            for entry in entries:
                if entry.name == ".git":
                    yield entry.path, False
                if entry.is_dir(follow_symlinks=False):
                    left.append(entry.path)
                elif entry.is_file(follow_symlinks=False) or entry.is_symlink():
                    continue
                elif stat.S_ISSOCK(entry.stat(follow_symlinks=False).st_mode):
                    yield entry.path, True


def _beside(workspace: str) -> Iterator[str]:
    """What a runner keeps above and beside the workspace, also where sudo took the variables that name it."""
    place = workspace
    while place != "/":
        for pattern in stores.BESIDE_WORKSPACE:
            yield os.path.join(os.path.dirname(place), pattern.format(os.path.basename(place)))
        place = os.path.dirname(place)


def _bound_names() -> Iterator[str]:
    """Names of sockets, the abstract ones with `@`, in this and, as root, in every other network namespace."""
    seen = set[str]()
    for process in ["self", *(name for name in os.listdir("/proc") if name.isdigit())]:
        with contextlib.suppress(OSError):
            namespace = os.readlink(f"/proc/{process}/ns/net")
            if namespace in seen:
                continue
            seen.add(namespace)
            with open(f"/proc/{process}/net/unix", errors="surrogateescape") as file:
                for line in file:
                    path = line.rstrip("\n").split(maxsplit=7)[7:]
                    if path and path[0] != "Path":
                        yield path[0]


def _texts(command: Command) -> Iterator[tuple[str, str]]:
    texts = {
        "/etc/resolv.conf": plan.RESOLV_CONF,
        "/etc/hosts": plan.HOSTS,
        "/etc/nsswitch.conf": plan.NSSWITCH,
    }
    for path, number, line in (
        ("/etc/passwd", command.uid, "sluicegate:x:{uid}:{gid}::{home}:/bin/sh\n"),
        ("/etc/group", command.gid, "sluicegate:x:{gid}:\n"),
    ):
        with contextlib.suppress(OSError), open(path, errors="surrogateescape") as file:
            text = file.read()
            if not any(row.split(":")[2:3] == [str(number)] for row in text.splitlines()):
                home = dict(command.env).get("HOME", "/")
                texts[path] = text + line.format(uid=command.uid, gid=command.gid, home=home)
    yield from ((os.path.realpath(path), text) for path, text in texts.items())
