"""Time cold starts: see scripts/runtime_starts."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BUCKET = "s3://starts"

MODELS = {"MLP": "mlp.keras", "MobileNetV2": "mobilenet.keras"}

CASES = (
    ("litert", "obstore"), ("litert", "fsspec"), ("onnx", "obstore"), ("onnx", "fsspec"),
    ("tensorflow", "s3fs to /tmp, load_model"),
)  # fmt: skip


def save() -> None:
    """Save the models with their exports."""
    import tf_keras

    import remote_models as rm

    layers = tf_keras.layers
    mlp = tf_keras.Sequential(
        [layers.Input((64,)), layers.Dense(256, activation="relu"), layers.Dense(10)]
    )
    rm.save_model(mlp, f"{BUCKET}/{MODELS['MLP']}", exports=("tflite", "onnx"))
    mobilenet = tf_keras.applications.MobileNetV2(weights=None)
    rm.save_model(mobilenet, f"{BUCKET}/{MODELS['MobileNetV2']}", exports=("tflite", "onnx"))


def predict(begun: float, url: str, runtime: str) -> None:
    """Load a model, predict once, and print what it took."""
    import numpy as np

    if runtime == "tensorflow":
        import s3fs

        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.keras")
            s3fs.S3FileSystem().get_file(url, path)
            moved = os.path.getsize(path)
            import tf_keras

            model = tf_keras.models.load_model(path, compile=False)
            model.predict(np.zeros((1, *model.input_shape[1:]), np.float32), verbose=0)
    else:
        import remote_models as rm

        loaded = rm.load_runtime(url, runtime)
        spec = loaded.signature.inputs[0]
        loaded.predict(np.zeros([length or 1 for length in spec.shape], np.float32))
        with rm.open_model(url) as remote:  # after the prediction, off the clock
            kind = {"litert": "tflite", "onnx": "onnx"}[runtime]
            seconds = time.time() - begun
            moved = remote.files[remote.exports[kind]]
            print(json.dumps({"seconds": seconds, "moved": moved, "peak": peak()}))
        return
    print(json.dumps({"seconds": time.time() - begun, "moved": moved, "peak": peak()}))


def peak() -> int:
    """Return the most memory that this process has had, in bytes (proc(5))."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def child(*arguments: str, client: str = "") -> str:
    """Run this script in a process of its own."""
    found = subprocess.run(
        [sys.executable, __file__, *arguments],
        env={
            **os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "REMOTE_MODELS_CACHE": "off",
            **({"REMOTE_MODELS_CLIENT": client} if client in ("fsspec", "obstore") else {}),
        },
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    if found.returncode:
        raise SystemExit(found.stderr[-3000:])
    return found.stdout


def measure(url: str, runtime: str, client: str, rounds: int) -> dict[str, float]:
    """Return the medians of some cold starts."""
    samples: list[dict[str, Any]] = [
        json.loads(
            child("predict", repr(time.time()), url, runtime, client=client).splitlines()[-1]
        )
        for _ in range(rounds)
    ]
    return {key: statistics.median(each[key] for each in samples) for key in samples[0]}


def main(rounds: int) -> None:
    """Measure all cases, and print a table."""
    from remote_models.testing import seaweedfs, set_environment

    with seaweedfs() as server, set_environment(server):
        server.make_bucket("starts")
        child("save")
        for name, path in MODELS.items():
            found = {
                case: measure(f"{BUCKET}/{path}", case[0], case[1], rounds)
                for case in reversed(CASES)
            }
            whole = found[CASES[-1]]["seconds"]
            print(f"{name}: medians of {rounds} fresh processes")
            for case in CASES:
                each = found[case]
                print(
                    f"  {case[0]:<11}{case[1]:<26}{each['seconds']:6.2f} s  "
                    f"{each['seconds'] / whole:5.2f} of TensorFlow  "
                    f"{each['moved'] / 1e6:6.2f} MB moved  {each['peak'] / 2**20:5.0f} MiB peak",
                    flush=True,
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["save"]:
        save()
    elif sys.argv[1:2] == ["predict"]:
        predict(float(sys.argv[2]), sys.argv[3], sys.argv[4])
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 5)
