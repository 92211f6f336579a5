"""How often to save."""

from __future__ import annotations

from remote_models.errors import ArgumentError

__all__ = ["SaveFrequency"]


class SaveFrequency:
    """After every epoch, or after so many batches, as Keras counts them.

    Batches are counted on from one epoch to the next.

    Args:
        save_freq: ``"epoch"``, or a number of batches.

    Raises:
        ArgumentError: it is neither.
    """

    def __init__(self, save_freq: object) -> None:
        if save_freq != "epoch" and (
            isinstance(save_freq, bool) or not isinstance(save_freq, int) or save_freq < 1
        ):
            raise ArgumentError(
                "not a frequency", where="save_freq", found=repr(save_freq),
                expected="'epoch' or a number of batches from 1 on",
            )  # fmt: skip
        self._batches = save_freq if isinstance(save_freq, int) else None
        self._seen = 0
        self._last = -1

    @property
    def is_each_epoch(self) -> bool:
        """Whether it is time after every epoch, and at no other time."""
        return self._batches is None

    def begin_epoch(self, done: int = 0) -> None:
        """Count from here, where some batches of an epoch are done."""
        self._last = done - 1

    def is_due(self, batch: int) -> bool:
        """Count the batches up to one that has ended, and say whether it is time."""
        if self._batches is None:
            return False
        self._seen += batch - self._last
        self._last = batch
        if self._seen < self._batches:
            return False
        self._seen = 0
        return True
