"""Partners and upstream services load the kits alone, and nothing of the engine's that these do not need."""

import os
import subprocess
import sys

from tests.conftest import ROOT

LOADED = "; import sys; print(*{name.partition('.')[0] for name in sys.modules})"
RECEIVES = """
import sys
sys.path.insert(0, sys.argv[1])
from hookstream.receiver import SeenIds, verify
headers = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
verified = verify(headers, b'{"test": 2432232314}', secrets, 1_614_265_330)
with SeenIds().handling(verified.id, 0) as first:
    assert first
""" + LOADED.removeprefix("; ")


def loaded_by(program: str, *options: str) -> set[str]:
    """Run a program in its own process and return the packages that it loaded."""
    command = [sys.executable, *options, "-c", program, str(ROOT / "src")]
    # What measures coverage would be loaded, too.
    environ = {
        name: value for name, value in os.environ.items() if name != "COVERAGE_PROCESS_CONFIG"
    }
    ended = subprocess.run(  # noqa: S603  our own
        command, capture_output=True, text=True, check=False, env=environ
    )
    assert ended.returncode == 0, ended.stderr
    return set(ended.stdout.split())


def test_the_receivers_kit_works_with_the_standard_library_alone() -> None:
    """-I and -S: no folder of installed packages is on the path."""
    loaded = loaded_by(RECEIVES, "-I", "-S")
    assert loaded - sys.stdlib_module_names == {"__main__", "hookstream"}


def test_the_producers_kit_loads_nothing_of_the_workers_and_the_commands() -> None:
    loaded = loaded_by("import hookstream.producer" + LOADED)
    assert "confluent_kafka" in loaded
    assert loaded & {"aiohttp", "click", "rich", "prometheus_client"} == set()
