"""A model that is lent out, and closed when it is retired and everybody has given it back."""

from __future__ import annotations

import threading

from remote_models.serving._status import ServedModel

__all__ = ["Lending"]


class Lending:
    """Counts who uses a model.

    Attributes:
        model: The model.
    """

    def __init__(self, model: ServedModel) -> None:
        self.model = model
        self._lock = threading.Lock()
        self._users = 0
        self._is_retired = False

    def borrow(self) -> bool:
        """Take the model for one use; false if it is retired."""
        with self._lock:
            if self._is_retired:
                return False
            self._users += 1
            return True

    def give_back(self) -> None:
        """End a use; the last one closes a model that is retired."""
        with self._lock:
            self._users -= 1
            is_done = self._is_retired and self._users == 0
        if is_done:
            self.model.runtime.close()

    def retire(self) -> None:
        """Lend it to nobody any more, and close it as soon as nobody uses it."""
        with self._lock:
            is_done = self._users == 0 and not self._is_retired
            self._is_retired = True
        if is_done:
            self.model.runtime.close()
