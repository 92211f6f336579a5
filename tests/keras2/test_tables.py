"""docs/keras2.md has a row for every layer, and so has what is tested."""

from __future__ import annotations

import re
from pathlib import Path

from keras2.child import run
from remote_models.frameworks._keras2._layers import _RULES

PAGE = Path(__file__).parents[2] / "docs/keras2.md"

WITHOUT_A_ROW = {
    "AbstractRNNCell", "Wrapper",  # bases of others
    "DenseFeatures",  # of feature columns, which Keras 3 has not
    "GRUCell", "LSTMCell", "SimpleRNNCell",  # in the rows of RNN and StackedRNNCells
    "InputLayer", "Lambda",  # in every model; in tests of their own
    "CustomScaleLayer", "LayerScale",  # of applications, which have a table
}  # fmt: skip


def rows() -> set[str]:
    """Return the classes that the table of layers names."""
    table = PAGE.read_text(encoding="utf-8").partition("<!-- layers -->")[2]
    lines = table.partition("<!-- end of layers -->")[0].splitlines()
    return {found[1] for line in lines if (found := re.match(r"\| (\w+)[^|]*\| ", line))}


def test_every_class_has_a_row() -> None:
    (classes,) = run("classes.py")
    shared = set(classes["keras_2"]) & set(classes["keras_3"])
    assert len(shared) > 90
    assert shared - rows() - WITHOUT_A_ROW == set()
    assert set(classes["keras_2"]) - rows() - WITHOUT_A_ROW == set()


def test_every_rule_of_the_translation_has_a_row() -> None:
    """And each row of the page is a case that is saved by one Keras and loaded by the other."""
    assert _RULES.keys() - rows() - WITHOUT_A_ROW == set()
