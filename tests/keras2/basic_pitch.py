"""The layers of basic-pitch for Keras 3, on any backend.

Its package has them for Keras 2 (basic_pitch/nn.py and basic_pitch/layers/). The constant-Q
transform is that of Schörkhuber and Klapuri, "Constant-Q transform toolbox for music
processing" (2010): the highest octave is filtered, the signal is halved, and so on.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

__all__ = ["CLASSES"]


class FlattenAudioCh(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """(batch, time, 1) to (batch, time)."""

    def call(self, inputs: Any) -> Any:
        return ops.squeeze(inputs, axis=-1)


class FlattenFreqCh(keras.layers.Layer):  # type: ignore[misc]
    """(batch, time, frequency, channel) to (batch, time, frequency * channel)."""

    def call(self, inputs: Any) -> Any:
        _, times, frequencies, channels = inputs.shape
        return ops.reshape(inputs, (-1, times, frequencies * channels))


class NormalizedLog(keras.layers.Layer):  # type: ignore[misc]
    """Decibels of (batch, time, frequency), scaled to 0 to 1 for each of the batch."""

    def call(self, inputs: Any) -> Any:
        decibels = 10 * ops.log(ops.square(inputs) + 1e-10) / math.log(10)
        above = decibels - ops.min(decibels, axis=(1, 2), keepdims=True)
        highest = ops.max(above, axis=(1, 2), keepdims=True)
        return ops.where(highest == 0, 0.0, above / ops.where(highest == 0, 1.0, highest))


class HarmonicStacking(keras.layers.Layer):  # type: ignore[misc]
    """Each frequency's harmonics side by side, as channels."""

    def __init__(
        self, bins_per_semitone: int, harmonics: list[float], n_output_freqs: int, **options: Any
    ) -> None:
        super().__init__(**options)
        self.shifts = [round(12 * bins_per_semitone * math.log2(each)) for each in harmonics]
        self.n_output_freqs = n_output_freqs

    def call(self, inputs: Any) -> Any:
        bins = inputs.shape[2]
        shifted = []
        for shift in self.shifts:
            after, before = max(shift, 0), max(-shift, 0)
            kept = inputs[:, :, after : bins - before, :]
            shifted.append(ops.pad(kept, [[0, 0], [0, 0], [before, after], [0, 0]]))
        return ops.concatenate(shifted, axis=-1)[:, :, : self.n_output_freqs, :]


class CQT2010v2(keras.layers.Layer):  # type: ignore[misc]
    """The magnitudes of the constant-Q transform of (batch, time)."""

    def __init__(
        self,
        *,
        sample_rate: float,
        hop_length: int,
        fmin: float,
        n_bins: int,
        bins_per_octave: int,
        filter_scale: float = 1,
        **options: Any,
    ) -> None:
        for name, only in _ONLY.items():
            if options.pop(name, only) != only:
                raise NotImplementedError(name)
        super().__init__(**options)
        quality = filter_scale / (2 ** (1 / bins_per_octave) - 1)
        frequencies = fmin * 2 ** (np.arange(n_bins) / bins_per_octave)
        self.hop_length = hop_length
        self.n_bins = n_bins
        self.n_octaves = math.ceil(n_bins / bins_per_octave)
        self.scales = np.sqrt(np.ceil(quality * sample_rate / frequencies)).astype("float32")
        highest = frequencies[-bins_per_octave:]
        self.filters = _filters(quality * sample_rate / highest, highest / sample_rate)
        self.half_band = _half_band()

    def call(self, inputs: Any) -> Any:
        signal, hop = inputs[:, :, None], self.hop_length
        octaves: list[Any] = []
        for _ in range(self.n_octaves):
            octaves.insert(0, self._octave(signal, hop))
            signal, hop = self._halved(signal), hop // 2
        found = ops.concatenate(octaves, axis=-1)
        return found[:, :, -self.n_bins :] * self.scales

    def _octave(self, signal: Any, hop: int) -> Any:
        margin = self.filters.shape[0] // 2
        padded = ops.pad(signal, [[0, 0], [margin, margin], [0, 0]], mode="reflect")
        parts = [
            ops.conv(padded, part, strides=hop, padding="valid")
            for part in (self.filters.real, self.filters.imag)
        ]
        return ops.sqrt(ops.square(parts[0]) + ops.square(parts[1]))

    def _halved(self, signal: Any) -> Any:
        margin = (self.half_band.shape[0] - 1) // 2
        padded = ops.pad(signal, [[0, 0], [margin, margin], [0, 0]])
        return ops.conv(padded, self.half_band, strides=2, padding="valid")


_ONLY = {
    "fmax": None, "norm": True, "basis_norm": 1, "window": "hann", "pad_mode": "reflect",
    "output_format": "Magnitude", "earlydownsample": False, "match_torch_exactly": True,
}  # fmt: skip
"""Arguments for which there is nothing here but these values."""


def _filters(lengths: Any, frequencies: Any) -> Any:
    """Return windowed complex exponentials of these lengths, in samples, as kernels."""
    lengths = np.ceil(lengths).astype(int)
    size = 2 ** math.ceil(math.log2(lengths.max()))
    kernels = np.zeros((size, 1, len(lengths)), "complex64")
    for number, (length, frequency) in enumerate(zip(lengths, frequencies, strict=True)):
        times = np.arange(length) - (length + 1) // 2
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
        values = window * np.exp(2j * np.pi * frequency * times)
        start = math.ceil((size - length) / 2) - length % 2
        kernels[start : start + length, 0, number] = values / np.abs(values).sum()
    return kernels


def _half_band() -> Any:
    """Return the kernel that lets the lower half of all frequencies pass."""
    from scipy.signal import firwin2  # type: ignore[import-untyped,unused-ignore]

    edges = [0.0, 0.5 / 1.001, 0.5 * 1.001, 1.0]
    return firwin2(256, edges, [1.0, 1.0, 0.0, 0.0]).astype("float32")[:, None, None]


CLASSES = {
    each.__name__: each
    for each in (CQT2010v2, FlattenAudioCh, FlattenFreqCh, HarmonicStacking, NormalizedLog)
}
