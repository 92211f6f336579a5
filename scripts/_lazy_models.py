"""Compare every tensor of ResNet50 and MobileNetV2 with what the frameworks hold.

Run with a generation and a folder it is the child that saves; see ``compare_models``.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/weights")]

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weights.saved import Saved

APPLICATIONS = ("MobileNetV2", "ResNet50")

SUFFIXES = {
    "keras": (".keras", ".h5", ".weights.h5", "-shards.weights.json"),
    "tf_keras": ("", ".keras", ".h5", ".weights.h5", "-weights.h5", "-checkpoint"),
}

_SLOTS = {"m": "momentum", "v": "velocity"}


def compare_models() -> int:
    """Save in two children, compare here, and return the exit status."""
    failed = False
    for generation in SUFFIXES:
        with tempfile.TemporaryDirectory() as folder:
            environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""}
            command = [sys.executable, __file__, generation, folder]
            subprocess.run(command, env=environment, check=True)
            failed |= _compare(generation, Path(folder))
    return int(failed)


def _compare(generation: str, folder: Path) -> bool:
    from weights.saved import read_expected

    cases = read_expected(folder)
    faulty = False
    for name, case in cases.items():
        faults = _faults(case)
        print(f"{generation} {name}: {len(case.arrays)} tensors, {faults or 'all equal'}")
        faulty |= bool(faults)
    weights: dict[str, set[frozenset[str]]] = {}
    for name, case in cases.items():
        weights.setdefault(name.partition(".")[0].partition("-")[0], set()).add(case.weights)
    for model, names in weights.items():
        print(f"{generation} {model}: {len(names)} set of names over all formats")
        faulty |= len(names) != 1
    return faulty


def _faults(case: Saved) -> Mapping[str, Any]:
    from weights.artifacts import same

    import remote_models as rm
    from remote_models.tensors import Role

    with rm.open_model(case.url) as remote:
        found = remote.weights.fetch(sorted(set(case.arrays) & set(remote.weights)))
        named = {t.name for t in remote.weights.values() if t.role is Role.WEIGHT}
    faults = {
        "missing": sorted(set(case.arrays) - set(found)),
        "unequal": [each for each in found if not same(found[each], case.arrays[each])],
        "extra": sorted(named - case.weights),
    }
    return {kind: names for kind, names in faults.items() if names}


def save(generation: str, folder: Path) -> None:
    """Save every application in every format of a generation, and say what it holds."""
    from _models import Expected  # type: ignore[import-not-found]  # beside the tests' children

    import remote_models as rm

    keras = importlib.import_module(generation)
    expected = Expected(folder)
    for name in APPLICATIONS:
        model = getattr(keras.applications, name)(weights=None)
        model.compile("adam")
        model.optimizer.build(model.trainable_variables)
        weights, optimizer = _arrays(model)
        for suffix in SUFFIXES[generation]:
            url = str(folder / f"{name}{suffix}")
            if suffix == "-shards.weights.json":
                rm.save_weights(model, url, max_shard_size=0.03)
            else:
                (rm.save_weights if "-" in suffix or "weights" in suffix else rm.save_model)(
                    model, url
                )
            holds_optimizer = suffix != "-weights.h5"
            expected.add(f"{name}{suffix}", url, weights, optimizer if holds_optimizer else {})
    expected.write()


def _arrays(model: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the weights, and the slots of the optimizer, by their names."""
    own = f"{model.name}/"
    weights = {
        getattr(v, "path", v.name).removesuffix(":0").removeprefix(own): v for v in model.weights
    }
    flat = {name.replace("/", "_"): name for name in weights}
    slots = {}
    for variable in model.optimizer.variables:
        path = getattr(variable, "path", variable.name).removesuffix(":0")
        scope, _, rest = path.partition("/")
        flattened, _, word = rest.rpartition("_")
        if flattened in flat:
            slots[f"optimizer/{word}/{flat[flattened]}"] = variable
        elif "/" in rest and rest.partition("/")[0] in _SLOTS:
            word, _, weight = rest.partition("/")
            slots[f"optimizer/{_SLOTS[word]}/{weight}"] = variable
        elif scope in _SLOTS:
            slots[f"optimizer/{_SLOTS[scope]}/{rest}"] = variable
    return (
        {name: variable.numpy() for name, variable in weights.items()},
        {name: variable.numpy() for name, variable in slots.items()},
    )


if __name__ == "__main__":
    save(sys.argv[1], Path(sys.argv[2]))
