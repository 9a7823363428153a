"""Downloads the jars of Apache Kafka from Maven Central into a folder, once.

A development broker needs no container and no installed Kafka: a JDK and Maven suffice. Kafka's own
artefact depends on every jar except the logging, which only its release archive has, so the POM
lists log4j as well.
"""

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from hookstream.errors import ConfigurationError, DependencyUnavailable

KAFKA_VERSION = "4.3.1"
OLDEST_JAVA = 17

_POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>hookstream</groupId>
  <artifactId>development-broker</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{kafka}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>2.25.1</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-core</artifactId>
      <version>2.25.1</version>
    </dependency>
  </dependencies>
</project>
"""

_DOWNLOADED = re.compile(r"Downloaded from \S+: \S+\.jar \((.*?) at ")


def fetch_kafka(cache: Path, progress: Callable[[str], None]) -> Path:
    """Return the folder of Kafka's jars, downloading them if it does not exist.

    Args:
        cache: Folder for everything kept between runs; created if missing.
        progress: Called with short sentences about the download.

    Raises:
        ConfigurationError: Maven is not installed.
        DependencyUnavailable: Maven could not download the jars; the message ends with Maven's.
    """
    # Absolute: Maven takes a relative folder as relative to the POM.
    cache = cache.resolve()
    libs = cache / KAFKA_VERSION / "libs"
    if libs.is_dir():
        return libs
    maven = shutil.which("mvn")
    if maven is None:
        raise ConfigurationError(
            "Apache Kafka is downloaded with Maven, and there is no mvn on the PATH: "
            "install Maven (Debian: apt-get install maven), or name a running broker with "
            "HOOKSTREAM_KAFKA__BOOTSTRAP_SERVERS"
        )
    partial = cache / KAFKA_VERSION / "libs.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    pom = cache / KAFKA_VERSION / "pom.xml"
    pom.write_text(_POM.format(kafka=KAFKA_VERSION), encoding="utf-8")
    progress(f"Downloading Apache Kafka {KAFKA_VERSION} from Maven Central (44 MB, once)")
    goal = [
        "dependency:copy-dependencies",
        "-DincludeScope=runtime",
        f"-DoutputDirectory={partial}",
    ]
    _run_maven([maven, "-B", "-f", str(pom), *goal], progress)
    # Renamed when complete: an interrupted download is never taken for a complete one.
    partial.rename(libs)
    progress(f"Apache Kafka {KAFKA_VERSION} is in {libs}")
    return libs


def _run_maven(command: Sequence[str], progress: Callable[[str], None]) -> None:
    """Run Maven and report the jars that it downloads, including its own plugins."""
    said: list[str] = []
    jars = 0
    with subprocess.Popen(  # noqa: S603 - the command is made above, of our own words
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as maven:
        for line in maven.stdout or ():
            said = [*said[-7:], line.strip()]
            if found := _DOWNLOADED.search(line):
                jars += 1
                progress(f"Downloaded jar {jars} ({found[1]})")
    if maven.returncode != 0:
        raise DependencyUnavailable(
            f"Maven could not download Apache Kafka {KAFKA_VERSION}: " + " | ".join(said)
        )


def find_java() -> str:
    """Return the path of a Java executable that can run Kafka.

    Raises:
        ConfigurationError: There is none, or it is too old for Kafka.
    """
    java = shutil.which("java")
    remedy = (
        f"install a JDK of version {OLDEST_JAVA} or newer "
        "(Debian: apt-get install default-jdk-headless), or name a running broker with "
        "HOOKSTREAM_KAFKA__BOOTSTRAP_SERVERS"
    )
    if java is None:
        raise ConfigurationError(
            f"the development broker needs Java, and none is on the PATH: {remedy}"
        )
    said = subprocess.run(  # noqa: S603 - a path that shutil.which found
        [java, "-version"], capture_output=True, text=True, check=False
    ).stderr
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version[1]) < OLDEST_JAVA:
        first_line = said.splitlines()[0] if said else "nothing"
        raise ConfigurationError(
            f"{java} is too old for Apache Kafka (it says {first_line}): {remedy}"
        )
    return java
