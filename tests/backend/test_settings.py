"""The key of a stored cost curve: other kernels, another curve."""

import pytest

from hd_edge import Llama
from hd_edge.backend import kernels
from hd_edge.backend.kernels import Status
from hd_edge.backend.settings import cost_settings
from hd_edge.model.gguf import read_header
from hd_edge.store.store import Store

OFF = Status(active=False, reason="off", isa="", types=())


def test_curve_of_other_kernels_is_another(models):
    header = read_header(str(models("Q4_0")))
    offered = [OFF, *(Status(active=True, reason="", isa=isa, types=("Q4_0",)) for isa in ("AVX2", "AVX512VNNI"))]
    assert len({cost_settings(header, {}, False, status) for status in offered}) == 3
    assert cost_settings(header, {}, False, OFF) == cost_settings(header, {}, False, OFF)


def test_curve_measured_without_our_kernels_is_not_taken_with_them(models, tmp_path):
    path = tmp_path / "model.sqlite3"
    settings = {"n_ctx": 256, "n_threads": 1, "n_threads_batch": 1, "statistics": None, "store": path}
    for row_kernels in (False, "auto"):
        llm = Llama(str(models("Q4_0")), row_kernels=row_kernels, **settings)
        assert llm._hierarchy.cost_rows == []
        llm("the cat", max_tokens=40, temperature=0.0)
        llm.close()
        if not kernels.status().active:
            pytest.skip("no kernels for this processor")
    with Store(path) as store, store.file.reading() as db:
        assert {item["settings"].rpartition("kernels=")[2] for item in db.table("cost").rows} == {
            "llama.cpp",
            kernels.status().isa + ("+attention" if kernels.status().attention else ""),
        }
