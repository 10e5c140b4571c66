"""Calls that several threads make, made at once for all of them.

Each thread of a crew works on a shot of its own, and comes to the same calls in the same order; whoever comes waits for the
others, and one of them does it for all. Which thread is how fast does not matter: nobody goes on before all others of the
crew wait as well, or have left.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

__all__ = ["abreast", "together"]

Found = TypeVar("Found")
#: Called by who wants work done: what makes a context of it for a thread.
Within = Callable[[], Callable[[], AbstractContextManager]]

_here = threading.local()


def anywhere() -> Callable[[], AbstractContextManager]:
    """Of threads that are where everybody is."""
    return nullcontext


class Ended(Exception):
    """A crew is needed no more."""


class Crew:
    """Threads that make calls together.

    Parameters
    ----------
    members : int
    """

    def __init__(self, members: int):
        self._active = members
        self._changed = threading.Condition()
        self._waiting: dict[Hashable, list[Call]] = {}
        self._ended = False

    def call(self, key: Hashable, item: Any, work: Callable[[list], None]) -> None:
        """Have ``work([item, ...])`` done with the items of all that come with the same key; return when it is."""
        mine = Call(item, work)
        with self._changed:
            self._waiting.setdefault(key, []).append(mine)
            self._go_on()
            while not (mine.done or self._ended):
                self._changed.wait()
        if not mine.done:
            raise Ended
        if mine.error is not None:
            raise mine.error

    def leave(self) -> None:
        """Come to no calls any more."""
        with self._changed:
            self._active -= 1
            self._go_on()

    def end(self) -> None:
        """Have those that wait, or come to a call later, give up: nobody asks for what they find."""
        self._ended = True  # at once: who works holds on to the lock
        with self._changed:
            self._changed.notify_all()

    def _go_on(self) -> None:
        """If all wait, do what they wait for."""
        if self._ended or sum(map(len, self._waiting.values())) < self._active:
            return
        waiting, self._waiting = self._waiting, {}
        for calls in waiting.values():
            error = None
            try:
                calls[0].work([call.item for call in calls])
            except BaseException as e:  # noqa: BLE001 (each of them raises it)
                error = e
            for call in calls:
                call.done, call.error = True, error
        self._changed.notify_all()


class Call:
    """What a thread waits for."""

    def __init__(self, item: Any, work: Callable[[list], None]):
        self.item, self.work = item, work
        self.done, self.error = False, None


def together(key: Hashable, item: Any, work: Callable[[list], None]) -> None:
    """Do ``work([item])``, or with the items of the others of this thread's crew that come with the same key."""
    crew = getattr(_here, "crew", None)
    if crew is None:
        work([item])
    else:
        crew.call(key, item, work)


def abreast(work: Callable[[int], Found], n: int, most: int, within: Within = anywhere) -> Iterator[Found]:
    """``work(0)``, .., ``work(n - 1)``, so many at a time, by a crew; results in order.

    Whoever stops asking, for an error or an interrupt, waits for what is under way, and for nothing after it.

    Parameters
    ----------
    work : callable
    n, most : int
    within : callable, optional
        Returns what each thread enters to be where the caller is.
    """
    enter = within()

    def one(number: int, crew: Crew) -> Found:
        _here.crew = crew
        try:
            with enter():
                return work(number)
        finally:
            _here.crew = None
            crew.leave()

    # the same threads for all: libraries of devices keep what they plan for each
    with ThreadPoolExecutor(max(1, min(n, most)), "seisops") as threads:
        for first in range(0, n, most):
            numbers = range(first, min(first + most, n))
            if len(numbers) == 1:
                yield from map(work, numbers)
                continue
            crew = Crew(len(numbers))
            try:
                for result in [threads.submit(one, number, crew) for number in numbers]:
                    yield result.result()
            except BaseException:  # of one of them, an interrupt, or no more threads: others would wait for ever
                crew.end()
                raise
