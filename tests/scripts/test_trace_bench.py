"""Decoding recorded answers: the settings that a command line without options gives."""

from __future__ import annotations

import argparse
from contextlib import closing

import trace_bench

from hd_edge.backend.threads import physical_cores


def test_without_t_the_threads_are_the_physical_cores(models):
    args = argparse.Namespace(model=models("Q4_0"), ctx=64, threads=0, gpu_layers=0, row_kernels=True)
    with closing(trace_bench.load(args)) as llama:
        assert llama.n_threads == llama.n_threads_batch == physical_cores()
