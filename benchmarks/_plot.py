"""Draw what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks._cases import Group
from benchmarks._samples import Samples

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

_BARS = ("load", "load at 25 ms", "save weights.h5", "save keras")
_OURS, _OTHERS = "tab:orange", "tab:gray"


def draw(samples: Samples, groups: Sequence[Group], path: Path) -> None:
    """Draw seconds of every peer, and seconds by numbers of tensors, into a PNG file."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    bars = [group for group in groups if group.name in _BARS]
    figure, places = plt.subplots(1 + len(bars), figsize=(9, 2.6 * (1 + len(bars))))
    lines, *rest = reversed(list(places) if bars else [places])
    for group, axes in zip(bars, reversed(rest), strict=True):
        _draw_bars(samples, group, axes)
    _draw_lines(samples, groups, lines)
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _draw_bars(samples: Samples, group: Group, axes: Axes) -> None:
    labels = [case.label for case in reversed(group.cases)]
    spreads = [samples.spread(group.name, each, lambda s: s.reading.wall) for each in labels]
    axes.barh(
        labels,
        [each.median for each in spreads],
        xerr=[
            [each.median - each.least for each in spreads],
            [each.most - each.median for each in spreads],
        ],
        color=[_OURS if "remote_models" in each else _OTHERS for each in labels],
    )
    axes.set_title(group.title.replace("`", ""), fontsize="medium")
    axes.set_xlabel("seconds")


def _draw_lines(samples: Samples, groups: Sequence[Group], axes: Axes) -> None:
    counted = [each for each in groups if each.name.endswith("tensors")]
    cases = dict.fromkeys(case.label for group in counted for case in group.cases)
    for case in cases:
        here = [group for group in counted if case in samples.cases(group.name)]
        axes.plot(
            [group.cases[0].artifact.stack.tensors for group in here],
            [samples.spread(group.name, case, lambda s: s.reading.wall).median for group in here],
            marker="o",
            label=case,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("tensors, of the same bytes in all")
    axes.set_ylabel("seconds")
    axes.legend(fontsize="small")
