"""Which places of a workspace later steps execute, and what a git configuration leads to."""

from __future__ import annotations

import pytest

from sluicegate.boundary import guarded


@pytest.mark.parametrize(
    ("text", "led"),
    [
        ("[core]\n\thooksPath = .husky/_\n", ("/w/.husky",)),
        ("[core]\n\thookspath = /w/tools/hooks # ours\n", ("/w/tools/hooks",)),
        ("[core]\n\thooksPath = .hooks#ours\n", ("/w/.hooks",)),
        ('[core]\n\thooksPath = "a #"b/c\\"d;e\n', ('/w/a #b/c"d',)),
        (
            '[include]\n\tpath = ../conf/extra\n[core]\n\thooksPath = "h"\n',
            ("/w/conf/extra", "/w/h"),
        ),
        ('[includeIf "gitdir:/w/"] path = more\n', ("/w/.git/more",)),
        ("[core]\n\thooksPath = a\\\nb\n", ("/w/ab",)),
        ("[include]\n\tpath = ~/.gitconfig\n[core]\n\tbare = false\n", ()),
        ('[remote "x"]\n\tpath = a\n[user]\n\thooksPath = b\n', ()),
        ("", ()),
    ],
)
def test_what_a_configuration_leads_to(text: str, led: tuple[str, ...]) -> None:
    assert guarded.led_to(text, "/w/.git", "/w") == led


def test_where_a_git_file_leads() -> None:
    assert guarded.git_directory("gitdir: ../.git/modules/a\n", "/w/a") == "/w/.git/modules/a"
    assert guarded.git_directory("gitdir: /elsewhere\n", "/w/a") == "/elsewhere"
    assert guarded.git_directory("anything else\n", "/w/a") == ""
