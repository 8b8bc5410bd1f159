"""What a benchmark shows: table, sentence, picture."""

from __future__ import annotations

import sys

import pytest
from fake_bench import answer

from hd_edge.bench.plot import check_plot, plot
from hd_edge.bench.sentence import judge, sentence
from hd_edge.bench.summary import summarise
from hd_edge.bench.table import table, title
from hd_edge.bench.turns import Record, Results
from hd_edge.errors import ConfigError
from hd_edge.tiers.colours import COLOURS

ABOUT = {
    "hardware": {"processor": "CPU 3000"},
    "model": {"file": "m.gguf", "bytes": 3 << 20},
    "settings": {"n_threads": 1, "max_tokens": 10, "temperature": 0.0},
}


def summary(speeds, arm="auto", each=3):
    """A run whose categories have these speed-ups, give or take a percent."""
    records = [
        Record(f"{category}{i}", category, 1, {"plain": answer(1.0), arm: answer((1 + i / 100) / speed)})
        for category, speed in speeds.items()
        for i in range(each)
    ]
    return summarise(Results(records), **ABOUT)


@pytest.mark.parametrize(
    ("speeds", "said"),
    [
        (
            {"editing": 1.42, "conversation": 1.005},
            "makes this model 1.4x as fast on editing and changes nothing on free chat.",
        ),
        (
            {"translation": 1.75, "editing": 1.4, "summarization": 1.42, "rag": 1.0, "qa": 0.9},
            "makes this model 1.7x as fast on translation and 1.4x on summaries and editing, changes nothing on "
            "questions about documents, and slows it down to 0.89x on questions.",
        ),
        ({"editing": 1.001, "my_own": 1.0}, "changes nothing on editing and my own."),
        ({"editing": 0.8, "qa": 0.95}, "slows it down to 0.79x on editing and 0.94x on questions."),
        ({"prompts": 1.06}, "makes this model 1.05x as fast on these prompts."),
    ],
)
def test_the_sentence(speeds, said):
    assert sentence(summary(speeds)) == f"On this machine drafting {said}"


def test_the_sentence_needs_answers():
    assert sentence(summary({"a": 2.0, "b": 2.0}, each=1)) == (
        "On this machine drafting makes this model 2.0x as fast on these prompts."
    )
    assert sentence(summary({"a": 2.0}, each=1)) == ""
    assert sentence(summary({"a": 2.0}, arm="plain")) == ""
    assert sentence(summary({"editing": 1.5}, arm="llama-cpp")) == (
        "On this machine the arm llama-cpp makes this model 1.5x as fast on editing."
    )


def test_only_what_is_sure_and_noticed_counts():
    assert judge({"median": 1.2, "low": 1.1, "high": 1.3}) == 1
    assert judge({"median": 0.9, "low": 0.8, "high": 0.99}) == -1
    assert judge({"median": 1.2, "low": 0.9, "high": 1.3}) == 0
    assert judge({"median": 1.02, "low": 1.01, "high": 1.03}) == 0
    assert judge({"median": 1.5, "low": None, "high": None}) == 0
    assert judge(None) == 0


def test_the_table():
    found = summary({"editing": 1.5, "qa": 0.5})
    lines = table(found, lambda cell, verdict: f"<{verdict}>{cell}")
    assert [[cell.strip() for cell in line.split("|")[1:-1]][:4] for line in lines[2:]] == [
        ["plain", "all", "10.00 ± 0.00", ""],
        ["plain", "editing", "10.00 ± 0.00", ""],
        ["plain", "qa", "10.00 ± 0.00", ""],
        ["auto", "all", "7.43 ± 5.42", "0.99"],
        ["auto", "editing", "14.85 ± 0.15", "<1>    1.49"],
        ["auto", "qa", "4.95 ± 0.05", "<-1>    0.50"],
    ]
    assert lines[5].split("|")[-2].strip() == "6/6"
    assert len({len(line) for line in table(found)}) == 1
    assert len(table(summary({"qa": 1.0}))) == 4  # one category is the same as all
    alone = [cell.strip() for cell in table(summary({"qa": 2.0}, each=1))[3].split("|")]
    assert alone[3:6] == ["20.00", "2.00", ""]
    assert title(found) == "m.gguf · 3 MiB · CPU 3000, 1 thread · 6 answers of up to 10 tokens, greedy"


def test_the_picture(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "speed.png"
    found = summary({"editing": 1.5, "qa": 0.5})
    found["speedup"]["auto"]["by_category"]["qa"] = None  # only answers of one token
    plot(found, path)
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ConfigError, match=r"its name ends in none of .*png"):
        check_plot("speed.txt")
    with pytest.raises(ConfigError, match="No such file"):
        plot(found, tmp_path / "none" / "speed.png")


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_a_picture_is_replaced_by_a_picture_of_ours_alone(tmp_path, kind):
    figure = pytest.importorskip("matplotlib.figure")
    path = tmp_path / f"speed.{kind}"
    for _ in range(2):
        plot(summary({"qa": 1.5}), path)
    figure.Figure().savefig(path)
    theirs = path.read_bytes()
    with pytest.raises(ConfigError, match="holds something else and would be lost"):
        plot(summary({"qa": 1.5}), path)
    assert path.read_bytes() == theirs


def test_a_picture_that_cannot_say_what_made_it_is_replaced_by_nothing(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "speed.jpg"
    plot(summary({"qa": 1.5}), path)
    with pytest.raises(ConfigError, match="cannot say what made them"):
        plot(summary({"qa": 1.5}), path)


def test_the_picture_says_how_fast_how_sure_and_from_where(tmp_path, monkeypatch):
    """One sample has no interval and is pale; tokens have the colours of their tiers."""
    matplotlib = pytest.importorskip("matplotlib")
    monkeypatch.setitem(matplotlib.rcParams, "svg.fonttype", "none")  # text stays text
    found, path = summary({"editing": 1.5, "qa": 0.5}), tmp_path / "speed.svg"
    found["arms"]["auto"]["accepted_by_tier"] |= {"context": 60, "model": 20}
    plot(found, path)
    drawn = path.read_text(encoding="utf-8")
    for text in ("1.5x as fast on editing", "1.49x", "0.50x", "questions", "context", "not drafted", "m.gguf"):
        assert text in drawn, text
    assert COLOURS["context"].light in drawn
    assert COLOURS["model"].light in drawn
    assert COLOURS["statistics"].light not in drawn
    assert drawn.count("fill: none; stroke: #000000") == 3  # intervals
    assert "opacity: 0.45" in drawn  # all together: one is faster, one slower
    plot(summary({"mine": 1.5}, each=1), path)
    drawn = path.read_text(encoding="utf-8")
    assert "1.50x" in drawn
    assert "opacity: 0.45" in drawn
    assert "fill: none; stroke: #000000" not in drawn


def test_no_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigError, match=r"a plot needs matplotlib\.figure: .*pip install .*\[bench\]"):
        check_plot("speed.png")
