from __future__ import annotations

import pytest

from sluicegate.policy import grammar
from sluicegate.policy.amend import amended

RULES = ["- host: new.test", "- host: odd.test\n  ports: [22]"]
BASE = "version: 1  # ours\n"


@pytest.mark.parametrize(
    "text",
    [
        BASE,
        BASE.rstrip("\n"),
        BASE + "allow:\n",
        BASE + "allow: []\n",
        BASE + "allow:  # none yet\nlimits: {upload: 1MiB}\n",
        BASE + "allow:\n  - host: a.test  # why\n    ports: [443]\n\n  # a remark\ndeny:\n  - host: b.test\n",
        BASE + "allow:\n- host: a.test\n- host: c.test\ndeny: []\n",
        "# top\nallow:\n    - host: a.test\n# bottom\nversion: 1\n",
        "version: 1\nallow:\n  - {host: a.test, ports: [22]}",
    ],
)  # fmt: skip
def test_the_rules_are_there_and_everything_else_is_as_it_was(text: str) -> None:
    new = amended(text, RULES, "by a test")
    assert new is not None
    before, after = grammar.parse(text, "p"), grammar.parse(new, "p")
    assert {r.host for r in after.allow} == {r.host for r in before.allow} | {
        "new.test",
        "odd.test",
    }
    kept = iter(new.splitlines())
    lost = [line for line in text.splitlines() if line not in kept]
    assert lost in ([], ["allow: []"], ["allow:  # none yet"])
    assert "# none yet" in new or "# none yet" not in text
    assert new.count("# by a test") == 2


@pytest.mark.parametrize(
    "text",
    [
        BASE + "allow: [{host: a.test}]\n",
        BASE + '"allow":\n  - host: a.test\n',
        "{version: 1}\n",
        BASE + "nonsense: 1\n",
        "",
    ],
)
def test_what_can_not_be_done_without_a_doubt_is_not_done(text: str) -> None:
    assert amended(text, RULES, "by a test") is None
    assert amended(BASE, ["- host: '*'"], "by a test") is None
