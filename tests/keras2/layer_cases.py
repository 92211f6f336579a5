"""Layers of Keras 2 with arguments that its configurations tell apart: what is to be translated.

Uses nothing but what tf_keras has, and nothing of pytest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["LayerCase", "layer_cases"]

VECTOR, SEQUENCE, IMAGE, CUBE = (4,), (6, 4), (8, 8, 4), (4, 4, 4, 2)


@dataclass(frozen=True, slots=True)
class LayerCase:
    """One layer around which a model is made.

    Attributes:
        make: Makes the layer, or calls what is to be tried on the inputs itself.
        shapes: The shapes of the inputs.
        dtype: The dtype of the inputs.
        how: ``one`` calls the layer with its input, ``list`` with a list of inputs,
            ``pair`` with each as an argument, ``graph`` calls ``make`` with the inputs.
        random: Whether two predictions differ, so that only the shapes are compared.
    """

    make: Callable[..., Any]
    shapes: Sequence[tuple[int, ...]] = (VECTOR,)
    dtype: str = "float32"
    how: str = "one"

    def model(self, keras: Any, name: str) -> Any:
        """Return a model of ``keras`` around the layer."""
        inputs = [keras.Input(shape, dtype=self.dtype) for shape in self.shapes]
        if self.how == "graph":
            return keras.Model(inputs, self.make(*inputs), name=name)
        layer = self.make()
        outputs = layer(*inputs) if self.how in ("one", "pair") else layer(inputs)
        return keras.Model(inputs, outputs, name=name)


def layer_cases(keras: Any) -> dict[str, LayerCase]:
    """Return the cases by name: the class, and what is special about it."""
    return {
        **_core(keras),
        **_convolutions(keras),
        **_merging(keras),
        **_recurrent(keras),
        **_attention(keras),
        **_preprocessing(keras),
        **_replaced(keras),
    }


def _core(keras: Any) -> dict[str, LayerCase]:
    L = keras.layers  # noqa: N806 - as everybody calls it
    return {
        "Activation": LayerCase(lambda: L.Activation("swish")),
        "Activation of a layer": LayerCase(lambda: L.Dense(3, activation=L.LeakyReLU(0.3))),
        "ActivityRegularization": LayerCase(lambda: L.ActivityRegularization(l1=0.1)),
        "AlphaDropout": LayerCase(lambda: L.AlphaDropout(0.3)),
        "BatchNormalization": LayerCase(L.BatchNormalization, [IMAGE]),
        "BatchNormalization of an axis": LayerCase(
            lambda: L.BatchNormalization(axis=1, scale=False), [IMAGE]
        ),
        "Dense": LayerCase(
            lambda: L.Dense(
                3,
                activation="gelu",
                kernel_initializer=keras.initializers.VarianceScaling(2.0),
                kernel_regularizer=keras.regularizers.L1L2(0.1, 0.2),
                bias_constraint=keras.constraints.NonNeg(),
            )
        ),
        "Dropout": LayerCase(lambda: L.Dropout(0.3, noise_shape=(None, 1)), [SEQUENCE[1:]]),
        "ELU": LayerCase(lambda: L.ELU(0.7)),
        "EinsumDense": LayerCase(lambda: L.EinsumDense("ab,bc->ac", 3, bias_axes="c")),
        "Embedding": LayerCase(
            lambda: L.Embedding(9, 3, mask_zero=True, input_length=6), [(6,)], "int32"
        ),
        "Flatten": LayerCase(L.Flatten, [IMAGE]),
        "GaussianDropout": LayerCase(lambda: L.GaussianDropout(0.3)),
        "GaussianNoise": LayerCase(lambda: L.GaussianNoise(0.3)),
        "GroupNormalization": LayerCase(lambda: L.GroupNormalization(2), [IMAGE]),
        "Identity": LayerCase(L.Identity),
        "LayerNormalization": LayerCase(L.LayerNormalization),
        "LayerNormalization of two axes": LayerCase(
            lambda: L.LayerNormalization(axis=[1, 2]), [SEQUENCE]
        ),
        "LeakyReLU": LayerCase(lambda: L.LeakyReLU(0.25)),
        "Masking": LayerCase(lambda: L.Masking(0.5), [SEQUENCE]),
        "PReLU": LayerCase(lambda: L.PReLU(shared_axes=[1]), [SEQUENCE]),
        "Permute": LayerCase(lambda: L.Permute((2, 1)), [SEQUENCE]),
        "ReLU": LayerCase(lambda: L.ReLU(6.0, 0.1, 0.2)),
        "RepeatVector": LayerCase(lambda: L.RepeatVector(3)),
        "Reshape": LayerCase(lambda: L.Reshape((2, -1)), [SEQUENCE]),
        "Softmax": LayerCase(lambda: L.Softmax(axis=1), [SEQUENCE]),
        "SpatialDropout1D": LayerCase(lambda: L.SpatialDropout1D(0.3), [SEQUENCE]),
        "SpatialDropout2D": LayerCase(lambda: L.SpatialDropout2D(0.3), [IMAGE]),
        "SpatialDropout3D": LayerCase(lambda: L.SpatialDropout3D(0.3), [CUBE]),
        "SpectralNormalization": LayerCase(lambda: L.SpectralNormalization(L.Dense(3))),
        "ThresholdedReLU": LayerCase(lambda: L.ThresholdedReLU(0.3)),
        "UnitNormalization": LayerCase(L.UnitNormalization),
    }


def _convolutions(keras: Any) -> dict[str, LayerCase]:
    L = keras.layers  # noqa: N806
    cases: dict[str, LayerCase] = {
        "Conv1D causal": LayerCase(lambda: L.Conv1D(2, 3, padding="causal"), [SEQUENCE]),
        "Conv2D with groups": LayerCase(
            lambda: L.Conv2D(4, 3, groups=2, dilation_rate=2, activation="relu"), [IMAGE]
        ),
        "Conv2DTranspose with strides": LayerCase(
            lambda: L.Conv2DTranspose(2, 3, strides=2, padding="same"), [IMAGE]
        ),
        "Conv2DTranspose with output padding": LayerCase(
            lambda: L.Conv2DTranspose(2, 3, strides=2, output_padding=1), [IMAGE]
        ),
        "UpSampling2D bilinear": LayerCase(
            lambda: L.UpSampling2D(2, interpolation="bilinear"), [IMAGE]
        ),
        "ZeroPadding2D asymmetric": LayerCase(lambda: L.ZeroPadding2D(((0, 1), (2, 3))), [IMAGE]),
        "AveragePooling2D same": LayerCase(lambda: L.AveragePooling2D(3, padding="same"), [IMAGE]),
    }
    for rank, shape in ((1, SEQUENCE), (2, IMAGE), (3, CUBE)):
        for kind in ("Conv{}D", "Conv{}DTranspose", "DepthwiseConv{}D", "SeparableConv{}D"):
            cls = getattr(L, kind.format(rank), None)
            if cls is not None:
                arguments = (2,) if "Depthwise" in kind else (2, 2)
                cases[cls.__name__] = LayerCase(_making(cls, *arguments), [shape])
        for kind in ("MaxPooling{}D", "AveragePooling{}D", "UpSampling{}D"):
            cls = getattr(L, kind.format(rank))
            cases[cls.__name__] = LayerCase(_making(cls, 2), [shape])
        for kind in ("GlobalMaxPooling{}D", "GlobalAveragePooling{}D"):
            cls = getattr(L, kind.format(rank))
            cases[cls.__name__] = LayerCase(_making(cls, keepdims=True), [shape])
        for kind in ("ZeroPadding{}D", "Cropping{}D"):
            cls = getattr(L, kind.format(rank))
            cases[cls.__name__] = LayerCase(_making(cls, 1), [shape])
    return cases


def _merging(keras: Any) -> dict[str, LayerCase]:
    L = keras.layers  # noqa: N806
    pair = [SEQUENCE, SEQUENCE]
    cases = {
        name: LayerCase(getattr(L, name), pair, how="list")
        for name in ("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract")
    }
    cases["Dot"] = LayerCase(lambda: L.Dot(axes=(2, 2), normalize=True), pair, how="list")
    cases["Concatenate of an axis"] = LayerCase(lambda: L.Concatenate(axis=1), pair, how="list")
    return cases


def _recurrent(keras: Any) -> dict[str, LayerCase]:
    L = keras.layers  # noqa: N806

    def with_state(x: Any, y: Any) -> Any:
        _, *state = L.LSTM(3, return_state=True)(x)
        return L.LSTM(3, return_sequences=True)(y, initial_state=state)

    def masked(x: Any) -> Any:
        return L.GRU(3)(L.Embedding(9, 3, mask_zero=True)(x))

    return {
        "LSTM": LayerCase(lambda: L.LSTM(3, return_sequences=True), [SEQUENCE]),
        "LSTM backwards": LayerCase(
            lambda: L.LSTM(3, go_backwards=True, unit_forget_bias=False, unroll=True), [SEQUENCE]
        ),
        "LSTM hard sigmoid": LayerCase(
            lambda: L.LSTM(3, recurrent_activation="hard_sigmoid"), [SEQUENCE]
        ),
        "LSTM with a state": LayerCase(with_state, [SEQUENCE, SEQUENCE], how="graph"),
        "GRU": LayerCase(lambda: L.GRU(3), [SEQUENCE]),
        "GRU reset before": LayerCase(lambda: L.GRU(3, reset_after=False), [SEQUENCE]),
        "GRU masked": LayerCase(masked, [(6,)], "int32", how="graph"),
        "SimpleRNN": LayerCase(lambda: L.SimpleRNN(3), [SEQUENCE]),
        "ConvLSTM1D": LayerCase(lambda: L.ConvLSTM1D(2, 2), [(3, 6, 2)]),
        "ConvLSTM2D": LayerCase(lambda: L.ConvLSTM2D(2, 2), [(3, 6, 6, 2)]),
        "ConvLSTM3D": LayerCase(lambda: L.ConvLSTM3D(2, 2), [(3, 4, 4, 4, 2)]),
        "RNN": LayerCase(lambda: L.RNN(L.LSTMCell(3)), [SEQUENCE]),
        "RNN of GRUCell": LayerCase(lambda: L.RNN(L.GRUCell(3)), [SEQUENCE]),
        "RNN of SimpleRNNCell": LayerCase(lambda: L.RNN(L.SimpleRNNCell(3)), [SEQUENCE]),
        "StackedRNNCells": LayerCase(
            lambda: L.RNN([L.LSTMCell(3), L.LSTMCell(3), L.GRUCell(2)]), [SEQUENCE]
        ),
        "Bidirectional": LayerCase(
            lambda: L.Bidirectional(L.LSTM(3, return_sequences=True)), [SEQUENCE]
        ),
        "Bidirectional of two": LayerCase(
            lambda: L.Bidirectional(
                L.GRU(3, name="there"),
                backward_layer=L.GRU(3, go_backwards=True, name="back"),
                merge_mode="sum",
            ),
            [SEQUENCE],
        ),
        "TimeDistributed": LayerCase(lambda: L.TimeDistributed(L.Conv1D(3, 2)), [(3, 6, 4)]),
        "TimeDistributed of a model": LayerCase(
            lambda: L.TimeDistributed(
                keras.Sequential([L.Input((4,)), L.Dense(3), L.BatchNormalization()])
            ),
            [SEQUENCE],
        ),
    }


def _attention(keras: Any) -> dict[str, LayerCase]:
    L = keras.layers  # noqa: N806
    pair = [SEQUENCE, SEQUENCE]
    return {
        "MultiHeadAttention": LayerCase(lambda: L.MultiHeadAttention(2, 3), pair, how="pair"),
        "MultiHeadAttention with shapes": LayerCase(
            lambda: L.MultiHeadAttention(2, 3, value_dim=2, output_shape=5, use_bias=False),
            pair,
            how="pair",
        ),
        "MultiHeadAttention with arguments": LayerCase(
            lambda x, y: L.MultiHeadAttention(2, 3)(x, value=y, use_causal_mask=True),
            pair,
            how="graph",
        ),
        "Attention": LayerCase(lambda: L.Attention(use_scale=True), pair, how="list"),
        "Attention concat": LayerCase(lambda: L.Attention(score_mode="concat"), pair, how="list"),
        "AdditiveAttention": LayerCase(L.AdditiveAttention, pair, how="list"),
    }


def _preprocessing(keras: Any) -> dict[str, LayerCase]:
    L = keras.layers  # noqa: N806

    def normalization() -> Any:
        layer = L.Normalization(axis=-1)
        layer.adapt([[0.0, 1.0, 2.0, 3.0], [1.0, 3.0, 5.0, 7.0]])
        return layer

    return {
        "CategoryEncoding": LayerCase(
            lambda: L.CategoryEncoding(9, output_mode="count"), [(6,)], "int32"
        ),
        "CenterCrop": LayerCase(lambda: L.CenterCrop(4, 5), [IMAGE]),
        "Discretization": LayerCase(lambda: L.Discretization([0.2, 0.4, 0.8])),
        "HashedCrossing": LayerCase(lambda: L.HashedCrossing(7), [(1,), (1,)], "int64", "list"),
        "Hashing": LayerCase(lambda: L.Hashing(7), [(4,)], "int64"),
        "IntegerLookup": LayerCase(lambda: L.IntegerLookup(vocabulary=[2, 4]), [(4,)], "int64"),
        "Normalization": LayerCase(normalization),
        "Normalization with a mean": LayerCase(lambda: L.Normalization(mean=1.0, variance=4.0)),
        "RandomBrightness": LayerCase(lambda: L.RandomBrightness(0.3), [IMAGE]),
        "RandomContrast": LayerCase(lambda: L.RandomContrast(0.3), [IMAGE]),
        "RandomCrop": LayerCase(lambda: L.RandomCrop(8, 8), [IMAGE]),
        "RandomFlip": LayerCase(L.RandomFlip, [IMAGE]),
        "RandomRotation": LayerCase(lambda: L.RandomRotation(0.3), [IMAGE]),
        "RandomTranslation": LayerCase(lambda: L.RandomTranslation(0.3, 0.2), [IMAGE]),
        "RandomZoom": LayerCase(lambda: L.RandomZoom(0.3), [IMAGE]),
        "Rescaling": LayerCase(lambda: L.Rescaling(0.5, offset=[1.0, 2.0, 3.0, 4.0]), [IMAGE]),
        "Resizing": LayerCase(lambda: L.Resizing(4, 6), [IMAGE]),
        "StringLookup": LayerCase(lambda: L.StringLookup(vocabulary=["a", "b"]), [(4,)], "string"),
        "TextVectorization": LayerCase(
            lambda: L.TextVectorization(vocabulary=["a", "b"]), [(1,)], "string"
        ),
    }


def _replaced(keras: Any) -> dict[str, LayerCase]:
    L = keras.layers  # noqa: N806
    experimental = L.experimental
    return {
        "SyncBatchNormalization": LayerCase(experimental.SyncBatchNormalization, [IMAGE]),
        "LocallyConnected1D": LayerCase(lambda: L.LocallyConnected1D(2, 3), [SEQUENCE]),
        "LocallyConnected2D": LayerCase(lambda: L.LocallyConnected2D(2, 3), [IMAGE]),
        "RandomHeight": LayerCase(lambda: L.RandomHeight(0.3), [IMAGE]),
        "RandomWidth": LayerCase(lambda: L.RandomWidth(0.3), [IMAGE]),
        "RandomFourierFeatures": LayerCase(lambda: experimental.RandomFourierFeatures(3)),
    }


def _making(cls: Any, *arguments: Any, **options: Any) -> Callable[[], Any]:
    return lambda: cls(*arguments, **options)
