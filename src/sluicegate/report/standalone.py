"""A case as one HTML page that stands alone: it loads nothing, works without script, and with it checks itself. Pure.

The page carries the packet's files and the second verifier. That is a convenience: who made the page could have it say
anything, so it says that itself, and how to find out without it. See docs/decisions for why it lies outside the seal.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib import resources

from sluicegate import __version__
from sluicegate.report import sections, traffic, workspace
from sluicegate.report.escape import page as escaped
from sluicegate.report.markup import Html, code, section, tag
from sluicegate.report.verdict import Case, State

STYLE, SCRIPTS = "page.css", ("sluicegate-verify.js", "page.js")
# Nothing but our own style and our own scripts, by their digests: nothing is loaded, sent, framed or submitted.
_NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'"


def page(case: Case, files: Mapping[str, bytes] | None) -> str:
    """The page. `files`: the packet's, for its own check; None where they are too large or do not hold."""
    style, scripts = _asset(STYLE), [_asset(name) for name in SCRIPTS]
    allowed = " ".join(_digest(text) for text in scripts)
    rules = f"{_NOTHING}; style-src {_digest(style)}; script-src {allowed}"
    parts = _parts(case, files)
    links = [tag("li", tag("a", title, href=f"#{name}")) for name, title, _ in parts]
    head = [
        Html('<meta charset="utf-8">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{rules}">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html('<meta name="color-scheme" content="light dark">'),
        Html('<meta name="referrer" content="no-referrer">'),
        tag("title", f"sluicegate: {case.state.value}"),
        Html(f"<style>{style}</style>"),
    ]
    body = [
        tag("a", "Skip to the report", href="#report", class_="skip"),
        tag("div", id="alarm", role="alert", class_="alarm", hidden="hidden"),
        sections.verdict(case),
        tag(
            "div",
            tag("nav", tag("ul", *links), aria_label="Sections"),
            tag("main", *(made for _, _, made in parts), id="report", tabindex="-1"),
            class_="columns",
        ),
        _foot(),
        *(_embedded(files) if files is not None else ()),
        *(Html(f"<script>{text}</script>") for text in scripts),
    ]
    whole = tag("html", tag("head", *head), tag("body", *body), lang="en")
    return f"<!doctype html>\n{whole}\n"


def _parts(case: Case, files: Mapping[str, bytes] | None) -> list[tuple[str, str, Html]]:
    """The sections, as (name, title, markup). Of what does not hold, nothing but how to find out."""
    found = [("check", "Checked by this page", _check(case, files))]
    told, account = case.told, case.report.account
    if case.state is not State.INVALID and told is not None:
        numbers = traffic.figures(told, account.dropped, account.questions, len(account.named))
        found = [
            ("overview", "Overview", section("overview", "Overview", numbers)),
            ("denied", "Denied", traffic.denials(told)),
            *_workspace(case),
            ("destinations", "Destinations", traffic.destinations(told)),
            ("timeline", "Timeline", traffic.timeline(told)),
            ("programs", "Programs", traffic.programs(told)),
            ("run", "The run", sections.identity(case)),
            ("posture", "Measured posture", sections.posture(case)),
            ("accounted", "Accounted for", sections.equation(case)),
            *_policy(case, files),
            *found,
        ]
    return [*found, ("verify", "Verify it yourself", sections.how(case))]


def _workspace(case: Case) -> list[tuple[str, str, Html]]:
    found = case.workspace
    return [("workspace", "Workspace", workspace.page(found))] if found else []


def _policy(case: Case, files: Mapping[str, bytes] | None) -> list[tuple[str, str, Html]]:
    text = None if files is None else files.get("policy.json")
    digest = "" if text is None else f"sha256:{hashlib.sha256(text).hexdigest()}"
    if text is None or digest != case.report.policy_hash:
        return []
    return [("policy", "Policy", sections.policy(text))]


def _check(case: Case, files: Mapping[str, bytes] | None) -> Html:
    if files is None:
        why = (
            "it is no packet of sluicegate that holds"
            if not case.report.streams
            else "the packet is too large for a page"
        )
        said = f"This page does not carry the packet's files: {why}. Check the packet itself, as below."
        return section("check", "Checked by this page", tag("p", said))
    lead = tag(
        "p",
        "This page carries the packet and a second verifier, written in another language, which reads it again"
        " in your browser. ",
        tag("strong", "It is a convenience: a page can lie."),
        " Proof is what a tool of your own says about the packet.",
    )
    form = tag(
        "form",
        tag("label", "The public key that you trust, from elsewhere (optional)", for_="pin"),
        Html(
            '<input id="pin" name="pin" type="text" autocomplete="off" autocapitalize="off"'
            ' spellcheck="false" maxlength="256" placeholder="64 hexadecimal digits">'
        ),
        tag("button", "Check again", type="submit"),
        id="again",
        hidden="hidden",
    )
    state = tag(
        "p",
        "Without script, the page can not check anything.",
        id="state",
        role="status",
        class_="state",
    )
    result = tag(
        "ol",
        id="levels",
        class_="again",
        hidden="hidden",
        aria_label="Levels as this page found them",
    )
    return section("check", "Checked by this page", lead, state, result, form)


def _embedded(files: Mapping[str, bytes]) -> list[Html]:
    """The files as blocks of data, which no browser runs; their text is base64, in which nothing ends a block."""
    return [
        Html(
            f'<script type="application/octet-stream" data-name="{escaped(name)}">'
            f"{base64.b64encode(content).decode()}</script>"
        )
        for name, content in files.items()
    ]


def _foot() -> Html:
    return tag(
        "footer",
        tag(
            "p",
            "Made by ",
            code(f"sluicegate report {__version__}"),
            " from a packet, and not part of it.",
        ),
    )


def _asset(name: str) -> str:
    return resources.files("sluicegate.report").joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
