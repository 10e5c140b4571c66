"""Where within a time step the fields of a scheme stand, and the rows of its equations.

A scheme staggered in time puts some fields between two steps. Where follows from the residual: each term of a row is centred
at a time, a difference ``u(t + 1) - u(t)`` half a step after u, and the terms of a sound row agree about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

import numpy as np
import sympy

from seisops.engine.stability.rows import TakenApart

__all__ = ["times"]

# what is below this, beside what it is compared with, is rounding
ROUNDING = 1e-9


def times(taken: TakenApart, centred: bool) -> tuple[list[Fraction], list[Fraction]]:
    """Place in time of every field and of every row, in steps; the latest field is at whole steps, none after it.

    If the terms of a row are centred at different times, the scheme is of first order in the step and no place is better
    than another: then all stand at whole steps, unless the scheme is said to be `centred`, when those terms count that
    hold the most derivatives.

    Parameters
    ----------
    taken : TakenApart
        Of the scheme without boundaries.
    centred : bool
    """
    n = len(taken.parts)
    rows = [{} for _ in range(n)]
    for i, row in enumerate(_rows(taken)):
        for j, weights in row.items():
            rows[i][j] = list(_centres(weights, taken.template.step.spacing))
    own = [rows[i][i][0] for i in range(n)]
    at: list = [None] * n
    for start in range(n):  # what nothing connects to the fields before stands at whole steps
        if at[start] is None:
            at[start] = Fraction(0)
            _spread(at, own, rows)
    fields = [p - max(at) for p in at]
    after = [p + c for p, c in zip(fields, own, strict=True)]
    agree = all(after[i] == fields[j] + c for i in range(n) for j, centres in rows[i].items() for c in centres)
    return (fields, after) if agree or centred else ([Fraction(0)] * n, [Fraction(0)] * n)


def _spread(at: list, own: list, rows: list) -> None:
    """Place every field that a row connects to one that has a place."""
    found = True
    while found:
        found = False
        for i, row in enumerate(rows):
            for j, centres in row.items():
                if at[i] is not None and at[j] is None:
                    at[j], found = at[i] + own[i] - centres[0], True
                elif at[j] is not None and at[i] is None:
                    at[i], found = at[j] + centres[0] - own[i], True


def _rows(taken: TakenApart) -> Iterator[dict]:
    """Coefficients of each row for one wave in a medium of no particular parameters: ``{field: {offset: terms}}``."""
    # numbers of the same order that have no relation to one another
    ndim, values = taken.template.ndim, {name: 1 + np.sqrt(k + 2) % 1 for k, name in enumerate(taken.names)}
    spacing = tuple(1 + np.sqrt(k + 11) % 1 for k in range(ndim))
    wave = np.array([[0.7 + np.sqrt(k + 17) % 1 for k in range(ndim)]])
    for row, terms in zip(taken.parts, taken.symbol.terms, strict=True):
        out: dict = {}
        for part, term in zip(row, terms, strict=True):
            w = complex(taken.symbol.wave(term, spacing, wave)[0])
            out.setdefault(part.field, {}).setdefault(part.offset, []).append((taken.of_step(part, values, spacing), w))
        yield out


def _centres(weights: Mapping[int, list], dt) -> Iterator[Fraction]:
    """Times at which terms of one field are centred: of those with the highest power of 1 / dt first.

    As dt vanishes, ``sum_k w_k u(t + k dt)`` is proportional to a derivative of order q at t + c dt, where q is that of
    the first moment M_q = sum_k w_k k^q that does not vanish and c = M_(q + 1) / ((q + 1) M_q).
    """
    powers: dict = {}
    for offset, terms in weights.items():
        for c, w in terms:
            for part in sympy.Add.make_args(sympy.expand(c)):
                number, power = part.as_coeff_exponent(dt)
                if number.has(dt):
                    number, power = part.as_leading_term(dt).as_coeff_exponent(dt)
                by_offset = powers.setdefault(power, {})
                by_offset[offset] = by_offset.get(offset, 0) + complex(number) * w
    for power in sorted(powers):
        k, w = np.array(list(powers[power])), np.array(list(powers[power].values()))
        for q in range(len(k)):
            moment, next_moment = (w * k**q).sum(), (w * k ** (q + 1)).sum()
            if abs(moment) > ROUNDING * np.abs(w * k**q).sum():
                yield Fraction(float((next_moment / moment).real) / (q + 1)).limit_denominator(12)
                break
