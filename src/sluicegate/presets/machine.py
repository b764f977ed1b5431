"""SHELL: the machine that computed presets look at. Files are read, within limits; no client is run.

A client that is run reads what lies around it (npm the .npmrc of the directory, pyenv's shims a .python-version), may
be a program of the workspace that PATH names first, and would run as we do: root. Its files say the same.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import stat
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sluicegate.policy.presets import PresetError
from sluicegate.presets.look import prefixes

# Configuration has some kilobytes; npm's list of its settings, the longest text that is read, 100. Lock files: 32 MiB.
MAX_TEXT = 1 << 25
# Of one member of an archive: the super POM has 5 KiB.
MAX_MEMBER = 1 << 20
# cargo has 40 MiB.
MAX_PROGRAM = 1 << 28
# A directory of thousands is none of configuration.
MAX_NAMES = 4096


@dataclass(slots=True)
class Machine:
    """This machine, for the clients that run with `env` and `home`.

    What lies in one of `untrusted` (real paths) was written by whom the policy is about: a program there is passed
    over, a file of configuration there is an error. `seen` is every file that was read.
    """

    env: Mapping[str, str]
    home: str
    untrusted: Sequence[str] = ()
    seen: set[str] = field(default_factory=set)
    _programs: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def read(self, path: str) -> str | None:
        """The text of a regular file of at most MAX_TEXT bytes; None where there is none.

        Raises:
            PresetError: it lies where a command writes.
        """
        found = self._open(path)
        if found is None:
            return None
        with open(found, "rb") as file, contextlib.suppress(OSError):
            # Some files of /proc call themselves regular and have nothing to say yet.
            return (file.read(MAX_TEXT) or b"").decode("utf-8", "replace")
        return None

    def names(self, directory: str) -> tuple[str, ...]:
        """What is in a directory, sorted; of one that is not to be trusted nothing."""
        if not directory.startswith("/") or self._untrusted(os.path.realpath(directory)):
            return ()
        with contextlib.suppress(OSError), os.scandir(directory) as entries:
            return tuple(
                sorted(entry.name for _, entry in zip(range(MAX_NAMES), entries, strict=False))
            )
        return ()

    def programs(self, name: str) -> tuple[str, ...]:
        """Where PATH has `name`, links followed; without those that the command could have written."""
        if name not in self._programs:
            found = dict[str, None]()
            for directory in self.env.get("PATH", os.defpath).split(":"):
                path = os.path.join(directory, name)
                if not directory.startswith("/") or not os.path.isfile(path):
                    continue
                real = os.path.realpath(path)
                if not self._untrusted(real) and not self._untrusted(os.path.realpath(directory)):
                    found[real] = None
                    self.seen.add(real)
            self._programs[name] = tuple(found)
        return self._programs[name]

    def member(self, archive: str, name: str) -> str | None:
        """The text of one member of a zip archive; None where there is none."""
        descriptor = self._open(archive)
        if descriptor is None:
            return None
        with (
            open(descriptor, "rb") as file,
            contextlib.suppress(zipfile.BadZipFile, KeyError, RuntimeError, OSError),
            zipfile.ZipFile(file) as opened,
            opened.open(name) as one,
        ):
            return one.read(MAX_MEMBER).decode("utf-8", "replace")
        return None

    def first(self, path: str, pattern: bytes) -> str | None:
        """The first group of the first match of `pattern` in a file of at most MAX_PROGRAM bytes."""
        descriptor = self._open(path)
        if descriptor is None:
            return None
        with (
            open(descriptor, "rb") as file,
            contextlib.suppress(ValueError, OSError),
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            match = re.compile(pattern).search(data, 0, MAX_PROGRAM)
            return None if match is None else match[1].decode("ascii", "replace")
        return None

    def interpreters(self) -> tuple[str, ...]:
        """Directories that may hold pip: those of PATH's Pythons, the system's, and our own."""
        found = list[str]()
        for prefix in (*prefixes(self, "python3"), *prefixes(self, "python")):
            library = f"{prefix}/lib"
            for name in self.names(library):
                if re.fullmatch(r"python3(\.[0-9]+)?", name):
                    found += [
                        f"{library}/{name}/{last}".rstrip("/")
                        for last in ("site-packages", "dist-packages", "")
                    ]
        found += [
            "/usr/lib/python3/dist-packages",
            *(path for path in sys.path if path.endswith("-packages")),
        ]
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        for prefix in (sys.prefix, sys.base_prefix):
            found += [f"{prefix}/lib/{version}/site-packages", f"{prefix}/lib/{version}"]
        trusted = (
            path for path in dict.fromkeys(found) if not self._untrusted(os.path.realpath(path))
        )
        return tuple(path for path in trusted if os.path.isdir(path))

    def _open(self, path: str) -> int | None:
        if not path.startswith("/"):
            if path:
                # From which directory it counts, the client says; ours is not its.
                raise PresetError(
                    f"{path[:200]} is a relative path of configuration", "name it from the root"
                )
            return None
        real = os.path.realpath(path)
        try:
            descriptor = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        except (OSError, ValueError):
            return None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return None
        if self._untrusted(real) or self._untrusted(os.path.abspath(path)):
            os.close(descriptor)
            message = f"{path} lies where the command writes: who wrote it could widen the policy"
            hint = "keep the client's configuration outside of the workspace, or write its rules: `sluicegate init`"
            raise PresetError(message, hint)
        self.seen.add(real)
        return descriptor

    def _untrusted(self, real: str) -> bool:
        return any(
            real == tree or real.startswith(tree.rstrip("/") + "/") for tree in self.untrusted
        )
