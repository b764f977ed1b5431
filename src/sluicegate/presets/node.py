"""Where npm of this machine looks for packages, and those that read its configuration: its files and variables. Pure.

npmrc(5). The rows have no paths: a scoped package is asked for with an escaped slash
(`/@scope%2fname`), which servers read in two ways and a rule with paths never allows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from sluicegate.presets.found import Found, Note, joined, seen
from sluicegate.presets.look import Look, prefixes
from sluicegate.presets.urls import row

_BUILT_IN = re.compile(
    r"new Definition\('registry',\s*\{\s*default: [`'\"](https://[^`'\"]+)[`'\"]"
)
_BUILT_IN_OLD = re.compile(r"define\('registry',\s*\{\s*default: [`'\"](https://[^`'\"]+)[`'\"]")
# Others have their own default: yarn classic another host than npm. Program, file, pattern.
_OTHERS = (
    ("yarn", "lib/cli.js", rb"YARN_REGISTRY = exports\.YARN_REGISTRY = '(https://[^']+)'"),
    ("pnpm", "dist/pnpm.cjs", rb'\bregistry: "(https://[^"]+)"'),
)
_DEFINITIONS = "node_modules/@npmcli/config/lib/definitions/definitions.js"
_PAIR = re.compile(r"^[ \t]*([^=;#\s]+)[ \t]*=(.*)$", re.MULTILINE)
_SCOPE = re.compile(r"@[^/:\s]+:registry")
_VARIABLE = re.compile(r"\$\{([^}]+)\}")


def found(look: Look) -> Found:
    """The rows of the default registry and of those of scopes."""
    layers = list(_layers(look))
    default = next(
        ((pairs["registry"], source) for pairs, source in layers if pairs.get("registry")), None
    )
    defaults = list(_built_in(look)) if default is None else [default]
    parts = [_part(url, source) for url, source in _scoped(layers)]
    if not defaults:
        message = "the registry that npm has built in is not known: there is no npm to read it from"
        parts.append(Found((), (Note(message, "install npm, or name it: NPM_CONFIG_REGISTRY"),)))
    return joined([*(_part(*one) for one in defaults), *parts])


def npmrc(text: str | None, env: dict[str, str]) -> dict[str, str]:
    """The pairs of an .npmrc, its `${NAME}` filled in."""
    found = {}
    for name, value in _PAIR.findall(text or ""):
        filled = _VARIABLE.sub(lambda match: env.get(match[1].removesuffix("?"), ""), value.strip())
        found[name] = _unquoted(filled)
    return found


def registries(pairs: dict[str, str]) -> tuple[str, ...]:
    """Every registry that the pairs of an .npmrc name."""
    return tuple(v for k, v in pairs.items() if v and (k == "registry" or _SCOPE.fullmatch(k)))


def _unquoted(value: str) -> str:
    if value[:1] == '"':
        try:
            return str(json.loads(value))
        except (ValueError, RecursionError):
            return ""
    return value.strip("'")


def _part(url: str, source: str) -> Found:
    at, notes = seen(url, source)
    # The whole host, whatever the path: see above.
    rows = () if at is None else (row(type(at)(at.scheme, at.host, at.port), source),)
    return Found(rows, notes)


def _scoped(layers: list[tuple[dict[str, str], str]]) -> Iterator[tuple[str, str]]:
    known = set[str]()
    for pairs, source in layers:
        for name, value in pairs.items():
            if _SCOPE.fullmatch(name) and value and name not in known:
                known.add(name)
                yield value, source


def _layers(look: Look) -> Iterator[tuple[dict[str, str], str]]:
    """Pairs and where they stand, the strongest first; not the project's own file, which its authors write."""
    env = dict(look.env)
    # npm takes its variables in either case, with _ for - but in front.
    given = {
        name.lower().removeprefix("npm_config_").replace("_", "-"): value
        for name, value in sorted(env.items())
        if name.lower().startswith("npm_config_") and value
    }
    for name in sorted(env):
        if name.lower() == "npm_config_registry" and env[name]:
            yield {"registry": env[name]}, name
    own = given.get("userconfig") or f"{look.home}/.npmrc"
    mine = npmrc(look.read(own), env)
    yield mine, own
    if "globalconfig" in given:
        yield npmrc(look.read(given["globalconfig"]), env), given["globalconfig"]
    told = [given.get("prefix"), env.get("PREFIX"), mine.get("prefix"), *prefixes(look, "node")]
    for prefix in dict.fromkeys(one for one in told if one):
        yield npmrc(look.read(f"{prefix}/etc/npmrc"), env), f"{prefix}/etc/npmrc"
    yield npmrc(look.read("/etc/npmrc"), env), "/etc/npmrc"
    for home in prefixes(look, "npm"):
        yield npmrc(look.read(f"{home}/npmrc"), env), f"{home}/npmrc"


def _built_in(look: Look) -> Iterator[tuple[str, str]]:
    """What each of the package managers on the machine asks if it is told nothing."""
    for home in prefixes(look, "npm"):
        path = f"{home}/{_DEFINITIONS}"
        text = look.read(path) or ""
        match = _BUILT_IN.search(text) or _BUILT_IN_OLD.search(text)
        if match:
            yield match[1], path
            break
    for program, name, pattern in _OTHERS:
        for home in prefixes(look, program):
            url = look.first(f"{home}/{name}", pattern)
            if url is not None:
                yield url, f"{home}/{name}"
