"""Faults by the hundred, and what came of them: `python -m tests.campaign` (docs/reliability.md)."""

import os
import sys
from pathlib import Path

# Before anything imports JAX: a second campaign compiles nothing.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path.home() / ".cache" / "ali_jax_campaign"))
# Of the package, and of what tests share.
sys.path += [path for path in map(str, Path(__file__).parents[1:3]) if path not in sys.path]
