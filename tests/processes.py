"""Programs in processes of their own, whose memory is measured."""

import os
import subprocess
import sys

import pytest


def printed_number(program):
    """Run a Python program and return the number that it prints."""
    if "asan" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip("the sanitizer keeps freed memory")
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return float(result.stdout)
