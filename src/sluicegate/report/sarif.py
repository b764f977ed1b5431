"""A case as SARIF 2.1.0 for code scanning: a finding for each destination that a rule denied. Pure.

Source: OASIS SARIF 2.1.0, and GitHub's "SARIF support for code scanning" with its limits.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import urllib.parse

from sluicegate import __version__, orders
from sluicegate.report.annotations import Place, below, grouped, place
from sluicegate.report.escape import times, visible
from sluicegate.report.summary import severity
from sluicegate.report.told import Denial, Denied
from sluicegate.report.verdict import SAYS as VERDICTS
from sluicegate.report.verdict import Case, State
from sluicegate.report.workspace import SAYS, Change, flagged
from sluicegate.verify.packet import Level

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
# GitHub takes 25,000 results and shows 5,000; a record has a thousand different denials at most.
MAX_RESULTS = 5000
# Prefix of rule ids -> what such a finding is, for whoever reads the rule's page.
DENIED = {
    "default": "No rule of the policy allows the destination",
    "deny": "A rule of the policy denies the destination",
    "secret": "A secret was on its way to where it does not belong",
    "signature": "A request was not signed with the key that the policy has for it",
    "internal-address": "A name led to an internal address",
    "mismatch": "The names that one connection carries do not agree",
    "fault": "What the client sent can not be vouched for",
    "limits": "A limit of the policy was reached",
    "boundary": "A packet that the gate does not speak for was refused",
}
PLAIN = 2  # the weight of flags that many honest changes have
_LEVELS = ("error", "warning", "note", "note")


def sarif(case: Case, fallback: str, root: str) -> str:
    """The document, as JSON. `fallback`: the file of findings that no line of a policy gave. `root`: the checkout."""
    results = [_verdict(case, Place(fallback, 1), root)] if not case.sound else []
    if case.state is not State.INVALID and case.told is not None:
        results += [
            _result(denial, denied, Place(fallback, 1), root)
            for denial, denied in grouped(case.told)[:MAX_RESULTS]
        ]
    # A file of the workspace is its own place; what is merely a program is no finding.
    results += [
        _changed(change, root) for change in flagged(case.workspace) if change.weight < PLAIN
    ][:MAX_RESULTS]
    names = sorted({str(result["ruleId"]) for result in results})
    for result in results:
        result["ruleIndex"] = names.index(str(result["ruleId"]))
    driver = {
        "name": "sluicegate",
        "version": __version__,
        "rules": [_rule(name) for name in names],
    }
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": "sluicegate/"},
        "invocations": [{"executionSuccessful": case.sound}],
        "columnKind": "utf16CodeUnits",
        "results": results,
    }
    whole = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(whole, indent=1).replace("##[", "#\\u0023[") + "\n"


def _rule(name: str) -> dict[str, object]:
    kind, _, word = name.partition("/")
    said = f"The record is not {word.upper()}"
    if kind == "workspace":
        said = f"The command left {SAYS.get(word, word)}"
    elif kind == "denied":
        said = DENIED.get(word.partition(".")[0], f"Denied: {visible(word)}")
    return {
        "id": name,
        "name": "".join(part.capitalize() for part in name.replace("/", "-").split("-")),
        "shortDescription": {"text": said},
        "fullDescription": {"text": said},
        "help": {
            "text": "`sluicegate policy explain URL --policy FILE` says why, and what would allow it."
        },
        "defaultConfiguration": {"level": "error" if kind == "verdict" else "warning"},
        "properties": {"tags": ["security", "egress"]},
    }


def _verdict(case: Case, where: Place, root: str) -> dict[str, object]:
    failed = next((one for one in Level if not case.report.reached[one][0]), Level.PINNED)
    text = f"sluicegate: {case.state.value}: {visible(case.why)}. {VERDICTS[case.state]}"
    return _finding(f"verdict/{failed.value.lower()}", "error", text, where, root, "record")


def _result(denial: Denial, denied: Denied, where: Place, root: str) -> dict[str, object]:
    kind = visible(denial.rule.partition("[")[0].partition(" ")[0]) or "default"
    if denial.rule == "refused-packet":
        kind = "boundary"
    word = "would be denied" if denial.observed else "denied"
    by = f" by {visible(denied.program)}" if denied.program else ""
    text = f"{visible(denial.where)} {word} ({times(denied.count, 'time')}){by}: {visible(denial.reason)}"
    if denial.remedy:
        text += f". To allow it: {visible('; '.join(denial.remedy.split(chr(10))))}"
    level = _LEVELS[severity(denial)]
    found = _finding(f"denied/{kind}", level, text, place(denial.rule) or where, root, denial.where)
    found["occurrenceCount"] = denied.count
    found["properties"] = {"receipt": denied.seq, "target": visible(denial.target)}
    return found


def _changed(change: Change, root: str) -> dict[str, object]:
    flag = min(change.flags, key=lambda one: (orders.FLAGS.get(one, PLAIN), one))
    text = (
        f"{visible(change.path)}: {change.said} by the command: {visible(', '.join(change.flags))}"
    )
    level = _LEVELS[1 + min(change.weight, 1)]
    return _finding(
        f"workspace/{visible(flag)}", level, text, Place(change.file, 1), root, change.path
    )


def _finding(
    rule: str, level: str, text: str, where: Place, root: str, about: str
) -> dict[str, object]:
    location = {
        "artifactLocation": {"uri": uri(where.file, root)},
        "region": {"startLine": max(1, where.line)},
    }
    # Of what and by which kind of rule: the same in every run, so that an alert is one and closes itself.
    print_ = hashlib.sha256(f"{rule}\0{visible(about)}".encode()).hexdigest()
    return {
        "ruleId": rule,
        "level": level,
        "message": {"text": text},
        "locations": [{"physicalLocation": location}],
        "partialFingerprints": {"sluicegateDestination/v1": print_},
    }


def uri(path: str, root: str) -> str:
    """`path` as a relative URI reference below `root`; a `file:` URI where it lies elsewhere."""
    inside = below(path, root)
    shown = inside or posixpath.normpath(posixpath.join(root, path))
    quoted = urllib.parse.quote(shown, safe="/-._~", errors="replace")
    return quoted if inside else f"file://{quoted}"
