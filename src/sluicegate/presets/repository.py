"""What a repository's own files say of its package clients: which there are, and the hosts that they name. Pure.

These files are written by whoever writes a pull request. So nothing here is asked while a policy is enforced: `init`
makes lines of it, which a person reads and commits.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from sluicegate.policy import paths
from sluicegate.policy.presets import Row
from sluicegate.presets import java, node, python, rust
from sluicegate.presets.look import table, tables
from sluicegate.presets.urls import Place, place, row

_URL = r"https?://[^\s\"'<>;,)}\]]+"
_REQUIREMENT = re.compile(
    rf"^[ \t]*(?:-i|--index-url|--extra-index-url|-f|--find-links)[ =][ \t]*({_URL})|@[ \t]*({_URL})",
    re.MULTILINE,
)
_JSON = re.compile(rf'"(?:resolved|url|tarball)":\s*"({_URL})"')
_TOML = re.compile(rf'\b(?:url|registry|index)\s*=\s*"((?:sparse\+)?{_URL})"')
_YARN = re.compile(rf"^[ \t]+resolved \"({_URL})\"", re.MULTILINE)
_YARN_SERVER = re.compile(rf"npmRegistryServer:\s*[\"']?({_URL})")
_PNPM = re.compile(rf"\btarball:\s*({_URL})")
_CRATES = re.compile(rf'^source = "((?:registry|sparse)\+{_URL})"', re.MULTILINE)
_GEMS = re.compile(rf"^[ \t]*remote:[ \t]*({_URL})|^[ \t]*source[ \t]+[\"']({_URL})", re.MULTILINE)
_GRADLE = re.compile(rf"\burl\b[^\n\"']{{0,80}}[\"']({_URL})")
_WRAPPER = re.compile(r"^[ \t]*(?:distributionUrl|wrapperUrl)[ \t]*=[ \t]*(\S+)", re.MULTILINE)
# Cargo.lock calls the default registry by the address of the repository that its index was: nobody asks there.
_DEFAULT_CRATES = "registry+https://github.com/rust-lang/"
_Reader = Callable[[str], Iterable[str]]


def _found(*patterns: re.Pattern[str]) -> _Reader:
    def read(text: str) -> Iterator[str]:
        for pattern in patterns:
            for match in pattern.finditer(text):
                yield next(group for group in match.groups() if group)

    return read


def _sources(text: str) -> Iterator[str]:
    """The indices that poetry, pdm and uv are told of in a pyproject.toml or uv.toml."""
    told = tables(text)
    tool = table(told, "tool")
    lists = [table(tool, "poetry").get("source"), table(tool, "pdm").get("source")]
    lists += [table(tool, "uv").get("index"), told.get("index")]
    for listed in lists:
        for one in listed if isinstance(listed, list) else ():
            if isinstance(one, dict) and isinstance(one.get("url"), str):
                yield one["url"]
    for one in (table(tool, "uv"), told):
        for name in ("index-url", "extra-index-url", "find-links"):
            value = one.get(name)
            yield from (
                u for u in (value if isinstance(value, list) else [value]) if isinstance(u, str)
            )


def _npmrc(text: str) -> tuple[str, ...]:
    return node.registries(node.npmrc(text, {}))


def _cargo(text: str) -> Iterator[str]:
    told = tables(text)
    yield from rust.named(told)
    default = rust.replaced(told)
    if default:
        yield default


def _crates(text: str) -> Iterator[str]:
    yield from (url for url in _found(_CRATES)(text) if not url.startswith(_DEFAULT_CRATES))


def _pom(text: str) -> Iterator[str]:
    root = java.tree(text)
    if root is not None:
        yield from (url for _, url in java.listed(root, {}))


def _wrapper(text: str) -> Iterator[str]:
    # A .properties file escapes colons.
    yield from (url.replace("\\:", ":") for url in _WRAPPER.findall(text))


def _nothing(_: str) -> tuple[str, ...]:
    return ()


# Pattern of a file's name (with `*`), the preset it means, and who reads it.
FILES: tuple[tuple[str, str, _Reader], ...] = (
    (r"requirements.*\.(?:txt|in)", "python", _found(_REQUIREMENT)),
    (r"pyproject\.toml|uv\.toml", "python", _sources),
    (r"(?:poetry|uv|pdm)\.lock", "python", _found(_TOML)),
    (r"Pipfile\.lock", "python", _found(_JSON)),
    (r"setup\.(?:py|cfg)|Pipfile", "python", _nothing),
    (r"package-lock\.json|npm-shrinkwrap\.json", "node", _found(_JSON)),
    (r"yarn\.lock", "node", _found(_YARN)),
    (r"pnpm-lock\.yaml", "node", _found(_PNPM)),
    (r"\.yarnrc\.yml", "node", _found(_YARN_SERVER)),
    (r"\.npmrc", "node", _npmrc),
    (r"package\.json", "node", _nothing),
    (r"Cargo\.lock", "rust", _crates),
    (r"\.cargo/config(?:\.toml)?", "rust", _cargo),
    (r"Cargo\.toml", "rust", _nothing),
    (r"go\.mod|go\.sum", "go", _nothing),
    (r"pom\.xml", "java", _pom),
    (r"(?:build|settings)\.gradle(?:\.kts)?", "java", _found(_GRADLE)),
    (r"(?:gradle|maven)-wrapper\.properties", "java", _wrapper),
    (r"Gemfile|Gemfile\.lock|gems\.locked", "ruby", _found(_GEMS)),
)
# Lock files that say of every package where it came from.
_WHOLE = re.compile(
    r"(?:.*/)?(?:uv\.lock|package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|Gemfile\.lock)"
)
_KNOWN = tuple(
    (re.compile(rf"(?:.*/)?(?:{pattern})"), name, reader) for pattern, name, reader in FILES
)


def preset(path: str) -> str | None:
    """The preset that a file at `path` of a repository asks for; None if it says nothing."""
    return next((name for pattern, name, _ in _KNOWN if pattern.fullmatch(path)), None)


def places(path: str, text: str) -> tuple[Place, ...]:
    """Where the file says that its packages come from, each once; credentials are not part of it."""
    reader = next((reader for pattern, _, reader in _KNOWN if pattern.fullmatch(path)), _nothing)
    found = (place(url) for url in reader(text))
    return tuple(dict.fromkeys(at for at in found if at is not None and not at.closed))


def covered(at: Place, rows: Iterable[Row]) -> bool:
    """Whether `rows` let the place itself be read."""
    path = at.path or "/"
    return any(
        one.host == at.host
        and at.port in one.ports
        and (
            not one.paths
            or any(
                paths.matches(glob, path) or paths.matches(glob, f"{path}/") for glob in one.paths
            )
        )
        for one in rows
    )


def elsewhere(found: Mapping[str, Iterable[Place]], machine: Iterable[Row]) -> bool:
    """Whether lock files say that every package came from other places than `machine` has."""
    locked = [at for path, places in found.items() if _WHOLE.fullmatch(path) for at in places]
    known = tuple(machine)
    return bool(locked) and not any(covered(at, known) for at in locked)


def rows(
    name: str, found: Mapping[str, Iterable[Place]], machine: Iterable[Row]
) -> tuple[Row, ...]:
    """The rows for what the files name and `machine` does not have; one for each host, below what its URLs share."""
    known = tuple(machine)
    hosts = dict[tuple[str, str, int], tuple[list[Place], list[str]]]()
    for path, named in found.items():
        for at in named:
            if not covered(at, known):
                group = hosts.setdefault((at.scheme, at.host, at.port), ([], []))
                group[0].append(at)
                group[1].append(path)
    made = list[Row]()
    for (scheme, host, port), (group_places, files) in hosts.items():
        source = ", ".join(dict.fromkeys(files))
        at = Place(scheme, host, port, _shared([one.path for one in group_places]))
        made += _rows(name, at, source, single=len(group_places) == 1)
    return tuple(made)


def _rows(name: str, at: Place, source: str, *, single: bool) -> tuple[Row, ...]:
    if name == "node":
        # As in the preset: scoped packages are asked for by paths that no rule with paths allows.
        return (row(Place(at.scheme, at.host, at.port), source),)
    if name == "python" and single and at.path.rpartition("/")[2].lstrip("+") == "simple":
        return python.index(at, source)
    # A single file's own path is all that is needed; what is not a file has more below.
    if single and "." in posixpath.basename(at.path):
        return (row(at, source, ""),)
    return (row(at, source, "", "/**") if at.path else row(at, source),)


def _shared(given: list[str]) -> str:
    """The segments that all paths begin with; of one path, all of it."""
    split = [path.split("/") for path in given]
    shared = list[str]()
    for column in zip(*split, strict=False):
        if len(set(column)) > 1:
            break
        shared.append(column[0])
    return "/".join(shared)
