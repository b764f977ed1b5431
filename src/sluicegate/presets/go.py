"""Where go of this machine looks for modules and checksums: variables, its own files, or its defaults. Pure.

go.dev/ref/mod#environment-variables, #goproxy-protocol, #checksum-database. `direct` asks the hosts of code: not here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from sluicegate.presets.found import Found, Note, joined, seen
from sluicegate.presets.look import Look, configuration, prefixes
from sluicegate.presets.urls import row

_MODULES = ("/**/@v/*", "/**/@latest", "/sumdb/**")
_CHECKSUMS = ("/lookup/**", "/tile/**", "/latest", "/supported")


def found(look: Look) -> Found:
    """The rows of the module proxies and of the checksum database."""
    layers = list(_layers(look))
    proxy, database = (_setting(layers, name) for name in ("GOPROXY", "GOSUMDB"))
    if proxy is None:
        message = "go's module proxy is not known: there is no go to read it from"
        return Found((), (Note(message, "install go, or name it: GOPROXY"),))
    parts = []
    for word in re.split(r"[,|]", proxy[0]):
        if word.strip() not in {"", "direct", "off"}:
            at, notes = seen(word, proxy[1])
            parts.append(Found(() if at is None else (row(at, proxy[1], *_MODULES),), notes))
    if database is not None and database[0] != "off":
        # "NAME", or "NAME+HASH+KEY URL": with a URL the name is none of a host.
        name, _, url = database[0].partition(" ")
        at, notes = seen(url.strip() or f"https://{name.partition('+')[0]}", database[1])
        parts.append(Found(() if at is None else (row(at, database[1], *_CHECKSUMS),), notes))
    return joined(parts)


def _layers(look: Look) -> Iterator[tuple[Mapping[str, str], str]]:
    yield look.env, ""
    own = look.env.get("GOENV") or f"{configuration(look)}/go/env"
    if own != "off":
        yield _pairs(look.read(own)), own
    roots = [look.env.get("GOROOT", ""), *prefixes(look, "go")]
    for root in dict.fromkeys(one for one in roots if one):
        yield _pairs(look.read(f"{root}/go.env")), f"{root}/go.env"


def _pairs(text: str | None) -> dict[str, str]:
    lines = (line.partition("=") for line in (text or "").splitlines() if not line.startswith("#"))
    return {name.strip(): value.strip() for name, equals, value in lines if equals}


def _setting(layers: list[tuple[Mapping[str, str], str]], name: str) -> tuple[str, str] | None:
    return next(
        ((pairs[name], source or name) for pairs, source in layers if pairs.get(name)), None
    )
