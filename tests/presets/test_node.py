from __future__ import annotations

import pytest

from sluicegate.presets import node
from tests.presets.fake import Fake, check, hosts, policy

NPM = "/usr/lib/node_modules/npm"
DEFINITIONS = f"{NPM}/node_modules/@npmcli/config/lib/definitions/definitions.js"
NEW = "  registry: new Definition('registry', {\n    default: 'https://npm.example/',\n    type: url,\n"
OLD = "define('registry', {\n  default: `https://npm.example/`,\n  type: url,\n"
HAS = {"npm": (f"{NPM}/bin/npm-cli.js",), "node": ("/usr/bin/node",)}
HERE = {DEFINITIONS: NEW}


@pytest.mark.parametrize("text", [NEW, OLD])
def test_what_npm_has_built_in(text: str) -> None:
    check(
        policy("  - preset: node", Fake({DEFINITIONS: text}, has=HAS)),
        """
        https://npm.example/is-number
        https://npm.example/@types%2fnode
        https://npm.example/is-number/-/is-number-7.0.0.tgz
        """,
        """
        PUT https://npm.example/is-number
        PUT https://npm.example/-/user/org.couchdb.user:me
        POST https://npm.example/-/v1/login
        POST https://npm.example/-/npm/v1/tokens
        POST https://npm.example/-/npm/v1/security/audits/quick
        DELETE https://npm.example/is-number/-rev/1
        http://npm.example/is-number
        https://other.example/is-number
        """,
    )


@pytest.mark.parametrize(
    "look",
    [
        Fake(HERE, {"NPM_CONFIG_REGISTRY": "https://m.example/npm/"}, HAS),
        Fake(HERE, {"npm_config_registry": "https://m.example/npm/"}, HAS),
        Fake(HERE | {"/home/me/.npmrc": "registry = https://m.example/npm/ \n"}, {}, HAS),
        Fake(HERE | {"/home/me/.npmrc": 'registry="https://m.example/npm/"'}, {}, HAS),
        Fake(HERE | {"/usr/etc/npmrc": "registry=https://m.example/npm/"}, {}, HAS),
        Fake(HERE | {"/etc/npmrc": "; a comment\nregistry=https://m.example/npm/"}, {}, HAS),
        Fake(HERE | {f"{NPM}/npmrc": "registry=https://m.example/npm/"}, {}, HAS),
        Fake(
            HERE | {"/p/etc/npmrc": "registry=https://m.example/"}, {"npm_config_prefix": "/p"}, HAS
        ),
        Fake(HERE | {"/g": "registry=https://m.example/"}, {"NPM_CONFIG_GLOBALCONFIG": "/g"}, HAS),
        Fake(
            HERE | {"/u": "registry=https://${H}/"},
            {"npm_config_userconfig": "/u", "H": "m.example"},
            HAS,
        ),
    ],
)
def test_a_mirror_in_place_of_it(look: Fake) -> None:
    found = node.found(look)
    assert hosts(found) == ["m.example:443"]
    assert found.rows[0].paths == ()


def test_registries_of_scopes_come_beside_it_once_each() -> None:
    files = HERE | {
        "/home/me/.npmrc": "@corp:registry=https://corp.example:8443/\n//corp.example/:_authToken=${T}\n",
        "/etc/npmrc": "@corp:registry=https://old.example/\n@other:registry=https://other.example/\n",
    }
    found = node.found(Fake(files, {"T": "secret"}, HAS))
    assert hosts(found) == ["npm.example:443", "corp.example:8443", "other.example:443"]
    assert "secret" not in str(found)


def test_the_file_of_the_project_is_not_asked() -> None:
    files = HERE | {
        "/work/.npmrc": "registry=https://evil.example/",
        ".npmrc": "registry=https://evil.example/",
    }
    assert hosts(node.found(Fake(files, {}, HAS))) == ["npm.example:443"]


def test_without_npm_nothing_is_guessed() -> None:
    found = node.found(Fake())
    assert not found.rows
    assert "there is no npm" in found.notes[0].message


YARN = "/usr/lib/node_modules/yarn"
PNPM = "/opt/pnpm"
OTHERS = HERE | {
    f"{YARN}/lib/cli.js": "var YARN_REGISTRY = exports.YARN_REGISTRY = 'https://yarn.example';\n",
    f"{PNPM}/dist/pnpm.cjs": 'x = { registry: "https://npm.example/" }',
}
ALL = HAS | {"yarn": (f"{YARN}/bin/yarn.js",), "pnpm": (f"{PNPM}/bin/pnpm.cjs",)}


def test_other_package_managers_have_defaults_of_their_own() -> None:
    assert set(hosts(node.found(Fake(OTHERS, {}, ALL)))) == {"npm.example:443", "yarn.example:443"}
    assert hosts(node.found(Fake(OTHERS, {}, {"pnpm": ALL["pnpm"]}))) == ["npm.example:443"]
    # Once a registry is named, all of them ask there.
    env = {"NPM_CONFIG_REGISTRY": "https://m.example/"}
    assert hosts(node.found(Fake(OTHERS, env, ALL))) == ["m.example:443"]
