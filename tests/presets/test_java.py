from __future__ import annotations

import pytest

from sluicegate.presets import java
from tests.presets.fake import Fake, check, hosts, policy

HAS = {"mvn": ("/usr/share/maven/bin/mvn",)}
JAR = "/usr/share/maven/lib/maven-model-builder-3.9.9.jar"
POM = """<project><repositories><repository><id>central</id><url>https://central.example/maven2</url></repository>
</repositories><pluginRepositories><pluginRepository><id>central</id><url>https://central.example/maven2</url>
</pluginRepository></pluginRepositories></project>"""
MEMBERS = {(JAR, "org/apache/maven/model/pom-4.0.0.xml"): POM}
USER = "/home/me/.m2/settings.xml"
SETTINGS = '<settings xmlns="http://ns.example/SETTINGS/1.0.0">{}</settings>'
MIRROR = "<mirrors><mirror><id>m</id><url>{}</url><mirrorOf>{}</mirrorOf></mirror></mirrors>"
PROFILE = (
    "<profiles><profile><id>p</id><repositories><repository><id>corp</id><url>https://corp.example/r</url>"
    "</repository></repositories></profile></profiles>"
)


def test_what_the_super_pom_says() -> None:
    check(
        policy("  - preset: java", Fake(has=HAS, members=MEMBERS)),
        """
        https://central.example/maven2/org/example/a/1.0/a-1.0.jar
        HEAD https://central.example/maven2/org/example/a/maven-metadata.xml
        """,
        """
        PUT https://central.example/maven2/org/example/a/1.0/a-1.0.jar
        POST https://central.example/api/v1/publisher/upload
        https://central.example/service/local
        https://other.example/maven2/a
        """,
    )


@pytest.mark.parametrize(
    ("of", "rows"),
    [
        ("*", ["m.example:443/all"]),
        ("external:*", ["m.example:443/all"]),
        ("central", ["m.example:443/all", "corp.example:443/r"]),
        ("*,!corp", ["m.example:443/all", "corp.example:443/r"]),
        ("other", ["central.example:443/maven2", "corp.example:443/r"]),
        ("external:http:*", ["central.example:443/maven2", "corp.example:443/r"]),
    ],
)
def test_mirrors_stand_for_what_they_say(of: str, rows: list[str]) -> None:
    text = SETTINGS.format(MIRROR.format("https://m.example/all", of) + PROFILE)
    look = Fake({USER: text}, has=HAS, members=MEMBERS)
    assert hosts(java.found(look)) == rows


def test_settings_of_the_installation_count_too_and_variables_are_filled_in() -> None:
    text = SETTINGS.format(MIRROR.format("https://${env.HOST}/x", "*"))
    look = Fake(
        {"/opt/mvn/conf/settings.xml": text}, {"MAVEN_HOME": "/opt/mvn", "HOST": "m.example"}
    )
    look.members = {
        ("/opt/mvn/lib/maven-model-builder-4.jar", "org/apache/maven/model/pom-4.0.0.xml"): POM
    }
    assert hosts(java.found(look)) == ["m.example:443/x"]


def test_a_blocked_repository_is_nothing_to_allow() -> None:
    mirror = MIRROR.format("http://0.0.0.0/", "external:http:*").replace(
        "</mirror>", "<blocked>true</blocked></mirror>"
    )
    profile = PROFILE.replace("https://corp", "http://corp")
    look = Fake({USER: SETTINGS.format(mirror + profile)}, has=HAS, members=MEMBERS)
    assert hosts(java.found(look)) == ["central.example:443/maven2"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<a>",
        '<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
        "\0",
        "<settings><mirrors><mirror/></mirrors></settings>",
    ],
)
def test_settings_that_say_nothing(text: str) -> None:
    look = Fake({USER: text}, has=HAS, members=MEMBERS)
    assert hosts(java.found(look)) == ["central.example:443/maven2"]


def test_without_maven_nothing_is_guessed() -> None:
    found = java.found(Fake({USER: SETTINGS.format(PROFILE)}))
    assert hosts(found) == ["corp.example:443/r"]
    assert "there is no Maven" in found.notes[0].message
