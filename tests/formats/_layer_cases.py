"""Every layer of Keras that has variables, with arguments that decide which."""

from __future__ import annotations

from typing import Any

SEQUENCE, IMAGE, CUBE, VECTOR = (5, 4), (8, 8, 3), (4, 4, 4, 2), (4,)

ARGUMENTS: tuple[tuple[Any, ...], ...] = ((), (2,), (0.5,), ("relu",), ((2, 1),), ((-1,),), (2, 2))
"""What the constructors of the other classes are tried with."""


def around(keras: Any, layer: Any, shape: Any) -> Any:
    """Return a model around one layer."""
    if shape in ("pair", "list"):
        inputs = [keras.layers.Input(SEQUENCE), keras.layers.Input(SEQUENCE)]
        return keras.Model(inputs, layer(*inputs) if shape == "pair" else layer(inputs))
    if shape == "text":
        inputs = keras.layers.Input((1,), dtype="string")
    else:
        inputs = keras.layers.Input(shape)
    return keras.Model(inputs, layer(inputs))


def layer_cases(keras: Any) -> dict[str, Any]:
    """Return class, arguments and shape of the input by the name of the case."""
    L = keras.layers  # noqa: N806  # as everybody calls it
    cases: dict[str, Any] = {
        "Dense": (L.Dense, {"units": 3}, VECTOR),
        "Dense without bias": (L.Dense, {"units": 3, "use_bias": False}, VECTOR),
        "EinsumDense": (
            L.EinsumDense, {"equation": "ab,bc->ac", "output_shape": 3, "bias_axes": "c"}, VECTOR,
        ),
        "EinsumDense without bias": (
            L.EinsumDense, {"equation": "ab,bc->ac", "output_shape": 3}, VECTOR,
        ),
        "Embedding": (L.Embedding, {"input_dim": 7, "output_dim": 3}, VECTOR),
        "BatchNormalization": (L.BatchNormalization, {}, VECTOR),
        "BatchNormalization without scale": (L.BatchNormalization, {"scale": False}, VECTOR),
        "BatchNormalization without center": (L.BatchNormalization, {"center": False}, VECTOR),
        "BatchNormalization renorm": (L.BatchNormalization, {"renorm": True}, VECTOR),
        "LayerNormalization": (L.LayerNormalization, {}, VECTOR),
        "LayerNormalization without center": (L.LayerNormalization, {"center": False}, VECTOR),
        "GroupNormalization": (L.GroupNormalization, {"groups": 2}, VECTOR),
        "SpectralNormalization": (L.SpectralNormalization, {"layer": L.Dense(3)}, VECTOR),
        "LSTM": (L.LSTM, {"units": 3, "recurrent_dropout": 0.1}, SEQUENCE),
        "GRU": (L.GRU, {"units": 3}, SEQUENCE),
        "GRU without bias": (L.GRU, {"units": 3, "use_bias": False}, SEQUENCE),
        "SimpleRNN": (L.SimpleRNN, {"units": 3}, SEQUENCE),
        "ConvLSTM1D": (L.ConvLSTM1D, {"filters": 2, "kernel_size": 2}, (3, 6, 2)),
        "ConvLSTM2D": (L.ConvLSTM2D, {"filters": 2, "kernel_size": 2}, (3, 6, 6, 2)),
        "ConvLSTM3D": (L.ConvLSTM3D, {"filters": 2, "kernel_size": 2}, (3, 4, 4, 4, 2)),
        "RNN": (L.RNN, {"cell": L.LSTMCell(3)}, SEQUENCE),
        "RNN of a list": (L.RNN, {"cell": [L.LSTMCell(3), L.GRUCell(2)]}, SEQUENCE),
        "RNN stacked": (
            L.RNN,
            {"cell": L.StackedRNNCells([L.SimpleRNNCell(3), L.GRUCell(2, name="top"),
                                        L.GRUCell(2)])},
            SEQUENCE,
        ),
        "Bidirectional": (L.Bidirectional, {"layer": L.GRU(3)}, SEQUENCE),
        "Bidirectional of two": (
            L.Bidirectional,
            {"layer": L.LSTM(3, name="there"),
             "backward_layer": L.LSTM(3, go_backwards=True, name="back")},
            SEQUENCE,
        ),
        "Bidirectional of RNN": (L.Bidirectional, {"layer": L.RNN(L.LSTMCell(3))}, SEQUENCE),
        "TimeDistributed": (L.TimeDistributed, {"layer": L.Dense(3)}, SEQUENCE),
        "TimeDistributed model": (
            L.TimeDistributed, {"layer": keras.Sequential([L.Input((4,)), L.Dense(3)])}, SEQUENCE,
        ),
        "Conv3D": (L.Conv3D, {"filters": 2, "kernel_size": 2}, CUBE),
        "Conv3DTranspose": (L.Conv3DTranspose, {"filters": 2, "kernel_size": 2}, CUBE),
        "DepthwiseConv1D": (L.DepthwiseConv1D, {"kernel_size": 2}, SEQUENCE),
        "DepthwiseConv2D": (L.DepthwiseConv2D, {"kernel_size": 2}, IMAGE),
        "Normalization with a mean": (L.Normalization, {"mean": 1.0, "variance": 2.0}, VECTOR),
        "MultiHeadAttention": (L.MultiHeadAttention, {"num_heads": 2, "key_dim": 3}, "pair"),
        "Attention": (L.Attention, {"use_scale": True, "score_mode": "concat"}, "list"),
        "AdditiveAttention": (L.AdditiveAttention, {}, "list"),
        "TextVectorization": (
            L.TextVectorization, {"vocabulary": ["a", "b"], "idf_weights": [1.0, 2.0],
                                  "output_mode": "tf_idf"}, "text",
        ),
        "StringLookup": (L.StringLookup, {"vocabulary": ["a", "b"]}, "text"),
    }  # fmt: skip
    for dimensions, shape in ((1, SEQUENCE), (2, IMAGE)):
        for kind in ("Conv{}D", "Conv{}DTranspose", "SeparableConv{}D"):
            name = kind.format(dimensions)
            cases[name] = (getattr(L, name), {"filters": 2, "kernel_size": 2}, shape)
    if keras.__version__.startswith("3"):
        cases |= {
            "ReversibleEmbedding": (
                L.ReversibleEmbedding, {"input_dim": 7, "output_dim": 3}, VECTOR,
            ),
            "ReversibleEmbedding untied": (
                L.ReversibleEmbedding,
                {"input_dim": 7, "output_dim": 3, "tie_weights": False}, VECTOR,
            ),
            "GroupQueryAttention": (
                L.GroupQueryAttention,
                {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}, "pair",
            ),
            "MultiHeadAttention gated": (
                L.MultiHeadAttention,
                {"num_heads": 2, "key_dim": 3, "use_gate": True, "use_bias": False}, "pair",
            ),
        }  # fmt: skip
    return cases
