from __future__ import annotations

import pytest

from sluicegate.presets import rust
from tests.presets.fake import Fake, check, hosts, policy

CARGO = "/opt/rust/bin/cargo"
HAS = {"cargo": (CARGO,)}
HERE = {
    CARGO: "\x7fELF sparse+ prefix sparse+https://iints sparse+https://index.crates.example/ \x00"
}
INDEX = "/home/me/.cargo/registry/index/index.crates.example-1949cf8c6b5b557f"
KNOWN = HERE | {
    f"{INDEX}/config.json": '{"dl": "https://static.crates.example/crates", "api": "x"}'
}
TABLES = 'registries.corp.index = "sparse+https://corp.example/index/"\n'


def test_what_cargo_has_built_in_and_what_its_index_told_it() -> None:
    check(
        policy("  - preset: rust", Fake(KNOWN, has=HAS)),
        """
        https://index.crates.example/config.json
        https://index.crates.example/se/rd/serde
        https://static.crates.example/crates/serde/1.0.0/download
        """,
        """
        PUT https://crates.example/api/v1/crates/new
        PUT https://index.crates.example/api/v1/crates/new
        https://static.crates.example/api/v1/me
        DELETE https://static.crates.example/crates/serde/1.0.0/download
        https://crates.example/api/v1/crates
        """,
    )


def test_where_the_index_was_never_asked_its_files_are_missing_and_that_is_told() -> None:
    found = rust.found(Fake(HERE, has=HAS))
    assert hosts(found) == ["index.crates.example:443"]
    assert "index.crates.example keeps its crates is not known" in found.notes[0].message
    assert "curl https://index.crates.example/config.json;" in found.notes[0].hint
    assert "--observe" in found.notes[0].hint


def test_a_shim_of_rustup_is_no_cargo() -> None:
    files = {
        "/home/me/.rustup/toolchains/1.0/bin/cargo": "sparse+https://one.example/",
        "/home/me/.rustup/toolchains/stable-x/bin/cargo": "sparse+https://two.example/",
    }
    look = Fake(files, {}, {"cargo": ("/home/me/.cargo/bin/rustup",)})
    assert hosts(rust.found(look)) == ["one.example:443"]
    look.env = {"RUSTUP_TOOLCHAIN": "stable"}
    assert hosts(rust.found(look)) == ["two.example:443"]


@pytest.mark.parametrize(
    "text",
    [
        '[source.crates-io]\nreplace-with = "m"\n[source.m]\nregistry = "sparse+https://m.example/index/"\n',
        '[source]\ncrates-io = {replace-with = "a"}\na = {replace-with = "m"}\nm.registry = "sparse+https://m.example/index/"\n',
        '[source.crates-io]\nreplace-with = "m"\n[registries.m]\nindex = "sparse+https://m.example/index/"\n',
    ],
)
def test_a_mirror_in_place_of_it(text: str) -> None:
    look = Fake(KNOWN | {"/home/me/.cargo/config.toml": text}, has=HAS)
    assert set(hosts(rust.found(look))) == {"m.example:443/index"}


def test_vendored_crates_need_no_host() -> None:
    text = '[source.crates-io]\nreplace-with = "v"\n[source.v]\ndirectory = "vendor"\n'
    found = rust.found(Fake(KNOWN | {"/home/me/.cargo/config.toml": text}, has=HAS))
    assert (found.rows, found.notes) == ((), ())


def test_a_ring_of_replacements_ends() -> None:
    ring = {
        "source": {
            "crates-io": {"replace-with": "a"},
            "a": {"replace-with": "b"},
            "b": {"replace-with": "a"},
        }
    }
    assert rust.replaced(ring) == ""


def test_registries_with_names_come_beside_it() -> None:
    env = {"CARGO_HOME": "/c", "CARGO_REGISTRIES_NEW_INDEX": "sparse+https://new.example/"}
    look = Fake(HERE | {"/c/config.toml": TABLES}, env, HAS)
    assert hosts(rust.found(look)) == [
        "index.crates.example:443",
        "corp.example:443/index",
        "new.example:443",
    ]


def test_an_index_that_is_a_git_repository_is_told() -> None:
    look = Fake(HERE, {"CARGO_REGISTRIES_OLD_INDEX": "https://u:p@git.example/index.git"}, HAS)
    found = rust.found(look)
    assert "git.example" not in str(found.rows)
    assert any("git repository on git.example" in note.message for note in found.notes)


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("https://s.example/crates", "/crates/*/*/download"),
        ("https://s.example/a/{crate}/{crate}-{version}.crate", "/a/**"),
        ("https://s.example/a/{prefix}-x/y", "/a/**"),
        ("https://s.example/", "/*/*/download"),
    ],
)
def test_where_files_are(template: str, path: str) -> None:
    assert rust.files(template, "config.json").rows[0].paths == (path,)


@pytest.mark.parametrize("text", ["", "[", "{}", '{"dl": 3}', "[]", '{"dl": "file:///x"}'])
def test_a_copy_that_says_nothing(text: str) -> None:
    found = rust.found(Fake(HERE | {f"{INDEX}/config.json": text}, has=HAS))
    assert hosts(found) == ["index.crates.example:443"]


def test_without_cargo_nothing_is_guessed() -> None:
    found = rust.found(Fake())
    assert not found.rows
    assert "there is no cargo" in found.notes[0].message
