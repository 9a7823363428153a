"""What others rely on changes only together with the file that lists it."""

from tools.public_surface import SURFACE, surface


def test_the_public_surface_is_what_the_file_says() -> None:
    """If it is meant to change: `python -m tools.public_surface`, and say it in CHANGELOG.md."""
    assert SURFACE.read_text(encoding="utf-8").splitlines() == surface()
