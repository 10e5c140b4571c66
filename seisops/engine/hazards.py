"""A check of lowered code: no loop that runs in parallel reads what another of its iterations writes."""

from __future__ import annotations

import devito
from devito.ir.iet import Expression, FindNodes, Iteration
from devito.symbolics import retrieve_indexed

__all__ = ["racing", "stray", "time_loops"]


def time_loops(operator: devito.Operator) -> int:
    """Number of loops over time: one, unless an equation was taken for independent of what others do at the same step."""
    return sum(loop.dim.is_Time for loop in FindNodes(Iteration).visit(operator))


def racing(operator: devito.Operator) -> list[str]:
    """Accesses that would make the result depend on the order of a parallel loop; none in sound code.

    Devito (4.8.23) moves loops next to each other to fuse them, and does not always see that the second reads neighbours
    of what the first writes.
    """
    return [
        f"{read} beside {write}, along {loop.dim}"
        for loop in FindNodes(Iteration).visit(operator)
        if loop.is_Parallel and not loop.dim.is_Time
        for write, read in _conflicts(loop)
    ]


def stray(operator: devito.Operator) -> list[str]:
    """Loop variables that are used outside of their loop; none in sound code.

    Devito (4.8.23) may index what it takes out of a loop over a strip, to compute it once, by the axis itself.
    """
    inside: dict = {}
    for loop in FindNodes(Iteration).visit(operator):
        for node in FindNodes(Expression).visit(loop):
            inside.setdefault(node, set()).update({loop.dim, *loop.uindices})
    return sorted(
        {
            s.name
            for node, known in inside.items()
            for s in node.expr.free_symbols
            if getattr(s, "is_Dimension", False) and not any(s is d or s.name == d.name for d in known)
        }
    )


def _conflicts(loop):
    equations = [node.expr for node in FindNodes(Expression).visit(loop)]
    writes = {e.lhs for e in equations if e.lhs.is_Indexed}
    reads = set().union(*(retrieve_indexed(e.rhs) for e in equations))
    for write in writes:
        for read in reads:
            if read.function is write.function and _meet(write, read, loop.dim):
                yield write, read


def _meet(write, read, dim) -> bool:
    """Whether two accesses of an array may touch the same place in different iterations of a loop over `dim`."""
    moved = False
    for axis, a, b in zip(write.function.dimensions, write.indices, read.indices, strict=True):
        offset = a - b
        if dim in a.free_symbols:
            if dim in offset.free_symbols and _apart(a, b, dim):
                return False
            moved = moved or offset != 0
        elif offset != 0 and (axis.is_Time or offset.is_Number):
            return False  # another time level, another row
    return moved


def _apart(a, b, dim) -> bool:
    """Whether two indices take different values whatever the iterations."""
    ends = [[i.subs(dim, end) for end in (dim.symbolic_min, dim.symbolic_max)] for i in (a, b)]
    (low, high), (first, last) = (sorted(pair, key=lambda e: e - pair[0]) for pair in ends)
    return (high - first).is_negative is True or (last - low).is_negative is True
