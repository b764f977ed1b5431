"""Where Maven of this machine looks for artefacts: its settings, their mirrors, and the super POM in its jar. Pure.

Maven's settings reference and its guide to mirrors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from sluicegate.presets.found import Found, Note, joined, seen
from sluicegate.presets.look import Look, prefixes
from sluicegate.presets.urls import below, place

_POM = "org/apache/maven/model/pom-4.0.0.xml"
_JAR = re.compile(r"maven-model-builder-.*\.jar")
_VARIABLE = re.compile(r"\$\{env\.([A-Za-z_][A-Za-z0-9_]*)\}")
_LISTS = ("repositories", "pluginRepositories")


@dataclass(frozen=True, slots=True)
class _Mirror:
    url: str
    of: str
    source: str


def found(look: Look) -> Found:
    """The rows of each repository of the super POM and the settings' profiles, or of the mirror that stands for it."""
    homes = list(_homes(look))
    repositories = list(_super_pom(look, homes))
    mirrors = list[_Mirror]()
    paths = [f"{look.home}/.m2/settings.xml", *(f"{home}/conf/settings.xml" for home in homes)]
    for path in dict.fromkeys(paths):
        root = tree(look.read(path))
        if root is not None:
            mirrors += _mirrors(root, path, look.env)
            repositories += [(name, url, path) for name, url in listed(root, look.env)]
    parts = []
    if not homes:
        message = "Maven's own repository is not known: there is no Maven to read it from"
        parts.append(
            Found((), (Note(message, "install Maven, or name the repository in settings.xml"),))
        )
    for name, url, source in repositories:
        mirror = next((one for one in mirrors if covers(one.of, name, url)), None)
        at, notes = seen(*((url, source) if mirror is None else (mirror.url, mirror.source)))
        parts.append(
            Found(
                () if at is None else (below(at, source if mirror is None else mirror.source),),
                notes,
            )
        )
    return joined(parts)


def tree(text: str | None) -> ET.Element | None:
    """The root of an XML text without namespaces; None where there is none, or one that declares entities."""
    if not text or "<!DOCTYPE" in text or "<!ENTITY" in text:
        return None
    try:
        root = ET.fromstring(text)  # noqa: S314 - without declarations nothing expands, and texts are bounded
    except ET.ParseError:
        return None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def listed(root: ET.Element, env: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Names and URLs of the repositories in a POM or in settings, plug-ins' too."""
    for kind in _LISTS:
        for group in root.iter(kind):
            for one in group:
                url = _filled(one.findtext("url") or "", env)
                if url:
                    yield one.findtext("id") or "", url


def covers(of: str, name: str, url: str) -> bool:
    """Whether `mirrorOf` says that the repository `name` at `url` is asked of the mirror."""
    at = place(url)
    external = at is not None and at.host not in {"localhost", "127.0.0.1", "::1"}
    result = False
    for word in (one.strip() for one in of.split(",")):
        if word in {f"!{name}", name}:
            return word == name
        if word == "*" or (word == "external:*" and external):
            result = True
        if word == "external:http:*" and external and at is not None and at.scheme == "http":
            result = True
    return result


def _mirrors(root: ET.Element, source: str, env: Mapping[str, str]) -> Iterator[_Mirror]:
    for one in root.iter("mirror"):
        url = _filled(one.findtext("url") or "", env)
        # A blocked one is how Maven refuses: nothing is asked there.
        blocked = (one.findtext("blocked") or "").strip() == "true"
        yield _Mirror("" if blocked else url, one.findtext("mirrorOf") or "", source)


def _filled(text: str, env: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda match: env.get(match[1], ""), text.strip())


def _homes(look: Look) -> Iterator[str]:
    told = [look.env.get(name, "") for name in ("MAVEN_HOME", "M2_HOME")]
    yield from dict.fromkeys(home for home in (*told, *prefixes(look, "mvn")) if home)


def _super_pom(look: Look, homes: list[str]) -> Iterator[tuple[str, str, str]]:
    for home in homes:
        for name in look.names(f"{home}/lib"):
            if _JAR.fullmatch(name):
                path = f"{home}/lib/{name}"
                root = tree(look.member(path, _POM))
                if root is not None:
                    yield from ((one, url, path) for one, url in listed(root, {}))
                    return
