"""What is measured: one module a row (docs/performance.md)."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # rows compute on one thread; numpy asks when it is imported
