"""Run Keras' own tests of saving with every save and load going to a remote store.

One line for each test: passed, failed, or not applicable with the reason. Then the
totals. The exit status is 1 if anything failed.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import pytest
from _keras_swap import Calls, Swap

from remote_models.testing import seaweedfs, set_environment

_FILES = ("src/saving/saving_lib_test.py", "src/legacy/saving/legacy_h5_format_test.py")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Inapplicable:
    """Why a test does not apply although it saves or loads.

    Attributes:
        reason: Why.
        failure: A pattern in the test's traceback (``>`` marks the line that failed).
            With another failure, or none, the reason does not hold: the test counts
            as failed.
    """

    reason: str
    failure: str


_BROKEN_ARCHIVE = _Inapplicable(
    reason="expects the broken archive that a failed save of Keras leaves behind; "
    "a failed save of remote_models publishes nothing",
    failure=r"^> +self\.assertTrue\(Path\(filepath\)\.exists\(\)\)$",
)
_KERAS_WORDS = _Inapplicable(
    reason="expects Keras' words about arguments; remote_models takes save_format with any "
    "name, and refuses bad names and arguments in words of its own",
    failure=r'^> +with self\.assertRaisesRegex\(ValueError, "argument is deprecated"\):$',
)

_NOT_APPLICABLE = {
    "saving_lib_test.py::SavingTest::"
    "test_save_model_exception_raised_high_memory_config": _BROKEN_ARCHIVE,
    "saving_lib_test.py::SavingTest::"
    "test_save_model_exception_raised_low_memory_config": _BROKEN_ARCHIVE,
    "saving_lib_test.py::SavingAPITest::test_model_api_errors": _KERAS_WORDS,
    "saving_lib_test.py::SavingAPITest::test_saving_api_errors": _KERAS_WORDS,
    "saving_lib_test.py::SavingBattleTest::"
    "test_legacy_load_skips_missing_nested_containers": _Inapplicable(
        reason="needs a file that is not in the installed package of Keras; "
        "it fails without the swap too",
        failure="AssertionError: .*Backward-compat fixture missing",
    ),
    "saving_lib_test.py::SafeZipReadTest::test_load_model_rejects_bomb_weights": _Inapplicable(
        reason="its weights are no HDF5 file, so that they are refused as damaged before the "
        "bomb in them is seen",
        failure='AssertionError: "decompression bomb" does not match .*a damaged HDF5 file',
    ),
    "saving_lib_test.py::SafeZipReadTest::test_load_model_rejects_bomb_config": _Inapplicable(
        reason="its archive has no weights, so that it is refused as no .keras archive "
        "before the bomb in it is seen",
        failure='AssertionError: "decompression bomb" does not match .*not a .keras archive',
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What became of one test.

    Attributes:
        name: ``file::class::test``.
        word: ``passed``, ``failed`` or ``not applicable``.
        reason: Why, unless it passed.
        details: The traceback, if it failed.
    """

    name: str
    word: str
    reason: str = ""
    details: str = ""

    def __str__(self) -> str:
        line = f"{self.word:<14}  {self.name}"
        return f"{line}: {self.reason}" if self.reason else line


@dataclass(kw_only=True, slots=True)
class _Run:
    """What pytest reports of the test that is running."""

    failures: list[str] = field(default_factory=list)
    skipped: str = ""


class Plugin:
    """Hooks of pytest that judge every test and print a line for it."""

    def __init__(self, swap: Swap) -> None:
        self.verdicts: list[Verdict] = []
        self.problems: list[str] = []
        self._swap = swap
        self._run = _Run()
        self._selected: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Compare the table with all tests, before ``-k`` deselects some."""
        names = {_name(item.nodeid) for item in items}
        self.problems += [
            f"{name}: listed as not applicable, but there is no such test"
            for name in _NOT_APPLICABLE
            if name not in names
        ]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note the tests that have to get a verdict."""
        self._selected = [_name(item.nodeid) for item in session.items]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a file that cannot be imported."""
        if report.failed:
            self.problems.append(f"{report.nodeid}: {report.longreprtext}")

    def pytest_runtest_logstart(self) -> None:
        """Begin a test."""
        self._run = _Run()
        self._swap.calls = Calls()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how its setup, call, subtests and teardown went."""
        if report.failed:
            self._run.failures.append(report.longreprtext)
        elif report.skipped:
            self._run.skipped = str(report.longrepr)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Judge it."""
        verdict = _judge(_name(nodeid), self._run, self._swap.calls)
        self.verdicts.append(verdict)
        print(verdict, flush=True)

    def pytest_sessionfinish(self) -> None:
        """Insist on exactly one verdict for every selected test."""
        judged = Counter(verdict.name for verdict in self.verdicts)
        self.problems += [
            f"{name}: {judged[name]} verdicts instead of one"
            for name in self._selected
            if judged[name] != 1
        ]


def _judge(name: str, run: _Run, calls: Calls) -> Verdict:
    details = "\n".join(run.failures)
    listed = _NOT_APPLICABLE.get(name)
    if listed is not None:
        if re.search(listed.failure, details, re.MULTILINE):
            return Verdict(name=name, word="not applicable", reason=listed.reason)
        reason = "listed as not applicable, but does not fail as the list says"
        return Verdict(name=name, word="failed", reason=reason, details=details)
    if run.failures:
        return Verdict(name=name, word="failed", reason=_last_error(details), details=details)
    if run.skipped:
        return Verdict(name=name, word="not applicable", reason=f"skipped by Keras: {run.skipped}")
    if calls.remote:
        return Verdict(name=name, word="passed")
    reason = (
        "saves to and loads from an open file, which has no URL"
        if calls.local
        else "does not save or load a model or weights through a public function"
    )
    return Verdict(name=name, word="not applicable", reason=reason)


def _last_error(details: str) -> str:
    """Return the last line that pytest marks as an error."""
    errors = [line[1:].strip() for line in details.splitlines() if line.startswith("E ")]
    return errors[-1] if errors else "no error text"


def _name(nodeid: str) -> str:
    return nodeid.rpartition("/")[2]


@contextmanager
def _store(name: str) -> Iterator[str]:
    """Yield the URL below which everything is saved."""
    if name == "memory":
        yield f"memory://{secrets.token_hex(8)}"
        return
    with seaweedfs() as emulator, set_environment(emulator):
        yield emulator.make_bucket()


def _pytest_arguments(expression: str) -> list[str]:
    folder = Path(keras.__file__).parent
    return [
        # The configuration of remote_models is not Keras'.
        f"--config-file={os.devnull}",
        f"--rootdir={folder.parent}",
        "-k",
        expression,
        *("-p", "no:terminal", "-p", "no:cacheprovider", "-p", "no:xdist"),
        *(str(folder / file) for file in _FILES),
    ]


def _report(plugin: Plugin) -> bool:
    """Print what went wrong, then the totals; return whether nothing did."""
    words = Counter(verdict.word for verdict in plugin.verdicts)
    for verdict in plugin.verdicts:
        if verdict.word == "failed":
            print(f"\n{verdict.name}\n{verdict.details}", file=sys.stderr)
    for problem in plugin.problems:
        print(f"problem: {problem}", file=sys.stderr)
    totals = (f"{words[word]} {word}" for word in ("passed", "failed", "not applicable"))
    print(", ".join(totals), flush=True)
    return not words["failed"] and not plugin.problems


def main() -> int:
    """Run the tests and return the exit status."""
    parser = argparse.ArgumentParser(prog="keras_saving_tests", description=__doc__)
    parser.add_argument("--store", choices=("memory", "s3"), default="memory")
    parser.add_argument("-k", metavar="EXPRESSION", default="", help="as pytest's -k")
    options = parser.parse_args()
    with _store(options.store) as root:
        swap = Swap(root)
        plugin = Plugin(swap)
        with swap.installed():
            status = pytest.main(_pytest_arguments(options.k), plugins=[plugin])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        plugin.problems.append(f"pytest ended with {status!r}")
    return 0 if _report(plugin) else 1


if __name__ == "__main__":
    sys.exit(main())
