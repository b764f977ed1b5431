"""The pages that are made: `python -m tests.docs.pages` writes what commands say of themselves into docs/cli.md, and
every key of a policy, from its schema, into docs/policy-reference.md.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sluicegate.cli.main import COMMANDS

ROOT = Path(__file__).parent.parent.parent
CLI = ROOT / "docs" / "cli.md"
POLICY = ROOT / "docs" / "policy-reference.md"
COLUMNS = 100  # of the texts; argparse wraps its own
# Commands with commands of their own whose help is another text.
MORE = ("policy diff", "policy schema", "policy suggest", "policy test")
_HEAD = """\
# Command line

What each command says of itself with `--help`. This page is made of these texts: `python -m tests.docs.pages`.
"""


def told(command: str) -> str:
    """What `sluicegate COMMAND --help` prints; empty: `sluicegate --help`."""
    done = subprocess.run(
        [sys.executable, "-m", "sluicegate", *command.split(), "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": str(COLUMNS), "NO_COLOR": "1"},
    )
    return done.stdout.strip()


def cli() -> str:
    """The page of the command line."""
    commands = ("", *sorted((*COMMANDS, *MORE)))
    titles = (f"## {f'sluicegate {command}'.strip()}" for command in commands)
    texts = (f"```text\n{told(command)}\n```\n" for command in commands)
    pairs = zip(titles, texts, strict=True)
    return "\n".join((_HEAD, *(f"{title}\n\n{text}" for title, text in pairs)))


_REFERENCE = """\
# Policy reference

Every key of a policy, from the JSON Schema that `sluicegate policy schema` prints, for editors too. What they
mean together is in [the policy](policy.md). An unknown key is an error, never ignored.
"""


def policy() -> str:
    """The page of every key of a policy."""
    done = subprocess.run(
        [sys.executable, "-m", "sluicegate", "policy", "schema"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    schema: dict[str, Any] = json.loads(done.stdout)
    parts = [_REFERENCE, *_table("The file", schema)]
    for name, node in schema["properties"].items():
        if "properties" in node:
            parts += _table(name, node)
    for name, title in (("allowed", "A rule of allow"), ("denied", "A rule of deny")):
        for form in schema["$defs"][name]["anyOf"]:
            parts += _table(f"{title}: {form['required'][0]}", form)
    known = schema["$defs"]["secret"]
    for form in known.get("anyOf", [known]):
        parts += _table(f"A secret: {_source(form)}" if "anyOf" in known else "A secret", form)
    return "\n".join(parts)


def _source(form: dict[str, Any]) -> str:
    return " and ".join(form.get("required", ["secret"]))


def _table(title: str, node: dict[str, Any]) -> Iterator[str]:
    yield f"## {title}\n\n| key | value | what |\n|---|---|---|"
    for key, value in node["properties"].items():
        must = " (required)" if key in node.get("required", ()) else ""
        what = str(value.get("description", "")).replace("|", "\\|").replace("*", "\\*")
        yield f"| `{key}`{must} | {_value(value)} | {what} |"
    yield ""


def _value(node: dict[str, Any]) -> str:
    """What may stand there, in words."""
    if "$ref" in node:
        return "a secret" if node["$ref"].endswith("/secret") else "a rule"
    if "anyOf" in node:
        return " or ".join(dict.fromkeys(map(_value, node["anyOf"])))
    if "const" in node or "enum" in node:
        words = node.get("enum", [node.get("const")])
        return ", ".join(
            f"`{word if isinstance(word, str) else json.dumps(word)}`" for word in words
        )
    kind = node.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    if "array" in kinds:
        most = f", at most {node['maxItems']}" if "maxItems" in node else ""
        return f"list of: {_value(node['items'])}{most}"
    if "integer" in kinds:
        return f"{node['minimum']} to {node['maximum']}"
    if "object" in kinds:
        if "properties" in node:
            return "mapping, below"
        return f"names, each with: {_value(node['additionalProperties'])}"
    return {"string": "text", "boolean": "`true`, `false`"}[str(kinds[0])]


if __name__ == "__main__":
    CLI.write_text(cli())
    POLICY.write_text(policy())
