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
    """

    def __init__(self, function: Callable[..., Any], total: int | None = None) -> None:
        self.function = function
        self.bar = Bar(total)

    def __call__(self, *x: Any) -> Any:
        result = self.function(*x)
        self.bar.tick(result)
        return result

    def close(self) -> None:
        """End the bar."""
        self.bar.close()


class Bar:
    """The bar: evaluations that are remembered do not count for the time of one.

    Parameters
    ----------
    total : int, optional
        How many evaluations there will be.
    """

    def __init__(self, total: int | None = None) -> None:
        from tqdm.auto import tqdm  # imports asyncio, or what notebooks need

        self._bar = tqdm(total=total, desc="evaluations", unit="eval", dynamic_ncols=True)
        self._first: float | None = None

    def tick(self, result: Any, remembered: bool = False) -> None:
        """Count an evaluation and show its value, and the ratio to the first."""
        value = result[0] if isinstance(result, tuple) else result
        if np.ndim(value) == 0:
            self._first = float(value) if self._first is None else self._first
            relative = f" ({float(value) / self._first:.3f} of the first)" if self._first else ""
            self._bar.set_postfix_str(f"misfit {float(value):.4g}{relative}", refresh=False)
        if remembered:  # as if the bar had begun with it, just now
            self._bar.initial += 1
            self._bar.last_print_n += 1
            self._bar.unpause()
        self._bar.update(1)

    def close(self) -> None:
        """End the bar."""
        self._bar.close()
