"""Backgrounds: how the history of a forward wavefield comes to be there when an image needs it.

A background is followed as a sequence of segments of the time loop, forward by a Born operator and backward by its
adjoint. What differs between policies is what of a segment stays, and how its history is made from that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import partial
from math import prod
from typing import Any, Protocol, TypeAlias, TypeVar

from seisops.engine.lower.ports import Ports
from seisops.errors import UnfusedError
from seisops.wave.storage.layout import Layout, Segment
from seisops.wave.storage.pool import Arrays, Pool
from seisops.wave.storage.schedule import Schedule, leanest, split

__all__ = [
    "CURE",
    "SEGMENT_BYTES",
    "Background",
    "Checkpoints",
    "Coded",
    "Codec",
    "AlongEdges",
    "March",
    "Replay",
    "Run",
    "Segments",
    "Start",
    "Streamed",
    "Whole",
]


class March(Protocol):
    """A run of the wave equation, in parts."""

    def __call__(self, first: int, last: int, histories: Arrays = ()) -> None:
        """Go through rows `first` to `last`, with the histories there."""

    def save(self, saved: Arrays, row: int = 0) -> None:
        """Copy what is needed to go on from here, which is at the start of a segment or `row` rows from one."""

    def restore(self, saved: Arrays | None, row: int = 0) -> None:
        """Go on from such a copy, or from rest."""


#: Segments one after another; closed by who stops before the last.
Segments = Generator[Segment, None, None]

#: Starts a march for a background, forward and from rest, taking down what some ports read.
Start = Callable[[Ports], AbstractContextManager[March]]

Found = TypeVar("Found")

#: About how much of a history is decoded, read, written or copied at a time.
SEGMENT_BYTES = 2**26

#: What to do where memory for a background is lacking.
CURE = "use storage='auto' or seisops.storage.Checkpointed(bytes=...), which need less, a coarser grid, or a shorter record"

#: Runs a march with an image port, given what takes it `through` its rows, or a background to `replay` on the way.
Run: TypeAlias = "Callable[..., Found]"

#: What a background is made again from in the march of an image, given its edges and its end.
Replay = Callable[[Arrays, Arrays], Any]


def follow(segments: Segments, march: March) -> None:
    """Take a march through the rows of segments, with their histories."""
    with closing(segments):
        for segment in segments:
            march(segment.first, segment.last, segment.histories)


class Background(ABC):
    """The background of one shot: made by :meth:`record`, followed by :meth:`forward` and :meth:`backward`.

    Parameters
    ----------
    layout : Layout
    again : callable
    pool : Pool
        Where memory comes from, and goes to.
    """

    #: What is taken down in the forward march.
    records = Ports(history=True)
    #: Whether there is anything that could be held for the next product.
    recorded = True
    #: About how much of a history is there at a time when it is only passed through.
    BLOCK_BYTES = 2**23

    def __init__(self, layout: Layout, again: Start, pool: Pool):
        self.layout, self.again, self.pool = layout, again, pool

    @property
    @abstractmethod
    def way(self) -> str:
        """How it is kept, in words."""

    @property
    def repeats(self) -> tuple[float, float]:
        """Solves that are computed again in every product: forward, backward."""
        return 0.0, 0.0

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Memory that it holds from one product to the next, or will hold."""

    @property
    def held_bytes(self) -> int:
        """What counts against the policy's `keep_bytes`."""
        return self.nbytes

    @property
    def host_bytes(self) -> int:
        """What of `nbytes` is in memory of the host, where waves are elsewhere."""
        return 0

    @property
    def working_bytes(self) -> int:
        """Memory that it needs besides, while it is followed."""
        return 0

    @property
    def needed_bytes(self) -> int:
        """Memory that a product needs where waves are, for this background."""
        return self.nbytes - self.host_bytes + self.working_bytes

    def require_room(self, hold: bool = True) -> None:
        """Refuse to be recorded where there is no memory for it.

        Raises
        ------
        UnfusedError
            With what it needs, what is free, and what else would do.
        """
        needed = self.needed_bytes if hold else self.working_bytes
        for pool, nbytes in ((self.pool, needed), (self.pool.host, self.host_bytes)):
            if nbytes and nbytes > pool.room_bytes:
                raise UnfusedError(
                    f"the background wavefield of one shot, kept {self.way}, needs {_gib(nbytes)} ({self.layout.steps} "
                    f"steps), but {_gib(pool.room_bytes)} {pool.where} are free: {self.alternatives()}"
                )

    def alternatives(self, beside: int = 0) -> str:
        """Policies that there is memory for beside so many bytes, with what these need, or what to do if there is none."""
        given = self.layout, self.again, self.pool
        ways: dict[str, Background] = {"storage='auto' or Checkpointed()": Checkpoints(*given, leanest(self.layout))}
        if self.pool.host is not self.pool:
            ways["storage.Host()"] = Streamed(*given)
        fit = [
            f"{name} needs {_gib(way.needed_bytes)}" + (f", and {_gib(there)} of the host's memory" if there else "")
            for name, way in ways.items()
            if way.needed_bytes + beside <= self.pool.room_bytes
            and (there := way.host_bytes) <= self.pool.host.room_bytes
        ]
        if fit:
            return "; ".join(fit)
        (name, least), *_ = ways.items()
        return f"use a coarser grid, or a shorter record; {name} would need {_gib(least.needed_bytes)}"

    @abstractmethod
    def record(self, march: March, hold: bool = True) -> Segments:
        """Run the forward march, and remember what :meth:`forward` and :meth:`backward` need if it is to `hold`.

        Yields each segment as the march made it, before the next.
        """

    @abstractmethod
    def forward(self) -> Segments:
        """The segments from first to last. Histories are good until the next is asked for."""

    @abstractmethod
    def backward(self) -> Segments:
        """The segments from last to first, likewise."""

    @abstractmethod
    def release(self) -> None:
        """Leave the memory to the pool."""

    def make(self, hold: bool = True) -> None:
        """Run the forward march, and record it."""
        with self.again(self.records) as march:
            for _ in self.record(march, hold):
                pass

    def met(self, backward: bool, run: Run[Found], replay: Replay) -> Found:
        """Run a march with an image port, forward or backward, beside this background, which has been recorded."""
        return run(through=partial(follow, self.backward() if backward else self.forward()))

    def made(self, backward: bool, hold: bool, run: Run[Found], replay: Replay) -> Found:
        """Make it, and run such a march beside it."""
        return run(through=partial(follow, self.made_backward() if backward else self.made_forward(hold)))

    def made_forward(self, hold: bool) -> Segments:
        """Record, and follow forward."""
        self.make(hold)
        yield from self.forward()

    def made_backward(self) -> Segments:
        """Record, and follow backward."""
        self.make()
        yield from self.backward()

    def _take(self, shapes: Sequence[tuple[int, ...]], what: str = "the background wavefield of one shot") -> Arrays:
        return self.pool.take(
            shapes,
            self.layout.dtype,
            f"{what} ({self.layout.steps} steps)",
            CURE,
        )

    @property
    def _block(self) -> int:
        """Rows of which the history takes about BLOCK_BYTES."""
        return self.layout.length_within(self.BLOCK_BYTES)

    def _passing(self, march: March) -> Segments:
        """The history in passing: a block of it at a time, of which nothing stays."""
        with self._buffer(self._block) as buffer:
            for first, last in self.layout.segments(self._block):
                histories = self.layout.view(buffer, first, last)
                march(first, last, histories)
                yield Segment(first, last, histories)

    @contextmanager
    def _buffer(self, length: int) -> Iterator[Arrays]:
        """Memory for the histories of any one segment."""
        buffer = self._take(self.layout.arrays(self.layout.longest(length)), "a segment of the background of one shot")
        try:
            yield buffer
        finally:
            self.pool.give(buffer)


class Whole(Background):
    """All of the history in memory, in one segment."""

    histories: Arrays = ()
    way = "whole"

    @property
    def nbytes(self) -> int:
        return self.layout.whole_bytes

    def record(self, march, hold=True):
        if not hold:
            yield from self._passing(march)
            return
        self.require_room()
        last = self.layout.steps
        self.histories = self.layout.view(self._take(self.layout.arrays(last + 1)), 0, last)
        march(0, last, self.histories)
        yield Segment(0, last, self.histories)

    def made_forward(self, hold):
        if hold:
            yield from super().made_forward(hold)
            return
        with self.again(self.records) as march:
            yield from self.record(march, hold)

    def forward(self):
        yield Segment(0, self.layout.steps, self.histories)

    backward = forward

    def release(self):
        self.pool.give(self.histories)
        self.histories = ()


class Streamed(Whole):
    """All of the history in memory of the host, where segments go, and come back from, while the march goes on."""

    way = "whole, in memory of the host"

    def __init__(self, layout: Layout, again: Start, pool: Pool):
        super().__init__(layout, again, pool)
        self.length = layout.length_within(SEGMENT_BYTES)
        self._segments = layout.segments(self.length)
        self._kept: list[Arrays] = []

    @property
    def nbytes(self) -> int:
        return sum(self.layout.nbytes(last - first + 1) for first, last in self._segments)

    @property
    def host_bytes(self) -> int:
        return self.nbytes

    @property
    def working_bytes(self) -> int:
        return min(2, len(self._segments)) * self.layout.buffer_bytes(self.length)

    def record(self, march, hold=True):
        if not hold:
            yield from super().record(march, hold)
            return
        self.require_room()
        shapes = [self.layout.arrays(last - first + 1) for first, last in self._segments]
        self._kept = [
            self.pool.host.take(s, self.layout.dtype, "a background in memory of the host", CURE) for s in shapes
        ]
        with self._two() as two:
            for k, (first, last) in enumerate(self._segments):
                two.wait(k)
                histories = self.layout.view(two.buffers[k % 2], first, last)
                march(first, last, histories)
                two.copy(k, histories, self._kept[k])
                yield Segment(first, last, histories)

    def forward(self):
        yield from self._fetched(list(range(len(self._segments))))

    def backward(self):
        yield from self._fetched(list(reversed(range(len(self._segments)))))

    def _fetched(self, order: Sequence[int]) -> Segments:
        """Segments in some order, the next of which is on its way while one is followed."""
        with self._two() as two:

            def fetch(k: int) -> Segment:
                first, last = self._segments[k]
                histories = self.layout.view(two.buffers[k % 2], first, last)
                two.copy(k, self._kept[k], histories)
                return Segment(first, last, histories)

            ahead = fetch(order[0])
            for k, following in zip(order, (*order[1:], None), strict=True):
                segment = ahead
                if following is not None:
                    ahead = fetch(following)
                two.wait(k)
                yield segment

    @contextmanager
    def _two(self) -> Iterator[Two]:
        """Memory on the device for two segments that follow each other."""
        with ExitStack() as stack:
            count = min(2, len(self._segments))
            two = Two(self.pool, [stack.enter_context(self._buffer(self.length)) for _ in range(count)])
            stack.callback(two.wait_for_all)
            yield two

    def release(self):
        for arrays in self._kept:
            self.pool.host.give(arrays)
        self._kept = []


class Two:
    """Two buffers on a device, one of which is copied while the other is in use."""

    def __init__(self, pool: Pool, buffers: Sequence[Arrays]):
        self.buffers = buffers
        self._pool = pool
        self._under_way: tuple[list[Callable[[], None]], ...] = ([], [])

    def copy(self, k: int, sources: Arrays, targets: Arrays) -> None:
        """Begin to copy segment number `k`, from the one or to it."""
        for source, target in zip(sources, targets, strict=True):
            self._under_way[k % 2].append(self._pool.on.copy(source, target))

    def wait(self, k: int) -> None:
        """Wait until the buffer of segment number `k` has been copied."""
        waits = self._under_way[k % 2]
        while waits:
            waits.pop()()

    def wait_for_all(self) -> None:
        """Wait until nothing is under way."""
        self.wait(0)
        self.wait(1)


class Checkpoints(Background):
    """Copies of the state from which histories are computed again, and the histories of the last segments."""

    def __init__(self, layout: Layout, again: Start, pool: Pool, schedule: Schedule):
        super().__init__(layout, again, pool)
        self.schedule = schedule
        self._segments = layout.segments(schedule.length)
        self._states: dict[int, Arrays] = {}
        self._kept: dict[int, Arrays] = {}

    @property
    def nbytes(self) -> int:
        return self.schedule.held_bytes(self.layout)

    @property
    def working_bytes(self) -> int:
        return self.schedule.working_bytes(self.layout)

    @property
    def way(self):
        n, kept = len(self.schedule.bases), self.schedule.kept
        return f"{n} checkpoint{'s' * (n != 1)}" + (
            f" and {kept / self.schedule.count:.0%} of the history" if kept else ""
        )

    @property
    def repeats(self):
        return self.schedule.again_forward(self.layout), self.schedule.again_backward(self.layout)

    def record(self, march, hold=True):
        self.require_room(hold)
        own = range(len(self._segments) - self.schedule.kept, len(self._segments)) if hold else ()
        with self._buffer(self.schedule.length) as buffer:
            for k, (first, last) in enumerate(self._segments):
                if hold and k in self.schedule.bases:
                    self._states[k] = self._save(march)
                if k in own:
                    arrays = self._kept[k] = self._take(self.layout.arrays(last - first + 1))
                else:
                    arrays = buffer
                yield self._run(march, k, arrays)

    def made_forward(self, hold):
        # in step with who follows: nothing is computed twice, or kept in vain
        with self.again(self.records) as march:
            yield from self.record(march, hold)

    def forward(self):
        with self.again(self.records) as march, self._buffer(self.schedule.length) as buffer:
            for k in range(len(self._segments)):
                yield self._stored(k) if k in self._kept else self._run(march, k, buffer)

    def backward(self):
        for k in sorted(self._kept, reverse=True):
            yield self._stored(k)
        if self.schedule.blocks:
            with self.again(self.records) as march, self._buffer(self.schedule.length) as buffer:
                for first, end in reversed(self.schedule.blocks):
                    yield from self._back(march, first, end, self._states.get(first), self.schedule.copies, buffer)

    def _back(self, march, first: int, end: int, state: Arrays | None, copies: int, buffer: Arrays) -> Segments:
        """Segments `end` - 1 .. `first` from a copy of the state at the start of the first, with room for more copies."""
        middle = first + (split(end - first, copies) if end - first > 1 else 0)
        if middle > first:
            march.restore(state)
            for k in range(first, middle):
                self._run(march, k, buffer)
            copy = self._save(march)
            yield from self._back(march, middle, end, copy, copies - 1, buffer)
            self.pool.give(copy)
            yield from self._back(march, first, middle, state, copies, buffer)
            return
        for last in reversed(range(first, end)):
            march.restore(state)
            for k in range(first, last):
                self._run(march, k, buffer)
            yield self._run(march, last, buffer)

    def _stored(self, k: int) -> Segment:
        first, last = self._segments[k]
        return Segment(first, last, self.layout.view(self._kept[k], first, last))

    def _run(self, march: March, k: int, arrays: Arrays) -> Segment:
        first, last = self._segments[k]
        histories = self.layout.view(arrays, first, last)
        march(first, last, histories)
        return Segment(first, last, histories)

    def _save(self, march: March) -> Arrays:
        copy = self._take(self.layout.state_shapes, "a checkpoint of one shot")
        march.save(copy)
        return copy

    def release(self):
        for arrays in (*self._states.values(), *self._kept.values()):
            self.pool.give(arrays)
        self._states, self._kept = {}, {}


class AlongEdges(Background):
    """What is seen along the edges, from which a lossless wavefield is made again on the way back."""

    repeats = (1.0, 1.0)
    records = Ports(edges=True)
    way = "edges"
    #: What was kept along the edges, a row for each of the time loop, and the time levels after the last.
    edges: Arrays = ()
    end: Arrays = ()

    def __init__(self, layout: Layout, again: Start, pool: Pool):
        super().__init__(layout, again, pool)
        self._shapes = [(layout.steps + 1, *shape) for shape in layout.edges()]

    @property
    def nbytes(self) -> int:
        return sum(map(prod, self._shapes)) * self.layout.itemsize + self.layout.state_bytes

    @property
    def working_bytes(self) -> int:
        return self.layout.buffer_bytes(self._block)

    def record(self, march, hold=True):
        self.require_room()
        self.edges = self._take(self._shapes)
        march(0, self.layout.steps, self.edges)
        self.end = self._take(self.layout.state_shapes, "the end of the background of one shot")
        march.save(self.end, self.layout.steps + 1)
        yield from ()

    @property
    def recorded(self):
        return bool(self.edges)

    def made_forward(self, hold):
        # forward, nothing is needed but the source
        yield from self.forward()

    def forward(self):
        with self.again(Background.records) as march:
            yield from self._passing(march)

    def backward(self):
        raise NotImplementedError("edges are followed backward beside an adjoint field")

    def met(self, backward, run, replay):
        # backward it is made again in the same march
        return run(replay=replay(self.edges, self.end)) if backward else super().met(backward, run, replay)

    def made(self, backward, hold, run, replay):
        if not backward:
            return super().made(backward, hold, run, replay)
        self.make()
        return self.met(backward, run, replay)

    def release(self):
        self.pool.give(self.edges)
        self.pool.give(self.end)
        self.edges, self.end = (), ()


class Codec(ABC):
    """Keeps histories in another form, segment by segment."""

    #: The form, in words.
    way: str
    #: What of that, or instead of that, counts against `keep_bytes`; None for `nbytes`.
    held_bytes: int | None = None

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Memory of what it keeps, or an estimate before there is anything."""

    @abstractmethod
    def start(self) -> None:
        """Begin anew."""

    @abstractmethod
    def put(self, k: int, segment: Segment) -> None:
        """Take in segment number `k`; they come in order."""

    @abstractmethod
    def get(self, k: int, segment: Segment) -> None:
        """Fill in the histories of a segment, all having been put."""

    @abstractmethod
    def close(self, pool: Pool) -> None:
        """Drop what is kept, or leave the memory to the pool."""


class Coded(Background):
    """Histories in another form: smaller, or elsewhere."""

    def __init__(self, layout: Layout, again: Start, pool: Pool, length: int, codec: Codec):
        super().__init__(layout, again, pool)
        self.length, self.codec = length, codec
        self._segments = layout.segments(length)

    @property
    def way(self):
        return self.codec.way

    @property
    def nbytes(self) -> int:
        return self.codec.nbytes

    @property
    def held_bytes(self) -> int:
        return self.codec.nbytes if self.codec.held_bytes is None else self.codec.held_bytes

    @property
    def working_bytes(self) -> int:
        return self.layout.buffer_bytes(self.length)

    def record(self, march, hold=True):
        self.require_room()
        self.codec.start()
        with self._buffer(self.length) as buffer:
            for k, (first, last) in enumerate(self._segments):
                histories = self.layout.view(buffer, first, last)
                march(first, last, histories)
                segment = Segment(first, last, histories)
                self.codec.put(k, segment)
                yield segment

    def forward(self):
        yield from self._decoded(range(len(self._segments)))

    def backward(self):
        yield from self._decoded(reversed(range(len(self._segments))))

    def _decoded(self, order) -> Segments:
        with self._buffer(self.length) as buffer:
            for k in order:
                first, last = self._segments[k]
                segment = Segment(first, last, self.layout.view(buffer, first, last))
                self.codec.get(k, segment)
                yield segment

    def release(self):
        self.codec.close(self.pool)


def _gib(nbytes: int) -> str:
    return f"{nbytes / 2**30:.3g} GiB"
