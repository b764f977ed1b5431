"""Performs the plan in pid 1: builds the inside under a staging tmpfs, then makes it the root."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping

from sluicegate.boundary import syscalls as sys_
from sluicegate.boundary.model import ROOTLESS_TIER, BoundaryError, Spec
from sluicegate.boundary.plan import HOME_SHARE, Do, Step, within

# Always there, never a workspace, and nothing that the plan reads lies below it.
STAGE = "/sys"
ROOT = f"{STAGE}/root"
_SAFE = sys_.MS_NOSUID | sys_.MS_NODEV
_SAFE_ATTRIBUTES = sys_.MOUNT_ATTR_NOSUID | sys_.MOUNT_ATTR_NODEV
# Write access to the machine, and what tells of it, even where the file mode would allow it.
_PROC_READ_ONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger")
_PROC_COVERED = ("acpi", "kcore", "keys", "latency_stats", "sched_debug", "scsi", "timer_list")


class Builder:
    """The performer. `userns` has, by (uid, gid) on disk, a user namespace that maps them."""

    def __init__(self, spec: Spec, userns: Mapping[tuple[int, int], int]) -> None:
        self._spec = spec
        self._userns = userns
        self._rootless = spec.tier == ROOTLESS_TIER
        self._trees = dict[str, int]()
        self._bound = list[str]()
        self._count = 0
        self._do = {
            Do.OVERLAY: self._overlay,
            Do.HOME: self._home,
            Do.TMPFS: self._tmpfs,
            Do.DIRECTORY: self._directory,
            Do.LINK: self._link,
            Do.DEVICE: self._device,
            Do.PTS: self._pts,
            Do.PROC: self._proc,
            Do.SYSFS: self._sysfs,
            Do.TEXT: self._text,
            Do.FOLDER: self._folder,
            Do.STORE: self._cover,
            Do.DATABASE: self._database,
            Do.COVER: self._cover,
            Do.PINNED: self._pin,
            Do.KEPT: self._keep,
            Do.EMPTY_DIRECTORY: self._empty_directory,
            Do.SOCKET: self._socket,
            Do.TREE: self._tree,
        }

    def build(self, steps: tuple[Step, ...]) -> list[tuple[str, str, str]]:
        """Performs every step, enters the result; what was done, to what, how it came out."""
        sys_.mount("none", "/", "", sys_.MS_REC | sys_.MS_PRIVATE)
        for step in steps:
            if step.do is Do.TREE:
                self._trees[step.target] = self._take(step.source)
        sys_.mount("stage", STAGE, "tmpfs", _SAFE, f"mode=0755,size={HOME_SHARE}%")
        os.makedirs(ROOT)
        os.mkdir(f"{STAGE}/none")
        done = list[tuple[str, str, str]]()
        for step in steps:
            try:
                outcome = self._do[step.do](step)
            except OSError as error:
                raise BoundaryError(
                    f"{step.do.value} at {step.target}: {error.strerror or error}",
                    "`sluicegate doctor` says what this machine lacks",
                ) from error
            done.append((step.do.value, step.target, outcome))
        self._enter()
        return done

    def _enter(self) -> None:
        os.chdir(ROOT)
        sys_.pivot_root(".", ".")
        sys_.umount(".", sys_.MNT_DETACH)
        os.chdir("/")
        if self._rootless:
            # There the command's uid owns what was made here.
            for path in ("/", "/dev"):
                flags = sys_.MS_REMOUNT | sys_.MS_BIND | sys_.MS_RDONLY | _SAFE
                sys_.mount("none", path, "", flags)

    def _take(self, source: str) -> int:
        """A detached, writable copy of a host tree, id-mapped where its owner is somebody else."""
        try:
            tree = sys_.open_tree(source, recursive=True)
            sys_.mount_setattr(tree, _SAFE_ATTRIBUTES, self._mapping(source), recursive=True)
        except OSError as error:
            raise BoundaryError(
                f"binding {source}: {error.strerror}",
                "a file system without id-mapped mounts needs a workspace owned by the command's"
                " user: chown it, or start with sudo as its owner",
            ) from error
        return tree

    def _mapping(self, source: str) -> int | None:
        found = os.stat(source)
        return self._userns.get((found.st_uid, found.st_gid))

    def _overlay(self, step: Step) -> str:
        if not os.path.isdir(step.source):
            return self._file_read_only(step)
        target = self._made(step.target)
        options = f"lowerdir={_escaped(step.source)}:{STAGE}/none"
        try:
            sys_.mount("overlay", target, "overlay", _SAFE | sys_.MS_RDONLY, options)
        except OSError as error:
            return self._bind_read_only(step, error)
        return "done"

    def _bind_read_only(self, step: Step, why: OSError) -> str:
        """Where no overlay can be: the tree itself, read-only; its sockets are covered later."""
        target = self._made(step.target)
        attributes = _SAFE_ATTRIBUTES | sys_.MOUNT_ATTR_RDONLY
        try:
            tree = sys_.open_tree(step.source, recursive=self._rootless)
            sys_.mount_setattr(tree, attributes, recursive=self._rootless)
            sys_.move_mount(tree, target)
            os.close(tree)
        except OSError:
            if step.target == "/":
                raise
            sys_.mount("none", target, "tmpfs", _SAFE | sys_.MS_RDONLY)
            return f"left empty: {why.strerror}"
        self._bound.append(step.target)
        return f"bound read-only: {why.strerror}"

    def _file_read_only(self, step: Step) -> str:
        """A file that is a mount of the host's, as containers have them."""
        if stat.S_ISSOCK(os.stat(step.source).st_mode):
            return "a socket, left out"
        tree = sys_.open_tree(step.source)
        sys_.mount_setattr(tree, _SAFE_ATTRIBUTES | sys_.MOUNT_ATTR_RDONLY)
        self._attach_file(tree, step.target)
        return "bound read-only"

    def _home(self, step: Step) -> str:
        found, here = os.stat(step.source), f"{STAGE}/home"
        owner, mapping = (found.st_uid, found.st_gid), self._mapping(step.source)
        lower, outcome = step.source, "done"
        for name in ("upper", "work", "lower"):
            os.makedirs(f"{here}/{name}")
        if mapping is not None:
            # Whoever's it is on disk, inside it is the command's.
            owner = (self._spec.command.uid, self._spec.command.gid)
            lower, outcome = self._mapped(step.source, f"{here}/lower", mapping)
        options = f"lowerdir={_escaped(lower)},upperdir={here}/upper,workdir={here}/work"
        options += ",userxattr" if self._rootless else ""
        try:
            if (
                not self._rootless
            ):  # there it is the caller's already, and other owners have no name
                os.chown(f"{here}/upper", *owner)
            os.chmod(f"{here}/upper", stat.S_IMODE(found.st_mode))
            sys_.mount("overlay", self._made(step.target), "overlay", _SAFE, options)
        except OSError as error:
            return self._bind_read_only(step, error)
        return outcome

    def _mapped(self, source: str, target: str, mapping: int) -> tuple[str, str]:
        """Where the id-mapped tree is. Else the tree as it is, of which only the top is given."""
        try:
            tree = sys_.open_tree(source)
            sys_.mount_setattr(tree, _SAFE_ATTRIBUTES, mapping)
            sys_.move_mount(tree, target)
            os.close(tree)
        except OSError as error:
            return source, f"done, not id-mapped: {error.strerror}"
        return target, "done, id-mapped"

    def _tmpfs(self, step: Step) -> str:
        if os.path.islink(ROOT + step.target):
            return "a link, left as it is"
        sys_.mount(
            "none",
            self._made(step.target),
            "tmpfs",
            _SAFE,
            f"mode={step.mode:o},size={step.share}%",
        )
        return "done"

    def _directory(self, step: Step) -> str:
        target = self._made(step.target)
        os.chmod(target, step.mode)
        if step.owner != (0, 0) and not self._rootless:
            os.chown(target, *step.owner)
        return "done"

    def _link(self, step: Step) -> str:
        os.symlink(step.source, ROOT + step.target)
        return "done"

    def _device(self, step: Step) -> str:
        tree = sys_.open_tree(step.source)
        sys_.mount_setattr(tree, sys_.MOUNT_ATTR_NOSUID | sys_.MOUNT_ATTR_NOEXEC)
        self._attach_file(tree, step.target)
        return "done"

    def _pts(self, step: Step) -> str:
        # No group tty: in a user namespace there is none to give it to.
        options = "newinstance,ptmxmode=0666,mode=0620"
        flags = sys_.MS_NOSUID | sys_.MS_NOEXEC
        sys_.mount("devpts", self._made(step.target), "devpts", flags, options)
        return "done"

    def _proc(self, step: Step) -> str:
        top = self._made(step.target)
        sys_.mount("proc", top, "proc", _SAFE | sys_.MS_NOEXEC)
        for name in _PROC_READ_ONLY:
            with contextlib.suppress(FileNotFoundError):
                tree = sys_.open_tree(f"{top}/{name}")
                sys_.mount_setattr(tree, _SAFE_ATTRIBUTES | sys_.MOUNT_ATTR_RDONLY)
                sys_.move_mount(tree, f"{top}/{name}")
                os.close(tree)
        for name in _PROC_COVERED:
            self._empty(f"{step.target}/{name}")
        return "done"

    def _sysfs(self, step: Step) -> str:
        flags = _SAFE | sys_.MS_NOEXEC | sys_.MS_RDONLY
        try:
            sys_.mount("sysfs", self._made(step.target), "sysfs", flags)
        except OSError as error:
            sys_.mount("none", ROOT + step.target, "tmpfs", flags)
            return f"left empty: {error.strerror}"
        return "done"

    def _text(self, step: Step) -> str:
        if not os.path.lexists(ROOT + step.target):
            try:
                self._attach_file(None, step.target)
            except OSError:
                # Nothing is there to be misled by, and a read-only root takes no new name.
                return "not there"
        return self._cover(step)

    def _cover(self, step: Step) -> str:
        if not os.path.lexists(ROOT + step.target):
            return "not there"
        self._count += 1
        source = f"{STAGE}/text{self._count}"
        with open(source, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(step.text)
            os.fchmod(file.fileno(), step.mode)
        tree = sys_.open_tree(source)
        sys_.mount_setattr(tree, _SAFE_ATTRIBUTES | sys_.MOUNT_ATTR_RDONLY)
        self._attach_file(tree, step.target)
        return "done"

    def _folder(self, step: Step) -> str:
        self._count += 1
        source = f"{STAGE}/folder{self._count}"
        os.mkdir(source)
        for name, text in step.files:
            path = f"{source}/{name}"
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(text)
                os.fchmod(file.fileno(), 0o444)
        for name, points in step.links:
            os.makedirs(os.path.dirname(f"{source}/{name}"), exist_ok=True)
            os.symlink(points, f"{source}/{name}")
        for top, _, _ in os.walk(source):
            os.chmod(top, step.mode)  # whatever the mask is
        tree = sys_.open_tree(source)
        sys_.mount_setattr(tree, _SAFE_ATTRIBUTES | sys_.MOUNT_ATTR_RDONLY)
        sys_.move_mount(tree, self._made(step.target))
        os.close(tree)
        return "done"

    def _database(self, step: Step) -> str:
        if not step.files:
            return step.text
        target = ROOT + step.target
        if not os.path.isdir(target):
            if any(within(step.target, tree) for tree in self._trees):
                return "left out: it is not there, and what is made there stays on the host"
            try:
                self._own_directories(step)
            except OSError as error:
                return f"left out: {error.strerror}"
        self._count += 1
        source = f"{STAGE}/database{self._count}"
        os.mkdir(source, step.mode)
        for name, text in step.files:
            with open(f"{source}/{name}", "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(text)
                os.fchmod(file.fileno(), 0o600)
        if not self._rootless:
            for name in ("", *(name for name, _ in step.files)):
                os.chown(f"{source}/{name}", *step.owner)
        tree = sys_.open_tree(source)
        sys_.mount_setattr(tree, _SAFE_ATTRIBUTES)
        sys_.move_mount(tree, target)
        os.close(tree)
        return "done"

    def _own_directories(self, step: Step) -> None:
        """Every directory of the step's target that is not there, as its owner would have made it."""
        missing, path = list[str](), step.target
        while not os.path.lexists(ROOT + path):
            missing.append(path)
            path = os.path.dirname(path)
        for path in reversed(missing):
            os.mkdir(ROOT + path, step.mode)
            if not self._rootless:
                os.chown(ROOT + path, *step.owner)

    def _pin(self, step: Step) -> str:
        # A directory on which something is mounted can not be renamed or removed from inside.
        tree = sys_.open_tree(ROOT + step.target, recursive=True)
        sys_.move_mount(tree, ROOT + step.target)
        os.close(tree)
        return "done"

    def _keep(self, step: Step) -> str:
        # From the inside, so that an id-mapped tree's file stays mapped.
        tree = sys_.open_tree(ROOT + step.target)
        sys_.mount_setattr(tree, _SAFE_ATTRIBUTES | sys_.MOUNT_ATTR_RDONLY)
        sys_.move_mount(tree, ROOT + step.target)
        os.close(tree)
        return "done"

    def _empty_directory(self, step: Step) -> str:
        return self._empty(step.target)

    def _empty(self, path: str) -> str:
        target = ROOT + path
        if not os.path.lexists(target):
            return "not there"
        if not os.path.isdir(target):
            return self._cover(Step(Do.COVER, path, mode=0o444))
        sys_.mount("none", target, "tmpfs", _SAFE | sys_.MS_RDONLY, "mode=0555,nr_inodes=2")
        return "done"

    def _socket(self, step: Step) -> str:
        # Through an overlay a socket is another inode and refuses; where the tree itself is
        # bound, it is the listener's own.
        if not any(within(step.target, tree) for tree in (*self._bound, *self._trees)):
            return "out of reach"
        return self._cover(step)

    def _tree(self, step: Step) -> str:
        tree = self._trees[step.target]
        if os.path.isdir(step.source):
            sys_.move_mount(tree, self._made(step.target))
            os.close(tree)
        else:
            self._attach_file(tree, step.target)
        return "done" if self._mapping(step.source) is None else "done, id-mapped"

    def _attach_file(self, tree: int | None, path: str) -> None:
        target = ROOT + path
        if not os.path.lexists(target):
            self._made(path.rpartition("/")[0] or "/")
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        if tree is not None:
            sys_.move_mount(tree, target)
            os.close(tree)

    def _made(self, path: str) -> str:
        target = ROOT + path.rstrip("/")
        os.makedirs(target, mode=0o755, exist_ok=True)
        return target


def _escaped(path: str) -> str:
    """`path` as a value of an overlay option."""
    for character in ("\\", ":", ","):
        path = path.replace(character, "\\" + character)
    return path
