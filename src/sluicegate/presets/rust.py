"""Where cargo of this machine looks for crates: its configuration, or what it has built in. Pure.

doc.rust-lang.org/cargo/reference/{config,source-replacement,registry-index}.html.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from sluicegate.presets.found import LEARN, Found, Note, joined, seen
from sluicegate.presets.look import Look, table, tables
from sluicegate.presets.urls import MAX_URL, Place, below, place, row

# The address of the default registry's index, as the program spells it.
_BUILT_IN = rb"sparse\+(https://[a-z0-9-]+(?:\.[a-z0-9-]+)+/)"
_DEFAULT = "crates-io"
_NAMED = re.compile(r"CARGO_REGISTRIES_([A-Z0-9_]+)_INDEX")
_MARKER = re.compile(r"/?[^/]*\{")
# Chains of `replace-with` are a few long; a ring of them is an error that cargo itself reports.
_MAX_CHAIN = 16


def found(look: Look) -> Found:
    """The rows of the default registry, or of what replaces it, of those that have names, and of their files."""
    home = look.env.get("CARGO_HOME") or f"{look.home}/.cargo"
    told: Mapping[str, object] = {}
    source = ""
    for path in (f"{home}/config", f"{home}/config.toml"):
        text = look.read(path)
        if text is not None:
            told, source = tables(text), path
            break
    default = replaced(told)
    parts = [_part(url, source, look, home) for url in named(told)]
    variables = filter(_NAMED.fullmatch, sorted(look.env))
    parts += [_part(look.env[name], name, look, home) for name in variables]
    if default is not None:
        parts.insert(0, _part(default, source, look, home) if default else Found())
        return joined(parts)
    built_in = _built_in(look)
    if built_in is None:
        message = (
            "the index that cargo has built in is not known: there is no cargo to read it from"
        )
        return joined([*parts, Found((), (Note(message, LEARN),))])
    return joined([_part(*built_in, look, home), *parts])


def replaced(told: Mapping[str, object]) -> str | None:
    """What stands in for the default registry: its URL, "" for something local, None if nothing does."""
    sources, name = table(told, "source"), _DEFAULT
    for _ in range(_MAX_CHAIN):
        one = table(sources, name)
        following = one.get("replace-with")
        if not isinstance(following, str):
            break
        name = following
    else:
        return ""
    if name == _DEFAULT:
        return None
    url = table(sources, name).get("registry") or table(table(told, "registries"), name).get(
        "index"
    )
    return url if isinstance(url, str) else ""


def named(told: Mapping[str, object]) -> Iterator[str]:
    """The indices of the registries that have names."""
    registries = table(told, "registries")
    for name in registries:
        url = table(registries, name).get("index")
        if isinstance(url, str):
            yield url


def _part(url: str, source: str, look: Look, home: str) -> Found:
    at, notes = seen(url, source)
    if at is None:
        return Found((), notes)
    if not url.startswith("sparse+"):
        message = f"{source} names an index that is a git repository on {at.host}"
        return Found(
            (),
            (
                *notes,
                Note(message, f"allow its fetching as observed, or use a sparse index; {LEARN}"),
            ),
        )
    index = below(at, source)
    files = _files(at, look, home)
    if files is None:
        message = f"where {at.host} keeps its crates is not known: cargo has not asked it here yet"
        port = "" if at.port == 443 else f":{at.port}"
        asked = f"{at.scheme}://{at.host}{port}{at.path}/config.json"
        hint = f"its `dl` says where: curl {asked}; allow GET there, or {LEARN}"
        return Found((index,), (Note(message, hint),))
    return Found((index, *files.rows), files.notes)


def _files(at: Place, look: Look, home: str) -> Found | None:
    """Where the crates are, as the copy of the index that cargo keeps says: `dl` of its config.json."""
    for name in look.names(f"{home}/registry/index"):
        if not name.startswith(f"{at.host}-"):
            continue
        path = f"{home}/registry/index/{name}/config.json"
        try:
            told = json.loads(look.read(path) or "")
            template = told["dl"]
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        if isinstance(template, str) and len(template) <= MAX_URL:
            return files(template, path)
    return None


def files(template: str, source: str) -> Found:
    """The rows of `dl`, which has markers in braces, or none: then crate, version and `download` follow."""
    cut = _MARKER.search(template.partition("://")[2])
    url = (
        template if cut is None else template[: len(template.partition("://")[0]) + 3 + cut.start()]
    )
    at, notes = seen(url, source)
    if at is None:
        return Found((), notes)
    if cut is None:
        return Found((row(at, source, "/*/*/download"),), notes)
    return Found((row(at, source, "/**") if at.path else row(at, source),), notes)


def _built_in(look: Look) -> tuple[str, str] | None:
    for path in _cargos(look):
        url = look.first(path, _BUILT_IN)
        if url is not None and place(url) is not None:
            return f"sparse+{url}", path
    return None


def _cargos(look: Look) -> Iterator[str]:
    for path in look.programs("cargo"):
        if not path.endswith("/rustup"):
            yield path
            continue
        home = look.env.get("RUSTUP_HOME") or f"{look.home}/.rustup"
        wanted = look.env.get("RUSTUP_TOOLCHAIN", "")
        chains = look.names(f"{home}/toolchains")
        for chain in sorted(chains, key=lambda name: not (wanted and name.startswith(wanted))):
            yield f"{home}/toolchains/{chain}/bin/cargo"
