"""Names that strangers share: a wildcard over one of them lets anybody's host in."""

from __future__ import annotations

import functools
import re

# Suffixes under which anybody may have a host of their own and which the public suffix list lacks, and
# names below which an operator answers for every customer (storage, CDN edges, tunnels, address-in-name).
SHARED = frozenset(
    """
    akamai.net akamaiedge.net akamaized.net amazonaws.com appspot.com atlassian.net azure-api.net
    azure-devices.net azure.com azure.net azurecr.io azuredatabricks.net azureedge.net azurefd.net
    azurehdinsight.net azurewebsites.net backblazeb2.com blob.core.windows.net burpcollaborator.net
    cloudapp.net cloudflarestorage.com cloudfront.net cloudfunctions.net core.windows.net
    database.windows.net dfs.core.windows.net digitaloceanspaces.com edgekey.net edgesuite.net fastly.net
    fastlylb.net file.core.windows.net firebaseio.com githubusercontent.com googleapis.com
    googleusercontent.com in-addr.arpa ip6.arpa jfrog.io loca.lt localtest.me lvh.me my.salesforce.com
    ngrok-free.app ngrok-free.dev ngrok.io nip.io oast.fun oast.live oast.me oast.online oast.pro
    oast.site oastify.com pipedream.net queue.core.windows.net requestbin.net run.app sentry.io serveo.net
    servicebus.windows.net sharepoint.com slack.com sslip.io storage.googleapis.com supabase.co
    table.core.windows.net trafficmanager.net vault.azure.net visualstudio.com wasabisys.com
    web.core.windows.net windows.net workers.dev xip.io zendesk.com
    """.split()  # noqa: SIM905
)


def shared(name: str) -> str | None:
    """Why a wildcard below canonical `name` would cover strangers' hosts, or None if it does not."""
    if name in SHARED:
        return f"{name} is a shared suffix"
    text = _unicode(name)
    rules = _rules()
    parent = text.partition(".")[2]
    if not parent or text in rules or (f"*.{parent}" in rules and f"!{text}" not in rules):
        return f"{name} is a public suffix"
    below = _below().get(text)
    return below and f"the public suffix {below.encode('idna').decode()} lies below {name}"


@functools.cache
def _below() -> dict[str, str]:
    # Every name that has a rule below it, and the first such rule.
    found: dict[str, str] = {}
    for rule in sorted(_rules()):
        rest = rule.partition(".")[2]
        while rest and not rule.startswith("!"):
            found.setdefault(rest, rule)
            rest = rest.partition(".")[2]
    return found


@functools.cache
def _rules() -> frozenset[str]:
    # The list's own text: the package's reader builds indices that cost a tenth of a second, and can not
    # say what lies below a name. publicsuffix.org/list documents the format: one rule a line, U-labels.
    from importlib.resources import files

    text = files("publicsuffixlist").joinpath("public_suffix_list.dat").read_text("utf-8")
    return frozenset(re.findall(r"^(?!//)\S+", text, re.MULTILINE))


def _unicode(name: str) -> str:
    labels = name.split(".")
    return ".".join(
        label[4:].encode().decode("punycode") if label.startswith("xn--") else label
        for label in labels
    )
