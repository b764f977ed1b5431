"""Which mounts make the inside, in which order: facts of the host in, frozen steps out. Pure."""

from __future__ import annotations

import enum
import posixpath
from dataclasses import dataclass

from sluicegate.boundary import rules, stores
from sluicegate.boundary.model import ROOTLESS_TIER, BoundaryError, Spec

HOSTNAME = "sluicegate"
# Percent of memory for what is written to the home. All that a command may fill stays below the
# whole, so that a full disk inside is not an exhausted machine outside.
HOME_SHARE = 30
# Never the host's: what lives there is made of sockets, devices, processes and other runs' files.
PRIVATE = ("/dev", "/proc", "/run", "/sys", "/tmp", "/var/tmp")  # noqa: S108 - names only
# File systems that a look-up would set in motion; an empty directory stands for them.
_UNTOUCHED = {"autofs"}
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_DEVICE_LINKS = (
    ("/dev/ptmx", "pts/ptmx"),
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
)
RESOLV_CONF = f"nameserver {rules.SOURCE4}\n"
HOSTS = f"127.0.0.1 localhost {HOSTNAME}\n::1 localhost ip6-localhost ip6-loopback\n"
NSSWITCH = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n" + "".join(
    f"{name}: files\n" for name in ("networks", "protocols", "services", "ethers", "rpc")
)


class Do(enum.Enum):
    """What one step does with its target."""

    OVERLAY = "overlay, read-only"
    HOME = "overlay, writes discarded"
    TMPFS = "tmpfs"
    DIRECTORY = "directory"
    LINK = "symbolic link"
    DEVICE = "device"
    PTS = "devpts"
    PROC = "proc"
    SYSFS = "sysfs, read-only"
    TEXT = "file of ours"
    FOLDER = "directory of ours, read-only"
    STORE = "trust store, with the run's authority"
    DATABASE = "certificate database, with the run's authority, writes discarded"
    TREE = "bind, writable"
    PINNED = "bound over itself"
    KEPT = "bound over itself, read-only"
    EMPTY_DIRECTORY = "covered with an empty directory"
    COVER = "covered with an empty file"
    SOCKET = "socket covered"


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `source` is a host path or what a link points to; `text` a file's content, `files` and
    `links` a folder's; the owner of a directory made for the command is `owner`; `share` is what a
    tmpfs may take of memory.
    """

    do: Do
    target: str
    source: str = ""
    mode: int = 0o755
    text: str = ""
    owner: tuple[int, int] = (0, 0)
    share: int = 5
    files: tuple[tuple[str, str], ...] = ()
    links: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in the host's `/`: a directory, or a link that `points` somewhere."""

    name: str
    points: str | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """What the survey found. All paths are free of symbolic links.

    `mounts` are (path, file system) below `/`; `stores` and `hidden` are (path, is a directory)
    to be covered; `sockets` are the pathname sockets, `abstract` the names of the others, with `@`;
    `texts` are (path, content) to be overlaid; `guarded` are paths in writable trees that are read-only.
    """

    mounts: tuple[tuple[str, str], ...]
    entries: tuple[Entry, ...]
    stores: tuple[tuple[str, bool], ...]
    hidden: tuple[tuple[str, bool], ...]
    sockets: tuple[str, ...]
    texts: tuple[tuple[str, str], ...]
    home_exists: bool
    abstract: tuple[str, ...] = ()
    guarded: tuple[str, ...] = ()


def within(path: str, tree: str) -> bool:
    """Is `path` the tree's top or below it?"""
    return path == tree or path.startswith(tree.rstrip("/") + "/")


def mount_plan(spec: Spec, host: Host) -> tuple[Step, ...]:
    """The steps, parents before children, what covers after what it covers."""
    writable = tuple(dict.fromkeys((spec.workspace, *spec.binds)))
    kept = tuple(dict.fromkeys((*spec.kept, *host.guarded)))
    trusted = [
        (path, any(within(path, t) for t in writable), text) for path, text in spec.trust.texts
    ]
    return (
        *_base(spec, host),
        *_private(),
        *_visible(spec, host, writable),
        # After the host's own mounts: containers mount a file over each of these.
        *(Step(Do.TEXT, path, mode=0o644, text=text) for path, text in host.texts),
        *(Step(Do.FOLDER, f.path, files=f.files, links=f.links) for f in spec.trust.folders),
        # In them too, and in writable trees, as an environment of Python's in the workspace is.
        *(Step(Do.STORE, path, mode=0o444, text=text) for path, own, text in trusted if not own),
        *(Step(Do.TREE, path, path) for path in sorted(writable)),
        *(Step(Do.STORE, path, mode=0o444, text=text) for path, own, text in trusted if own),
        *_databases(spec),
        *(Step(Do.PINNED, path, path) for path in _above((*kept, *_orders(host)), writable)),
        *(Step(Do.KEPT, path, path) for path in kept),
        *_covers(spec, host, writable),
        # The home too: an overlay of it may be refused, and then it is bound.
        *(Step(Do.SOCKET, p) for p in host.sockets if not _own(p, (*writable, spec.home))),
    )


def _databases(spec: Spec) -> list[Step]:
    owner = (spec.command.uid, spec.command.gid)
    return [
        Step(Do.DATABASE, one.path, mode=0o700, text=one.why, owner=owner, files=one.files)
        for one in spec.trust.databases
    ]


def _orders(host: Host) -> list[str]:
    """What is covered because a later step reads orders there: in its place nothing may be put either."""
    return [path for path, _ in host.hidden]


def _above(kept: tuple[str, ...], writable: tuple[str, ...]) -> list[str]:
    """The directories between a writable tree and what is kept in it: moved away, they would take it with them."""
    found = set[str]()
    for path in kept:
        above = posixpath.dirname(path)
        while above not in writable and any(within(above, tree) for tree in writable):
            found.add(above)
            above = posixpath.dirname(above)
    return sorted(found)


def _own(path: str, shown: tuple[str, ...]) -> bool:
    """Is it in a private tree, where the host's sockets do not exist, and not in one of those `shown` there?"""
    return any(within(path, tree) for tree in PRIVATE) and not any(
        within(path, tree) for tree in shown
    )


def _base(spec: Spec, host: Host) -> list[Step]:
    if spec.tier != ROOTLESS_TIER:
        return [Step(Do.OVERLAY, "/", "/")]
    # In a user namespace `/` has locked mounts below it and no overlay may show it: its
    # directories one by one instead.
    steps = [Step(Do.TMPFS, "/")]
    for entry in host.entries:
        path = f"/{entry.name}"
        if entry.points is not None:
            steps.append(Step(Do.LINK, path, entry.points))
        elif path in PRIVATE:
            steps.append(Step(Do.DIRECTORY, path))
        else:
            steps.append(Step(Do.OVERLAY, path, path))
    return steps


def _private() -> list[Step]:
    return [
        Step(Do.TMPFS, "/tmp", mode=0o1777, share=30),  # noqa: S108 - the one inside
        Step(Do.TMPFS, "/var/tmp", mode=0o1777, share=10),  # noqa: S108 - the one inside
        Step(Do.TMPFS, "/run"),
        Step(Do.DIRECTORY, "/run/lock", mode=0o1777),
        Step(Do.TMPFS, "/dev"),
        *(Step(Do.DEVICE, f"/dev/{name}", f"/dev/{name}") for name in _DEVICES),
        *(Step(Do.LINK, path, points) for path, points in _DEVICE_LINKS),
        Step(Do.PTS, "/dev/pts"),
        Step(Do.TMPFS, "/dev/shm", mode=0o1777, share=10),  # noqa: S108 - the one inside
        Step(Do.PROC, "/proc"),
        Step(Do.SYSFS, "/sys"),
    ]


def _visible(spec: Spec, host: Host, writable: tuple[str, ...]) -> list[Step]:
    """The host's other file systems, and the home among them."""
    steps = [
        Step(Do.OVERLAY, path, path)
        for path, kind in dict(host.mounts).items()
        if kind not in _UNTOUCHED
        and path not in {"/", spec.home}
        and not any(within(path, tree) for tree in (*PRIVATE, *writable))
    ]
    if not any(within(spec.home, tree) for tree in writable):
        if host.home_exists and spec.home != "/":
            steps.append(Step(Do.HOME, spec.home, spec.home))
        elif spec.home != "/":
            owner = (spec.command.uid, spec.command.gid)
            steps.append(Step(Do.DIRECTORY, spec.home, mode=0o700, owner=owner))
    return sorted(steps, key=lambda step: step.target)


def _covers(spec: Spec, host: Host, writable: tuple[str, ...]) -> list[Step]:
    steps = list[Step]()
    for path, directory in (*host.stores, *host.hidden):
        if path in spec.binds:
            continue  # whoever started the run named this very place
        inside = [tree for tree in writable if within(tree, path)]
        if inside and (path, directory) in host.stores:
            raise BoundaryError(
                f"{inside[0]} lies in {path}, a credential store that is hidden from the command",
                f"choose another place, or bind {path} itself if the command may have all of it",
            )
        if inside:
            continue  # a scratch directory of the runner in which the workspace itself was put
        text = stores.NOTHING.get(path.rpartition("/")[2], "")
        if directory:
            steps.append(Step(Do.EMPTY_DIRECTORY, path))
        else:
            steps.append(Step(Do.COVER, path, mode=0o444, text=text))
    return steps
