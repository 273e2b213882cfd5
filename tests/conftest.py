"""Set-up shared by all tests."""

from __future__ import annotations

import os

import torch
from hypothesis import settings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))

# A slow machine is no failure: examples are bounded in number, not in time.
settings.register_profile("house", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("house")
