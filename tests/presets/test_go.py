from __future__ import annotations

import pytest

from sluicegate.presets import go
from tests.presets.fake import Fake, check, hosts, policy

HAS = {"go": ("/usr/local/go/bin/go",)}
ENV = "# defaults\nGOPROXY=https://proxy.example,direct\nGOSUMDB=sum.example\n"
HERE = {"/usr/local/go/go.env": ENV}


def test_what_go_comes_with() -> None:
    check(
        policy("  - preset: go", Fake(HERE, has=HAS)),
        """
        https://proxy.example/example.org/x/@v/list
        https://proxy.example/example.org/!burnt/x/@v/v1.0.0.zip
        https://proxy.example/example.org/x/@v/v2.0.0+incompatible.mod
        https://proxy.example/example.org/x/@latest
        https://proxy.example/golang.org/toolchain/@v/v0.0.1-go1.26.0.linux-amd64.zip
        https://proxy.example/sumdb/sum.example/supported
        https://sum.example/lookup/example.org/x@v1.0.0
        https://sum.example/tile/8/0/x001/234
        https://sum.example/latest
        """,
        """
        POST https://proxy.example/example.org/x/@v/list
        https://proxy.example/
        https://proxy.example/upload
        PUT https://sum.example/lookup/x
        https://example.org/x
        """,
    )


@pytest.mark.parametrize(
    ("look", "rows"),
    [
        (
            Fake(HERE, {"GOPROXY": "https://u:p@m.example/go,direct"}, HAS),
            ["m.example:443/go/**/@v/*"],
        ),
        (Fake(HERE, {"GOPROXY": "http://m.example:8080|off"}, HAS), ["m.example:8080/**/@v/*"]),
        (Fake(HERE, {"GOPROXY": "direct"}, HAS), []),
        (
            Fake(HERE | {"/home/me/.config/go/env": "GOPROXY=https://m.example\n"}, {}, HAS),
            ["m.example:443/**/@v/*"],
        ),
        (
            Fake(HERE | {"/e": "GOPROXY=https://m.example\n"}, {"GOENV": "/e"}, HAS),
            ["m.example:443/**/@v/*"],
        ),
        (
            Fake(HERE | {"/off": "GOPROXY=https://m.example\n"}, {"GOENV": "off"}, HAS),
            ["proxy.example:443/**/@v/*"],
        ),
        (Fake(HERE, {"GOROOT": "/usr/local/go"}), ["proxy.example:443/**/@v/*"]),
    ],
)
def test_proxies_of_its_own(look: Fake, rows: list[str]) -> None:
    assert hosts(go.found(look)) == [*rows, "sum.example:443/lookup/**"]


@pytest.mark.parametrize(
    ("database", "host"),
    [
        ("off", []),
        ("sum.other.example", ["sum.other.example"]),
        ("sum.example+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8", ["sum.example"]),
        ("sum.example+033de0ae+Ac4z https://mirror.example/sumdb", ["mirror.example"]),
    ],
)
def test_the_checksum_database(database: str, host: list[str]) -> None:
    found = go.found(Fake(HERE, {"GOSUMDB": database}, HAS))
    assert [row.host for row in found.rows] == ["proxy.example", *host]


def test_without_go_nothing_is_guessed() -> None:
    found = go.found(Fake())
    assert not found.rows
    assert "there is no go" in found.notes[0].message
