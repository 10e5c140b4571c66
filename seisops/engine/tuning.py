"""How threads share the work of generated code: edits of its text that change no result, only who computes it when.

Devito opens a parallel region around every loop nest, and hands rows out one by one. One region around the loop over time
costs a barrier for each nest instead of a fork and a join (a tenth of the time of a small 2D grid), and contiguous rows
leave every thread the same part of the grid in all nests (a quarter). Text that does not look as expected is left alone.
"""

from __future__ import annotations

import re

__all__ = ["tuned"]

# every iteration costs the same, in loops over points as well
SCHEDULE = re.compile(r"schedule\((?:static,1|dynamic,chunk_size)\)")
CHUNK = re.compile(r"\n *int chunk_size = [^\n]*")
LOOP = re.compile(r"  for \(int time = [^\n]*")
FORK = re.compile(r"#pragma omp parallel num_threads\(\w+\)")
TIMER = re.compile(r"(START|STOP)\(section\d+(,timers)?\)")


def tuned(source: str) -> str:
    """Generated code with its threads arranged for marching."""
    return _one_region(CHUNK.sub("", SCHEDULE.sub("schedule(static)", source)))


def _one_region(source: str) -> str:
    """One parallel region around the loop over time, where all that the loop does is in parallel regions already."""
    lines = source.split("\n")
    loops = [i for i, line in enumerate(lines) if LOOP.fullmatch(line)]
    if len(loops) != 1 or "nowait" in source or "reduction(" in source:
        return source
    start = loops[0]
    try:
        end = lines.index("  }", start)
        body = _joined(lines[start + 2 : end], 4)
        fork = next(line.strip() for line in lines[start:end] if FORK.fullmatch(line.strip()))
    except (ValueError, StopIteration):
        return source
    # Devito asks this of the calling thread only; a layer's fields decay into denormal numbers, which are slow
    flush = [line for line in lines[:start] if line.startswith("  _MM_SET_")]
    new = ["  " + fork, "  {", *flush, *lines[start : start + 2], *body, "  }", "  }"]
    return "\n".join([*lines[:start], *new, *lines[end + 1 :]])


def _joined(lines: list[str], indent: int) -> list[str]:
    """The body of a loop or branch without forks and timers (which all threads would set); ValueError where it does more."""
    out, i, margin = [], 0, " " * indent
    while i < len(lines):
        line = lines[i].removeprefix(margin)
        if not line.strip() or TIMER.fullmatch(line):
            i += 1
            continue
        close = lines.index(margin + "}", i)
        block = lines[i + 2 : close]
        if FORK.fullmatch(line):
            out += [margin + "{", *block, margin + "}"]
        elif line.startswith("if ("):
            out += [lines[i], margin + "{", *_joined(block, indent + 2), margin + "}"]
        else:
            raise ValueError(line)
        i = close + 1
    return out
