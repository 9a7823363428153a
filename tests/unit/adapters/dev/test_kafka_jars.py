"""Fetching Kafka: errors of Maven and Java are reported in one sentence with the remedy."""

from pathlib import Path

import pytest

from hookstream.adapters.dev.kafka_jars import KAFKA_VERSION, fetch_kafka, find_java
from hookstream.errors import ConfigurationError, DependencyUnavailable


def command(folder: Path, name: str, script: str) -> None:
    """Put a command on a path."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    file.chmod(0o755)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.mark.usefixtures("path")
def test_a_missing_java_is_one_sentence_with_the_remedy() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        find_java()
    assert str(refusal.value) == (
        "the development broker needs Java, and none is on the PATH: install a JDK of version 17 "
        "or newer (Debian: apt-get install default-jdk-headless), or name a running broker with "
        "HOOKSTREAM_KAFKA__BOOTSTRAP_SERVERS"
    )


@pytest.mark.parametrize("version", ["1.8.0_402", "11.0.2"])
def test_an_old_java_is_refused(path: Path, version: str) -> None:
    command(path, "java", f"""echo 'openjdk version "{version}"' >&2""")
    with pytest.raises(ConfigurationError, match="is too old for Apache Kafka"):
        find_java()


@pytest.mark.parametrize("version", ["17.0.15", "21", "25-ea"])
def test_a_java_that_runs_kafka_is_found(path: Path, version: str) -> None:
    command(path, "java", f"""echo 'openjdk version "{version}"' >&2""")
    assert find_java() == str(path / "java")


@pytest.mark.usefixtures("path")
def test_a_missing_maven_is_one_sentence_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="install Maven"):
        fetch_kafka(tmp_path / "cache", print)


def test_a_download_shows_its_progress_and_is_cached(path: Path, tmp_path: Path) -> None:
    command(
        path,
        "mvn",
        "echo 'Downloading from central: http://repository/kafka-clients.jar'\n"
        "echo 'Downloaded from central: http://repository/kafka-clients.jar (11 MB at 9 MB/s)'",
    )
    cache = tmp_path / "cache"
    printed: list[str] = []
    libs = fetch_kafka(cache, printed.append)
    again = fetch_kafka(cache, printed.append)
    assert (libs, again) == (cache / KAFKA_VERSION / "libs",) * 2
    assert printed == [
        f"Downloading Apache Kafka {KAFKA_VERSION} from Maven Central (44 MB, once)",
        "Downloaded jar 1 (11 MB)",
        f"Apache Kafka {KAFKA_VERSION} is in {libs}",
    ]


def test_a_failed_download_shows_the_output_of_maven_and_is_not_cached(
    path: Path, tmp_path: Path
) -> None:
    """An interrupted download must never count as complete."""
    command(path, "mvn", "echo '[ERROR] no route to host'; exit 1")
    cache = tmp_path / "cache"
    with pytest.raises(DependencyUnavailable, match="no route to host"):
        fetch_kafka(cache, print)
    assert not (cache / KAFKA_VERSION / "libs").exists()
