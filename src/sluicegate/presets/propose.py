"""The policy that `sluicegate init` writes: what the repository needs, each line with its reason. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sluicegate.policy.presets import Row
from sluicegate.presets import repository, text
from sluicegate.presets.urls import Place

# More names in one comment nobody reads.
_MAX_FILES = 4
_HEAD = """\
# What the command may reach, and nothing else. Made by `sluicegate init`: read it, change it, commit it.
# Reference: docs/policy.md. Check it: sluicegate policy check
version: 1
mode: enforce
allow:
"""
# What a person meets on the first day.
_ABOUT = {
    "node": "npm's audit (a POST of the dependencies) is denied; --env npm_config_audit=false leaves it out",
    "rust": "where crates are, cargo's index says: this machine must have asked it once, or the host be named",
}
_MODELS = """\
  # The models that an agent asks, without their files and accounts. Remove the # of the one it uses.
  # - preset: anthropic
  # - preset: openai
  # - preset: gemini
"""
_SECRETS = """\
# So that the command never holds its key: the gate puts it in, for that host alone (docs/scan.md).
# secrets:
#   - env: ANTHROPIC_API_KEY
#     hosts: [api.anthropic.com]
#     header: x-api-key
"""


@dataclass(frozen=True, slots=True)
class Ecosystem:
    """One kind of packages in a repository: the preset, the files that show it and the places that they name.

    `machine` is what the preset is on this machine; `missing` what it can not say here, in words.
    """

    preset: str
    files: tuple[str, ...]
    places: Mapping[str, tuple[Place, ...]]
    machine: tuple[Row, ...] = ()
    missing: tuple[str, ...] = ()


def policy(
    ecosystems: tuple[Ecosystem, ...], repo: str | None, modules: tuple[str, ...] = ()
) -> str:
    """The text of a sluicegate.yaml; `repo` is the repository's own OWNER/REPO on GitHub, `modules` its submodules'."""
    lines = list[str]()
    for one in ecosystems:
        lines += _ecosystem(one)
    lines += _github(repo, modules)
    return _HEAD + "".join(f"{line}\n" for line in lines) + _MODELS + _SECRETS


def _ecosystem(one: Ecosystem) -> Iterator[str]:
    names = [text.shown(name) for name in one.files[:_MAX_FILES]]
    more = len(one.files) - len(names)
    yield f"  # {one.preset}: {', '.join(names)}{f' and {more} more' if more else ''}"
    others = repository.rows(one.preset, one.places, one.machine)
    if one.machine and repository.elsewhere(one.places, one.machine):
        yield "  # Its lock files have every package from the hosts below, and none from where this machine looks:"
        yield f"  # - preset: {one.preset}"
    elif one.machine:
        yield f"  # As the machine that runs it is configured; here (`sluicegate presets {one.preset}`):"
        for host in dict.fromkeys(row.host for row in one.machine):
            yield f"  #   {host}"
        yield f"  - preset: {one.preset}"
        if one.preset in _ABOUT:
            yield f"  # {_ABOUT[one.preset]}"
    else:
        yield f"  # - preset: {one.preset}"
    yield from (f"  # Not known here: {text.shown(said)}" for said in one.missing)
    if others:
        yield "  # Named by files of this repository. A run does not ask them: a pull request could name any host."
        yield from text.lines(others)


def _github(repo: str | None, modules: tuple[str, ...]) -> Iterator[str]:
    if modules:
        yield "  # git: .gitmodules"
        yield "  - preset: github-read"
        yield f"    repos: [{', '.join(modules)}]"
        return
    yield "  # To clone and fetch over HTTPS. Without repos: every public repository."
    yield "  # - preset: github-read"
    yield f"  #   repos: [{repo or 'OWNER/REPO'}]"
