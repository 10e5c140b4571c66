"""Traces that other codes computed: numbers only, beside the project; `conftest.data` says where."""

import numpy as np


def traces(data, name):
    """Arrays of a file by their names, in double precision."""
    with np.load(data / "reference" / f"{name}.npz") as stored:
        return {key: stored[key].astype(float) for key in stored.files}
