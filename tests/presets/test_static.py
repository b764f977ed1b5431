from __future__ import annotations

import re

import pytest

from sluicegate.policy import grammar, lint
from sluicegate.policy.presets import PresetError
from sluicegate.presets import static, text
from tests.presets.fake import check, policy

TABLES = {
    "anthropic": (
        """
        POST https://api.anthropic.com/v1/messages
        POST https://api.anthropic.com/v1/messages?beta=true
        POST https://api.anthropic.com/v1/messages/count_tokens
        https://api.anthropic.com/v1/models
        https://api.anthropic.com/v1/models/some-model
        """,
        """
        https://api.anthropic.com/v1/messages
        POST https://api.anthropic.com/v1/messages/batches
        POST https://api.anthropic.com/v1/files
        https://api.anthropic.com/v1/files
        https://api.anthropic.com/v1/files/file_1/content
        POST https://api.anthropic.com/v1/organizations/invites
        https://api.anthropic.com/v1/organizations/users
        DELETE https://api.anthropic.com/v1/models/some-model
        POST https://api.anthropic.com/v1/messages/../files
        POST http://api.anthropic.com/v1/messages
        https://console.anthropic.com/
        https://statsig.anthropic.com/
        """,
    ),
    "openai": (
        """
        POST https://api.openai.com/v1/responses
        POST https://api.openai.com/v1/chat/completions
        POST https://api.openai.com/v1/embeddings
        https://api.openai.com/v1/models
        """,
        """
        POST https://api.openai.com/v1/files
        https://api.openai.com/v1/files
        POST https://api.openai.com/v1/uploads
        POST https://api.openai.com/v1/fine_tuning/jobs
        POST https://api.openai.com/v1/vector_stores
        DELETE https://api.openai.com/v1/responses/r1
        https://api.openai.com/v1/organization/users
        DELETE https://api.openai.com/v1/models/mine
        https://auth.openai.com/
        """,
    ),
    "gemini": (
        """
        POST https://generativelanguage.googleapis.com/v1beta/models/m-1:generateContent
        POST https://generativelanguage.googleapis.com/v1beta/models/m-1:streamGenerateContent?alt=sse
        POST https://generativelanguage.googleapis.com/v1/models/m-1:countTokens
        https://generativelanguage.googleapis.com/v1beta/models
        """,
        """
        POST https://generativelanguage.googleapis.com/upload/v1beta/files
        https://generativelanguage.googleapis.com/v1beta/files
        POST https://generativelanguage.googleapis.com/v1beta/cachedContents
        POST https://generativelanguage.googleapis.com/v1beta/tunedModels/x:generateContent
        POST https://generativelanguage.googleapis.com/v1beta/models/m-1/x:generateContent
        https://storage.googleapis.com/anybody/anything
        """,
    ),
    "docker-pull": (
        """
        https://registry-1.docker.io/v2/
        HEAD https://registry-1.docker.io/v2/library/alpine/manifests/latest
        https://registry-1.docker.io/v2/library/alpine/blobs/sha256:00
        https://auth.docker.io/token?service=registry.docker.io&scope=repository:library/alpine:pull
        https://production.cloudflare.docker.com/registry-v2/docker/registry/v2/blobs/x
        https://docker-images-prod.6aa30f8b08e16409b46e0173d6de2f56.r2.cloudflarestorage.com/x?sig=1
        https://cdn.quay.io/sha256/00/x
        https://ghcr.io/v2/a/b/manifests/1
        https://quay.io/v2/a/b/manifests/1
        https://westus.data.mcr.microsoft.com/01031d61e1024861afee5d512651eb9f
        """,
        """
        POST https://registry-1.docker.io/v2/library/alpine/blobs/uploads/
        PUT https://registry-1.docker.io/v2/library/alpine/manifests/latest
        PATCH https://ghcr.io/v2/a/b/blobs/uploads/1
        DELETE https://quay.io/v2/a/b/manifests/1
        POST https://auth.docker.io/token
        https://hub.docker.com/v2/users/login
        https://quay.io/api/v1/user/
        https://data.mcr.microsoft.com/
        https://anybody.r2.cloudflarestorage.com/bucket
        https://api.docker.com/
        """,
    ),
    "github-read": (
        """
        https://github.com/o/r/info/refs?service=git-upload-pack
        https://github.com/o/r.git/info/refs?service=git-upload-pack
        POST https://github.com/o/r.git/git-upload-pack
        https://github.com/o/r/archive/refs/tags/v1.tar.gz
        https://github.com/o/r/releases/download/v1/a.tgz
        https://codeload.github.com/o/r/tar.gz/refs/tags/v1
        https://raw.githubusercontent.com/o/r/main/README.md
        https://release-assets.githubusercontent.com/github-production-release-asset/1/2?sig=3
        https://api.github.com/repos/o/r/releases/latest
        https://api.github.com/repos/o/r
        """,
        """
        https://github.com/o/r/info/refs?service=git-receive-pack
        https://github.com/o/r/info/refs
        https://github.com/o/r/info/refs?service=git-upload-pack&service=git-receive-pack
        POST https://github.com/o/r.git/git-receive-pack
        POST https://github.com/o/r/issues
        POST https://github.com/login
        https://github.com/settings/tokens
        https://gist.github.com/
        POST https://gist.github.com/
        https://gist.githubusercontent.com/a/b/raw/c
        POST https://api.github.com/repos/o/r/issues
        POST https://api.github.com/graphql
        PUT https://api.github.com/repos/o/r/contents/a
        https://api.github.com/user
        https://uploads.github.com/repos/o/r/releases/1/assets
        tcp://github.com:22
        """,
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_what_a_preset_allows_and_what_it_does_not(name: str) -> None:
    check(policy(f"  - preset: {name}"), *TABLES[name])


def test_reading_of_named_repositories_alone() -> None:
    check(
        policy("  - preset: github-read\n    repos: [o/r, o/s.git]"),
        """
        https://github.com/o/r/info/refs?service=git-upload-pack
        POST https://github.com/o/s.git/git-upload-pack
        POST https://github.com/o/s/git-upload-pack
        https://raw.githubusercontent.com/o/r/main/a
        https://api.github.com/repos/o/r/pulls/1
        https://api.github.com/rate_limit
        """,
        """
        https://github.com/o/x/info/refs?service=git-upload-pack
        POST https://github.com/evil/r.git/git-upload-pack
        https://raw.githubusercontent.com/evil/r/main/a
        https://codeload.github.com/o/rr/tar.gz/main
        https://api.github.com/repos/o/x
        https://api.github.com/repos/o/r-evil
        """,
    )


def test_pushing_to_named_repositories_alone() -> None:
    check(
        policy("  - preset: github-push\n    repos: [o/r]"),
        """
        https://github.com/o/r.git/info/refs?service=git-receive-pack
        POST https://github.com/o/r.git/git-receive-pack
        POST https://github.com/o/r/git-receive-pack
        """,
        """
        POST https://github.com/o/x.git/git-receive-pack
        https://github.com/o/r.git/info/refs?service=git-upload-pack
        POST https://github.com/o/r.git/git-upload-pack
        POST https://github.com/o/r/issues
        """,
    )


def test_repositories_that_are_missing_or_too_many() -> None:
    with pytest.raises(PresetError, match="wants the repositories"):
        static.rows("github-push", ())
    with pytest.raises(PresetError, match="has no repositories"):
        static.rows("openai", ("o/r",))


@pytest.mark.parametrize("name", static.WORDS)
def test_every_row_is_a_line_that_a_policy_takes(name: str) -> None:
    repos = ("o/r",) if name.startswith("github") else ()
    rows = static.rows(name, repos)
    made = grammar.parse("version: 1\nallow:\n" + "\n".join(text.lines(rows)) + "\n", "p")
    assert [(rule.paths, rule.query) for rule in made.allow] == [
        (tuple(sorted(row.paths)), row.query) for row in rows
    ]
    assert not lint.lint(made)
    for row in rows:
        assert re.fullmatch(r"https://[a-z0-9.-]+/\S*", row.source), "a row says where it is from"
        assert row.ports == (443,)
        assert set(row.methods) <= {"GET", "HEAD", "POST"}
        assert row.paths or "POST" not in row.methods
