"""What a run's presets are made from: this machine, as the command's clients will find it; and what is said of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sluicegate.boundary import stores
from sluicegate.boundary.repositories import readable
from sluicegate.cli import say
from sluicegate.cli.options import Options
from sluicegate.policy.model import PolicyError, Rule

if TYPE_CHECKING:
    from sluicegate.policy.presets import Row
    from sluicegate.presets.machine import Machine

OPTION = "--preset"
# How a client is told of its registry where the file that says so is hidden, or the variable withheld, for its key.
_TOLD = {
    "java": "a settings file without keys: mvn -s FILE",
    "node": "--env NPM_CONFIG_REGISTRY=URL",
    "python": "--env PIP_INDEX_URL=URL",
    "ruby": "--env BUNDLE_MIRROR__ALL=URL",
}
# Where a CI system has checked out what it builds.
_CHECKOUTS = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")


@dataclass(slots=True)
class Presets:
    """Call it as the policy's `Expand`. Nothing is loaded before a preset is asked for.

    `untrusted` are directories (real paths) whose content its authors, or the command, have written.
    """

    env: Mapping[str, str]
    home: str
    untrusted: Sequence[str] = ()
    quiet: bool = False
    _machine: Machine | None = None
    # Where rows came from, and for which preset.
    _sources: dict[str, str] = field(default_factory=dict)

    def __call__(self, name: str, repos: tuple[str, ...]) -> tuple[Row, ...]:
        """The rows of a preset; what it lacks here is said.

        Raises:
            PresetError: no such preset, nothing in it, or configuration that is not to be trusted.
        """
        from sluicegate.presets import catalog

        found = catalog.some(name, repos, self.machine)
        for note in () if self.quiet else found.notes:
            say.complain(f"preset {name}: {note.message}", note.hint)
        self._sources |= {row.source: name for row in found.rows}
        return found.rows

    def machine(self) -> Machine:
        """The machine, looked at once."""
        if self._machine is None:
            from sluicegate.presets.machine import Machine

            self._machine = Machine(self.env, self.home, self.untrusted)
        return self._machine

    def rules(self, given: Sequence[str]) -> tuple[Rule, ...]:
        """The rules of `--preset NAME[=OWNER/REPO[,...]]`, as often as it was given.

        Raises:
            PolicyError: what `__call__` raises, or text that is no such thing.
        """
        if not given:
            return ()
        from sluicegate.policy.presets import PresetError, is_repo, made  # YAML comes with it

        asked = dict[str, tuple[str, ...]]()
        for text in given:
            name, equals, after = text.partition("=")
            repos = tuple(after.split(",")) if equals else ()
            for repo in repos:
                if not is_repo(repo):
                    message = f'"{repo[:80]}" is not OWNER/REPO'
                    raise PolicyError(OPTION, 0, 0, message, f"{OPTION} github-read=OWNER/REPO")
            # Once without repositories is all of them, whatever else is asked for.
            some = repos and asked.get(name) != ()
            asked[name] = tuple(dict.fromkeys((*asked.get(name, ()), *repos))) if some else ()
        found = list[Rule]()
        for name, repos in asked.items():
            try:
                found += made(self(name, repos), f"{OPTION} {name}", name)
            except PresetError as error:
                raise PolicyError(OPTION, 0, 0, error.message, error.hint) from error
        return tuple(found)

    def unseen(self, withheld: Sequence[str], hidden: Sequence[str]) -> None:
        """Says which clients will not know of the registries that their presets are about, and how to tell them.

        `withheld` are the variables that the command does not get, `hidden` the paths that it does not see.
        """
        stored = {*hidden, *stores.candidates((self.home,))}
        for source, name in () if self.quiet else sorted(self._sources.items()):
            perhaps = source in stores.perhaps((self.home,)) and stores.has_secret(readable(source))
            if source in withheld or source in stored or perhaps:
                say.complain(
                    f"preset {name} is made from {source}, which the command does not get: it may hold a key",
                    f"tell its client without the key: {_TOLD.get(name, 'in the command')}",
                )

    def written(self, trees: Sequence[str]) -> str | None:
        """A file that presets were made from and that lies in one of `trees` (real paths); None if none does."""
        seen = sorted(self._machine.seen) if self._machine else ()
        inside = (
            path for path in seen if any(path.startswith(f"{tree.rstrip('/')}/") for tree in trees)
        )
        return next(inside, None)


def of_run(options: Options, environ: Mapping[str, str], home: str, workdir: str) -> Presets:
    """For a run: the command's home, and the variables that the caller has or gives."""
    pairs = (text.partition("=") for text in options.env)
    given = {name: value for name, equals, value in pairs if equals}
    return Presets({**environ, **given}, home, repositories(environ, home, workdir), options.quiet)


def here(workdir: str, *, quiet: bool = False) -> Presets:
    """For a look at policies without a run: our own environment and home."""
    home = os.path.expanduser("~")
    return Presets(os.environ, home, repositories(os.environ, home, workdir), quiet)


def repositories(environ: Mapping[str, str], home: str, workdir: str) -> tuple[str, ...]:
    """Where the work of the policy's subject lies: `workdir`, the repository around it, what CI calls its checkout.

    A home that is kept in a repository itself is its owner's.
    """
    found = [workdir, *(environ[name] for name in _CHECKOUTS if environ.get(name))]
    above, own = os.path.realpath(workdir), os.path.realpath(home)
    while above not in ("/", own) and not own.startswith(f"{above}/"):
        if os.path.lexists(os.path.join(above, ".git")):
            found.append(above)
            break
        above = os.path.dirname(above)
    return tuple(dict.fromkeys(os.path.realpath(path) for path in found))
