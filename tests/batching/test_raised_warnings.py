"""A filter that makes exceptions of warnings, and a store that goes away while an engine learns: it serves on."""

from __future__ import annotations

import warnings

from hd_edge import Engine
from hd_edge.store.store import Store

SETTINGS = {"n_ctx": 256, "n_threads": 1, "n_threads_batch": 1, "statistics": None}


def test_an_engine_whose_store_was_deleted_goes_on(models, store_path, tmp_path, monkeypatch):
    settings = {**SETTINGS, "store": store_path, "prefix_cache": tmp_path / "prefixes"}
    said = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monkeypatch.setattr(warnings, "showwarning", lambda message, *_, **__: said.append(str(message)))
        with Engine(str(models("Q4_0")), parallel=2, **settings) as engine:
            engine._prefixes.cache.disk.trouble = "the disk of the prefixes is gone"
            store_path.unlink()
            for first in (300, 301, 302):
                made = engine.submit([1, first], max_tokens=8, temperature=0.0).result(60)
                assert made["usage"]["completion_tokens"] > 0
    assert said[0] == "the disk of the prefixes is gone"
    assert "was deleted or replaced while in use" in said[1]
    with Store(store_path) as store:
        assert store.counters()["answers"] == 3
