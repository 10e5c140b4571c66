"""Threads wait for each other only between loops of which one touches what the other writes."""

import pytest

from seisops.engine.tuning import tuned

READS_LEVEL, WRITES_LEVEL = "a[x] = u[t0][x + 1];", "u[t1][x] = 2.0F;"


def source(*nests):
    """A loop over time as Devito writes it, with a parallel region for each nest."""
    lines = ["int Forward()", "{", "  for (int time = time_m; time <= time_M; time += 1)", "  {"]
    for statements in nests:
        lines += ["    #pragma omp parallel num_threads(nthreads)", "    {"]
        lines += ["      #pragma omp for schedule(static,1)", "      for (int x = x_m; x <= x_M; x += 1)", "      {"]
        lines += [f"        {s}" for s in statements]
        lines += ["      }", "    }"]
    return "\n".join([*lines, "  }", "  return 0;", "}"])


def waits(*nests):
    """Whether threads wait after each nest but the last, after which they always do."""
    marks = [line for line in tuned(source(*nests)).split("\n") if "#pragma omp for" in line]
    assert len(marks) == len(nests) and "nowait" not in marks[-1]
    return ["nowait" not in mark for mark in marks[:-1]]


@pytest.mark.parametrize(
    "first, second, expected",
    [
        ("a[x] = u[t0][x];", "b[x] = u[t0][x + 1];", False),
        ("a[x] = 1.0F;", "b[x] = a[x + 1];", True),
        ("b[x] = a[x + 1];", "a[x] = 1.0F;", True),
        ("a[x] += 1.0F;", "a[x + 3] += 2.0F;", True),
        ("float r0 = a[x + 1];", "a[x] = 1.0F;", True),
        (READS_LEVEL, WRITES_LEVEL, False),
        (WRITES_LEVEL, READS_LEVEL, False),
        (READS_LEVEL, "u[t0][x] = 2.0F;", True),
        (READS_LEVEL, "u[time][x] = 2.0F;", True),
        ("a[cells[x]] += 1.0F;", "cells[x] = 2;", True),
    ],
)
def test_who_waits(first, second, expected):
    assert waits([first], [second]) == [expected]


def test_whoever_has_not_waited_counts():
    """The third loop reads what the first writes, and nobody has waited for that."""
    assert waits(["a[x] = 1.0F;"], ["b[x] = 1.0F;"], ["c[x] = a[x + 1];"]) == [False, True]
    assert waits(["a[x] = 1.0F;"], ["b[x] = a[x + 1];"], ["c[x] = a[x + 1];"]) == [True, False]


def test_two_loops_in_one_region_wait():
    text = source(["a[x] = 1.0F;"], ["c[x] = 1.0F;"]).split("\n")
    first = text.index("      #pragma omp for schedule(static,1)")
    text[first:first] = [
        "      #pragma omp for schedule(static,1)",
        "      for (int x = 0; x < 9; x += 1)",
        "      {",
        "      }",
    ]
    assert "nowait" not in tuned("\n".join(text))
