"""Whose rights the command has: never root's. Pure; `lookup` is the caller's view of /etc/passwd."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sluicegate.boundary.model import ROOTLESS_TIER, BoundaryError

# The range that systemd lends to services without a name; those in use it makes known by lookup.
FIRST_UNNAMED_UID = 61184
_LAST_UNNAMED_UID = 65519


@dataclass(frozen=True, slots=True)
class Account:
    """What /etc/passwd says of one uid."""

    uid: int
    gid: int
    home: str


@dataclass(frozen=True, slots=True)
class Identity:
    """The command's ids and home, and `why` these, for boundary.json and doctor."""

    uid: int
    gid: int
    home: str
    why: str


def identity(
    environ: Mapping[str, str],
    owner: tuple[int, int],
    caller: tuple[int, int],
    tier: str,
    lookup: Callable[[int], Account | None],
) -> Identity:
    """The identity of a run in a workspace of `owner`, started by `caller` (uid, gid).

    Rootless it is the caller. Else the one who called sudo, else the workspace's owner, else an
    id that nobody has, to whom workspace and home of the caller are mapped.
    """
    if tier == ROOTLESS_TIER:
        found = lookup(caller[0])
        home = environ.get("HOME") or (found.home if found else "/")
        return Identity(*caller, home, "the caller")
    sudo = number(environ, "SUDO_UID")
    if sudo:
        return _of(sudo, number(environ, "SUDO_GID") or sudo, lookup, "the caller of sudo")
    if owner[0] != 0:
        return _of(owner[0], owner[1] or owner[0], lookup, "the workspace's owner")
    for uid in range(FIRST_UNNAMED_UID, _LAST_UNNAMED_UID):
        if lookup(uid) is None:
            home = environ.get("HOME") or "/root"
            return Identity(uid, uid, home, "an id that nobody has")
    raise BoundaryError("every uid for unnamed commands is taken", "name one with --user")


def number(environ: Mapping[str, str], name: str) -> int | None:
    """The id that a variable holds, or None if it holds none."""
    text = environ.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and int(text) < 2**32 - 1 else None


def _of(uid: int, gid: int, lookup: Callable[[int], Account | None], why: str) -> Identity:
    found = lookup(uid)
    if found is None:
        # In the private /tmp: nothing of the host's is this uid's home.
        return Identity(uid, gid, "/tmp/home", why)  # noqa: S108
    return Identity(uid, found.gid or gid, found.home, why)
