"""What was read lately, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock


class Recent:
    """The values used last, up to ``limit`` bytes in all; the one unused for longest leaves first.

    A value larger than the limit is not kept. ``bytes`` : what is held now. Safe to use from several threads.
    """

    def __init__(self, limit: int):
        self.limit, self.bytes = limit, 0
        self._held: OrderedDict = OrderedDict()  # key -> (value, bytes)
        self._lock = Lock()

    def get(self, key):
        """The value of a key, or None."""
        try:
            self._held.move_to_end(key)
            return self._held[key][0]
        except KeyError:  # never held, or just dropped by another thread
            return None

    def put(self, key, value, size: int) -> None:
        """Keep a value of ``size`` bytes."""
        with self._lock:
            self._drop(key)
            self._held[key] = value, size
            self.bytes += size
            while self.bytes > self.limit:
                self._drop(next(iter(self._held)))

    def _drop(self, key) -> None:
        self.bytes -= self._held.pop(key, (None, 0))[1]
