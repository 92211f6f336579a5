"""What two models differ in, and that no more is read than digests leave open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import remote_models as rm
from remote_models.errors import IntegrityError
from remote_models.manifest import StoredManifest
from remote_models.remote_model import RemoteModel
from remote_models.storage import Location
from weights.artifacts import flip, opened, put, store_tensors, without_digests, write_weights
from weights.counting_proxy import CountingProxy

BLOCK = 256
"""Bytes of a block here: 64 elements of float32."""


def model(base: Location, arrays: dict[str, Any], **how: Any) -> RemoteModel:
    return opened(base, store_tensors(base, arrays, **{"block_size": BLOCK, **how}))


def diff_of(
    base: Location, before: dict[str, Any], after: dict[str, Any], **how: Any
) -> rm.ModelDiff:
    return rm.diff_models(
        model(base.join("before"), before), model(base.join("after"), after, **how)
    )


def the_only(diff: rm.ModelDiff) -> rm.TensorDiff:
    (found,) = diff.tensors
    return found


def test_only_the_blocks_that_differ_are_read(base: Location) -> None:
    before = np.arange(640, dtype=np.float32).reshape(64, 10)
    after = before.copy()
    after[0, 0] += 3  # in the first block
    after[63, 9] -= 4  # in the last one
    found = diff_of(base, {"a": before, "b": before}, {"a": after, "b": before})
    changed, same = found.tensors
    assert (changed.change, same.change) == (rm.Change.CHANGED, rm.Change.SAME)
    assert (changed.different, changed.not_finite, changed.max_abs, changed.l2) == (2, 0, 4, 5)
    read = np.concatenate([before.ravel()[:64], before.ravel()[-64:]]).astype(np.float64)
    assert changed.relative_l2 == pytest.approx(5 / np.linalg.norm(read))
    assert (same.different, same.max_abs, same.l2, same.relative_l2) == (0, 0, 0, 0)
    assert found.bytes_read == 2 * 2 * BLOCK
    assert not found.same
    assert [each.name for each in found.those(rm.Change.CHANGED)] == ["a"]


def test_of_the_same_model_nothing_is_read_but_the_manifests(base: Location) -> None:
    arrays = {"a": np.ones((500,), np.float32), "b": np.zeros((), np.int64)}
    found = diff_of(base, arrays, arrays)
    assert found.same
    assert found.bytes_read == 0


def test_tensors_come_and_go(memory_base: Location) -> None:
    a, b = np.ones((2, 3), np.float32), np.ones((4,), np.int32)
    found = diff_of(memory_base, {"gone": a, "kept": a}, {"kept": a, "new": b})
    assert [(each.name, each.change) for each in found.tensors] == [
        ("gone", "removed"), ("kept", "same"), ("new", "added"),
    ]  # fmt: skip
    gone, _, new = found.tensors
    assert (gone.after, new.before) == (None, None)
    assert new.after == rm.TensorForm(role=new.after.role, dtype="int32", shape=(4,))  # type: ignore[union-attr]
    assert found.bytes_read == 0


def test_another_shape_is_a_change_without_figures(memory_base: Location) -> None:
    found = the_only(diff_of(memory_base, {"a": np.ones((2, 3))}, {"a": np.ones((3, 2))}))
    assert found.change is rm.Change.CHANGED
    assert (found.different, found.max_abs, found.relative_l2) == (None, None, None)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ml_dtypes.bfloat16, np.int32])
def test_another_dtype_is_a_change_with_figures(memory_base: Location, dtype: Any) -> None:
    before = np.arange(300, dtype=np.float32)
    after = before.astype(dtype)
    found = the_only(diff_of(memory_base, {"a": before}, {"a": after}))
    gaps = np.abs(after.astype(np.float64) - before)
    assert found.change is rm.Change.CHANGED
    assert found.different == np.count_nonzero(gaps)
    assert found.max_abs == gaps.max()
    assert found.l2 == pytest.approx(np.linalg.norm(gaps))


@pytest.mark.parametrize(
    ("before", "after", "figures"),
    [
        ([1.0, 2.0, np.nan], [1.0, 2.5, np.nan], (1, 0, 0.5)),
        ([1.0, 2.0, 3.0], [np.nan, np.inf, 3.25], (3, 2, 0.25)),
        ([np.inf, -np.inf], [np.inf, np.inf], (1, 1, 0.0)),
        ([0.0], [-0.0], (0, 0, 0.0)),  # other bits, the same number
    ],
)
def test_what_is_not_finite_is_counted_apart(
    memory_base: Location, before: Any, after: Any, figures: tuple[int, int, float]
) -> None:
    found = the_only(diff_of(memory_base, {"a": np.array(before)}, {"a": np.array(after)}))
    assert found.change is rm.Change.CHANGED
    assert (found.different, found.not_finite, found.max_abs) == figures
    assert found.l2 is not None
    assert np.isfinite(found.l2)


def test_large_integers_are_told_apart(memory_base: Location) -> None:
    before = np.array([2**62, -(2**63)], np.int64)
    after = np.array([2**62 + 1, 2**63 - 1], np.int64)
    found = the_only(diff_of(memory_base, {"a": before[:1]}, {"a": after[:1]}))
    assert (found.different, found.max_abs) == (1, 1.0)
    found = the_only(diff_of(memory_base.join("all"), {"a": before}, {"a": after}))
    assert (found.different, found.max_abs) == (2, 2.0**64)


def test_strings_and_booleans(memory_base: Location) -> None:
    words = np.array([b"one", b"two"], object)
    other = np.array([b"one", b"three"], object)
    flags, flipped = np.array([True, False]), np.array([False, False])
    found = diff_of(memory_base, {"w": words, "f": flags}, {"w": other, "f": flipped})
    word, flag = found.tensors
    assert (word.change, word.different) == ("changed", None)
    assert (flag.change, flag.different, flag.max_abs) == ("changed", 1, 1.0)


@pytest.mark.parametrize(
    "how",
    [
        {"block_size": 2 * BLOCK},
        {"cuts": {"a": ((20, 44), (10,))}},
        {"files": 2, "gap": 5},
    ],
    ids=str,
)
def test_however_they_lie_the_same_is_found(memory_base: Location, how: dict[str, Any]) -> None:
    before = np.random.default_rng(1).normal(size=(64, 10)).astype(np.float32)
    assert diff_of(memory_base, {"a": before}, {"a": before}, **how).same
    after = before.copy()
    after[40, 3] += 0.5
    found = the_only(diff_of(memory_base.join("x"), {"a": before}, {"a": after}, **how))
    assert (found.change, found.different) == ("changed", 1)
    assert found.max_abs == pytest.approx(0.5)


def test_small_tensors_in_blocks_of_two_sizes_are_told_by_their_digests(
    memory_base: Location,
) -> None:
    arrays = {"a": np.ones((BLOCK // 4,), np.float32)}
    found = diff_of(memory_base, arrays, arrays, block_size=2 * BLOCK)
    assert found.same
    assert found.bytes_read == 0


def test_what_is_read_is_checked(base: Location) -> None:
    before = np.zeros((1000,), np.float32)
    after = np.ones((1000,), np.float32)
    first, second = model(base.join("1"), {"a": before}), model(base.join("2"), {"a": after})
    flip(base.join("2").join("data-0"), 2000)
    with pytest.raises(IntegrityError, match="not those that the manifest vouches for"):
        rm.diff_models(first, second)


def test_without_digests_all_is_read(memory_base: Location) -> None:
    before = np.arange(500, dtype=np.float32)
    manifests = [store_tensors(memory_base.join(name), {"a": before}) for name in "12"]
    first, second = (
        opened(memory_base.join(name), without_digests(manifest), verify=False)
        for name, manifest in zip("12", manifests, strict=True)
    )
    found = rm.diff_models(first, second)
    assert found.same
    assert found.bytes_read == 2 * before.nbytes


def test_models_without_a_manifest(tmp_path: Path) -> None:
    kernel, bias = np.ones((4, 3), np.float32), np.zeros((3,), np.float32)
    write_weights(tmp_path / "a.weights.h5", {"dense": [kernel, bias]})
    write_weights(tmp_path / "b.weights.h5", {"dense": [kernel, bias + 2]})
    rm.adopt_model(tmp_path / "b.weights.h5")
    with pytest.warns(rm.UnverifiedModelWarning, match=r"a\.weights\.h5"):
        found = rm.diff_models(tmp_path / "a.weights.h5", tmp_path / "b.weights.h5")
    assert [each.change for each in found.tensors] == ["same", "changed"]
    assert found.tensors[1].max_abs == 2


floats = st.floats(width=32, allow_nan=True, allow_infinity=True)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(floats, floats, st.booleans()), min_size=1, max_size=300))
def test_the_figures_are_those_of_the_whole_arrays(rows: list[tuple[float, float, bool]]) -> None:
    before = np.array([one for one, _, _ in rows], np.float32)
    after = np.array([other if moved else one for one, other, moved in rows], np.float32)
    base = Location.parse("memory://test-diff")
    found = the_only(diff_of(base, {"a": before}, {"a": after}))
    assert (found.change == "same") == (before.tobytes() == after.tobytes())
    differs = (before != after) & ~(np.isnan(before) & np.isnan(after))
    finite = np.isfinite(before) & np.isfinite(after)
    gaps = after[finite].astype(np.float64) - before[finite]
    assert found.different == np.count_nonzero(differs)
    assert found.not_finite == np.count_nonzero(differs & ~finite)
    assert found.max_abs == np.abs(gaps).max(initial=0)
    assert found.l2 == pytest.approx(np.linalg.norm(gaps))


def test_a_store_is_asked_for_the_manifests_and_the_blocks_that_differ(
    counted_base: Location, proxy: CountingProxy
) -> None:
    before = np.zeros((1024, 2048), np.float32)  # 8 MiB
    after = before.copy()
    after[0, 0] = after[-1, -1] = 1
    urls = []
    for name, array in (("before", before), ("after", after)):
        manifest = store_tensors(counted_base.join(name), {"a": array, "b": before})
        data = StoredManifest(current=manifest).to_bytes()
        put(counted_base.join(f"{name}/manifest.json"), data)
        urls.append(counted_base.join(name).url)
    proxy.clear()
    found = rm.diff_models(*urls, storage_options=counted_base.storage_options)
    assert [each.different for each in found.tensors] == [2, 0]
    assert found.bytes_read == 4 * 64 * 1024
    assert proxy.requests == 2 + 4  # of each the manifest and two blocks
    manifests = 2 * len(data)
    assert proxy.nbytes < 4 * 64 * 1024 + manifests + 4096  # of 32 MiB
