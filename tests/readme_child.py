"""Run what README.md shows, and write down what failed: ``readme_child.py README REPORT``.

A process of its own because it imports both generations of Keras, and one process
for all of it because each import of TensorFlow takes five seconds. Blocks share a
namespace and a working directory, in the README's order.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from remote_models.testing import Emulator, fake_gcs_server, seaweedfs, set_environment

Report = dict[str, dict[str, str | None]]


class Block(NamedTuple):
    """A fenced block: its language, the line of its first line, and its text."""

    language: str
    line: int
    text: str


def main(readme: Path, report: Path) -> None:
    text = readme.read_text(encoding="utf-8")
    with ExitStack() as stack:
        for scheme, start in (("s3", seaweedfs), ("gs", fake_gcs_server)):
            server = stack.enter_context(start())
            stack.enter_context(set_environment(server))
            make_buckets(server, scheme, text)
        os.chdir(stack.enter_context(tempfile.TemporaryDirectory()))
        results = {**run_blocks(readme, text), "formats": run_formats(text)}
    report.write_text(json.dumps(results), encoding="utf-8")


def blocks_of(text: str) -> Iterator[Block]:
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield Block(match[1], text.count("\n", 0, match.start(2)) + 1, match[2])


def make_buckets(server: Emulator, scheme: str, text: str) -> None:
    code = "".join(block.text for block in blocks_of(text))
    for bucket in sorted(set(re.findall(rf"{scheme}://([a-z0-9-]*[a-z0-9])\b(?!-)", code))):
        server.make_bucket(bucket)


def run_blocks(readme: Path, text: str) -> Report:
    results: Report = {"python": {}, "console": {}}
    namespace: dict[str, Any] = {"__name__": "readme"}
    for block in blocks_of(text):
        place = f"{readme.name}:{block.line}"
        if block.language == "python" and "def test_" in block.text:
            results["python"][place] = failure_of(run_as_test, block.text)
        elif block.language == "python":
            # The blank lines make tracebacks name the README's own lines.
            code = compile("\n" * (block.line - 1) + block.text, readme, "exec")
            results["python"][place] = failure_of(exec, code, namespace)
        elif block.language == "console":
            for line in block.text.splitlines():
                program, *arguments = shlex.split(line.removeprefix("$ "), comments=True)
                if program == "remote-models":
                    results["console"][line] = failure_of(run_module, "remote_models", *arguments)
                elif program == "openssl":  # makes the keys for what follows
                    subprocess.run([program, *arguments], check=True, timeout=60)
    return results


def run_as_test(code: str) -> None:
    path = Path("test_readme_block.py")
    path.write_text(code, encoding="utf-8")
    run_module("pytest", "-q", "-p", "pytest_remote_models", "-p", "no:cacheprovider", path.name)


def run_module(name: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", name, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}{done.stderr}"


def run_formats(text: str) -> dict[str, str | None]:
    """Save and load in every format of the table, with both generations."""
    results: dict[str, str | None] = {}
    for line in re.findall(r"^\| `save_\w+` .*$", text, re.MULTILINE):
        call, endings, _, *claims = [cell.strip() for cell in line.strip("|").split("|")]
        for ending in re.findall(r"`(\.[\w.]+)`", endings) or [""]:
            for framework, claim in zip(("tf_keras", "keras"), claims, strict=True):
                failure = failure_of(save_and_load, framework, call.strip("`"), ending)
                results[f"{call} {ending} {framework}"] = judge(claim, failure)
    return results


def judge(claim: str, failure: str | None) -> str | None:
    """Return what is wrong with a cell of the table, given what really happened."""
    if claim == "yes":
        return failure
    if failure is None or not claim.startswith(("no", "not yet")):
        return f"the README says {claim!r}; in truth: {failure or 'it works'}"
    return None if "remote_models.errors.FormatError" in failure else failure


def save_and_load(framework: str, call: str, ending: str) -> None:
    import importlib

    import numpy as np

    import remote_models as rm

    keras = importlib.import_module(framework)
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3, name="dense")])
    model.compile("adam", "mean_squared_error")
    url = f"memory://formats/{framework}/{call}/model{ending}"
    if call == "save_model":
        rm.save_model(model, url)
        loaded = rm.load_model(url, framework=framework)
    elif call == "save_weights":
        rm.save_weights(model, url, max_shard_size=1 if ending == ".weights.json" else None)
        loaded = keras.models.clone_model(model)
        rm.load_weights(loaded, url)
    else:
        rm.save_architecture(model, url)
        loaded = rm.load_architecture(url, framework=framework)
        assert loaded.to_json() == model.to_json()
        return
    assert all(map(np.array_equal, loaded.get_weights(), model.get_weights()))


def failure_of(action: Callable[..., object], *arguments: Any) -> str | None:
    """Return the traceback of what ``action`` raises, if it raises."""
    try:
        action(*arguments)
    except Exception:  # noqa: BLE001 - whatever it is, the test shows it
        return traceback.format_exc()
    return None


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
