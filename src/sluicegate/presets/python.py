"""Where pip and uv of this machine look for packages: their files and variables, or what pip has built in. Pure.

pip.pypa.io/en/stable/topics/configuration, docs.astral.sh/uv/configuration.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator

from sluicegate.policy.presets import Row
from sluicegate.presets.found import LEARN, Found, Note, joined, seen
from sluicegate.presets.look import Look, configuration, table, tables
from sluicegate.presets.urls import Place, below, place, row

_SECTIONS = ("global", "install", "download", "wheel")
# PackageIndex: the index's own address, and the host of its files.
_BUILT_IN = re.compile(
    r"^PyPI = PackageIndex\(\s*[\"'](https://[^\"']+)[\"'],\s*(?:file_storage_domain=)?[\"']([A-Za-z0-9.-]+)[\"']",
    re.MULTILINE,
)
_MODULE = "pip/_internal/models/index.py"
_JSON = ("/pypi/*/json", "/pypi/*/*/json")


def found(look: Look) -> Found:
    """The rows of the indices, extra indices and lists of files that pip and uv are told of."""
    indices = [*_pip(look, "index-url"), *_uv(look, "index-url")]
    extra = [
        *_pip(look, "extra-index-url", "find-links"),
        *_uv(look, "extra-index-url", "find-links"),
    ]
    parts = [_part(url, source, look) for url, source in (*indices, *extra)]
    if not any(place(url) for url, _ in indices):
        parts.insert(0, _default(look))
    return joined(parts)


def index(at: Place, source: str) -> tuple[Row, ...]:
    """Reading of an index: its pages, and the files that mirrors keep beside them on the same host."""
    path, _, last = at.path.rpartition("/")
    if last.lstrip("+") != "simple":
        return (below(at, source),)
    if path:
        return (row(Place(at.scheme, at.host, at.port, path), source, "/**"),)
    return (row(Place(at.scheme, at.host, at.port), source, f"/{last}/**", "/packages/**"),)


def _part(url: str, source: str, look: Look) -> Found:
    at, notes = seen(url, source)
    if at is None:
        return Found((), notes)
    built_in = _built_in(look)
    if built_in is not None and (main := place(built_in[0])) is not None and at.host == main.host:
        return _default(look)
    return Found(index(at, source), notes)


def _default(look: Look) -> Found:
    built_in = _built_in(look)
    if built_in is None:
        message = "the index that pip has built in is not known: there is no pip to read it from"
        return Found((), (Note(message, "install pip, or name the index: PIP_INDEX_URL"),))
    url, files, source = built_in
    main, store = place(url), place(f"https://{files}")
    if main is None or store is None:
        return Found((), (Note(f"{source} names no index", LEARN),))
    return Found((row(main, source, "/simple/**", *_JSON), row(store, source, "/packages/**")))


def _built_in(look: Look) -> tuple[str, str, str] | None:
    """Index, host of the files, and where that is said: no pip is run."""
    for directory in look.interpreters():
        path = f"{directory}/{_MODULE}"
        match = _BUILT_IN.search(look.read(path) or "")
        if match:
            return match[1], match[2], path
    for directory in look.interpreters():
        for bundle in (f"{directory}/ensurepip/_bundled", "/usr/share/python-wheels"):
            for name in look.names(bundle):
                if re.fullmatch(r"pip-[0-9.]+-.*\.whl", name):
                    match = _BUILT_IN.search(look.member(f"{bundle}/{name}", _MODULE) or "")
                    if match:
                        return match[1], match[2], f"{bundle}/{name}"
    return None


def _pip(look: Look, *names: str) -> Iterator[tuple[str, str]]:
    """Values of pip's settings and where they stand: of each the strongest, as pip takes it."""
    for name in names:
        key = f"PIP_{name.upper().replace('-', '_')}"
        if look.env.get(key):  # pip passes over an empty one
            yield from ((url, key) for url in look.env[key].split())
            continue
        for path in _files(look):
            values = list(_values(look.read(path), name))
            if values:
                yield from ((url, path) for url in values)
                break


def _files(look: Look) -> Iterator[str]:
    """The files of pip, the strongest first."""
    own = look.env.get("PIP_CONFIG_FILE", "")
    if own == "/dev/null":
        return
    if own:
        yield own
    if look.env.get("VIRTUAL_ENV"):
        yield f"{look.env['VIRTUAL_ENV']}/pip.conf"
    yield from (f"{configuration(look)}/pip/pip.conf", f"{look.home}/.pip/pip.conf")
    yield "/etc/pip.conf"
    for directory in (look.env.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":"):
        yield f"{directory}/pip/pip.conf"


def _values(text: str | None, name: str) -> Iterator[str]:
    if text is None:
        return
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return
    for section in _SECTIONS:
        for key in (name, name.replace("-", "_")):
            yield from parser.get(section, key, fallback="").split()


def _uv(look: Look, *names: str) -> Iterator[tuple[str, str]]:
    variables = {
        "index-url": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
        "extra-index-url": ("UV_INDEX", "UV_EXTRA_INDEX_URL"),
        "find-links": ("UV_FIND_LINKS",),
    }
    for name in names:
        for key in variables[name]:
            for word in look.env.get(key, "").replace(",", " ").split():
                yield word.partition("=")[2] if re.match(r"[\w.-]+=", word) else word, key
        for path in (f"{configuration(look)}/uv/uv.toml", "/etc/uv/uv.toml"):
            yield from ((url, path) for url in _toml(look.read(path), name))


def _toml(text: str | None, name: str) -> Iterator[str]:
    told = tables(text)
    for one in (told, table(told, "pip")):
        value = one.get(name)
        yield from _texts(value if isinstance(value, list) else [value])
    listed = told.get("index")
    for one in listed if isinstance(listed, list) else ():
        if (
            isinstance(one, dict)
            and (name == "index-url") == bool(one.get("default"))
            and name != "find-links"
        ):
            yield from _texts([one.get("url")])


def _texts(values: list[object]) -> Iterator[str]:
    yield from (value for value in values if isinstance(value, str))
