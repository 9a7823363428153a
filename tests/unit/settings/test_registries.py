"""A registry has a name, addresses and topics of its own; what is wrong is named with its remedy."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.model.instant import SECOND
from hookstream.core.model.topic_globs import common_topic, covers
from hookstream.errors import ConfigurationError
from hookstream.settings import load
from hookstream.settings.groups import RegistrySettings

MAIN = """
[registry.main]
urls = ["https://registry-1:8081/", "https://registry-2:8081"]
topics = ["printprice.*"]
ca = "ca.pem"
username = "hookstream"
password_file = "password"
timeout = "3s"
"""


def file_of(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "hookstream.toml"
    file.write_text(text)
    return file


def refused(tmp_path: Path, text: str, **environ: str) -> str:
    with pytest.raises(ConfigurationError) as problem:
        load(file_of(tmp_path, text), environ, {})
    return str(problem.value)


def test_a_registry_is_a_table_with_a_name(tmp_path: Path) -> None:
    settings = load(file_of(tmp_path, MAIN), {}, {})
    assert settings.registry == {
        "main": RegistrySettings(
            urls=("https://registry-1:8081", "https://registry-2:8081"),
            topics=("printprice.*",),
            ca=tmp_path / "ca.pem",
            username="hookstream",
            password_file=tmp_path / "password",
            timeout=3 * SECOND,
        )
    }
    assert settings.registry_of("printprice.pricing.completed") == "main"
    assert settings.registry_of("legacy.orders") is None


def test_a_registry_may_be_set_in_the_environment_and_by_flags() -> None:
    environ = {
        "HOOKSTREAM_REGISTRY__MAIN_EU__URLS": "http://registry:8081",
        "HOOKSTREAM_REGISTRY__MAIN_EU__TOPICS": "a.*,b.*",
        "HOOKSTREAM_REGISTRY__MAIN_EU__TOKEN": "hush",
    }
    settings = load(None, environ, {"registry.main_eu.timeout": "1s"})
    registry = settings.registry["main_eu"]
    assert registry == RegistrySettings(
        urls=("http://registry:8081",), topics=("a.*", "b.*"), token="hush", timeout=SECOND
    )
    assert "hush" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[registry]\nurls = []", "registry has names: write its settings as [registry.<name>]"),
        ("[registry.Main]\nurls = []", "'Main' is not a valid name of a registry"),
        ('[registry."7"]\nurls = []', "'7' is not a valid name of a registry"),
        ("[registry.main]\nurl = []", "unknown setting registry.main.url"),
        ('[registry.main]\ntopics = ["a"]', "registry.main.urls is missing"),
        ('[registry.main]\nurls = ["http://r"]', "registry.main.topics is missing"),
        ('[registry.main]\nurls = ["ftp://r"]', "must have URLs such as https://registry:8081"),
        ('[registry.main]\nurls = ["http://[r"]', "one of them is not a URL"),
        ('[registry.main]\nurls = ["http://r:x"]', "one of them is not a URL"),
        ('[registry.main]\nurls = ["http://r/?a=b"]', "without a query"),
        ('[registry.main]\ntopics = ["a[b]"]', "must have names of topics"),
        ('[registry.main]\npassword = "hush"', "HOOKSTREAM_REGISTRY__MAIN__PASSWORD"),
        ('[registry.main]\ntoken = "hush"', "HOOKSTREAM_REGISTRY__MAIN__TOKEN"),
        (MAIN + 'token_file = "t"', "both a username and a token"),
        (MAIN.replace("username", "#"), "has a password and no username"),
        (MAIN.replace("password_file", "#"), "registry.main.username has no password"),
    ],
)
def test_what_is_wrong_with_a_registry_is_named(tmp_path: Path, text: str, why: str) -> None:
    problem = refused(tmp_path, text)
    assert why in problem
    assert "hush" not in problem


def test_credentials_in_an_address_are_refused_and_not_repeated(tmp_path: Path) -> None:
    problem = refused(tmp_path, '[registry.main]\nurls = ["https://me:hush@registry"]')
    assert "must not have credentials in a URL" in problem
    assert "hush" not in problem


@pytest.mark.parametrize("beside", ["printprice.*", "*.completed", "printprice.pricing.completed"])
def test_two_registries_must_not_serve_one_topic(tmp_path: Path, beside: str) -> None:
    other = f'[registry.old]\nurls = ["http://old"]\ntopics = ["legacy.*", "{beside}"]\n'
    problem = refused(tmp_path, MAIN + other)
    assert "registry.main.topics has 'printprice.*'" in problem
    assert f"registry.old.topics has '{beside}'" in problem


def test_two_registries_may_serve_topics_of_their_own(tmp_path: Path) -> None:
    other = '[registry.old]\nurls = ["http://old"]\ntopics = ["legacy.*"]\n'
    settings = load(file_of(tmp_path, MAIN + other), {}, {})
    assert settings.registry_of("legacy.orders") == "old"


globs = st.text(alphabet="ab.*", min_size=1, max_size=6)


@given(one=globs, other=globs)
def test_a_common_topic_is_covered_by_both_globs(one: str, other: str) -> None:
    found = common_topic(one, other)
    if found is not None:
        assert covers([one], found)
        assert covers([other], found)


@given(one=globs, other=globs, topic=st.text(alphabet="ab.", min_size=1, max_size=6))
def test_globs_that_cover_one_topic_have_a_common_topic(one: str, other: str, topic: str) -> None:
    if covers([one], topic) and covers([other], topic):
        assert common_topic(one, other) is not None
