"""scripts/benchmarks/tool_loop_bench.py: the conversation, the ratios, and two real servers with a tiny model."""

from __future__ import annotations

import json

import pytest
import servers
import tool_loop
import tool_loop_bench
from tool_loop import MODES, TOOLS, TURNS, Conversation, result, schema_of, wanted


def call(turn):
    """A sound call of a turn's tool."""
    path = tool_loop.PATH["enum"][1]
    return {
        "list_files": {"folder": "scripts", "pattern": "*.py"},
        "read_file": {"path": path, "first_line": 3},
        "edit_file": {"path": path, "old": "a", "new": "b"},
        "run_tests": {"path": path, "verbose": True},
    }[wanted(turn)]


def message(mode, turn, arguments):
    if mode == "schema":
        return {"role": "assistant", "content": json.dumps({"tool": wanted(turn), "arguments": arguments})}
    called = {"name": wanted(turn), "arguments": json.dumps(arguments)}
    return {"role": "assistant", "content": None, "tool_calls": [{"id": f"call-{turn}", "function": called}]}


@pytest.mark.parametrize("mode", MODES)
def test_every_prompt_is_the_one_before_and_more(mode):
    conversation = Conversation(mode, 0)
    before = conversation.body(0)["messages"].copy()
    for turn in range(TURNS):
        assert conversation.hear(turn, message(mode, turn, call(turn)))
        after = conversation.body(turn + 1)["messages"]
        assert after[: len(before)] == before
        assert len(after) == len(before) + 2
        assert after[-1]["content"].endswith(result(turn))
        before = after.copy()


@pytest.mark.parametrize("mode", MODES)
def test_a_call_of_another_form_is_not_sound(mode):
    def sound(turn, arguments):
        return Conversation(mode, 0).hear(turn, message(mode, turn, arguments))

    assert [wanted(turn) for turn in range(4)] == ["list_files", "read_file", "edit_file", "run_tests"]
    assert not sound(0, call(0) | {"depth": 2})
    assert not sound(0, call(0) | {"folder": "x" * 41})
    assert not sound(1, call(1) | {"path": "elsewhere.py"})
    assert not sound(1, call(1) | {"first_line": "3"})
    assert not sound(3, call(3) | {"verbose": 1})
    assert not sound(3, {"path": tool_loop.PATH["enum"][0]})


def test_text_in_place_of_a_call_is_not_sound_and_the_conversation_goes_on():
    for mode in MODES:
        conversation = Conversation(mode, 0)
        assert not conversation.hear(0, {"role": "assistant", "content": '{"tool": "list_'})
        assert conversation.messages[-1]["content"].endswith(result(0))


def test_loops_share_all_but_the_task():
    one, two = (Conversation("schema", number).body(0)["messages"] for number in (0, 1))
    assert one[0] == two[0]
    assert one[1] != two[1]
    assert all(name in one[0]["content"] for name in TOOLS)


def test_a_call_is_forced_in_the_words_of_each_server():
    body = Conversation("schema", 0).body(2)
    assert body["response_format"]["schema"] == schema_of("edit_file")
    assert "tools" not in body
    body = Conversation("tools", 0).body(2)
    assert (body["tool_choice"], len(body["tools"])) == ("required", len(TOOLS))
    assert Conversation("tools", 0, named=True).body(2)["tool_choice"]["function"] == {"name": "edit_file"}


def test_ratios_are_of_the_same_round():
    def rounds(*seconds, tokens):
        return [{"seconds": each, "tokens": tokens} for each in seconds]

    found = tool_loop_bench.over(
        {"hd-edge": rounds(1.0, 2.0, 4.0, tokens=10), "llama-server": rounds(3.0, 4.0, 20.0, tokens=20)}
    )
    assert found == {
        "llama-server": {
            "loop": {"median": 3.0, "low": 2.0, "high": 5.0},
            "token": {"median": 1.5, "low": 1.0, "high": 2.5},
        }
    }


def test_a_forward_gives_one_token_and_the_accepted_ones():
    made = {"seconds": 2.0, "tokens": 12, "accepted": 8, "sound": 1, "turns": [{}, {}]}
    told = tool_loop_bench.totals([made, made])
    assert (told["tokens_per_second"], told["tokens_per_forward"]) == (6.0, 3.0)
    assert (told["sound"], told["calls"]) == (2, 4)


def test_servers_get_the_same_threads_and_room():
    serving = servers.Serving("m.gguf", 3, 1000)
    ours, theirs, python = serving.ours(80), serving.llama_server("ls", 80, slots=4), serving.llama_cpp_server(80)
    assert (ours[ours.index("-t") + 1], ours[ours.index("-c") + 1]) == ("3", "1000")
    given = [theirs[theirs.index(flag) + 1] for flag in ("-t", "-tb", "-c", "-np", "-fa")]
    assert given == ["3", "3", "4000", "4", "on"]
    told = dict(zip(python[3::2], python[4::2], strict=True))
    assert (told["--n_threads"], told["--n_threads_batch"], told["--n_ctx"]) == ("3", "3", "1000")
    assert told["--flash_attn"] == "True"


def test_two_servers_answer_in_turns(models, tmp_path, capsys):
    pytest.importorskip("fastapi")
    out = tmp_path / "tool-loop.json"
    arms = ("hd-edge", "hd-edge, no drafts")
    arguments = ["--turns", "2", "--rounds", "2", "-t", "1", "-c", "4096", "--json", str(out), "--arms", *arms]
    assert tool_loop_bench.main([str(models("Q4_0")), *arguments]) == 0
    asked = [line.split(": ")[0] for line in capsys.readouterr().err.splitlines() if line.startswith("schema")]
    assert asked == [
        f"schema, round {number}, {arm}" for number, order in ((0, arms), (1, arms[::-1])) for arm in order
    ]
    found = json.loads(out.read_text())["modes"]["schema"]
    drafted, plain = (found["arms"][arm]["rounds"] for arm in arms)
    assert [[turn["tokens"] for turn in one["turns"]] for one in drafted] == [
        [turn["tokens"] for turn in one["turns"]] for one in plain
    ]
    assert found["arms"]["hd-edge, no drafts"]["tokens_per_forward"] == 1.0
    assert all(one["turns"][1]["computed"] < one["turns"][1]["prompt_tokens"] for one in plain)  # the cache is on
    assert set(found["over"]) == {"hd-edge, no drafts"}
