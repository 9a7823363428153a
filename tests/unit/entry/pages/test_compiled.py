"""Compiled templates are kept, and taken for nothing but what they were made of."""

import os
import stat
import sys
from pathlib import Path

import jinja2
import pytest
from jinja2.bccache import Bucket

from hookstream.entry.pages.compiled import CompiledTemplates

SOURCE = "{{ event_type }}, {{ 7 * 6 }} of them"


@pytest.fixture(autouse=True)
def bytecode_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this run was asked."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A module that sets how templates are compiled."""
    path = tmp_path / "rendering.py"
    path.write_text("trim_blocks = True")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "__pycache__"
    path.mkdir()
    return path


def page(kept: CompiledTemplates, source: str = SOURCE) -> str:
    """Render the template in a process that has not compiled it yet."""
    loader = jinja2.DictLoader({"page.html": source})
    environment = jinja2.Environment(loader=loader, bytecode_cache=kept, autoescape=True)
    return environment.get_template("page.html").render(event_type="job.started")


def found(kept: CompiledTemplates, source: str = SOURCE) -> Bucket:
    """What is kept of the template."""
    return kept.get_bucket(jinja2.Environment(autoescape=True), "page.html", None, source)


def test_a_template_is_compiled_once_in_an_installation(module: Path, folder: Path) -> None:
    assert page(CompiledTemplates([module], folder)) == "job.started, 42 of them"

    assert found(CompiledTemplates([module], folder)).code is not None
    assert page(CompiledTemplates([module], folder)) == "job.started, 42 of them"


def test_what_one_user_has_compiled_another_may_read(module: Path, folder: Path) -> None:
    """The image is built by root, and run by a user who owns nothing."""
    before = os.umask(0o022)
    try:
        page(CompiledTemplates([module], folder))
    finally:
        os.umask(before)

    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_a_template_that_changed_is_compiled_again(module: Path, folder: Path) -> None:
    page(CompiledTemplates([module], folder))

    assert found(CompiledTemplates([module], folder), "nothing").code is None
    assert page(CompiledTemplates([module], folder), "nothing") == "nothing"


def test_templates_are_compiled_again_where_the_module_changed_that_sets_how(
    module: Path, folder: Path
) -> None:
    page(CompiledTemplates([module], folder))

    module.write_text("trim_blocks = False")

    assert found(CompiledTemplates([module], folder)).code is None


def test_whatever_part_of_a_template_was_kept_it_is_compiled_again(
    module: Path, folder: Path
) -> None:
    page(CompiledTemplates([module], folder))
    (file,) = folder.iterdir()
    whole = file.read_bytes()

    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        assert found(CompiledTemplates([module], folder)).code is None, length

    assert page(CompiledTemplates([module], folder)) == "job.started, 42 of them"
    assert file.read_bytes() == whole


@pytest.mark.parametrize("kind", ["missing", "no folder"])
def test_where_nothing_can_be_kept_pages_are_rendered_all_the_same(
    module: Path, tmp_path: Path, kind: str
) -> None:
    place = tmp_path / "nowhere" if kind == "missing" else module

    assert page(CompiledTemplates([module], place)) == "job.started, 42 of them"


def test_nothing_is_kept_where_the_interpreter_is_asked_not_to(
    module: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    page(CompiledTemplates([module], folder))

    assert list(folder.iterdir()) == []
