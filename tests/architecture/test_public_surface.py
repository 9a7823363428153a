"""What others rely on changes only together with the file that lists it."""

from tools.public_surface import SURFACE, surface


def test_the_public_surface_matches_the_file() -> None:
    """For an intended change: `python -m tools.public_surface`, and a line in CHANGELOG.md."""
    assert SURFACE.read_text(encoding="utf-8").splitlines() == surface()
