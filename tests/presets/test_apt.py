from __future__ import annotations

import pytest

from sluicegate.presets import apt
from tests.presets.fake import Fake, check, hosts, policy

DEBIAN = {"/etc/os-release": 'NAME="Debian"\nID=debian\n'}
UBUNTU = {"/etc/os-release": 'ID=ubuntu\nID_LIKE="debian"\n'}
STANZA = """\
Types: deb deb-src
# URIs: http://old.example/debian
URIs: http://deb.example/debian
  http://more.example:8080/x/
Suites: bookworm

Types: deb
Enabled: no
URIs: http://off.example/

types: deb
uris: https://security.example/debian-security
"""


def test_archives_over_clear_http_are_reads_below_their_path() -> None:
    files = DEBIAN | {"/etc/apt/sources.list.d/debian.sources": STANZA}
    check(
        policy("  - preset: debian", Fake(files)),
        """
        http://deb.example/debian/dists/bookworm/InRelease
        http://deb.example/debian/pool/main/h/hello/hello_2.10-3+b1_amd64.deb
        HEAD http://more.example:8080/x/dists/a
        https://security.example/debian-security/pool/a.deb
        """,
        """
        POST http://deb.example/debian/dists/bookworm/InRelease
        PUT http://deb.example/debian/x
        http://deb.example/other
        http://deb.example/debian-evil/x
        https://deb.example/debian/dists/bookworm/InRelease
        http://security.example/debian-security/pool/a.deb
        http://off.example/
        http://old.example/debian/x
        """,
    )


def test_lines_in_the_old_style() -> None:
    text = """
# deb http://off.example/debian a main
deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] https://u:p@a.example/repo stable main
deb-src http://b.example/debian bookworm main
deb cdrom:[Debian]/ bookworm main
deb file:///srv/packages ./
 deb http://[fd00::1]:3142/apt ./
"""
    found = apt.debian(
        Fake(DEBIAN | {"/etc/apt/sources.list": text, "/etc/apt/sources.list.d/x.list.save": text})
    )
    assert hosts(found) == ["a.example:443/repo", "b.example:80/debian", "fd00::1:3142/apt"]


def test_a_list_of_mirrors_in_a_file() -> None:
    files = UBUNTU | {
        "/etc/apt/sources.list.d/ubuntu.sources": "Types: deb\nURIs: mirror+file:/etc/apt/mirrors.txt\nSuites: a\n",
        "/etc/apt/mirrors.txt": "http://a.example/ubuntu/\tpriority:1\n# no\nhttp://b.example/ubuntu/\tpriority:2\n",
    }
    assert hosts(apt.ubuntu(Fake(files))) == ["a.example:80/ubuntu", "b.example:80/ubuntu"]
    assert hosts(apt.debian(Fake(files))) == hosts(apt.ubuntu(Fake(files))), (
        "Ubuntu is of Debian's family"
    )


@pytest.mark.parametrize(
    ("url", "row"),
    [
        ("mirror://m.example/list", "m.example:80/list"),
        ("mirror+https://m.example/list", "m.example:443/list"),
    ],
)
def test_a_list_of_mirrors_on_the_network_is_told(url: str, row: str) -> None:
    found = apt.debian(Fake(DEBIAN | {"/etc/apt/sources.list": f"deb {url} a main\n"}))
    assert hosts(found) == [row]
    assert "which they are is not known" in found.notes[0].message


@pytest.mark.parametrize("text", ["ID=debian\n", "ID=fedora\n", ""])
def test_another_system_is_told_and_not_guessed(text: str) -> None:
    files = {"/etc/os-release": text, "/etc/apt/sources.list": "deb http://a.example/x y z\n"}
    found = apt.ubuntu(Fake(files))
    assert not found.rows
    assert "not of ubuntu's family" in found.notes[0].message


def test_no_archive_is_told() -> None:
    assert "no archive" in apt.debian(Fake(DEBIAN)).notes[0].message
