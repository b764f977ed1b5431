"""Every preset by its name. Pure: a computed one asks the machine that it is handed."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from sluicegate.policy.presets import PresetError
from sluicegate.presets import apt, go, java, node, python, ruby, rust, static
from sluicegate.presets.found import Found
from sluicegate.presets.look import Look

COMPUTED: dict[str, tuple[Callable[[Look], Found], str]] = {
    "debian": (apt.debian, "the archives in apt's lists"),
    "go": (go.found, "go's module proxies and checksum database"),
    "java": (java.found, "Maven's repositories, or their mirrors"),
    "node": (node.found, "npm's registry, and those of scopes"),
    "python": (python.found, "the indices of pip and uv, and their files"),
    "ruby": (ruby.found, "the sources of gem and bundler"),
    "rust": (rust.found, "cargo's index, and its crates"),
    "ubuntu": (apt.ubuntu, "the archives in apt's lists"),
}
NAMES = tuple(sorted((*COMPUTED, *static.WORDS)))


def words(name: str) -> str:
    """What the preset `name` is for."""
    return COMPUTED[name][1] if name in COMPUTED else static.WORDS[name]


def found(name: str, repos: tuple[str, ...], look: Callable[[], Look]) -> Found:
    """The preset's rows and notes; `look` is called where it is computed.

    Raises:
        PresetError: no such preset, repositories where there are none, or a file that is not to be trusted.
    """
    if name not in NAMES:
        close = difflib.get_close_matches(name.lower(), NAMES, 1, 0.6)
        hint = f"did you mean {close[0]}?" if close else "one of: " + ", ".join(NAMES)
        raise PresetError(f'preset "{name[:80]}" is not known', hint)
    if name in static.WORDS:
        return Found(static.rows(name, repos))
    if repos:
        raise PresetError(f"preset {name} has no repositories", "remove repos")
    try:
        return COMPUTED[name][0](look())
    except PresetError as error:
        raise PresetError(f"preset {name}: {error.message}", error.hint) from error


def some(name: str, repos: tuple[str, ...], look: Callable[[], Look]) -> Found:
    """As `found`, for a line of a policy, which must say something.

    Raises:
        PresetError: as `found`, or nothing was found.
    """
    result = found(name, repos, look)
    if not result.rows:
        note = result.notes[0] if result.notes else None
        message = f"preset {name} is empty here" + (f": {note.message}" if note else "")
        raise PresetError(message, note.hint if note else f"see `sluicegate presets {name}`")
    return result
