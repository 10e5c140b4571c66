"""The example goes on after it was killed."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest


@pytest.mark.slow
def test_the_example_goes_on_after_it_was_killed(root, tmp_path):
    def command(journal):
        example = [str(root / "examples" / "fwi.py"), "--small", "--journal", str(tmp_path / journal)]
        return [sys.executable, "-W", "error::UserWarning", *example]

    def run(journal):
        done = subprocess.run(command(journal), capture_output=True, text=True, timeout=300, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    with subprocess.Popen(command("killed"), stdout=subprocess.DEVNULL, cwd=tmp_path) as child:
        deadline = time.monotonic() + 300
        # not before all is compiled: who is killed while compiling leaves a lock
        while not (tmp_path / "killed" / "000002.entry").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(child.pid, signal.SIGKILL)
    said = [run("killed"), run("undisturbed")]
    replayed = [int(re.search(r"evaluations: (\d+) from", s)[1]) for s in said]
    assert replayed[0] >= 3 and replayed[1] == 0
    loss = [re.search(r"^loss: 1\.00 -> (\S+)$", s, re.MULTILINE)[1] for s in said]
    assert loss[0] == loss[1] and float(loss[0]) < 0.1
    a, b = ({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("killed", "undisturbed"))
    assert a == b and len(a) > 6
