"""Programs in processes of their own: their memory, speed, or environment is what is tested."""

import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from papilio import _core

#: What can run threads here, the default first; a process chooses one by PAPILIO_THREADING.
ENGINES = _core.threading_engines()

SANITIZED = "asan" in os.environ.get("LD_PRELOAD", "")

#: For tests of how soon something happens.
at_full_speed = pytest.mark.skipif(SANITIZED, reason="the sanitizer takes its time")

#: For forks of processes whose other threads allocate memory.
forks_threads = pytest.mark.skipif(SANITIZED, reason="the sanitizer's allocator may hang there")


def run_program(program, *, seconds=60, **variables):
    """Run a Python program with environment variables; its output, and that it ended well."""
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert result.returncode == 0, (result.returncode, result.stderr[-2000:])
    return result.stdout


def printed_number(program):
    """Run a Python program and return the number that it prints."""
    if SANITIZED:
        pytest.skip("the sanitizer keeps freed memory")
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return float(result.stdout)


def waits_after_interrupts(program, delays):
    """Interrupt a Python program, which prints "go" and, when it is interrupted, its process time.

    Returns how long it went on each time, in seconds of its own: those of the clock depend on who
    else has the processors.
    """
    waits = []
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    ) as child:  # fmt: skip
        for delay in delays:
            assert child.stdout.readline() == "go\n", child.stderr.read()
            time.sleep(delay)
            stat = pathlib.Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
            before = (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
            child.send_signal(signal.SIGINT)
            waits.append(float(child.stdout.readline()) - before)
        assert child.wait(60) == 0
    return waits
