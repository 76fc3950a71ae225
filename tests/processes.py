"""Programs in processes of their own, whose memory or speed is looked at."""

import os
import subprocess
import sys

import pytest

SANITIZED = "asan" in os.environ.get("LD_PRELOAD", "")

#: For tests of how soon something happens.
at_full_speed = pytest.mark.skipif(SANITIZED, reason="the sanitizer takes its time")

#: For forks of processes whose other threads allocate memory.
forks_threads = pytest.mark.skipif(SANITIZED, reason="the sanitizer's allocator may hang there")


def printed_number(program):
    """Run a Python program and return the number that it prints."""
    if SANITIZED:
        pytest.skip("the sanitizer keeps freed memory")
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return float(result.stdout)
