"""A bar while an optimiser evaluates a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["Progress"]


class Progress:
    """A function that shows how often it was evaluated, its value, and how long the rest will take.

    Parameters
    ----------
    function : callable
        Returns a number, or a tuple that begins with one, such as value and gradient.
    total : int, optional
        How many evaluations there will be, for the estimate of time.
    stage : str, optional
        What the function is one of, such as a band of frequencies.
    """

    def __init__(self, function: Callable[..., Any], total: int | None = None, stage: str = "") -> None:
        self.function = function
        self.bar = Bar(total)
        self.shown = self.bar.of(stage)

    def __call__(self, *x: Any) -> Any:
        result = self.function(*x)
        self.shown.tick(result)
        return result

    def close(self) -> None:
        """End the bar."""
        self.bar.close()


class Bar:
    """The bar, of one function or of several, one after another.

    Parameters
    ----------
    total : int, optional
        How many evaluations there will be.
    """

    def __init__(self, total: int | None = None) -> None:
        from tqdm.auto import tqdm  # imports asyncio, or what notebooks need

        self._bar = tqdm(total=total, desc="evaluations", unit="eval", dynamic_ncols=True)

    def of(self, stage: str = "") -> Shown:
        """What shows one function.

        Parameters
        ----------
        stage : str, optional
            What the function is one of; it stands in front of the bar.
        """
        return Shown(self, stage)

    def tick(self, stage: str, text: str, remembered: bool) -> None:
        """Count an evaluation; remembered ones do not count for the time of one.

        Parameters
        ----------
        stage, text : str
            What stands in front of the bar and behind it; nothing changes where they are empty.
        remembered : bool
            Whether the evaluation was read.
        """
        if stage:
            self._bar.set_description(stage, refresh=False)
        if text:
            self._bar.set_postfix_str(text, refresh=False)
        if remembered:  # as if the bar had begun with it, just now
            self._bar.initial += 1
            self._bar.last_print_n += 1
            self._bar.unpause()
        self._bar.update(1)

    def close(self) -> None:
        """End the bar."""
        self._bar.close()


class Shown:
    """One function on a bar: its values are compared with its own first.

    Parameters
    ----------
    bar : Bar
    stage : str
        What the function is one of, or nothing.
    """

    def __init__(self, bar: Bar, stage: str) -> None:
        self.bar, self.stage = bar, stage
        self._first: float | None = None

    def tick(self, result: Any, remembered: bool = False) -> None:
        """Count an evaluation and show its value, and the ratio to the first.

        Parameters
        ----------
        result : number or tuple
            What the function returned.
        remembered : bool, optional
            Whether the evaluation was read.
        """
        value, text = result[0] if isinstance(result, tuple) else result, ""
        if np.ndim(value) == 0:
            self._first = float(value) if self._first is None else self._first
            first = "its first" if self.stage else "the first"
            relative = f" ({float(value) / self._first:.3f} of {first})" if self._first else ""
            text = f"misfit {float(value):.4g}{relative}"
        self.bar.tick(self.stage, text, remembered)
