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
