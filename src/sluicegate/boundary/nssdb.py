"""SHELL. Certificate databases of NSS, which Chromium and its kin read: a copy of each, with one authority more.

They are SQLite files whose trust is sealed with a key of the database, so its own tool must write them: certutil, of
the package libnss3-tools. It parses what whoever owns the home has made; therefore it runs as the command's user, on a
copy, and what it leaves is read like anything of theirs.

Sources: NSS, "sql:" databases (cert9.db, key4.db, pkcs11.txt); Chromium, crypto/nss_util.cc (which directory).
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sluicegate.boundary.model import Database

FILES = ("cert9.db", "key4.db")
# Libraries that NSS loads with the database. The tool gets one that names none: it runs outside of the boundary, and
# what a home names may be anybody's. Inside, the command has its own again.
MODULES = "pkcs11.txt"
# Below a home, and below its directory of data: where such a client looks.
OLD, NEW = ".pki/nssdb", "pki/nssdb"
# Bytes of one file: a new database has 37 KB, one with a hundred certificates some 300.
MAX_FILE = 8 << 20
TOOL, PACKAGE = "certutil", "libnss3-tools"
TOOL_S = 10.0  # seconds; it takes a tenth of one
NICKNAME = "sluicegate"
# A trusted authority for servers, and for nothing else.
TRUST = "C,,"
_BROWSERS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    *("microsoft-edge", "microsoft-edge-stable", "brave-browser", "vivaldi", "opera"),
)
# Where test tools keep browsers of their own, below a home.
_CACHES = (".cache/ms-playwright", ".cache/puppeteer")
_WORDS = 200  # characters of the tool's own that are put on record


@dataclass(frozen=True, slots=True)
class Copy:
    """`path` inside; `there`, where the copy is being made. `why` not: it stays as it is then.

    `modules` is what the original names, if it is not new.
    """

    path: str
    there: str
    new: bool
    why: str = ""
    modules: bytes = b""


@contextlib.contextmanager
def copies(home: str, env: Mapping[str, str], user: tuple[int, int]) -> Iterator[tuple[Copy, ...]]:
    """A copy of each database of `home`; a new one where there is none, and a client that reads one.

    `env` is the command's, `user` its uid and gid. The copies are gone at the end. No database and no such client:
    nothing is done.
    """
    data = env.get("XDG_DATA_HOME") or f"{home}/.local/share"
    tops = [os.path.realpath(path) for path in (home, data)]
    places = [os.path.realpath(path) for path in (f"{home}/{OLD}", f"{data}/{NEW}")]
    # What a link leads to elsewhere is not the home's, and nothing of ours is put over it.
    places = [path for path in places if any(path.startswith(f"{top}/") for top in tops)]
    known = [path for path in dict.fromkeys(places) if os.path.isfile(f"{path}/{FILES[0]}")]
    wanted = known or (places[:1] if _browser(home, env) else [])
    if not wanted:
        yield ()
        return
    if not _found((TOOL,), os.environ.get("PATH", os.defpath)):
        why = f"left as it is: {TOOL} (package {PACKAGE}) is not installed"
        yield tuple(Copy(path, "", path not in known, why) for path in wanted)
        return
    import tempfile  # most runs have no such database

    with tempfile.TemporaryDirectory(prefix="sluicegate-") as top:
        os.chmod(top, 0o711)  # noqa: S103 - each copy in it is its user's alone
        yield tuple(
            _copied(path, f"{top}/{number}", path not in known, home, user)
            for number, path in enumerate(wanted)
        )


def extended(
    found: tuple[Copy, ...], authority: str, user: tuple[int, int]
) -> tuple[Database, ...]:
    """The databases that `copies` has made, with the certificate in the PEM text `authority`; or why there is none."""
    return tuple(_extended(copy, authority, user) for copy in found)


def _extended(copy: Copy, authority: str, user: tuple[int, int]) -> Database:
    if copy.why:
        return Database(copy.path, why=copy.why)
    why = _tool(copy, user, authority, "-A", "-n", NICKNAME, "-t", TRUST, "-a")
    if why:
        return Database(copy.path, why=why)
    files = []
    for name in (*FILES, MODULES):
        data = copy.modules if name == MODULES else b""
        data = data or _read(f"{copy.there}/{name}", user[0])
        if not data:
            return Database(copy.path, why=f"left as it is: {TOOL} made no {name}")
        files.append((name, os.fsdecode(data)))
    return Database(copy.path, tuple(files))


def _browser(home: str, env: Mapping[str, str]) -> bool:
    caches = [f"{home}/{name}" for name in _CACHES]
    caches += [env[name] for name in ("PLAYWRIGHT_BROWSERS_PATH",) if env.get(name)]
    return _found(_BROWSERS, env.get("PATH", "")) or any(map(os.path.isdir, caches))


def _found(programs: tuple[str, ...], path: str) -> bool:
    places = [place for place in path.split(":") if place]
    return any(os.access(f"{place}/{name}", os.X_OK) for place in places for name in programs)


def _copied(path: str, there: str, new: bool, home: str, user: tuple[int, int]) -> Copy:
    os.mkdir(there, 0o700)
    try:
        owner = user[0] if new else os.stat(home).st_uid
    except OSError as error:
        return Copy(path, there, new, f"left as it is: {error.strerror}")
    for name in () if new else FILES:
        data = _read(f"{path}/{name}", owner)
        if not data and name == FILES[0]:
            return Copy(
                path, there, new, f"left as it is: {name} is not a file of its home's owner"
            )
        if data:
            with open(f"{there}/{name}", "xb") as file:
                file.write(data)
            os.chmod(f"{there}/{name}", 0o600)
    if os.geteuid() == 0:
        for name in ("", *os.listdir(there)):
            os.chown(f"{there}/{name}", *user)
    made = Copy(path, there, new)
    why = _tool(made, user, "", "-N", "--empty-password") if new else ""
    return Copy(path, there, new, why, b"" if new else _read(f"{path}/{MODULES}", owner))


def _tool(copy: Copy, user: tuple[int, int], given: str, *arguments: str) -> str:
    """Run it on the copy as `user`; why it failed, or an empty text."""
    import subprocess

    uid, gid = user if os.geteuid() == 0 else (None, None)
    try:
        done = subprocess.run(
            # A database that has a password is not asked for it: it stays as it is.
            [TOOL, "-d", f"sql:{copy.there}", "-f", "/dev/null", *arguments],
            input=given,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TOOL_S,
            check=False,
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": copy.there, "LANG": "C"},
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
            start_new_session=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"left as it is: {TOOL}: {type(error).__name__}"
    said = " ".join(str(done.stderr).split())[:_WORDS]
    return f"left as it is: {said or TOOL}" if done.returncode else ""


def _read(path: str, owner: int) -> bytes:
    """A regular file of `owner`, and of no other name; empty where it is anything else."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except OSError:
        return b""
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        good = stat.S_ISREG(found.st_mode) and found.st_uid == owner and found.st_nlink == 1
        data = file.read(MAX_FILE + 1) if good else b""
        return data if len(data) <= MAX_FILE else b""
