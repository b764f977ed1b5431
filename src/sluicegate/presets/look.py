"""What computed presets look at: a machine, through the few questions that they ask of it. No effects here."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import Protocol


class Look(Protocol):
    """A machine as its package clients find it. Paths are absolute.

    Every question raises PresetError where what it finds lies where a command could have written it.
    """

    @property
    def env(self) -> Mapping[str, str]:
        """The variables that the clients will have."""

    @property
    def home(self) -> str:
        """The home of whoever runs them."""

    def read(self, path: str) -> str | None:
        """The text of a regular file; None where there is none."""

    def names(self, directory: str) -> tuple[str, ...]:
        """What is in a directory, sorted; nothing where there is none."""

    def programs(self, name: str) -> tuple[str, ...]:
        """Where PATH has `name`, links followed, in its order."""

    def member(self, archive: str, name: str) -> str | None:
        """The text of one file in a zip archive; None where there is none."""

    def first(self, path: str, pattern: bytes) -> str | None:
        """The first group of the first match in a file of any size; None where there is none."""

    def interpreters(self) -> tuple[str, ...]:
        """Directories of Python's modules that may hold pip, ours last."""


def prefixes(look: Look, program: str) -> Iterator[str]:
    """Where installations that have `program` in their bin begin; shims and links elsewhere are none."""
    for path in look.programs(program):
        prefix, _, last = path.rpartition("/bin/")
        if prefix and "/" not in last:
            yield prefix


def tables(text: str | None) -> dict[str, object]:
    """What a TOML text says; nothing where it is none, or nested beyond what anybody writes."""
    try:
        return tomllib.loads(text or "")
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}


def table(told: Mapping[str, object], name: str) -> Mapping[str, object]:
    """The table `name` in another; an empty one where there is none."""
    value = told.get(name)
    return value if isinstance(value, dict) else {}


def configuration(look: Look) -> str:
    """The user's directory of configuration files: XDG Base Directory Specification."""
    return look.env.get("XDG_CONFIG_HOME") or f"{look.home}/.config"
