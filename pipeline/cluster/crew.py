"""Crew of a cut job: the actors that compute its pieces, one after the other, until all are there.

A member takes a piece once its actor answers. A piece whose actor is lost, is to make room for a job, or
waits for more memory while another member is idle, goes back to the others, who continue it from its last
segment.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from pipeline.cluster.shipping import Shared, Shipment
from pipeline.errors import WorkerLost
from pipeline.generators import retell
from pipeline.job import Progress
from pipeline.languages.messages import Message

Returned = TypeVar("Returned")

_POLL_SECONDS = 0.5
_RENDER_RATE = 20.0
"""Usual rate of compositing and encoding, in frames per second: what comes behind the pieces."""


class Gone(Exception):
    """The actor or its node was lost."""


class Member(Protocol):
    """Place for one piece at a time, with its actor."""

    node: str
    killed: bool

    @property
    def waiting(self) -> bool:
        """True while the actor does not answer yet, such as for want of room."""


@dataclass
class Piece:
    """A piece of a job, with what is known of it."""

    parcel: Shared | Shipment
    frames: int
    streams: Sequence[str] = ()
    """Names of the job's streams that it is; none: it is raw predictions."""
    done: int = 0
    rate: float = 0.0
    losses: int = 0
    """Number of actors that were lost over it."""


@dataclass
class Crew:
    """The members of a job and its pieces. Used by a thread for each member and by the job's own."""

    pieces: Sequence[Piece]
    engage: Callable[[Any], Generator[Progress, None, None]]
    """Gives a member an actor; yields while it waits."""
    run: Callable[[Any, dict[str, Any]], Generator[Progress, None, Any]]
    """Runs a request by a member's actor. Raises Gone where that is lost."""
    dismiss: Callable[[Any], None]
    """Ends a member's actor."""
    wanted: Callable[[], bool]
    """Tells if a job waits for the room that a member takes."""
    most_losses: int
    _left: deque[Piece] = field(default_factory=deque)
    _open: int = 0
    """Number of pieces that are not finished."""
    _idle: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _over: bool = False

    def work(self, members: Sequence[Member]) -> Generator[Progress, None, None]:
        """Compute all pieces; yields their progress in sum. The first member stays, the others are dismissed.

        Raises what a piece raises, Gone where the first member is killed, and WorkerLost where actors are
        lost over one piece again and again. Closing the generator stops all between two frames.
        """
        self._left.extend(self.pieces)
        self._open = len(self.pieces)
        with ThreadPoolExecutor(len(members), "crew") as pool:
            running = [pool.submit(self._serve, member, member is not members[0]) for member in members]
            try:
                while running:
                    ended, unfinished = wait(running, _POLL_SECONDS, FIRST_EXCEPTION)
                    running = list(unfinished)
                    for one in ended:
                        one.result()
                    if members[0].killed:
                        raise Gone
                    yield self._progress()
            finally:
                with self._changed:
                    self._over = True
                    self._changed.notify_all()

    def _serve(self, member: Member, passing: bool) -> None:
        """Compute pieces until none is left; of a `passing` member until a job waits for its room."""
        try:
            while not self._over and not (passing and self.wanted()):
                self._serve_once(member, passing)
        except Gone:
            if not member.killed:
                raise
        finally:
            if passing:
                self.dismiss(member)

    def _serve_once(self, member: Member, passing: bool) -> None:
        try:
            with closing(self.engage(member)) as waiting:
                for _ in waiting:
                    if self._over:
                        return
        except Gone:
            self.dismiss(member)
            if member.killed:
                raise
            return
        piece = self._take()
        if piece is None:
            return
        finished = False
        try:
            finished = self._compute(member, piece, passing)
        except Gone:
            self.dismiss(member)
            if member.killed:
                raise
            piece.losses += 1
            if piece.losses > self.most_losses:
                how = Message("cluster.node_lost", {"node": member.node})
                raise WorkerLost("runs.lost", how=how) from None
        finally:
            piece.rate = 0.0
            with self._changed:
                if finished:
                    self._open -= 1
                    self._over |= not self._open
                else:
                    self._left.appendleft(piece)
                self._changed.notify_all()

    def _take(self) -> Piece | None:
        """Return the next piece; waits for one that comes back. None: all are finished, or it took long."""
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._left or self._over, _POLL_SECONDS)
            self._idle -= 1
            return self._left.popleft() if self._left and not self._over else None

    def _compute(self, member: Member, piece: Piece, passing: bool) -> bool:
        """Compute a piece; return False where it was given up for others."""
        request = piece.parcel.send() | {"piece": True, "streams": list(piece.streams)}
        with closing(self.run(member, request)) as steps:
            for step in steps:
                if self._over or (member.waiting and self._idle) or (passing and self.wanted()):
                    return False
                if step.total:
                    piece.done, piece.rate = max(piece.done, step.done), step.rate
        piece.done = piece.frames
        return True

    def _progress(self) -> Progress:
        done, total = (sum(getattr(piece, name) for piece in self.pieces) for name in ("done", "frames"))
        rate = sum(piece.rate for piece in self.pieces)
        left = (total - done) / rate + total / _RENDER_RATE if rate else None
        return Progress("matte", done, total, rate, left)


def as_rendering(steps: Generator[Progress, None, Returned]) -> Generator[Progress, None, Returned]:
    """Count the frames of a run whose pieces are there in a stage of their own; return what it returns."""
    return retell(steps, lambda step: replace(step, stage="render"))
