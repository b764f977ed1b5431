from __future__ import annotations

import pytest

from sluicegate.policy import suffixes
from sluicegate.wire import names


@pytest.mark.parametrize(
    "name",
    [
        *("com", "co.uk", "github.io", "foo.ck", "ck", "corp", "internal", "xn--fiqs8s"),
        *("blob.core.windows.net", "core.windows.net", "windows.net", "amazonaws.com"),
        *("s3.amazonaws.com", "googleapis.com", "storage.googleapis.com", "cloudfront.net"),
        *("githubusercontent.com", "nip.io", "in-addr.arpa"),
    ],
)
def test_strangers_live_below_it(name: str) -> None:
    assert name in str(suffixes.shared(name))


@pytest.mark.parametrize(
    "name",
    [
        *("example.com", "example.co.uk", "www.ck", "yours.blob.core.windows.net", "a.corp"),
        *("me.github.io", "actions.githubusercontent.com", "debian.org", "xn--bcher-kva.com"),
    ],
)
def test_one_owner_below_it(name: str) -> None:
    assert suffixes.shared(name) is None


def test_a_suffix_further_below_is_named() -> None:
    assert (
        suffixes.shared("kawasaki.jp") == "the public suffix *.kawasaki.jp lies below kawasaki.jp"
    )


def test_own_list_is_canonical() -> None:
    assert all(names.host(name) == name and "." in name for name in suffixes.SHARED)
