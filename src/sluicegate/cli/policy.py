"""`sluicegate policy check|explain`: lint policies; say why a URL is allowed or denied."""

from __future__ import annotations

import getopt
import importlib
import sys
from collections.abc import Sequence

from sluicegate.cli import policyfiles
from sluicegate.cli.say import complain
from sluicegate.policy.model import METHOD, PolicyError

USAGE = """\
usage: sluicegate policy check [FILE]...
       sluicegate policy convert FILE
       sluicegate policy explain [METHOD] URL [--policy FILE]... [--header NAME:VALUE]...
       sluicegate policy diff OLD NEW [OPTIONS]
       sluicegate policy suggest PACKET... [OPTIONS]
       sluicegate policy schema
       sluicegate policy test [POLICY]... [--tests FILE]

check     read every FILE (default: sluicegate.yaml) as `run` would, and say what is worth a second look
convert   print the policy for the Pipelock configuration in FILE
explain   say which rule of which file allows or denies METHOD (GET) of URL: http, https, ssh, tcp or HOST:PORT;
          whether its TLS is opened for that, and which secret is put in
diff      what NEW allows and OLD does not, or the proof that it allows nothing more; `policy diff --help`
suggest   the smallest allow list that covers what runs were seen to do; `policy suggest --help`
schema    the JSON Schema of a policy, for editors
test      whether the expectations beside a policy hold; `policy test --help`

exit: 0 ok, allowed; 1 an error or a finding, denied; 2 usage, a file that explain can not use
"""
OK, FINDING, WRONG = 0, 1, 2
# Word -> the module whose `main(argv)` runs it.
OTHERS = {
    "diff": "sluicegate.cli.policydiff",
    "schema": "sluicegate.cli.policyschema",
    "suggest": "sluicegate.cli.suggest",
    "test": "sluicegate.cli.policytest",
}


def main(argv: Sequence[str]) -> int:
    """0 ok or allowed, 1 finding or denied, 2 usage."""
    words = list(argv)
    if words[:1] and words[0] in {"-h", "--help", "help"}:
        sys.stdout.write(USAGE)
        return OK
    if words and words[0] in OTHERS:
        return int(importlib.import_module(OTHERS[words[0]]).main(words[1:]))
    actions = {"check": _check, "convert": _convert, "explain": _explain}
    action = actions.get(words[0]) if words else None
    if action is None:
        said = f"unknown policy command {words[0]!r}" if words else "no policy command given"
        return _usage(said)
    try:
        return action(words[1:])
    except getopt.GetoptError as error:
        return _usage(str(error))


def _check(words: list[str]) -> int:
    from sluicegate.policy import lint, normal

    pairs, files = getopt.gnu_getopt(words, "h", ["help", "policy="])
    if any(name in {"-h", "--help"} for name, _ in pairs):
        sys.stdout.write(USAGE)
        return OK
    files += [value for _, value in pairs]
    if not files and not policyfiles.there(policyfiles.DEFAULT):
        return _usage(f"no FILE given, and no {policyfiles.DEFAULT} here")
    policies = []
    code = OK
    for file in files or [policyfiles.DEFAULT]:
        try:
            policy = policyfiles.read(file, file)
        except PolicyError as error:
            complain(str(error), error.hint)
            code = FINDING
            continue
        policies.append(policy)
        findings = lint.lint(policy)
        for finding in findings:
            _, _, place = finding.rule.label.partition(" ")
            complain(f"{place}: {finding.rule.label.split()[0]}: {finding.message}", finding.hint)
        mode = "observe: what no rule allows is let through" if policy.observe else "enforce"
        counts = f"{len(policy.allow)} allow, {len(policy.deny)} deny"
        _print(f"{file}: {'ok' if not findings else 'has findings'}, {counts}, mode {mode}")
        code = FINDING if findings else code
    if code == OK:
        _print(f"policy_hash: {normal.policy_hash(tuple(policies))}")
    return code


def _convert(words: list[str]) -> int:
    from sluicegate.cli import convert

    return convert.main(words)


def _explain(words: list[str]) -> int:
    from sluicegate.policy import explain

    pairs, urls = getopt.gnu_getopt(words, "h", ["help", "policy=", "method=", "header="])
    given = dict(pairs)
    if given.keys() & {"-h", "--help"}:
        sys.stdout.write(USAGE)
        return OK
    methods = [*urls[:-1], *(value for name, value in pairs if name == "--method")] or ["GET"]
    if not urls or len(methods) > 1 or not METHOD.fullmatch(methods[0]):
        return _usage(
            "explain wants one URL, before it a method in upper case or none, each file after --policy"
        )
    headers = [value.partition(":") for name, value in pairs if name == "--header"]
    if not all(name and colon for name, colon, _ in headers):
        return _usage("--header wants NAME:VALUE")
    files = [value for name, value in pairs if name == "--policy"]
    try:
        policies = policyfiles.load(files, ".")
        text, allowed = explain.explain(
            *(policies, urls[-1], methods[0]), [(name, value) for name, _, value in headers]
        )
    except (PolicyError, explain.UrlError) as error:
        complain(str(error), error.hint)
        return WRONG
    for line in text.splitlines():
        _print(line)
    return OK if allowed else FINDING


def _usage(said: str) -> int:
    complain(said)
    sys.stderr.write(USAGE)
    return WRONG


def _print(line: str) -> None:
    sys.stdout.write("".join(c if c.isprintable() else "?" for c in line) + "\n")
