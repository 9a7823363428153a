"""A real schema registry for tests: Apicurio from Maven Central, on this machine, in memory.

It needs a JDK of version 21 or newer, which may lie beside the one of the broker. Tests that use it are
skipped where it cannot run, and say why. `python -m tests.real_registry` fetches it, and its serializer
for Java with Kafka's client.

    HOOKSTREAM_TEST_REGISTRY_JAVA=/path/to/java    # instead of a search in /usr/lib/jvm and on the PATH
    HOOKSTREAM_TEST_REGISTRY_URL=http://…          # a registry that runs already, of any product
"""

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from examples.demo.free_ports import free_port

VERSION = "3.3.3"
OLDEST_JAVA = 21
API = "/apis/ccompat/v7"
"""The path of Confluent's API."""
SERIALIZER_VERSION = "2.6.13.Final"

_POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>hookstream</groupId>
  <artifactId>test-registry</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>io.apicurio</groupId>
      <artifactId>apicurio-registry-app</artifactId>
      <version>{version}</version>
      <classifier>all</classifier>
      <type>tar.gz</type>
      <exclusions>
        <exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion>
      </exclusions>
    </dependency>
  </dependencies>
</project>
"""
# Of series 2, whose API the registry still has: not all that 3.0.6 and 3.3.3 need can be downloaded.
_SERIALIZER_POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>hookstream</groupId>
  <artifactId>test-serializer</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka-clients</artifactId>
      <version>4.3.1</version>
    </dependency>
    <dependency>
      <groupId>org.apache.avro</groupId>
      <artifactId>avro</artifactId>
      <version>1.12.1</version>
    </dependency>
    <dependency>
      <groupId>io.apicurio</groupId>
      <artifactId>apicurio-registry-serdes-avro-serde</artifactId>
      <version>{version}</version>
    </dependency>
  </dependencies>
</project>
"""
_START_SECONDS = 300.0

# The registry's process ends when our end of the pipe closes, however this process ends.
_WATCHED = """\
exec 3<&0
"$@" </dev/null 3<&- &
registry=$!
(cat <&3 >/dev/null; kill -9 "$registry" 2>/dev/null) &
wait "$registry"
"""


class NoRegistry(Exception):
    """Raised where it cannot be fetched or run; the text says why."""


def find_java() -> str:
    """Return a Java that runs the registry.

    Raises:
        NoRegistry: There is none.
    """
    given = os.environ.get("HOOKSTREAM_TEST_REGISTRY_JAVA")
    homes = sorted(Path("/usr/lib/jvm").glob("*/bin/java"), reverse=True)
    found = [given] if given else [*map(str, homes), shutil.which("java") or ""]
    for java in filter(None, found):
        if _version(java) >= OLDEST_JAVA:
            return java
    raise NoRegistry(f"no JDK of version {OLDEST_JAVA} or newer is in /usr/lib/jvm or on the PATH")


def _version(java: str) -> int:
    try:
        said = subprocess.run(  # noqa: S603  a path that was found, or given
            [java, "-version"], capture_output=True, text=True, check=False, timeout=60
        ).stderr
    except OSError:
        return 0
    version = re.search(r'version "(\d+)', said)
    return int(version[1]) if version else 0


def fetch(cache: Path) -> Path:
    """Return the registry's folder, fetching it if it does not exist.

    Raises:
        NoRegistry: Maven is missing, or could not download it.
    """
    folder = cache.resolve() / VERSION
    if folder.is_dir():
        return folder
    work = _copied(_POM.format(version=VERSION), cache, VERSION)
    [archive] = work.glob("*.tar.gz")
    (work / "app").mkdir()
    # Python's own safe extraction is missing before 3.11.4; this one refuses paths outside, too.
    subprocess.run(["tar", "-xzf", archive, "-C", work / "app"], check=True)  # noqa: S603, S607
    # Renamed when complete: an interrupted download is never taken for a complete one.
    (work / "app").rename(folder)
    shutil.rmtree(work)
    return folder


def fetch_serializer(cache: Path) -> Path:
    """Return the folder of the jars of a Java producer, fetching them if it does not exist.

    Raises:
        NoRegistry: Maven is missing, or could not download them.
    """
    name = f"serializer-{SERIALIZER_VERSION}"
    folder = cache.resolve() / name
    if not folder.is_dir():
        _copied(_SERIALIZER_POM.format(version=SERIALIZER_VERSION), cache, name).rename(folder)
    return folder


def _copied(pom: str, cache: Path, name: str) -> Path:
    """Copy what a POM depends on into a new folder, which the caller renames."""
    maven = shutil.which("mvn")
    if maven is None:
        raise NoRegistry("Apicurio is fetched with Maven, and there is no mvn on the PATH")
    work = cache.resolve() / f"{name}.partial"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    (work / "pom.xml").write_text(pom, encoding="utf-8")
    goal = [
        "dependency:copy-dependencies",
        "-DincludeScope=runtime",
        f"-DoutputDirectory={work}",
    ]
    ran = subprocess.run(  # noqa: S603  a path that was found
        [maven, "-q", "-B", "-f", str(work / "pom.xml"), *goal],
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        raise NoRegistry(f"Maven could not download Apicurio's {name}: {ran.stdout[-300:]}")
    return work


class RealRegistry:
    """One registry process, within `with`; empty at its start.

    Args:
        folder: What `fetch` returned.
        java: What `find_java` returned.
        port: The port on loopback; 0: a free one.
    """

    def __init__(self, folder: Path, java: str, port: int = 0) -> None:
        self._folder = folder
        self._java = java
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}{API}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it and wait until it answers.

        Raises:
            NoRegistry: It ended, or did not answer in time.
        """
        self._process = subprocess.Popen(  # noqa: S603  a path that was found
            [
                "/bin/sh",
                "-c",
                _WATCHED,
                "registry",
                self._java,
                "-Xmx384m",
                "-XX:+UseSerialGC",
                # It does not live long enough for what is compiled better to pay: a third of its CPU.
                "-XX:TieredStopAtLevel=1",
                f"-Dquarkus.http.port={self.port}",
                "-Dquarkus.http.host=127.0.0.1",
                # It listens on 9000 of every address otherwise, and once only.
                f"-Dquarkus.management.port={free_port()}",
                "-Dquarkus.management.host=127.0.0.1",
                "-jar",
                str(self._folder / "quarkus-run.jar"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise NoRegistry(f"Apicurio {VERSION} did not start with {self._java}")
            time.sleep(0.2)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process; everything that it had is lost."""
        if self._process is not None:
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process.wait()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/subjects", timeout=5) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


if __name__ == "__main__":
    try:
        print(f"Apicurio {VERSION} is in {fetch(Path('.cache') / 'registry')}")  # noqa: T201
        print(f"Its serializer is in {fetch_serializer(Path('.cache') / 'registry')}")  # noqa: T201
        print(f"It runs with {find_java()}")  # noqa: T201
    except NoRegistry as why:
        sys.exit(f"tests of a real registry are skipped: {why}")
