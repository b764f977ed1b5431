"""The places where credentials lie."""

import pytest

from sluicegate.boundary import stores


def test_candidates_are_below_each_home() -> None:
    found = stores.candidates(("/home/ann", "/root/"))
    assert {"/home/ann/.ssh", "/root/.netrc", "/root/.config/gh"} <= set(found)
    assert len(found) == len(set(found))


def test_documents_stay_documents() -> None:
    covered = {name.rpartition("/")[2] for name in stores.IN_HOME}
    assert {name for name in covered if name.endswith((".xml", ".json", ".Config"))} == set(
        stores.NOTHING
    )


def test_the_names_of_credentials_in_git_configuration() -> None:
    text = """[core]
\tbare = false
[remote "origin"]
\turl = https://user:s3cret@code.example/a/b
\tpushurl = ssh://git@code.example/a/b
[http "https://code.example/"]
\textraHeader = AUTHORIZATION: basic x
[url "https://t0ken@code.example/"]
\tinsteadOf = https://u:p@code.example/
"""
    assert stores.git_secrets(text) == (
        "remote.origin.url",
        "http.https://code.example/.extraHeader",
        "url.://...@code.example/.insteadOf",
    )
    assert stores.git_secrets("") == ()


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("index-url = https://user:pw@mirror.example/simple", True),
        ("index-url = https://t0ken@mirror.example/simple", True),
        ("//mirror.example/:_authToken=abc", True),
        ('[http "https://x/"]\nextraheader = a', True),
        ("password = x", True),
        ("index-url = https://mirror.example/simple", False),
        ('[url "ssh://git@code.example/"]\ninsteadOf = https://code.example/', False),
        ("[user]\nemail = a@b.example\nname = A", False),
    ],
)
def test_configuration_is_covered_only_with_a_credential_in_it(text: str, secret: bool) -> None:
    assert stores.has_secret(text) is secret


def test_where_variables_lead() -> None:
    environ = {
        "NETRC": "/a/netrc",
        "KUBECONFIG": "k/one:/k/two",
        "CARGO_HOME": "/cargo/",
        "PIP_CONFIG_FILE": "",
    }
    found = stores.pointed(environ, ("/w", "/v"))
    assert {"/a/netrc", "/w/k/one", "/v/k/one", "/k/two", "/cargo/credentials.toml"} <= set(found)
    assert not {"/", "/w", "/v"} & set(found)
    assert stores.pointed({"NETRC": ".", "GNUPGHOME": "/"}, ("/w",)) == ()
