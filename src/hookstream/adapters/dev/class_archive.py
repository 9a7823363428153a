"""Names the archive of Kafka's classes from which Java starts faster than from the jars."""

import hashlib
from pathlib import Path


def class_archive(libs: Path, java: str) -> Path:
    """Return where the archive of these jars and this Java is, whether it exists or not.

    Java ignores the archive of another Java, or of jars that were written later. So both are in its
    name, and they get a new one.

    Args:
        libs: Folder of Kafka's jars.
        java: Path of the Java executable.
    """
    of = hashlib.sha256()
    for file in (Path(java).resolve(), *sorted(libs.resolve().glob("*.jar"))):
        of.update(f"{file} {file.stat().st_mtime_ns}\n".encode())
    return libs.resolve().parent / f"classes-{of.hexdigest()[:16]}.jsa"
