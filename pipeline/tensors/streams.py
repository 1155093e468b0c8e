"""CUDA streams: each thread that works on frames queues its work in one of its own.

Decoding with conversion, the model, compositing, and encoding each have a thread (see `pipeline.process`),
and so a stream: a card computes them side by side. What one stream has made, another waits for by an event;
the host waits only where it reads what was computed. On other devices there are no streams, and the same
calls do nothing.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, Self

import torch


class Mark(Protocol):
    """The point in a stream up to which its work has to be done before a tensor can be used."""

    def take(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the tensor, for whose work the calling thread's stream waits from here on."""
        ...


class _Event:
    """Mark in a CUDA stream."""

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.current_stream(device)
        self._event = self._stream.record_event()

    def take(self, tensor: torch.Tensor) -> torch.Tensor:
        here = torch.cuda.current_stream(tensor.device)
        if here != self._stream:
            here.wait_event(self._event)
            # Or its memory would be given to another tensor of its own stream while this one reads it.
            tensor.record_stream(here)
        return tensor


class _Done:
    """Mark where work is done before a call returns."""

    def take(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor


_DONE = _Done()


def mark(device: torch.device) -> Mark:
    """Mark the end of what the calling thread has queued on a device so far."""
    return _Event(device) if device.type == "cuda" else _DONE


class OwnStream:
    """Stream in which the calling thread queues its work while in the context; at the end of it that is done.

    The context can be entered again.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._inside: AbstractContextManager[object] = nullcontext()

    def __enter__(self) -> Self:
        if self._stream is not None:
            # Models and tables that are there already were made in the default one.
            self._stream.wait_stream(torch.cuda.default_stream(self._device))
            self._inside = torch.cuda.stream(self._stream)
        self._inside.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *details: Any) -> None:
        if self._stream is not None and kind is None:
            self._stream.synchronize()
        self._inside.__exit__(kind, *details)


def wait_for_decoder(device: torch.device) -> None:
    """Let the calling thread's stream wait for a card's decoder, which works in the default stream."""
    if device.type == "cuda":
        torch.cuda.current_stream(device).wait_stream(torch.cuda.default_stream(device))


def finish(device: torch.device) -> None:
    """Wait on the host until the calling thread's stream is done, before others use the same memory."""
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()


def number(device: torch.device) -> int:
    """Return the number of the calling thread's stream: tables are kept for each, as their memory is."""
    return int(torch.cuda.current_stream(device).cuda_stream) if device.type == "cuda" else 0
