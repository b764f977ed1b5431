from __future__ import annotations

import pytest

from sluicegate.policy.presets import Row
from sluicegate.presets import repository
from sluicegate.presets.urls import Place

FILES = {
    "requirements-dev.txt": (
        "python",
        "--index-url https://u:p@a.example/p/simple\n-f https://b.example/x.html\nn @ https://c.example/n.whl\n",
        ["a.example/p/simple", "b.example/x.html", "c.example/n.whl"],
    ),
    "svc/pyproject.toml": (
        "python",
        (
            '[[tool.poetry.source]]\nurl = "https://a.example/s"\n[[tool.uv.index]]\nurl = "https://b.example"\n'
            '[[tool.pdm.source]]\nurl = "https://c.example"\n[tool.uv]\nextra-index-url = ["https://d.example"]\n'
        ),
        ["a.example/s", "c.example", "b.example", "d.example"],
    ),
    "uv.lock": (
        "python",
        'source = { registry = "https://a.example/simple" }\nsdist = { url = "https://f.example/packages/a.gz" }\n',
        ["a.example/simple", "f.example/packages/a.gz"],
    ),
    "poetry.lock": (
        "python",
        '[package.source]\nurl = "https://a.example/simple"\n',
        ["a.example/simple"],
    ),
    "Pipfile.lock": (
        "python",
        '{"_meta": {"sources": [{"url": "https://a.example/simple"}]}}',
        ["a.example/simple"],
    ),
    "setup.py": ("python", "url='https://home.example/'", []),
    "package-lock.json": (
        "node",
        '{"resolved": "https://n.example/a/-/a-1.tgz"}',
        ["n.example/a/-/a-1.tgz"],
    ),
    "yarn.lock": (
        "node",
        'a@1:\n  resolved "https://n.example/a/-/a-1.tgz#abc"\n',
        ["n.example/a/-/a-1.tgz"],
    ),
    "pnpm-lock.yaml": (
        "node",
        "resolution: {integrity: x, tarball: https://n.example/a.tgz}\n",
        ["n.example/a.tgz"],
    ),
    ".npmrc": (
        "node",
        "registry=https://n.example/x/\n@c:registry=https://c.example\n//n.example/:_a=s\n",
        ["n.example/x", "c.example"],
    ),
    ".yarnrc.yml": ("node", 'npmRegistryServer: "https://n.example"\n', ["n.example"]),
    "package.json": ("node", '{"homepage": "https://home.example"}', []),
    "Cargo.lock": (
        "rust",
        (
            'source = "registry+https://github.com/rust-lang/the-index"\nsource = "sparse+https://r.example/i/"\n'
            'source = "git+https://git.example/x?rev=1#2"\n'
        ),
        ["r.example/i"],
    ),
    ".cargo/config.toml": (
        "rust",
        (
            '[source.crates-io]\nreplace-with="m"\n[source.m]\nregistry="sparse+https://m.example/"\n'
            '[registries.n]\nindex="sparse+https://n.example/"\n'
        ),
        ["n.example", "m.example"],
    ),
    "go.mod": ("go", "module example.org/x\n", []),
    "go.sum": ("go", "example.org/x v1 h1:x=\n", []),
    "pom.xml": (
        "java",
        "<project><repositories><repository><id>x</id><url>https://m.example/r</url></repository></repositories></project>",
        ["m.example/r"],
    ),
    "build.gradle.kts": ("java", 'maven { url = uri("https://m.example/r") }\n', ["m.example/r"]),
    "build.gradle": ("java", "maven { url 'https://m.example/r' }\n", ["m.example/r"]),
    "gradle/wrapper/gradle-wrapper.properties": (
        "java",
        "distributionUrl=https\\://d.example/distributions/gradle-8-bin.zip\n",
        ["d.example/distributions/gradle-8-bin.zip"],
    ),
    "Gemfile.lock": ("ruby", "GEM\n  remote: https://g.example/\n  specs:\n", ["g.example"]),
    "Gemfile": ("ruby", 'source "https://g.example"\n', ["g.example"]),
}


@pytest.mark.parametrize("path", FILES)
def test_what_each_file_says(path: str) -> None:
    name, text, expected = FILES[path]
    assert repository.preset(path) == name
    assert [f"{at.host}{at.path}" for at in repository.places(path, text)] == expected


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("text", ["", "\0", "[", "{", "<!DOCTYPE a>", "é\u202e\n" * 3])
def test_any_text_is_read(path: str, text: str) -> None:
    assert repository.places(path, text) == ()


@pytest.mark.parametrize(
    "path", ["README.md", "my-package.json", "src/main.rs", "xpom.xml", "config.toml"]
)
def test_other_files_say_nothing(path: str) -> None:
    assert repository.preset(path) is None
    assert repository.places(path, "https://evil.example") == ()


MACHINE = (Row("index.example", "s", paths=("/simple/**",)), Row("npm.example", "s"))


def at(host: str, path: str = "", port: int = 443) -> Place:
    return Place("https" if port == 443 else "http", host, port, path)


def test_what_the_machine_has_already() -> None:
    assert repository.covered(at("index.example", "/simple"), MACHINE)
    assert repository.covered(at("npm.example", "/a/-/a-1.tgz"), MACHINE)
    assert not repository.covered(at("npm.example", "/a", 8080), MACHINE)
    assert not repository.covered(at("index.example", "/other"), MACHINE)
    assert not repository.covered(at("x.example"), MACHINE)


def test_rows_are_for_what_it_has_not_one_for_a_host() -> None:
    found = {
        "uv.lock": [
            at("index.example", "/simple"),
            at("f.example", "/p/a/1.whl"),
            at("f.example", "/p/b/2.whl"),
        ],
        "requirements.txt": [
            at("m.example", "/x/simple"),
            at("w.example", "/n/n-1.whl"),
            at("r.example", "", 8080),
        ],
    }
    assert [
        (row.host, row.ports, row.methods, row.paths, row.source)
        for row in repository.rows("python", found, MACHINE)
    ] == [
        ("f.example", (443,), ("GET", "HEAD"), ("/p", "/p/**"), "uv.lock"),
        ("m.example", (443,), ("GET", "HEAD"), ("/x/**",), "requirements.txt"),
        ("w.example", (443,), ("GET", "HEAD"), ("/n/n-1.whl",), "requirements.txt"),
        ("r.example", (8080,), ("GET", "HEAD"), (), "requirements.txt"),
    ]
    (row,) = repository.rows("node", {".npmrc": [at("n.example", "/x")]}, MACHINE)
    assert row.paths == ()


def test_whether_lock_files_need_the_machines_places_at_all() -> None:
    other = {"package-lock.json": [at("corp.example", "/a.tgz")]}
    assert repository.elsewhere(other, MACHINE)
    assert not repository.elsewhere({**other, "yarn.lock": [at("npm.example", "/a.tgz")]}, MACHINE)
    # A file of configuration names one place among others.
    assert not repository.elsewhere({".npmrc": [at("corp.example")]}, MACHINE)
    assert not repository.elsewhere({}, MACHINE)


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize(
    "piece",
    ["\n", " ", "url", "url ", "-i ", "source ", "remote: ", "[", '"', "a=", "<a>", '{"a":'],
)
def test_no_file_keeps_anybody_busy(path: str, piece: str) -> None:
    """Quadratic work on this much text would be minutes; the suite's own limit ends it."""
    assert repository.places(path, piece * (1_000_000 // len(piece))) == ()
