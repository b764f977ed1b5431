from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.presets import urls
from sluicegate.presets.urls import Place, place


@pytest.mark.parametrize(
    ("url", "at"),
    [
        ("https://index.example/simple/", Place("https", "index.example", 443, "/simple")),
        ("HTTP://Mirror.Example:8081/a//b/", Place("http", "mirror.example", 8081, "/a/b")),
        ("sparse+https://index.example/", Place("https", "index.example", 443)),
        (
            "http://10.1.2.3:3141/root/pypi/+simple/",
            Place("http", "10.1.2.3", 3141, "/root/pypi/+simple"),
        ),
        ("http://[fd00::1]/x", Place("http", "fd00::1", 80, "/x")),
        ("https://münchen.example/x", Place("https", "xn--mnchen-3ya.example", 443, "/x")),
    ],
)
def test_where_a_url_leads(url: str, at: Place) -> None:
    assert place(url) == at


@pytest.mark.parametrize(
    "url",
    [
        *("", "file:///srv/mirror", "ssh://git@host.example/x", "git://host.example/", "simple"),
        *("https://", "https:///x", "https://a b.example/", "https://host.example:99999/"),
        *(
            "https://host.example:0/",
            "https://ho%73t.example/",
            "https://x\ny.example/",
            "https://host.example/\u202ex",
        ),
        *(
            "https://*/x",
            "https://*.example/x",
            "https://host.example/../x",
            "https://a.example/" + "x" * 2000,
        ),
    ],
)
def test_what_is_no_place(url: str) -> None:
    assert place(url) is None


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://me:pass@host.example/x?token=t#f", "/x"),
        ("https://TOKEN@host.example/x", "/x"),
        ("https://host.example/aB3dE6gH9jK2mN5p/org/simple/", "/*/org/simple"),
        ("https://host.example/b-3f9a7c2e1d4b8a6f0e5c/simple", "/*/simple"),
        ("https://host.example/" + "x-" * 30 + "/simple", "/*/simple"),
        ("https://host.example/a*b/%2e%2e/x;y/", "/*/*/*"),
        # Names, versions and ids are none.
        (
            "https://host.example/artifactory/api/pypi/pypi-virtual-2024/simple",
            "/artifactory/api/pypi/pypi-virtual-2024/simple",
        ),
        (
            "https://host.example/123e4567-e89b-12d3-a456-426614174000/npm",
            "/123e4567-e89b-12d3-a456-426614174000/npm",
        ),
    ],
)
def test_nothing_secret_is_left_of_it(url: str, path: str) -> None:
    at = place(url)
    assert at is not None
    assert (at.host, at.path) == ("host.example", path)


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_is_a_place_or_none(host: str, path: str) -> None:
    at = place(f"https://{host}/{path}")
    if at is not None:
        assert all(" " <= char <= "~" for char in at.host + at.path)
        assert not {'"', "'", "\\", " ", "#"} & set(at.host + at.path)


def test_rows_are_reads_below_the_path_and_nothing_else() -> None:
    at = Place("http", "m.example", 8081, "/some/prefix")
    row = urls.below(at, "conf")
    assert (row.host, row.ports, row.methods, row.source) == (
        "m.example",
        (8081,),
        ("GET", "HEAD"),
        "conf",
    )
    assert row.paths == ("/some/prefix", "/some/prefix/**")
    assert urls.below(Place("https", "m.example", 443), "conf").paths == ()
    assert urls.row(at, "conf", "/@v/*").paths == ("/some/prefix/@v/*",)


def test_only_tls_to_a_bare_address_is_closed() -> None:
    assert Place("https", "10.1.2.3", 443).closed
    assert not Place("http", "10.1.2.3", 80).closed
    assert not Place("https", "m.example", 443).closed
