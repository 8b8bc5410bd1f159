"""Names of the hub: what is downloaded, and what is refused before anybody is asked. Its package is a stand-in here."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from split_gguf import split

from hd_edge import ConfigError, ModelFileError
from hd_edge.model import find as registry


def test_download_needs_the_hub_package(home, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelFileError, match=r"needs huggingface_hub: .*pip install .*\[hub\]"):
        registry.add("hf:owner/name/file.gguf")
    with pytest.raises(ConfigError, match="names no file"):
        registry.add("hf:owner")


@pytest.mark.parametrize(
    "name",
    ["hf:../../x/y.gguf", "hf:a--b/c/y.gguf", "hf:owner/name/../y.gguf", "hf:o//y.gguf", "hf:.o/n/y.gguf"],
)
def test_names_that_the_hub_cannot_have_are_not_asked_for(home, monkeypatch, name):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ConfigError, match="is no name of the hub"):
        registry.add(name)


class HTTPError(Exception):
    """As httpx has it."""


@pytest.mark.parametrize(
    "error", [ValueError("No such id.\nmore"), ConnectionError("No such id."), HTTPError("No such id.")]
)
def test_what_the_hub_refuses_is_told_in_a_sentence(home, monkeypatch, error):
    class Hub:
        @staticmethod
        def hf_hub_download(repository, file):
            raise error

    monkeypatch.setitem(sys.modules, "httpx", SimpleNamespace(HTTPError=HTTPError))
    monkeypatch.setitem(sys.modules, "huggingface_hub", Hub)
    with pytest.raises(ModelFileError, match=r"^hf:o/n/f.gguf cannot be downloaded: No such id\.$"):
        registry.add("hf:o/n/f.gguf")


def test_download_goes_through_the_hub(home, models, monkeypatch):
    class Hub:
        @staticmethod
        def hf_hub_download(repository, file):
            assert (repository, file) == ("owner/name", "sub/file.gguf")
            return str(models("Q4_0"))

    monkeypatch.setitem(sys.modules, "huggingface_hub", Hub)
    assert registry.add("hf:owner/name/sub/file.gguf", "far")[1] == Path(os.fspath(models("Q4_0")))


def test_all_files_of_a_model_are_downloaded(home, models, monkeypatch, tmp_path):
    first = split(models("Q4_0").read_bytes(), tmp_path, 0, 1)
    asked = []

    class Hub:
        @staticmethod
        def hf_hub_download(repository, file):
            asked.append((repository, file))
            return str(tmp_path / Path(file).name)

    monkeypatch.setitem(sys.modules, "huggingface_hub", Hub)
    assert registry.add(f"hf:owner/name/sub/{first.name}", "far")[1] == first
    assert asked == [("owner/name", f"sub/model-{number:05}-of-00003.gguf") for number in (1, 2, 3)]
