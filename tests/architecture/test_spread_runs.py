"""A run of tests that is spread over processes reports each test once, whatever ends a process."""

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[2]
_PATIENCE = 120
"""Seconds for a run, on a shared machine."""


@dataclass
class Suite:
    """Tests in a folder of their own, run by a pytest without other plugins."""

    folder: Path

    def write(self, **files: str) -> None:
        """Write test modules by name."""
        for name, text in files.items():
            (self.folder / f"{name}.py").write_text(dedent(text), encoding="utf-8")

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Run the tests in two processes."""
        command = [sys.executable, "-m", "pytest", "-p", "tests.spread", "--processes=2", *options]
        environ = os.environ | {
            "PYTHONPATH": str(ROOT),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "COLUMNS": "250",
        }
        for name in ("PYTEST_ADDOPTS", "COVERAGE_PROCESS_CONFIG"):
            environ.pop(name, None)
        return subprocess.Popen(  # noqa: S603  our own
            command,
            cwd=self.folder,
            env=environ,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, *options: str) -> tuple[int, str]:
        """Return the exit code and what was printed."""
        with self.start(*options) as process:
            try:
                output, _ = process.communicate(timeout=_PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise
            return process.returncode, output


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    return Suite(tmp_path)


def meeting(names: str) -> str:
    """Return a test that ends only if the other process runs one with the same name at that time."""
    return f"""
    import os

    def test_meets() -> None:
        os.close(os.open("meeting", os.O_{names}))
    """


def test_two_processes_run_each_test_once(suite: Suite) -> None:
    os.mkfifo(suite.folder / "meeting")
    many = """
    from pathlib import Path
    import pytest

    @pytest.mark.parametrize("number", range(50))
    def test_is_run(number: int) -> None:
        with Path(f"{__name__}-{number}").open("x"):
            pass
    """
    suite.write(test_a=meeting("RDONLY"), test_b=meeting("WRONLY"), test_c=many, test_d=many)
    code, output = suite.run()
    assert code == 0, output
    assert "102 passed" in output
    assert len(list(suite.folder.glob("test_?-*"))) == 100


def test_processes_have_temporary_folders_in_one_of_the_run(suite: Suite) -> None:
    """Each would otherwise remove those of earlier runs at its end, while another removes the same."""
    noting = """
        def test_notes(tmp_path) -> None:
            with open("folders", "a") as noted:
                print(tmp_path.parent.parent, tmp_path.parent, tmp_path.is_dir(), file=noted)
        """
    pairs = {"test_a": meeting("RDONLY"), "test_b": meeting("WRONLY")}
    pairs = {name: dedent(text) + dedent(noting) for name, text in pairs.items()}
    os.mkfifo(suite.folder / "meeting")
    suite.write(**pairs)
    assert suite.run()[0] == 0
    noted = [each.split() for each in (suite.folder / "folders").read_text().splitlines()]
    assert len({run for run, _, _ in noted}) == 1
    assert sorted((Path(own).name, there) for _, own, there in noted) == [
        ("1", "True"),
        ("2", "True"),
    ]


def test_a_spread_run_shows_what_one_process_shows(suite: Suite) -> None:
    suite.write(
        test_a="""
        import pytest, warnings

        def test_prints() -> None:
            print("printed in a")
            assert "found" == "wanted"

        @pytest.fixture(scope="session")
        def opened():
            yield
            raise OSError("does not close")

        def test_opens(opened) -> None:
            warnings.warn("is old", FutureWarning)

        @pytest.mark.xfail(reason="known")
        def test_is_known() -> None:
            raise ValueError

        @pytest.mark.skip(reason="elsewhere")
        def test_is_skipped() -> None:
            pass
        """,
        test_b="""
        def test_prints() -> None:
            print("printed in b")
            assert 1 == 2
        """,
    )
    code, output = suite.run("-ra")
    assert code == 1
    assert "2 failed, 1 passed, 1 skipped, 1 xfailed, 1 warning, 1 error" in output
    for shown in ("'found' == 'wanted'", "OSError: does not close", "FutureWarning: is old"):
        assert shown in output
    printed = re.findall(r"Captured stdout call -+\n(.*)", output)
    assert {*printed} == {"printed in a", "printed in b"}
    # What does not close is shown with what the last test of its process has printed, once more.
    assert len(printed) <= len(("a", "b", "the last")), output


def test_tests_that_a_killed_process_had_taken_fail(suite: Suite) -> None:
    suite.write(
        test_a="""
        import os, signal

        def test_before() -> None:
            pass

        def test_kills() -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        def test_after() -> None:
            pass
        """,
        **{f"test_{name}": "def test_is_run() -> None: pass" for name in "bcdefgh"},
    )
    code, output = suite.run("-ra")
    assert code == 1
    assert "FAILED test_a.py::test_kills - the process ended with -9" in output
    after = "no result: the process ended with -9 at test_a.py::test_kills"
    assert f"FAILED test_a.py::test_after - {after}" in output
    # The other process goes on, and may have run all that there was.
    failed, passed = map(int, re.findall(r"(\d+) (?:failed|passed)", output)[-2:])
    assert failed + passed == 10
    assert passed >= 5


def test_a_run_that_may_fail_once_stops_all_processes(suite: Suite) -> None:
    os.mkfifo(suite.folder / "failed")
    suite.write(
        conftest="""
        import os

        CONFIGS = []

        def pytest_configure(config) -> None:
            CONFIGS.append(config)

        def pytest_runtest_logreport(report) -> None:
            # In the process that reports; the others have `workerinput`.
            if report.failed and not hasattr(CONFIGS[0], "workerinput"):
                os.close(os.open("failed", os.O_WRONLY))
        """,
        test_a="def test_fails() -> None: assert False",
        test_b="""
        import os, pytest

        def test_ends_when_another_process_has_reported_a_failure() -> None:
            os.close(os.open("failed", os.O_RDONLY))
        """,
        **{f"test_c{number}": "def test_passes() -> None: pass" for number in range(500)},
    )
    code, output = suite.run("-x")
    assert code == 1
    assert "stopping after 1 failures" in output
    assert "no result" not in output
    passed = int(re.findall(r"(\d+) passed", output)[-1])
    assert 1 <= passed < 400


def test_an_interrupted_run_closes_what_tests_opened(suite: Suite) -> None:
    opening = """
    import signal
    from pathlib import Path
    import pytest

    @pytest.fixture(scope="session")
    def opened():
        yield
        Path("closed-" + __name__).touch()

    def test_waits(opened) -> None:
        with Path("begun").open("w") as begun:
            begun.write("x")
        signal.pause()
    """
    os.mkfifo(suite.folder / "begun")
    suite.write(test_a=opening, test_b=opening)
    with suite.start() as process:
        # Open for both, so that nothing is lost between one that writes and the next.
        with open(suite.folder / "begun", "r+b", buffering=0) as begun:  # noqa: PTH123
            assert begun.read(1) + begun.read(1) == b"xx"
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate()
    assert process.returncode == 2
    assert "KeyboardInterrupt" in output
    assert sorted(path.name for path in suite.folder.glob("closed-*")) == [
        "closed-test_a",
        "closed-test_b",
    ]


def test_an_error_outside_any_test_fails_the_run(suite: Suite) -> None:
    suite.write(
        conftest="""
        def pytest_sessionfinish(session) -> None:
            if hasattr(session.config, "workerinput"):
                raise OSError("is not finished")
        """,
        test_a="def test_passes() -> None: pass",
        test_b="def test_passes() -> None: pass",
    )
    code, output = suite.run()
    assert code == 3
    assert "OSError: is not finished" in output


def test_a_process_with_threads_is_not_forked(suite: Suite) -> None:
    suite.write(
        test_a="""
        import threading
        end = threading.Event()
        threading.Thread(target=end.wait, daemon=True).start()

        def test_passes() -> None: pass
        """,
        test_b="def test_passes() -> None: pass",
    )
    code, output = suite.run()
    assert code == 3
    assert "RuntimeError: a process with threads must not be forked: " in output
