"""The documentation names everything that there is: settings, commands, metrics, modules."""

import re
from pathlib import Path

from tests.conftest import ROOT
from tools.reference import COMMANDS_PAGE, SETTINGS_PAGE, commands_page, settings_page

SOURCE = ROOT / "src" / "hookstream"
ARCHITECTURE = ROOT / "ARCHITECTURE.md"
METRICS = SOURCE / "adapters" / "metrics.py"

# Folders of which the codemap may tell as a whole: one subject in several files.
ONE_SUBJECT = re.compile(r"^(adapters/[a-z_]+|settings|entry/cli|pipeline/[a-z_]+)/$")


def test_the_settings_page_says_what_the_code_does() -> None:
    """`make docs` writes it anew."""
    page = SETTINGS_PAGE.read_text(encoding="utf-8")
    assert page == settings_page()


def test_the_commands_page_says_what_the_code_does() -> None:
    """`make docs` writes it anew."""
    page = COMMANDS_PAGE.read_text(encoding="utf-8")
    assert page == commands_page()


def test_every_metric_is_documented() -> None:
    names = set(re.findall(r'"(hookstream_[a-z_]+)"', METRICS.read_text(encoding="utf-8")))
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    missing = sorted(name for name in names if name not in page)
    assert (bool(names), missing) == (True, [])


def test_the_codemap_names_every_module() -> None:
    page = ARCHITECTURE.read_text(encoding="utf-8")
    missing = [
        str(module.relative_to(SOURCE))
        for module in sorted(SOURCE.rglob("*.py"))
        if module.name != "__init__.py" and not is_told(module.relative_to(SOURCE), page)
    ]
    assert missing == []


def is_told(module: Path, page: str) -> bool:
    """Tell whether the page names a module, or as a whole the folder that it is part of."""
    folder = f"{module.parent.as_posix()}/"
    as_a_whole = ONE_SUBJECT.match(folder) is not None and f"{module.parent.name}/" in page
    return as_a_whole or re.search(rf"\b{re.escape(module.name)}", page) is not None


def test_links_between_pages_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not (page.parent / link).exists()
    ]
    assert broken == []
