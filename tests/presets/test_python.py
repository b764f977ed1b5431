from __future__ import annotations

import pytest

from sluicegate.presets import python
from tests.presets.fake import Fake, check, hosts, policy

PIP = "/usr/lib/python3/pip/_internal/models/index.py"
BUILT_IN = """
class PackageIndex: ...
PyPI = PackageIndex("https://index.example/", file_storage_domain="files.example")
TestPyPI = PackageIndex(
    "https://test.example/", file_storage_domain="test-files.example"
)
"""
HERE = {PIP: BUILT_IN}


def test_what_pip_has_built_in() -> None:
    check(
        policy("  - preset: python", Fake(HERE)),
        """
        https://index.example/simple/requests/
        HEAD https://index.example/simple/requests/
        https://index.example/pypi/requests/json
        https://index.example/pypi/requests/2.0/json
        https://files.example/packages/ab/cd/requests-2.0-py3-none-any.whl
        https://files.example/packages/ab/cd/requests-2.0-py3-none-any.whl.metadata
        """,
        """
        POST https://index.example/legacy/
        POST https://index.example/pypi
        https://index.example/manage/account/
        https://index.example/simple
        POST https://index.example/simple/requests/
        PUT https://files.example/packages/x
        https://files.example/other/x
        https://test.example/simple/requests/
        https://upload.index.example/legacy/
        http://index.example/simple/requests/
        """,
    )


def test_in_a_wheel_that_comes_with_the_interpreter() -> None:
    wheel = "/usr/share/python-wheels/pip-23.0-py3-none-any.whl"
    member = (wheel, "pip/_internal/models/index.py")
    found = python.found(Fake(members={member: BUILT_IN}))
    assert hosts(found) == ["index.example:443/simple/**", "files.example:443/packages/**"]
    assert {row.source for row in found.rows} == {wheel}


def test_without_any_pip_nothing_is_guessed() -> None:
    found = python.found(Fake())
    assert not found.rows
    assert "there is no pip" in found.notes[0].message


@pytest.mark.parametrize(
    ("url", "rows"),
    [
        (
            "https://u:p@m.example/artifactory/api/pypi/all/simple",
            ["m.example:443/artifactory/api/pypi/all/**"],
        ),
        ("http://m.example:3141/root/pypi/+simple/", ["m.example:3141/root/pypi/**"]),
        ("http://m.example/simple", ["m.example:80/simple/**"]),
        ("https://m.example/feed/", ["m.example:443/feed"]),
        ("http://10.1.2.3/simple", ["10.1.2.3:80/simple/**"]),
    ],
)
def test_a_mirror_in_place_of_the_index(url: str, rows: list[str]) -> None:
    for look in (
        Fake(HERE, {"PIP_INDEX_URL": url}),
        Fake(HERE, {"UV_DEFAULT_INDEX": url}),
        Fake(HERE, {"UV_DEFAULT_INDEX": f"corp={url}"}),
        Fake(HERE | {"/etc/pip.conf": f"[global]\nindex-url = {url}\n"}),
        Fake(HERE | {"/home/me/.config/pip/pip.conf": f"[install]\nindex_url = {url}\n"}),
        Fake(HERE | {"/home/me/.config/uv/uv.toml": f'index-url = "{url}"\n'}),
        Fake(HERE | {"/etc/uv/uv.toml": f'[[index]]\nname = "x"\nurl = "{url}"\ndefault = true\n'}),
        Fake(HERE | {"/x.conf": f"[global]\nindex-url={url}\n"}, {"PIP_CONFIG_FILE": "/x.conf"}),
        Fake(HERE | {"/v/pip.conf": f"[global]\nindex-url={url}\n"}, {"VIRTUAL_ENV": "/v"}),
    ):
        assert hosts(python.found(look)) == rows


def test_the_strongest_setting_counts() -> None:
    files = HERE | {
        "/etc/pip.conf": "[global]\nindex-url = https://system.example/simple\n",
        "/home/me/.config/pip/pip.conf": "[global]\nindex-url = https://user.example/simple\n",
    }
    assert hosts(python.found(Fake(files))) == ["user.example:443/simple/**"]
    assert hosts(python.found(Fake(files, {"PIP_INDEX_URL": ""}))) == ["user.example:443/simple/**"]
    env = {"PIP_INDEX_URL": "https://env.example/simple"}
    assert hosts(python.found(Fake(files, env))) == ["env.example:443/simple/**"]
    off = python.found(Fake(files, {"PIP_CONFIG_FILE": "/dev/null"}))
    assert hosts(off)[0] == "index.example:443/simple/**"


def test_further_indices_and_lists_of_files_come_beside_it() -> None:
    files = HERE | {
        "/etc/pip.conf": "[global]\nextra-index-url =\n  https://a.example/simple\n  https://b.example/p/simple\n",
        "/home/me/.config/uv/uv.toml": '[[index]]\nurl = "https://c.example/simple"\n',
    }
    env = {"PIP_FIND_LINKS": "/opt/wheels https://d.example/whl/cpu.html"}
    assert hosts(python.found(Fake(files, env))) == [
        "index.example:443/simple/**",
        "files.example:443/packages/**",
        "a.example:443/simple/**",
        "b.example:443/p/**",
        "d.example:443/whl/cpu.html",
        "c.example:443/simple/**",
    ]


def test_the_built_in_index_by_its_own_name_has_its_files_too() -> None:
    found = python.found(Fake(HERE, {"PIP_INDEX_URL": "https://index.example/simple/"}))
    assert hosts(found) == ["index.example:443/simple/**", "files.example:443/packages/**"]


@pytest.mark.parametrize("text", ["", "[global", "[global]\nindex-url\n", "\0", "index-url = x"])
def test_files_that_say_nothing(text: str) -> None:
    files = HERE | {"/etc/pip.conf": text, "/etc/uv/uv.toml": text}
    assert hosts(python.found(Fake(files)))[0] == "index.example:443/simple/**"


def test_tls_to_an_address_is_left_out_and_told() -> None:
    found = python.found(Fake(HERE, {"PIP_EXTRA_INDEX_URL": "https://me:secret@10.1.2.3/simple"}))
    assert hosts(found)[0] == "index.example:443/simple/**"
    assert len(found.rows) == 2
    assert "10.1.2.3" in found.notes[0].message
    assert "secret" not in str(found)
