from __future__ import annotations

from sluicegate.presets import look
from tests.presets.fake import Fake


def test_installations_begin_before_their_bin() -> None:
    has = {
        "npm": (
            "/usr/lib/npm/bin/npm-cli.js",
            "/home/me/.pyenv/shims/npm",
            "/bin/npm",
            "/a/bin/b/npm",
        )
    }
    assert list(look.prefixes(Fake(has=has), "npm")) == ["/usr/lib/npm"]


def test_where_a_users_configuration_is() -> None:
    assert look.configuration(Fake()) == "/home/me/.config"
    assert look.configuration(Fake(env={"XDG_CONFIG_HOME": "/x"})) == "/x"


def test_toml_that_is_none_says_nothing() -> None:
    assert look.tables("a = 1\n[b]\nc = 2\n") == {"a": 1, "b": {"c": 2}}
    for text in (None, "", "[", "a = " + "[" * 100_000):
        assert look.tables(text) == {}
    assert look.table({"b": {"c": 2}}, "b") == {"c": 2}
    assert look.table({"b": 3}, "b") == look.table({}, "b") == {}
