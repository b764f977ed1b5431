from __future__ import annotations

import pytest

from sluicegate.presets import ruby
from tests.presets.fake import Fake, check, hosts, policy

HAS = {"ruby": ("/usr/bin/ruby3.1",)}
DEFAULTS = "module Gem\n  def self.default_sources\n    %w[https://gems.example/]\n  end\n"
SOURCE = """
    fetch_uri = if uri.host == "gems.example"
      index_uri = uri.dup
      index_uri.host = "index.gems.example"
"""
PLACES = ("/usr/lib/ruby/vendor_ruby", "/usr/lib/ruby/3.1.0", "/usr/lib/ruby/site_ruby/3.1.0")
HERE = {
    f"{PLACES[0]}/rubygems/{name}.rb": text
    for name, text in (("defaults", DEFAULTS), ("source", SOURCE))
}


@pytest.mark.parametrize("place", PLACES)
def test_what_gem_has_built_in(place: str) -> None:
    files = {f"{place}/rubygems/defaults.rb": DEFAULTS, f"{place}/rubygems/source.rb": SOURCE}
    files["/usr/lib/ruby/3.1.0/x"] = ""
    check(
        policy("  - preset: ruby", Fake(files, has=HAS)),
        """
        https://index.gems.example/versions
        https://index.gems.example/info/rake
        https://gems.example/gems/rake-13.0.0.gem
        https://gems.example/quick/Marshal.4.8/rake-13.0.0.gemspec.rz
        https://gems.example/specs.4.8.gz
        """,
        """
        POST https://gems.example/api/v1/gems
        DELETE https://gems.example/api/v1/gems/yank
        https://gems.example/api/v1/api_key
        https://gems.example/profile
        https://other.example/gems/rake-13.0.0.gem
        """,
    )


@pytest.mark.parametrize(
    ("path", "text", "rows"),
    [
        (
            "/home/me/.gemrc",
            "---\n:sources:\n- https://u:p@m.example/g/\n:verbose: true\n",
            ["m.example:443/g/versions"],
        ),
        (
            "/etc/gemrc",
            ":sources:\n  - http://a.example\n  - http://b.example\n",
            ["a.example:80/versions", "b.example:80/versions"],
        ),
        (
            "/home/me/.bundle/config",
            '---\nBUNDLE_MIRROR__ALL: "https://m.example/"\n',
            ["m.example:443/versions"],
        ),
    ],
)
def test_sources_in_place_of_it(path: str, text: str, rows: list[str]) -> None:
    assert hosts(ruby.found(Fake(HERE | {path: text}, has=HAS))) == rows


def test_a_mirror_of_one_source_comes_beside_it() -> None:
    text = 'BUNDLE_MIRROR__HTTPS://GEMS__EXAMPLE/: "https://m.example/"\n'
    found = ruby.found(Fake(HERE | {"/home/me/.bundle/config": text}, has=HAS))
    assert [row.host for row in found.rows] == ["gems.example", "index.gems.example", "m.example"]


def test_without_ruby_nothing_is_guessed() -> None:
    found = ruby.found(Fake())
    assert not found.rows
    assert "there is no Ruby" in found.notes[0].message
