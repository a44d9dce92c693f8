"""Tiny directories of every model family with random weights, and what transformers computes with them.

usage (in Tests/Oracle): python -m families [NAME …] [--out DIR] [--seeds N] [--seed-offset N] [--extents NAME] [--fixtures | --rest]
                                         [--list]
Two runs give the same bytes: one thread, no clock, no trained tokenizer.
"""
import os

for setting, value in {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1",
                       "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}.items():
    os.environ.setdefault(setting, value)

import torch

torch.set_num_threads(1)
