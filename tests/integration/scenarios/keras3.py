"""Keras 3 models, saved and loaded in a process that never imports tf_keras."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import remote_models as rm
from integration.scenarios.harness import (
    assert_not_imported,
    assert_same_arrays,
    assert_same_outputs,
    assert_trains_on_equally,
    batch,
    case,
    scenario,
)
from remote_models.errors import (
    ArgumentError,
    FormatError,
    GenerationError,
    IntegrityError,
    ModelExistsError,
    ModelNotFoundError,
)

FORMATS = ("model.keras", "model.h5")

SAVERS: Mapping[str, Callable[..., rm.Manifest]] = {
    "model.keras": rm.save_model,
    "model.weights.h5": rm.save_weights,
    "model.json": rm.save_architecture,
}

OPTIMIZERS: Mapping[str, Callable[[], Any]] = {
    "sgd": lambda: keras.optimizers.SGD(0.01, momentum=0.9),
    "adam": lambda: keras.optimizers.Adam(0.01, amsgrad=True),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "nadam": lambda: keras.optimizers.Nadam(0.01, clipnorm=1.0),
    "lion": lambda: keras.optimizers.Lion(0.001),
    "averaged": lambda: keras.optimizers.AdamW(0.01, use_ema=True),
    "accumulating": lambda: keras.optimizers.Adam(0.01, gradient_accumulation_steps=2),
    "scheduled": lambda: keras.optimizers.Adam(
        keras.optimizers.schedules.ExponentialDecay(0.05, decay_steps=2, decay_rate=0.5)
    ),
}


def small(optimizer: Any = "adam") -> Any:
    model = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(5, activation="tanh"), keras.layers.Dense(1)]
    )
    # Not "mse": Keras 3 cannot read that word back from its own .h5 files.
    model.compile(optimizer=optimizer, loss=keras.losses.MeanSquaredError())
    return model


def functional() -> Any:
    inputs = keras.Input((6,), name="inputs")
    x = keras.layers.Dense(5, activation="relu", name="shared")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Concatenate()([x, inputs])
    model = keras.Model(inputs, keras.layers.Dense(1, name="head")(x), name="functional")
    model.compile(
        "adam",
        keras.losses.MeanSquaredError(),
        metrics=[keras.metrics.MeanAbsoluteError(name="mae")],
    )
    return model


def architecture_of(model: Any) -> Any:
    """As JSON, in which tuples are lists, and without what ``compile`` was told."""
    return {**json.loads(model.to_json()), "compile_config": None}


@scenario()
def functional_model(base: str) -> None:
    inputs, targets = batch(6)
    model = functional()
    model.fit(inputs, targets, batch_size=8, shuffle=False, verbose=0)
    for name in FORMATS:
        with case(name):
            manifest = rm.save_model(model, f"{base}/{name}")
            assert manifest.producer["keras"] == keras.__version__
            assert manifest.producer["backend"] == "tensorflow"
            loaded = rm.load_model(f"{base}/{name}")
            assert architecture_of(loaded) == architecture_of(model)
            assert_same_outputs(model, loaded, inputs)
            assert_same_arrays(loaded.weights, model.weights)
            assert_same_arrays(loaded.optimizer.variables, model.optimizer.variables)


@scenario("local", "s3")
def sequential_model_trains_on(base: str) -> None:
    inputs, targets = batch(6)
    for name in FORMATS:
        with case(name):
            model = small()
            model.fit(inputs, targets, batch_size=8, shuffle=False, verbose=0)
            rm.save_model(model, f"{base}/{name}")
            loaded = rm.load_model(f"{base}/{name}")
            assert type(loaded) is keras.Sequential
            assert_same_outputs(model, loaded, inputs)
            assert_trains_on_equally(model, loaded, inputs, targets)


@scenario()
def numbered_versions(base: str) -> None:
    inputs, targets = batch(6)
    model = small()
    repository = rm.Repository(f"{base}/digits")
    saved: dict[int, Any] = {}
    for number, word in enumerate(("h5", "keras", "h5", "keras"), 1):
        with case(word):
            loss = model.fit(inputs, targets, shuffle=False, verbose=0).history["loss"][-1]
            version = repository.save(
                model, save_format=word, metadata={"loss": loss}, progress=False
            )
            assert version.number == number
            saved[number] = model.get_weights()
            assert_same_arrays(repository.load().get_weights(), saved[number])
            assert_same_arrays(rm.load_model(version.url).get_weights(), saved[number])
    repository.set_alias("production", 2)
    for number, weights in saved.items():
        assert_same_arrays(repository.load(number).get_weights(), weights)
    assert not repository.load("production", compile=False).compiled
    assert [version.number for version in repository.prune(keep_last=1).deleted] == [1, 3]
    assert_same_arrays(repository.load("production").get_weights(), saved[2])
    assert_same_arrays(repository.load().get_weights(), saved[4])
    with pytest.raises(ModelNotFoundError):
        repository.load(1)
    with pytest.raises(IntegrityError):
        repository.load("production", manifest_digest=version.digest)


@scenario("memory", "local")
def a_version_that_cannot_be_saved(base: str) -> None:
    repository = rm.Repository(f"{base}/digits")
    for word in ("keras", "h5"):
        with case(word), pytest.raises(ArgumentError):
            repository.save(small(), save_format=word, metadata={"a": object()})
    with pytest.raises(ArgumentError):
        repository.save(small(), save_format="onnx")
    assert repository.versions() == []
    assert repository.save(small(), save_format="keras").number == 1
    assert repository.latest == repository.versions()[0]


@scenario("memory")
def optimizers(base: str) -> None:
    inputs, targets = batch(6)
    for name, make in OPTIMIZERS.items():
        for suffix in (".keras", ".h5"):
            with case(name + suffix):
                model = small(make())
                model.fit(inputs, targets, epochs=2, batch_size=8, shuffle=False, verbose=0)
                rm.save_model(model, f"{base}/{name}{suffix}")
                loaded = rm.load_model(f"{base}/{name}{suffix}")
                assert type(loaded.optimizer) is type(model.optimizer)
                assert loaded.optimizer.get_config() == model.optimizer.get_config()
                assert int(loaded.optimizer.iterations) == int(model.optimizer.iterations) > 0
                assert_same_arrays(loaded.optimizer.variables, model.optimizer.variables)
                assert_trains_on_equally(model, loaded, inputs, targets)


@keras.saving.register_keras_serializable(package="Scenarios")
class Registered(keras.Model):  # type: ignore[misc] # keras has no types
    def __init__(self, units: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.dense = keras.layers.Dense(units)
        self.norm = keras.layers.LayerNormalization()

    def call(self, inputs: Any) -> Any:
        return self.norm(self.dense(inputs)) * 2.0

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


class Unregistered(Registered):
    pass


@scenario("local", "gs")
def subclassed_and_registered(base: str) -> None:
    inputs, _ = batch(6)
    model = Registered(4)
    model(inputs)
    rm.save_model(model, f"{base}/model.keras")
    loaded = rm.load_model(f"{base}/model.keras")
    assert type(loaded) is Registered
    assert_same_outputs(model, loaded, inputs)
    rm.save_weights(model, f"{base}/model.weights.h5")
    other = Registered(4)
    other(inputs)
    rm.load_weights(other, f"{base}/model.weights.h5")
    assert_same_arrays(other.weights, model.weights)


@scenario("memory", "s3")
def subclassed_with_custom_objects(base: str) -> None:
    inputs, _ = batch(6)
    model = Unregistered(4)
    model(inputs)
    rm.save_model(model, f"{base}/model.keras")
    custom_objects = {"Unregistered": Unregistered}
    loaded = rm.load_model(f"{base}/model.keras", custom_objects=custom_objects)
    assert type(loaded) is Unregistered
    assert_same_outputs(model, loaded, inputs)
    with keras.saving.custom_object_scope(custom_objects):
        assert_same_outputs(model, rm.load_model(f"{base}/model.keras"), inputs)


@scenario("memory")
def custom_function_and_layer(base: str) -> None:
    @keras.saving.register_keras_serializable(package="my_package", name="custom_fn")  # type: ignore[untyped-decorator] # keras has no types
    def custom_fn(x: Any) -> Any:
        return x**2

    class CustomLayer(keras.layers.Layer):  # type: ignore[misc] # keras has no types
        def __init__(self, factor: float, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.factor = factor

        def call(self, x: Any) -> Any:
            return x * self.factor

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "factor": self.factor}

    inputs, _ = batch(6)
    model = keras.Sequential(
        [keras.Input((6,)), CustomLayer(0.5), keras.layers.Dense(1, activation=custom_fn)]
    )
    for name in FORMATS:
        with case(name):
            rm.save_model(model, f"{base}/{name}")
            loaded = rm.load_model(f"{base}/{name}", custom_objects={"CustomLayer": CustomLayer})
            assert_same_outputs(model, loaded, inputs)


@scenario()
def weights(base: str) -> None:
    inputs, targets = batch(6)
    model, other = functional(), functional()
    model.fit(inputs, targets, verbose=0)
    rm.save_weights(model, f"{base}/model.weights.h5")
    assert rm.load_weights(other, f"{base}/model.weights.h5") is None
    assert_same_arrays(other.weights, model.weights)


@scenario()
def sharded_weights(base: str) -> None:
    model, other = functional(), functional()
    url = f"{base}/model.weights.json"
    manifest = rm.save_weights(model, url, max_shard_size=2e-7)
    shards = [entry.path for entry in manifest.files if entry.path.endswith(".h5")]
    assert len(shards) >= 2
    rm.load_weights(other, url)
    assert_same_arrays(other.weights, model.weights)
    assert rm.verify_model(url).ok


@scenario("memory")
def sharded_weights_need_name_and_size(base: str) -> None:
    with pytest.raises(ArgumentError, match=r"\.weights\.json"):
        rm.save_weights(small(), f"{base}/model.weights.h5", max_shard_size=1)
    with pytest.raises(ArgumentError, match="max_shard_size="):
        rm.save_weights(small(), f"{base}/model.weights.json")


@scenario("memory", "s3")
def weights_of_whole_models(base: str) -> None:
    model = functional()
    for name in FORMATS:
        with case(name):
            rm.save_model(model, f"{base}/{name}")
            other = functional()
            rm.load_weights(other, f"{base}/{name}")
            assert_same_arrays(other.weights, model.weights)


@scenario("memory")
def weights_skip_mismatch(base: str) -> None:
    def with_head(units: int) -> Any:
        return keras.Sequential(
            [
                keras.Input((6,)),
                keras.layers.Dense(5, name="body"),
                keras.layers.Dense(units, name="head"),
            ]
        )

    model, other = with_head(1), with_head(2)
    head = other.layers[1].get_weights()
    rm.save_weights(model, f"{base}/model.weights.h5")
    with pytest.raises(ValueError, match="shape"):
        rm.load_weights(other, f"{base}/model.weights.h5")
    with pytest.warns(UserWarning, match="could not be loaded"):
        rm.load_weights(other, f"{base}/model.weights.h5", skip_mismatch=True)
    assert_same_arrays(other.layers[0].weights, model.layers[0].weights)
    assert_same_arrays(other.layers[1].weights, head)


@scenario("memory")
def weights_by_name(base: str) -> None:
    model = functional()
    rm.save_model(model, f"{base}/model.h5")
    inputs = keras.Input((6,))
    other = keras.Model(inputs, keras.layers.Dense(5, name="shared")(inputs))
    rm.load_weights(other, f"{base}/model.h5", by_name=True)
    assert_same_arrays(other.weights, model.get_layer("shared").weights)


@scenario("memory", "gs")
def architecture(base: str) -> None:
    model = functional()
    rm.save_architecture(model, f"{base}/model.json")
    loaded = rm.load_architecture(f"{base}/model.json")
    assert architecture_of(loaded) == architecture_of(model)
    custom = keras.Sequential([keras.Input((6,)), Unregistered(2)])
    rm.save_architecture(custom, f"{base}/custom.json")
    loaded = rm.load_architecture(
        f"{base}/custom.json", custom_objects={"Unregistered": Unregistered}
    )
    assert type(loaded.layers[0]) is Unregistered


def with_lambda() -> Any:
    return keras.Sequential([keras.Input((6,)), keras.layers.Lambda(lambda x: x * 3.0)])


@scenario("memory", "s3")
def lambda_is_refused_unless_asked_for(base: str) -> None:
    inputs, _ = batch(6)
    model = with_lambda()
    for name in FORMATS:
        with case(name):
            rm.save_model(model, f"{base}/{name}")
            with pytest.raises(ValueError, match="safe_mode=False"):
                rm.load_model(f"{base}/{name}")
            loaded = rm.load_model(f"{base}/{name}", safe_mode=False)
            np.testing.assert_allclose(loaded(inputs), inputs * 3.0, rtol=1e-6, atol=1e-6)
    rm.save_architecture(model, f"{base}/model.json")
    with pytest.raises(ValueError, match="safe_mode=False"):
        rm.load_architecture(f"{base}/model.json")
    loaded = rm.load_architecture(f"{base}/model.json", safe_mode=False)
    np.testing.assert_allclose(loaded(inputs), inputs * 3.0, rtol=1e-6, atol=1e-6)


@scenario("memory")
def checkpoints_are_refused(base: str) -> None:
    for name in ("ckpt", "legacy.h5"):
        with pytest.raises(FormatError, match=r"\.weights\.h5"):
            rm.save_weights(small(), f"{base}/{name}")
        with pytest.raises(ModelNotFoundError):
            rm.open_model(f"{base}/{name}")


@scenario("memory")
def compile_and_optimizer_on_request(base: str) -> None:
    inputs, targets = batch(6)
    model = small()
    model.fit(inputs, targets, verbose=0)
    for name in FORMATS:
        with case(name):
            rm.save_model(model, f"{base}/{name}")
            loaded = rm.load_model(f"{base}/{name}", compile=False)
            assert not loaded.compiled
            assert_same_outputs(model, loaded, inputs)
    rm.save_model(model, f"{base}/bare.h5", include_optimizer=False)
    assert not rm.load_model(f"{base}/bare.h5").compiled
    with pytest.raises(FormatError, match="optimizer"):
        rm.save_model(model, f"{base}/bare.keras", include_optimizer=False)


@scenario("memory")
def losses_and_metrics(base: str) -> None:
    inputs, targets = batch(6)
    model = functional()
    model.fit(inputs, targets, verbose=0)
    expected = model.evaluate(inputs, targets, verbose=0, return_dict=True)
    assert set(expected) == {"loss", "mae"}
    for name in FORMATS:
        with case(name):
            rm.save_model(model, f"{base}/{name}")
            loaded = rm.load_model(f"{base}/{name}")
            found = loaded.evaluate(inputs, targets, verbose=0, return_dict=True)
            assert {key.removeprefix("compile_") for key in found} >= {"loss"}
            np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-6, atol=1e-6)


@scenario("memory")
def mixed_precision_and_bfloat16(base: str) -> None:
    for policy in ("mixed_float16", "mixed_bfloat16", "bfloat16"):
        with case(policy):
            model = keras.Sequential(
                [keras.Input((6,)), keras.layers.Dense(2, dtype=keras.DTypePolicy(policy))]
            )
            rm.save_model(model, f"{base}/{policy}.keras")
            loaded = rm.load_model(f"{base}/{policy}.keras")
            assert loaded.layers[0].dtype_policy.name == policy
            assert_same_arrays(
                [np.asarray(each).astype("float32") for each in loaded.weights],
                [np.asarray(each).astype("float32") for each in model.weights],
            )


@scenario("memory")
def nested_and_shared(base: str) -> None:
    inputs, _ = batch(6)
    inner = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, name="deep")], name="inner")
    start = keras.Input((6,))
    model = keras.Model(
        start, keras.layers.Add()([inner(start), inner(keras.layers.ReLU()(start))])
    )
    for name in FORMATS:
        with case(name):
            rm.save_model(model, f"{base}/{name}")
            loaded = rm.load_model(f"{base}/{name}")
            assert len(loaded.weights) == 2
            assert_same_outputs(model, loaded, inputs)


@scenario("memory")
def plain_keras_opens_the_files(base: str) -> None:
    inputs, _ = batch(6)
    model = small()
    for name in FORMATS:
        with case(name), tempfile.TemporaryDirectory() as folder:
            rm.save_model(model, f"{base}/{name}")
            (path,) = rm.pull_model(f"{base}/{name}", f"{folder}/model")
            assert path.name == name
            assert_same_outputs(model, keras.saving.load_model(path), inputs)
    with tempfile.TemporaryDirectory() as folder:
        rm.save_weights(model, f"{base}/model.weights.json", max_shard_size=1.2e-7)
        paths = rm.pull_model(f"{base}/model.weights.json", f"{folder}/model")
        assert len(paths) >= 3
        other = small()
        other.load_weights(f"{folder}/model/model.weights.json")
        assert_same_arrays(other.weights, model.weights)


@scenario()
def not_a_name_of_a_whole_model(base: str) -> None:
    for name, verb in [
        ("model.weights.h5", "save_weights"),
        ("model.weights.json", "save_weights"),
        ("model.json", "save_architecture"),
    ]:
        with pytest.raises(ArgumentError, match=verb):
            rm.save_model(small(), f"{base}/{name}")
        with pytest.raises(ModelNotFoundError):
            rm.open_model(f"{base}/{name}")


@scenario()
def metadata_that_is_no_json(base: str) -> None:
    """Refused before anything is written, also where a model is already."""
    inputs, _ = batch(6)
    model = small()
    rm.save_model(model, f"{base}/old.keras", metadata={"step": 1})
    for bad in ({"x": object()}, {"x": float("nan")}, {"x": {1, 2}}, {"x": b"bytes"}):
        for name in ("old.keras", "new.keras"):
            with case((name, bad)), pytest.raises(ArgumentError, match="metadata"):
                rm.save_model(small("sgd"), f"{base}/{name}", metadata=bad)
    assert rm.open_model(f"{base}/old.keras").metadata == {"step": 1}
    assert_same_outputs(model, rm.load_model(f"{base}/old.keras"), inputs)
    with pytest.raises(ModelNotFoundError):
        rm.open_model(f"{base}/new.keras")


@scenario("memory")
def metadata_of_every_verb(base: str) -> None:
    metadata = {"step": 12, "git": "4f2c", "metrics": {"loss": 0.25}, "note": "größer", "no": None}
    model = small()
    for name, verb in SAVERS.items():
        manifest = verb(model, f"{base}/{name}", metadata=metadata)
        assert manifest.metadata == metadata
        assert rm.open_model(f"{base}/{name}").metadata == metadata


@scenario("local", "s3")
def failed_save_leaves_the_old_model(base: str) -> None:
    def half(told: rm.TransferProgress) -> None:
        if told.transferred:
            raise RuntimeError("killed by the scheduler")

    inputs, _ = batch(6)
    old = small()
    for name in FORMATS:
        with case(name):
            url = f"{base}/{name}"
            digest = rm.save_model(old, url).digest
            with pytest.raises(RuntimeError, match="scheduler"):
                rm.save_model(small("sgd"), url, progress=half)
            manifest = rm.open_model(url).manifest
            assert manifest is not None
            assert manifest.digest == digest
            assert_same_outputs(old, rm.load_model(url, manifest_digest=digest), inputs)


@scenario("memory")
def failed_weights_leave_the_old_ones(base: str) -> None:
    old, url = small(), f"{base}/model.weights.h5"
    rm.save_weights(old, url)
    new = small()

    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("killed by the scheduler")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(new), "save_weights", lambda _self, path: fail(path))
        with pytest.raises(RuntimeError, match="scheduler"):
            rm.save_weights(new, url)
    rm.load_weights(new, url)
    assert_same_arrays(new.weights, old.weights)


@scenario("local", "s3")
def overwriting_and_not(base: str) -> None:
    inputs, _ = batch(6)
    first, second = small(), small("sgd")
    for name in FORMATS:
        with case(name):
            url = f"{base}/{name}"
            rm.save_model(first, url, overwrite=False)
            with pytest.raises(ModelExistsError, match="overwrite=True"):
                rm.save_model(second, url, overwrite=False)
            assert_same_outputs(first, rm.load_model(url), inputs)
            rm.save_model(second, url)
            assert_same_outputs(second, rm.load_model(url), inputs)


@scenario()
def foreign_models_warn(base: str) -> None:
    """Without a manifest a model loads, and the caller is told."""
    inputs, _ = batch(6)
    model = small()
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model.keras")
        model.save(f"{folder}/model.h5")
        model.save_weights(f"{folder}/model.weights.h5")
        model.save_weights(f"{folder}/shards.weights.json", max_shard_size=2e-7)
        put_behind_our_back(Path(folder), base)
    for name in FORMATS:
        with case(name):
            with pytest.warns(rm.UnverifiedModelWarning, match=name) as caught:
                loaded = rm.load_model(f"{base}/{name}")
            assert caught[0].filename == __file__
            assert_same_outputs(model, loaded, inputs)
    for name in ("model.weights.h5", "shards.weights.json"):
        with case(name):
            other = small()
            with pytest.warns(rm.UnverifiedModelWarning, match=name) as caught:
                rm.load_weights(other, f"{base}/{name}")
            assert caught[0].filename == __file__
            assert_same_arrays(other.weights, model.weights)


def put_behind_our_back(folder: Path, base: str) -> None:
    import fsspec

    for path in folder.iterdir():
        with fsspec.open(f"{base}/{path.name}", "wb") as target:
            target.write(path.read_bytes())


@scenario("local", "s3", "gs")
def unusual_names(base: str) -> None:
    inputs, _ = batch(6)
    model = small()
    for name in ("step:12+best.keras", "50% größer 模型.h5", "a b/c=d&e.keras"):
        with case(name):
            url = f"{base}/{name}"
            if not base.startswith(("s3", "gs")):
                Path(url).parent.mkdir(exist_ok=True)
            rm.save_model(model, url)
            assert_same_outputs(model, rm.load_model(url), inputs)
            assert rm.verify_model(url).ok


@scenario("local")
def paths_of_every_kind(base: str) -> None:
    inputs, _ = batch(6)
    model = small()
    for url in (Path(base, "path.keras"), f"file://{base}/url.keras", f"{base}/text.keras"):
        rm.save_model(model, url)
        assert_same_outputs(model, rm.load_model(url), inputs)
    assert {path.name for path in Path(base).iterdir()} == {
        f"{name}.keras{suffix}"
        for name in ("path", "url", "text")
        for suffix in ("", ".manifest.json")
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(base)
        assert_same_outputs(model, rm.load_model("text.keras"), inputs)
        assert_same_outputs(model, rm.load_model(Path("text.keras")), inputs)


@scenario("memory")
def layer_is_saved_as_no_model(base: str) -> None:
    """What is no model gets one line, not a traceback from inside Keras."""

    class TorchLike:
        def state_dict(self) -> dict[str, Any]:
            return {}

    for wrong in (TorchLike(), lambda x: x, "model", None, TorchLike, keras.Sequential):
        for name, verb in SAVERS.items():
            with case((wrong, name)):
                with pytest.raises(ArgumentError, match="not a Keras model"):
                    verb(wrong, f"{base}/{name}")
                with pytest.raises(ModelNotFoundError):
                    rm.open_model(f"{base}/{name}")
    with pytest.raises(ArgumentError, match="not a Keras model"):
        rm.load_weights(TorchLike(), f"{base}/model.weights.h5")


@scenario("memory")
def wrong_verb_names_the_right_one(base: str) -> None:
    model = small()
    rm.save_model(model, f"{base}/model.keras")
    rm.save_weights(model, f"{base}/model.weights.h5")
    rm.save_architecture(model, f"{base}/model.json")
    with pytest.raises(FormatError, match="load_weights"):
        rm.load_model(f"{base}/model.weights.h5")
    with pytest.raises(FormatError, match=r"load_architecture\(\)"):
        rm.load_model(f"{base}/model.json")
    with pytest.raises(FormatError, match=r"load_model\(\)"):
        rm.load_architecture(f"{base}/model.keras")
    with pytest.raises(FormatError, match=r"load_architecture\(\)"):
        rm.load_weights(model, f"{base}/model.json")


@scenario()
def tampered_weights_never_reach_a_model(base: str) -> None:
    """A bit of a kernel flips: an error, and not one variable with a wrong number."""
    import fsspec

    model = functional()
    rm.save_model(model, f"{base}/model.keras")
    rm.save_model(model, f"{base}/model.h5")
    rm.save_weights(model, f"{base}/model.weights.h5")
    kernel = np.asarray(model.get_layer("shared").kernel).tobytes()
    for name in ("model.keras", "model.h5", "model.weights.h5"):
        with case(name):
            with fsspec.open(f"{base}/{name}", "rb") as source:
                good = source.read()
            place = good.index(kernel) + 7
            with fsspec.open(f"{base}/{name}", "wb") as target:
                target.write(good[:place] + bytes([good[place] ^ 64]) + good[place + 1 :])
            other = functional()
            before = other.get_weights()
            with pytest.raises(IntegrityError):
                rm.load_weights(other, f"{base}/{name}")
            touched = [
                np.array_equal(value, unchanged)
                for value, unchanged in zip(other.get_weights(), before, strict=True)
            ]
            assert touched[0], "the tampered kernel was used"
            if "weights" not in name:
                with pytest.raises(IntegrityError):
                    rm.load_model(f"{base}/{name}")


@scenario("memory")
def keras_fails_with_its_own_words(base: str) -> None:
    """An error that is not about generations stays Keras' own."""
    rm.save_model(keras.Sequential([keras.Input((6,)), Unregistered(2)]), f"{base}/model.keras")
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr("integration.scenarios.keras3.Unregistered")
        with pytest.raises(Exception, match="Unregistered") as caught:
            rm.load_model(f"{base}/model.keras")
    assert not isinstance(caught.value, GenerationError)


@scenario("memory", "s3")
def progress_is_told(base: str) -> None:
    url = f"{base}/model.keras"
    trained, fresh, targets = small(), small("sgd"), batch(6)
    trained.fit(*targets, verbose=0)
    for model in (trained, fresh):  # of the second one, Keras leaves tensors out
        seen: list[rm.TransferProgress] = []
        manifest = rm.save_model(model, url, progress=seen.append)
        assert seen[-1].total == manifest.total_size
        assert_complete(seen, "upload")
        loads: list[Callable[[Callable[[rm.TransferProgress], None]], Any]] = [
            lambda told: rm.load_model(url, progress=told),
            lambda told: rm.load_model(url, compile=False, progress=told),
            lambda told: rm.load_weights(small(), url, progress=told),
        ]
        for load in loads:
            seen = []
            load(seen.append)
            assert_complete(seen, "download")


def assert_complete(seen: list[rm.TransferProgress], operation: str) -> None:
    """Require that it began at nothing, never went back, and ended at the total."""
    assert {each.operation for each in seen} == {operation}
    moved = [each.transferred for each in seen]
    assert moved == sorted(moved)
    assert moved[0] == 0
    assert seen[-1].finished
    assert moved[-1] == seen[-1].total > 0
    assert len({each.total for each in seen}) == 1


@scenario("memory")
def tensorflow_is_not_ours_to_import(base: str) -> None:
    """The runner fails any import of TensorFlow by our modules; here nothing of tf_keras came."""
    rm.save_model(small(), f"{base}/model.keras")
    rm.load_model(f"{base}/model.keras")
    assert_not_imported("tf_keras", "remote_models.frameworks.tf_keras")
