"""The plugin in the real ``llm`` command."""

from __future__ import annotations

import json
import warnings

import pytest
from children import python


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("llm")


@pytest.fixture(scope="module")
def llm(folder, smollm2_q4_0):
    """Runs ``llm``; the model is named ``smol``."""
    env = {"LLM_USER_PATH": str(folder / "llm"), "HD_EDGE_HOME": str(folder / "hd_edge")}

    def run(*arguments, check=True):
        done = python(*arguments, **env)
        assert not check or done.returncode == 0, done.stderr
        return done

    run("-m", "hd_edge", "models", "add", str(smollm2_q4_0), "-a", "smol")
    return lambda *arguments, **more: run("-m", "llm", *arguments, **more)


OPTIONS = ["-o", "temperature", "0", "-o", "max_tokens", "16", "-o", "n_threads", "1"]


def test_models_are_listed_with_the_demo_at_once(llm):
    listed = llm("models").stdout
    assert "hd-edge/demo" in listed
    assert "hd-edge/smol" in listed


def test_prompt_conversation_and_log(llm, folder):
    question = "Tell me about rivers."
    first = llm("-m", "hd-edge/smol", *OPTIONS, "-s", "Be short.", question).stdout
    assert "river" in first.lower()
    assert llm("-m", "hd-edge/smol", *OPTIONS, "-s", "Be short.", question, "--no-stream").stdout == first
    llm("-c", *OPTIONS, "Go on.")
    rows = json.loads(llm("logs", "--json", "-n", "0").stdout)
    rows.sort(key=lambda row: row["datetime_utc"])
    assert [row["model"] for row in rows] == ["hd-edge/smol"] * 3
    assert rows[1]["conversation_id"] == rows[2]["conversation_id"]
    assert rows[2]["input_tokens"] > rows[1]["input_tokens"] + 16  # the conversation went along
    assert rows[0]["output_tokens"] == 16
    details = json.loads(rows[0]["token_details"])
    assert details["mean_accepted_tokens"] >= 1
    assert set(details["accepted_by_tier"]) == {"context", "model", "statistics", "drafter"}
    assert list((folder / "hd_edge").rglob("*.sqlite3"))  # learned, and written at the end of the process


def test_schema(llm):
    options = ["-m", "hd-edge/smol", "-o", "max_tokens", "60", "-o", "n_threads", "1"]
    done = llm(*options, "--schema", "name, age int", "Invent a dog.")
    assert done.stdout.startswith("{")


def test_options_are_checked(llm):
    done = llm("-m", "hd-edge/smol", "-o", "temperature", "-1", "Hi.", check=False)
    assert done.returncode != 0
    assert "temperature" in done.stderr


def test_a_damaged_list_leaves_the_other_models(tmp_path, monkeypatch):
    from hd_edge.integrations import llm_plugin

    monkeypatch.setenv("HD_EDGE_HOME", str(tmp_path))
    (tmp_path / "models.json").write_text("{")
    seen = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        llm_plugin.register_models(seen.append)
    assert [model.model_id for model in seen] == ["hd-edge/demo"]
    assert "models.json" in str(caught[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        llm_plugin.register_models(seen.append)
    assert len(seen) == 2


def test_the_module_imports_nothing_heavy():
    heavy = "{'llama_cpp', 'numpy', 'hd_edge._native'} & (sys.modules.keys() - before)"
    code = f"import llm, sys; before = set(sys.modules); import hd_edge.integrations.llm_plugin; print(sorted({heavy}))"
    assert python("-c", code).stdout.strip() == "[]"


def test_a_drafter_drafts(llm, folder, models):
    shared = ("-m", "hd-edge/smol", *OPTIONS, "Tell me about rivers.")
    plain = llm(*shared).stdout
    assert llm(*shared, "-o", "drafter", str(models("Q4_0"))).stdout == plain
    (row,) = json.loads(llm("logs", "--json", "-n", "1").stdout)
    assert "drafter" in json.loads(row["token_details"])["drafted_by_tier"]
    refused = llm(*shared, "-o", "drafter", "no-such.gguf", check=False)
    assert refused.returncode != 0
    assert "no-such.gguf" in refused.stderr
