"""An archive of classes is of one Java and of certain jars."""

import os
from pathlib import Path

import pytest

from hookstream.adapters.dev.class_archive import class_archive


@pytest.fixture
def libs(tmp_path: Path) -> Path:
    """A folder with one jar; beside it two Javas."""
    folder = tmp_path / "libs"
    folder.mkdir()
    for file in (folder / "kafka.jar", tmp_path / "java", tmp_path / "other-java"):
        file.touch()
    return folder


def test_the_archive_of_the_same_jars_and_java_is_the_same_file(libs: Path) -> None:
    java = str(libs.parent / "java")
    assert class_archive(libs, java) == class_archive(libs, java)
    assert class_archive(libs, java).parent == libs.parent


def test_another_java_has_another_archive(libs: Path) -> None:
    javas = (libs.parent / "java", libs.parent / "other-java")
    assert len({class_archive(libs, str(java)) for java in javas}) == len(javas)


def test_jars_that_were_written_since_have_another_archive(libs: Path) -> None:
    """Java compares their times, and ignores the archive if one differs."""
    java = str(libs.parent / "java")
    before = class_archive(libs, java)
    os.utime(libs / "kafka.jar", (1, 1))
    written = class_archive(libs, java)
    (libs / "another.jar").touch()
    assert len({before, written, class_archive(libs, java)}) == 3
