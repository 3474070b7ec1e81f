"""Writing changes of groups and bans to the state file, on a thread of its own."""

import logging
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from chatproto import GroupChange, GroupMade

from .file import StateFile
from .unwritten import Unwritten

INTERVAL: Final = 0.2
"""Seconds for which changes are collected before they are written."""

RETRY_PAUSE: Final = 1.0
"""Seconds after a failed write before the next attempt."""

CLOSE_TIMEOUT: Final = 10.0
"""Most seconds that `StateWriter.close` waits for the last changes to be written."""

BATCH: Final = 20_000
"""Groups and members written at once. To prepare them takes the server's thread some ms."""

logger: Final = logging.getLogger("chatproto.server")


class StateWriter:
    """Keeps the groups and the bans of a server in its file.

    A disk that is full or fails does not stop the chat: the changes wait in memory, summed up for
    each of them, until the file can be written again. The log says when that begins, and when it is
    over.

    Args:
        path: The path of the file.

    Raises:
        StateError: It can't be used.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file = StateFile(path)
        self._unwritten = Unwritten()
        # Guards `_unwritten`, which both threads change.
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._closing = threading.Event()
        self._failing = False
        # A daemon, so that the process can exit while the disk hangs.
        self._thread = threading.Thread(target=self._run, name="chatproto-state", daemon=True)

    def read(self) -> Iterator[GroupMade]:
        """Yield the groups in the file. Call it before `start`.

        Raises:
            StateError: They can't be read.
        """
        return self._file.read()

    def read_bans(self) -> list[str]:
        """The bans in the file. Call it before `start`.

        Raises:
            StateError: They can't be read.
        """
        return self._file.read_bans()

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: The system allows no further thread.
        """
        self._thread.start()

    def keep(self, changes: Iterable[GroupChange]) -> None:
        """Have changes written soon. Returns at once."""
        with self._lock:
            self._unwritten.note(changes)
        self._changed.set()

    def keep_bans(self, changes: Mapping[str, bool]) -> None:
        """The same for changes of bans: True for a new one, False for one that was lifted."""
        with self._lock:
            self._unwritten.note_bans(changes)
        self._changed.set()

    def close(self) -> None:
        """Write what is left, and close the file. Takes `CLOSE_TIMEOUT` at most.

        A second call does nothing.
        """
        if self._closing.is_set():
            return
        self._closing.set()
        self._changed.set()
        if self._thread.ident is None:
            self._file.close()
            return
        self._thread.join(CLOSE_TIMEOUT)
        if self._thread.is_alive():
            logger.error("leaving the state file %s: the disk takes too long", self._file.name)

    def _run(self) -> None:
        while True:
            self._changed.wait()
            closing = self._closing.wait(RETRY_PAUSE if self._failing else INTERVAL)
            self._changed.clear()
            if not self._write():
                # The next round tries again, without a new change.
                self._changed.set()
            if closing:
                break
        if self._failing:
            logger.error(
                "the changes of %d groups and bans are lost: they are not in the state file %s",
                len(self._unwritten),
                self._file.name,
            )
        self._file.close()

    def _write(self) -> bool:
        """Write all that is not in the file yet. Returns whether that was possible."""
        while True:
            with self._lock:
                batch = self._unwritten.take(BATCH)
            if not batch:
                return True
            try:
                self._file.write(batch)
            except Exception as error:  # noqa: BLE001 - logged
                # Whatever it is, the chat goes on.
                with self._lock:
                    self._unwritten.put_back(batch)
                self._report(error)
                return False
            if self._failing:
                self._failing = False
                logger.warning("the state file %s is written again", self._file.name)

    def _report(self, error: Exception) -> None:
        if not self._failing:
            self._failing = True
            logger.error(
                "can't write the state file %s, trying again: %s. If the server ends before that"
                " works, changes of groups and bans are lost",
                self._file.name,
                error,
            )
