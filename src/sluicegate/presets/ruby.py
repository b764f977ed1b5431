"""Where gem and bundler of this machine look for gems: .gemrc, bundler's mirrors, or RubyGems' default. Pure.

RubyGems guides (gem environment), bundle-config(1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sluicegate.presets.found import Found, Note, joined, seen
from sluicegate.presets.look import Look, configuration, prefixes
from sluicegate.presets.urls import Place, row

_DEFAULT = re.compile(r"def self\.default_sources\s+%w\[\s*(https://\S+?)\s*\]")
# The default source has its index on a host of its own, which this file alone names.
_INDEX = re.compile(
    r"uri\.host == [\"']([a-z0-9.-]+)[\"'].*?\.host = [\"']([a-z0-9.-]+)[\"']", re.DOTALL
)
_SOURCES = re.compile(r"^:sources:[ \t]*\n((?:[ \t]*-.*\n?)+)", re.MULTILINE)
_MIRROR = re.compile(r"^BUNDLE_MIRROR__(\S+?):\s*[\"']?(https?://[^\"'\s]+)", re.MULTILINE)
_PATHS = (
    *("/versions", "/names", "/info/**", "/gems/**", "/quick/**", "/specs.4.8.gz"),
    *("/latest_specs.4.8.gz", "/prerelease_specs.4.8.gz", "/api/v1/dependencies"),
)


def found(look: Look) -> Found:
    """The rows of the sources that are named, or of the default, and of bundler's mirrors."""
    parts, sources, all_of_them = list[Found](), list[tuple[str, str]](), False
    bundle = look.env.get("BUNDLE_USER_CONFIG") or f"{look.home}/.bundle/config"
    for name, url in _MIRROR.findall(look.read(bundle) or ""):
        parts.append(part(url, bundle))
        all_of_them = all_of_them or name == "ALL"
    for path in (f"{look.home}/.gemrc", f"{configuration(look)}/gem/gemrc", "/etc/gemrc"):
        match = _SOURCES.search(look.read(path) or "")
        if match:
            sources += [(url, path) for url in re.findall(r"-\s*[\"']?([^\s\"']+)", match[1])]
            break
    parts += [part(url, source) for url, source in sources]
    if not sources and not all_of_them:
        parts.insert(0, _default(look))
    return joined(parts)


def part(url: str, source: str) -> Found:
    """The rows of one source of gems."""
    at, notes = seen(url, source)
    return Found(() if at is None else (row(at, source, *_PATHS),), notes)


def _default(look: Look) -> Found:
    for directory in _libraries(look):
        path = f"{directory}/rubygems/defaults.rb"
        match = _DEFAULT.search(look.read(path) or "")
        if match:
            at, notes = seen(match[1], path)
            if at is None:
                return Found((), notes)
            rows = [row(at, path, *_PATHS)]
            other = f"{directory}/rubygems/source.rb"
            index = _INDEX.search(look.read(other) or "")
            if index and index[1] == at.host:
                rows.append(row(Place(at.scheme, index[2], at.port), other, *_PATHS))
            return Found(tuple(rows))
    message = "the source that gem has built in is not known: there is no Ruby to read it from"
    return Found((), (Note(message, "install Ruby, or name the source in ~/.gemrc"),))


def _libraries(look: Look) -> Iterator[str]:
    for prefix in prefixes(look, "ruby"):
        library = f"{prefix}/lib/ruby"
        yield f"{library}/vendor_ruby"
        for name in look.names(library):
            yield from (f"{library}/{name}", f"{library}/site_ruby/{name}")
