"""Which archives apt of this machine has in its lists: sources.list(5), in both styles. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sluicegate.presets.found import Found, Note, joined, seen
from sluicegate.presets.look import Look
from sluicegate.presets.urls import Place, below, row

_LINE = re.compile(r"^[ \t]*deb(?:-src)?[ \t]+(?:\[[^\]\n]*\][ \t]+)?(\S+)[ \t]+\S", re.MULTILINE)
_ETC = "/etc/apt"


def debian(look: Look) -> Found:
    """The rows of apt's archives, on Debian and what descends from it."""
    return _found(look, "debian")


def ubuntu(look: Look) -> Found:
    """The rows of apt's archives, on Ubuntu and what descends from it."""
    return _found(look, "ubuntu")


def _found(look: Look, system: str) -> Found:
    release = look.read("/etc/os-release") or ""
    ids = re.findall(r"^ID(?:_LIKE)?=[\"']?([^\"'\n]*)", release, re.MULTILINE)
    if system not in " ".join(ids).split():
        message = f"this machine is not of {system}'s family: it is {ids[0] if ids else 'unknown'}"
        return Found((), (Note(message, "use the preset of the system that the command runs on"),))
    parts = [_part(url, path, look) for path, text in _lists(look) for url in _urls(path, text)]
    if not parts:
        return Found(
            (), (Note("apt has no archive in its lists", f"look at {_ETC}/sources.list.d"),)
        )
    return joined(parts)


def _part(url: str, source: str, look: Look) -> Found:
    if url.startswith("mirror+file:"):
        # The lines are URLs of one archive each, with words after a tab: apt-transport-mirror(1).
        path = "/" + url.removeprefix("mirror+file:").lstrip("/")
        lines = (look.read(path) or "").splitlines()
        words = [
            line.split()[0] for line in lines if line.strip() and not line.lstrip().startswith("#")
        ]
        return joined(_archive(word, path) for word in words)
    if url.startswith(("mirror://", "mirror+http")):
        at, _ = seen(re.sub(r"^mirror(?:\+|://)", "" if "+" in url[:8] else "http://", url), source)
        rows = () if at is None else (row(Place(at.scheme, at.host, at.port, at.path), source, ""),)
        message = (
            f"{source} has a list of mirrors on the network: which they are is not known before"
        )
        return Found(rows, (Note(message, "name one archive in apt's list"),))
    return _archive(url, source)


def _archive(url: str, source: str) -> Found:
    at, notes = seen(url, source)
    return Found(() if at is None else (below(at, source),), notes)


def _lists(look: Look) -> Iterator[tuple[str, str]]:
    names = [f"{_ETC}/sources.list"]
    names += [f"{_ETC}/sources.list.d/{name}" for name in look.names(f"{_ETC}/sources.list.d")]
    for path in names:
        if path.endswith((".list", ".sources")):
            text = look.read(path)
            if text is not None:
                yield path, text


def _urls(path: str, text: str) -> Iterator[str]:
    if path.endswith(".list"):
        yield from _LINE.findall(text)
        return
    plain = re.sub(r"^#.*\n?", "", text, flags=re.MULTILINE)
    for stanza in re.split(r"\n\s*\n", plain):
        fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*(?:\n[ \t]+.*)*)", stanza, re.MULTILINE))
        named = {name.lower(): value for name, value in fields.items()}
        if named.get("enabled", "yes").strip().lower() not in {
            "no",
            "false",
            "0",
            "off",
            "without",
            "disable",
        }:
            yield from named.get("uris", "").split()
