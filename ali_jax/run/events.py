"""TensorBoard's events, written by a process of their own.

clu's writer imports TensorFlow: for seconds, and into more memory than most runs take themselves.
"""

import contextlib
import logging
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

logger = logging.getLogger(__name__)

PATIENCE = 300  # seconds for the process to write what it has, at the end of a run of whatever length
ENVIRONMENT = {
    # It has no use for the accelerators, nor the run for what TensorFlow says of them.
    **{"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "-1", "TPU_SKIP_MDS_QUERY": "1"},
    **{"TF_CPP_MIN_LOG_LEVEL": "2", "TF_ENABLE_ONEDNN_OPTS": "0"},
}


class Events:
    """A folder's events. Where they cannot be written, one line of the log says so, and the run goes on."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._process: subprocess.Popen | None = None
        self._failed = False

    def write(self, step: int, scalars: Mapping[str, float], pictures: Mapping[str, np.ndarray]) -> None:
        """Scalars, and uint8 (H, W, 3) pictures, by name; the first call starts the process."""
        if self._failed:
            return
        try:
            if self._process is None:
                self._start()
            pickle.dump((step, dict(scalars), dict(pictures)), self._process.stdin)
            self._process.stdin.flush()
        except OSError as error:
            if self._process is None:
                self._fail(error.strerror or str(error))
            self.close()

    def close(self) -> None:
        """Waits until everything is written."""
        if self._process is None or self._failed:
            return
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            code = self._process.wait(PATIENCE)
            ended = f"its process ended with {code}"  # below 0, by the signal of that number
        except subprocess.TimeoutExpired:
            self._process.kill()
            code, ended = None, f"its process did not end within {PATIENCE} s"
        if code != 0:
            self._fail(self._last_words() or ended)

    def _fail(self, reason: str) -> None:
        self._failed = True
        logger.warning("Not writing to TensorBoard: %s.", reason)

    def _start(self) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        # -P: the folder of the file, with its `signals` and `files`, is no place to import from.
        self._process = subprocess.Popen(
            [sys.executable, "-P", Path(__file__).with_name("events_process.py"), self._folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
            start_new_session=True,  # what a terminal sends the run is not for it
            env={**os.environ, **ENVIRONMENT},
        )

    def _last_words(self) -> str | None:
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        return lines[-1].rstrip(".") if lines else None
