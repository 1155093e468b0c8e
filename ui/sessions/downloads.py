"""Downloads of weights, each in a thread of its own, shared by all users."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field

from pipeline.errors import INTERNAL_ERROR, RecorteError
from pipeline.languages.messages import Message
from pipeline.models import helpers
from pipeline.weights.download import download_files
from pipeline.weights.spec import Weights

log = logging.getLogger(__name__)


@dataclass
class Download:
    """Progress of the download of one model's weights."""

    done: int = 0
    total: int = 0
    """Bytes."""
    error: Message | None = None
    """Why it failed; None: it has not."""
    stop: threading.Event = field(default_factory=threading.Event)


class Downloads:
    """Downloads in progress and failed ones, by model key. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._going: dict[str, Download] = {}

    def start(self, key: str) -> None:
        """Start a download of a model's or helper's weights, unless it runs. Raises InputError for others."""
        _label, needed = helpers.find_weights(key)
        if needed is None:
            return
        with self._lock:
            previous = self._going.get(key)
            if previous is not None and not previous.error and not previous.stop.is_set():
                return
            download = self._going[key] = Download(total=needed.bytes)
        work = threading.Thread(
            target=self._fetch, args=(key, needed, download), name="download", daemon=True
        )
        work.start()

    def state(self, key: str) -> Download | None:
        """Return the model's download; None if there is none."""
        with self._lock:
            return self._going.get(key)

    def cancel(self, key: str) -> None:
        """Stop a download; what was fetched is kept, and the next download resumes from it."""
        download = self.state(key)
        if download is not None:
            download.stop.set()

    def _fetch(self, key: str, needed: Weights, download: Download) -> None:
        try:
            for step in download_files(needed):
                download.done, download.total = step.done, step.total
                if download.stop.is_set():
                    break
        except RecorteError as error:
            download.error = error.message
        except Exception:
            log.exception("the weights of %s", key)
            download.error = INTERNAL_ERROR
        if not download.error:
            with self._lock:
                if self._going.get(key) is download:
                    del self._going[key]
