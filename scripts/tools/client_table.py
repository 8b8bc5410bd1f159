#!/usr/bin/env python3
"""Tries OpenAI's API with the clients that people use, and writes what works into a table of docs/server.md.

    hd-edge serve -m demo --port 8080 &
    client_table.py http://127.0.0.1:8080            # prints the table
    client_table.py http://127.0.0.1:8080 --write    # and puts it into docs/server.md

Each cell is a call to the running server. It needs nothing of hd_edge; clients that are not installed in this Python
have no column: pip install openai langchain-openai litellm instructor llama-index-llms-openai-like
(LiteLLM's tools need mcp, too.)
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import httpx
from pydantic import BaseModel

PAGE = Path(__file__).resolve().parents[2] / "docs" / "server.md"
BEGIN, END = "<!-- clients: scripts/tools/client_table.py -->\n", "<!-- end of clients -->\n"
ASKED = "What is the weather in Oslo?"
USER = {"role": "user", "content": ASKED}
PARTS = {"role": "user", "content": [{"type": "text", "text": ASKED}]}
FEATURES = (
    "chat", "parts of content", "stream", "usage in a stream", "asyncio", "called tool", "streamed call",
    "answer to a call", "responses", "JSON schema", "log probabilities", "several choices", "models", "mistakes",
)  # fmt: skip


class Weather(BaseModel):
    """The weather of a city."""

    city: Literal["Oslo", "Rome"]
    unit: Literal["celsius", "fahrenheit"]


TOOL = {
    "type": "function",
    "function": {"name": "Weather", "description": "The weather of a city.", "parameters": Weather.model_json_schema()},
}
Cells = dict[str, Callable[[], bool]]


def holds(arguments: Any) -> bool:
    """True for arguments of the tool, as JSON or what it says."""
    return bool(Weather.model_validate(json.loads(arguments) if isinstance(arguments, str) else arguments))


def with_openai(url: str) -> Cells:
    """OpenAI's own client."""
    import openai

    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)

    def ask(*messages: Any, **more: Any) -> Any:
        settings = {"model": "any", "temperature": 0, "max_tokens": 100, **more}
        return client.chat.completions.create(messages=list(messages) or [USER], **settings)

    def streamed_call() -> bool:
        settings = {"model": "any", "messages": [USER], "tools": [openai.pydantic_function_tool(Weather)]}
        with client.chat.completions.stream(**settings, tool_choice="required", temperature=0) as stream:
            stream.until_done()
            (call,) = stream.get_final_completion().choices[0].message.tool_calls
        return isinstance(call.function.parsed_arguments, Weather)

    def answered() -> bool:
        asked = ask(tools=[TOOL], tool_choice="required").choices[0].message
        result = {"role": "tool", "tool_call_id": asked.tool_calls[0].id, "content": "3 degrees"}
        return bool(ask(USER, asked, result, tools=[TOOL], tool_choice="none", max_tokens=8).choices[0].message.content)

    async def later() -> bool:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as own:
            done = await own.chat.completions.create(model="any", messages=[USER], max_tokens=8)
        return bool(done.choices[0].message.content)

    def mistakes() -> bool:
        try:
            ask(temperature=-1)
        except openai.BadRequestError as error:
            return error.param == "temperature"
        return False

    def usage() -> bool:
        *_, last = ask(stream=True, stream_options={"include_usage": True}, max_tokens=8)
        return last.usage.completion_tokens == 8

    def parsed() -> bool:
        done = client.chat.completions.parse(model="any", messages=[USER], response_format=Weather, max_tokens=100)
        return isinstance(done.choices[0].message.parsed, Weather)

    return {
        "chat": lambda: bool(ask(max_tokens=8).choices[0].message.content),
        "parts of content": lambda: bool(ask(PARTS, max_tokens=8).choices[0].message.content),
        "stream": lambda: len([c for c in ask(stream=True, max_tokens=8) if c.choices[0].delta.content]) > 3,
        "usage in a stream": usage,
        "asyncio": lambda: asyncio.run(later()),
        "called tool": lambda: holds(
            ask(tools=[TOOL], tool_choice="required").choices[0].message.tool_calls[0].function.arguments
        ),
        "streamed call": streamed_call,
        "answer to a call": answered,
        "responses": lambda: bool(client.responses.create(model="any", input=ASKED, max_output_tokens=8).output_text),
        "JSON schema": parsed,
        "log probabilities": lambda: len(ask(logprobs=True, max_tokens=3).choices[0].logprobs.content) == 3,
        "several choices": lambda: len(ask(n=2, max_tokens=3).choices) == 2,
        "models": lambda: client.models.retrieve(client.models.list().data[0].id).object == "model",
        "mistakes": mistakes,
    }


def with_langchain(url: str) -> Cells:
    """LangChain's ChatOpenAI."""
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_openai import ChatOpenAI

    settings = {"base_url": f"{url}/v1", "api_key": "none", "model": "any", "temperature": 0, "max_retries": 0}
    chat = ChatOpenAI(**settings, max_tokens=100)
    newer = ChatOpenAI(**settings, max_tokens=100, use_responses_api=True)
    tools = chat.bind_tools([Weather], tool_choice="any")

    def answered() -> bool:
        asked = tools.invoke(ASKED)
        result = ToolMessage("3 degrees", tool_call_id=asked.tool_calls[0]["id"])
        return bool(chat.invoke([HumanMessage(ASKED), asked, result]).content)

    def streamed_call() -> bool:
        whole = None
        for chunk in tools.stream(ASKED):
            whole = chunk if whole is None else whole + chunk
        return whole is not None and holds(whole.tool_calls[0]["args"])

    def usage() -> bool:
        chunks = list(chat.stream(ASKED, stream_usage=True))
        return any(chunk.usage_metadata and chunk.usage_metadata["output_tokens"] > 0 for chunk in chunks)

    def structured(method: str) -> bool:
        return isinstance(chat.with_structured_output(Weather, method=method).invoke(ASKED), Weather)

    def probabilities() -> bool:
        return bool(chat.bind(logprobs=True).invoke(ASKED).response_metadata["logprobs"]["content"])

    return {
        "chat": lambda: bool(chat.invoke(ASKED).content),
        "parts of content": lambda: bool(chat.invoke([HumanMessage(PARTS["content"])]).content),
        "stream": lambda: len(list(chat.stream(ASKED))) > 3,
        "usage in a stream": usage,
        "asyncio": lambda: bool(asyncio.run(chat.ainvoke(ASKED)).content),
        "called tool": lambda: holds(tools.invoke(ASKED).tool_calls[0]["args"]),
        "streamed call": streamed_call,
        "answer to a call": answered,
        "responses": lambda: bool(newer.invoke(ASKED).text),
        "JSON schema": lambda: structured("json_schema") and structured("function_calling"),
        "log probabilities": probabilities,
    }


def with_litellm(url: str) -> Cells:
    """LiteLLM with an OpenAI-compatible provider."""
    import litellm

    settings = {"model": "openai/any", "api_base": f"{url}/v1", "api_key": "none", "temperature": 0, "num_retries": 0}

    def ask(*messages: Any, **more: Any) -> Any:
        return litellm.completion(messages=list(messages) or [USER], **{**settings, "max_tokens": 100, **more})

    def streamed_call() -> bool:
        chunks = list(ask(tools=[TOOL], tool_choice="required", stream=True))
        whole = litellm.stream_chunk_builder(chunks)
        return holds(whole.choices[0].message.tool_calls[0].function.arguments)

    def answered() -> bool:
        asked = ask(tools=[TOOL], tool_choice="required").choices[0].message
        result = {"role": "tool", "tool_call_id": asked.tool_calls[0].id, "content": "3 degrees"}
        return bool(ask(USER, asked.model_dump(), result, max_tokens=8).choices[0].message.content)

    async def later() -> bool:
        done = await litellm.acompletion(messages=[USER], max_tokens=8, **settings)
        return bool(done.choices[0].message.content)

    def mistakes() -> bool:
        try:
            ask(temperature=-1)
        except litellm.BadRequestError as error:
            return "temperature" in str(error)
        return False

    def usage() -> bool:
        chunks = list(ask(stream=True, stream_options={"include_usage": True}, max_tokens=8))
        return any(getattr(chunk, "usage", None) and chunk.usage.completion_tokens == 8 for chunk in chunks)

    form = {"type": "json_schema", "json_schema": {"name": "w", "strict": True, "schema": Weather.model_json_schema()}}
    return {
        "chat": lambda: bool(ask(max_tokens=8).choices[0].message.content),
        "parts of content": lambda: bool(ask(PARTS, max_tokens=8).choices[0].message.content),
        "stream": lambda: len(list(ask(stream=True, max_tokens=8))) > 3,
        "usage in a stream": usage,
        "asyncio": lambda: asyncio.run(later()),
        "called tool": lambda: holds(
            ask(tools=[TOOL], tool_choice="required").choices[0].message.tool_calls[0].function.arguments
        ),
        "streamed call": streamed_call,
        "answer to a call": answered,
        "JSON schema": lambda: holds(ask(response_format=form).choices[0].message.content),
        "log probabilities": lambda: bool(ask(logprobs=True, max_tokens=3).choices[0].logprobs),
        "several choices": lambda: len(ask(n=2, max_tokens=3).choices) == 2,
        "mistakes": mistakes,
    }


def with_instructor(url: str) -> Cells:
    """instructor in its modes of tools and of JSON schemas."""
    import instructor
    import openai

    def made(mode: Any) -> bool:
        client = instructor.from_openai(openai.OpenAI(base_url=f"{url}/v1", api_key="none"), mode=mode)
        settings = {"model": "any", "messages": [USER], "response_model": Weather, "max_retries": 0, "temperature": 0}
        return isinstance(client.chat.completions.create(**settings, max_tokens=100), Weather)

    async def later() -> bool:
        client = instructor.from_openai(openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none"))
        made = await client.chat.completions.create(
            model="any", messages=[USER], response_model=Weather, max_tokens=100
        )
        return isinstance(made, Weather)

    return {
        "called tool": lambda: made(instructor.Mode.TOOLS),
        "JSON schema": lambda: made(instructor.Mode.JSON_SCHEMA),
        "asyncio": lambda: asyncio.run(later()),
    }


def with_llama_index(url: str) -> Cells:
    """LlamaIndex's OpenAILike."""
    from llama_index.core.llms import ChatMessage
    from llama_index.core.tools import FunctionTool
    from llama_index.llms.openai_like import OpenAILike

    settings = {"api_base": f"{url}/v1", "api_key": "none", "model": "any", "max_tokens": 60, "temperature": 0}
    chat = OpenAILike(**settings, is_chat_model=True, is_function_calling_model=True, max_retries=0)

    def weather(**asked: str) -> str:
        """The weather of a city."""
        return str(asked)

    def called() -> bool:
        tool = FunctionTool.from_defaults(weather, fn_schema=Weather)
        made = chat.chat_with_tools([tool], user_msg=ASKED, tool_required=True)
        return holds(chat.get_tool_calls_from_response(made)[0].tool_kwargs)

    return {
        "chat": lambda: bool(chat.complete(ASKED).text),
        "stream": lambda: len(list(chat.stream_chat([ChatMessage(ASKED)]))) > 3,
        "asyncio": lambda: bool(asyncio.run(chat.acomplete(ASKED)).text),
        "called tool": called,
        "JSON schema": lambda: isinstance(chat.as_structured_llm(Weather).complete(ASKED).raw, Weather),
    }


CLIENTS = (
    ("openai", "openai", with_openai),
    ("LangChain", "langchain-openai", with_langchain),
    ("LiteLLM", "litellm", with_litellm),
    ("instructor", "instructor", with_instructor),
    ("LlamaIndex", "llama-index-llms-openai-like", with_llama_index),
)


def column(package: str, make: Callable[[str], Cells], url: str) -> tuple[str, dict[str, str]]:
    """Version of a client, and what its cells say; empty if it is not installed."""
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "", {}
    said = {}
    for feature, call in make(url).items():
        said[feature] = "yes" if works(f"{package}, {feature}", call) else "no"
    return version, said


def works(name: str, call: Callable[[], bool]) -> bool:
    """Makes a call; whatever a client raises is an answer, too."""
    try:
        return call()
    except Exception as error:
        print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
        return False


def table(url: str) -> str:
    """The whole table as Markdown."""
    columns = [(name, *column(package, make, url)) for name, package, make in CLIENTS]
    columns = [one for one in columns if one[1]]
    model = httpx.get(f"{url}/v1/models").json()["data"][0]["id"]
    lines = [f"Calls made with `{model}`; an empty cell: the client has no such thing, or it is not tried.", ""]
    lines += ["| | " + " | ".join(f"{name} {version}" for name, version, _ in columns) + " |"]
    lines += ["|---" * (len(columns) + 1) + "|"]
    for feature in FEATURES:
        lines.append(f"| {feature} | " + " | ".join(said.get(feature, "") for _, _, said in columns) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Prints the table, or writes it into the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # nothing but the server is asked
    made = table(given.url.rstrip("/"))
    print(made)
    if given.write:
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        PAGE.write_text(before + BEGIN + made + END + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
