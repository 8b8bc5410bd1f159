"""``create_chat_completion`` as in OpenAI's API: tools, forms of answers, thoughts apart, probabilities."""

from __future__ import annotations

import time
import uuid
from collections.abc import Generator
from functools import partial
from typing import Any

from llama_cpp import LlamaGrammar

from hd_edge.backend.lazy_grammar import LazyGrammar
from hd_edge.backend.ranges import expect
from hd_edge.errors import ConfigError
from hd_edge.model.call_grammar import call_grammar, in_channels, with_root
from hd_edge.model.call_parser import AnswerParser
from hd_edge.model.chat_template import ChatTemplate, Prompt
from hd_edge.model.functions import newer, older, renamed
from hd_edge.model.harmony import HarmonyParser
from hd_edge.model.message import whole
from hd_edge.model.messages import plain_messages
from hd_edge.model.prediction import Hints, message_texts
from hd_edge.model.schema import check_schemas, response_grammar, schema_grammar, tool_grammar
from hd_edge.model.template_refusals import check_variables, refusals
from hd_edge.model.tools import Tools
from hd_edge.model.xml_arguments import xml_grammar

from .completion import Completions, add_counts, text_size
from .options import CHAT, arguments, check_options
from .reply import replies

REASONING = ("none", "auto")


class Chats(Completions):
    """The chat calls of ``hd_edge.Llama``."""

    def create_chat_completion(
        self,
        *args: Any,
        prediction: Any = None,
        parallel_tool_calls: bool | None = None,
        reasoning_format: str = "none",
        chat_template_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """As ``llama_cpp.Llama.create_chat_completion``, with what OpenAI's API has beyond it.

        Args:
            *args: As ``llama_cpp.Llama.create_chat_completion``.
            prediction: As in ``create_completion``.
            parallel_tool_calls: An answer may call several tools, or one twice; None: if the model's template knows it.
            reasoning_format: ``"auto"``: what stands between ``<think>`` and ``</think>`` at the beginning of an answer
                comes as ``reasoning_content``; ``"none"``: it stays in the text.
            chat_template_kwargs: More variables for the chat template, such as ``enable_thinking``.
            **kwargs: As ``llama_cpp.Llama.create_chat_completion``. ``tools`` are written as the model's template does,
                or described in the system's text; ``tool_choice`` may be ``"auto"`` (where ``tools`` are given),
                ``"none"``, ``"required"``, or ``{"type": "function", "function": {"name": ...}}``. Arguments are held
                by the schemas of the tools, also in calls that the model begins by itself. ``response_format`` takes
                ``json_schema``, too. ``logprobs`` and ``top_logprobs`` need no ``logits_all``.

        Returns:
            A chat completion or its chunks, with counts as in ``create_completion``; calls in ``tool_calls``.

        Raises:
            ConfigError: As ``create_completion``, or a message, tool or schema is not what it should be.
            ContextFullError: The conversation does not fit the context.
            ClosedError: The model was closed, before or meanwhile.
        """
        settings = arguments(CHAT, self, *args, **kwargs)
        del settings["self"]
        check_options(settings)
        if reasoning_format not in REASONING:
            msg = f"reasoning_format is {reasoning_format!r}, expected one of {', '.join(REASONING)}"
            raise ConfigError(msg, "reasoning_format")
        variables: Any = {} if chat_template_kwargs is None else chat_template_kwargs
        fits = isinstance(variables, dict) and all(isinstance(name, str) for name in variables)
        expect("chat_template_kwargs", variables, fits, "a dict from names to values")
        check_variables(variables)
        check_schemas(settings.get("tools"), settings.get("functions"))
        if settings.get("response_format") is not None:
            settings["grammar"] = response_grammar(settings.pop("response_format")) or settings.get("grammar")
        template = self._template
        by_older_name = renamed(dict(settings) if not template.writes_prompts else settings)
        if template.writes_prompts:
            settings["messages"] = newer(plain_messages(settings["messages"]))
        self.check_size(sum(text_size(message) for message in settings["messages"]))
        form: dict[str, Any] = {"reasoning": reasoning_format != "none", "parallel": parallel_tool_calls}
        form |= {"parallel": False} if by_older_name else {}  # there is one call
        named = any(settings.get(name) for name in ("tools", "tool_choice", "logprobs"))
        ours = named or form["reasoning"] or chat_template_kwargs is not None or template.in_channels
        stream = settings.get("stream", False)
        with self._calling(stream):
            expected = None if prediction is None else self._prediction_ids(prediction)
            hints = Hints(expected, message_texts(settings["messages"]))
            if ours and template.writes_prompts:
                prepared = self._prepare(template, settings, variables, **form)
                reply = self._reply(*prepared)
                chunks = self._chunks(older(reply) if by_older_name else reply, hints)
                if not stream:
                    return whole(list(chunks), len(prepared[0].tokens), self.stats)
            else:
                with self.hinted(hints), refusals(len(settings["messages"])):
                    chunks = super().create_chat_completion(**settings)
                if isinstance(chunks, dict):
                    add_counts(chunks, self.stats)
                    return chunks
        return self._life.chunks(self._with_timings(chunks))

    @property
    def _template(self) -> ChatTemplate:
        kept: tuple[Any, ChatTemplate] | None = self.__dict__.get("_kept_template")
        now = self._life.read(lambda: (self.chat_format, self.chat_handler))
        if kept is None or kept[0] != now:
            kept = self._kept_template = now, ChatTemplate(self)
        return kept[1]

    def _prepare(
        self,
        template: ChatTemplate,
        settings: dict[str, Any],
        variables: dict[str, Any],
        *,
        reasoning: bool,
        parallel: bool | None,
    ) -> tuple[Prompt, dict[str, Any], AnswerParser | HarmonyParser, set[int]]:
        """The prompt, the settings of its completion, what reads the answer, and control tokens whose text it reads."""
        bound = CHAT.bind(self, **settings)
        bound.apply_defaults()
        given = dict(bound.arguments)
        for name in ("self", "functions", "function_call", "response_format", "stream"):
            del given[name]
        tools = Tools.of(given.pop("tools"), given.pop("tool_choice"))
        messages, model = given.pop("messages"), given.pop("model") or self.model_path
        top = (given.pop("top_logprobs") or 0) if given.pop("logprobs") else None
        grammar = given.pop("grammar")
        asked = tools.given if tools.mode != "none" else None
        prompt = template.prompt(self, messages, asked, given, variables)
        if tools.mode != "none":
            grammar = _grammar(template, tools, prompt, grammar, parallel=parallel)
        elif grammar is not None and template.in_channels:
            grammar = LlamaGrammar.from_string(in_channels(None, grammar._grammar), verbose=False)
        marks = [
            *(template.form.marks if tools.mode != "none" or template.in_channels else ()),
            *(("<think>", "</think>") if reasoning else ()),
        ]
        parser: AnswerParser | HarmonyParser
        if template.in_channels:
            parser = HarmonyParser(reasoning=reasoning)
        else:
            schemas = {tool["function"]["name"]: tool["function"].get("parameters") for tool in tools.given}
            parser = AnswerParser(
                template.form if tools.mode != "none" else None,
                reasoning=reasoning,
                thinking=prompt.thinking,
                schemas=schemas,
            )
        own = {**prompt.settings, "grammar": grammar, "model": model, "top": top}
        return prompt, own, parser, {token for mark in marks for token in self._spelling(mark)}

    def _spelling(self, mark: str) -> list[int]:
        """The token that is this mark, if there is one."""
        data = mark.encode("utf-8")
        tokens = self.tokenize(data, add_bos=False, special=True)
        return [token for token in tokens if self.tokenizer_.detokenize([token], special=True) == data]

    def _reply(
        self, prompt: Prompt, settings: dict[str, Any], parser: AnswerParser | HarmonyParser, shown: set[int]
    ) -> Generator[dict[str, Any], None, None]:
        """The chunks of an answer."""
        head = {"id": f"chatcmpl-{uuid.uuid4()}", "object": "chat.completion.chunk", "created": int(time.time())}
        head["model"] = settings.pop("model")
        begun = False
        for said in replies(self, prompt.tokens, settings, shown=shown, top=settings.pop("top")):
            deltas = parser.feed(said.text)
            if said.finish is not None:
                deltas += parser.end()
            if not begun:
                begun = True
                yield _chunk(head, {"role": "assistant"})
            entries = said.logprobs
            for delta in deltas or ([{}] if entries else []):
                yield _chunk(head, delta, entries)
                entries = []
            if said.finish is not None:
                reason = "tool_calls" if parser.calls and said.finish == "stop" else said.finish
                yield _chunk(head, {}, finish=reason)


def _grammar(
    template: ChatTemplate, tools: Tools, prompt: Prompt, answer: Any, *, parallel: bool | None
) -> LlamaGrammar:
    """Holds calls: from the beginning where there must be one, or an answer has a form of its own; else lazily."""
    thinking = {
        "thinking": prompt.thinking,
        "may_think": template.thinks and not prompt.text.rstrip().endswith("</think>"),
        "channels": template.in_channels,
    }
    form = template.form
    arguments = partial(xml_grammar, grammar=schema_grammar) if form.xml else tool_grammar
    several = template.takes_parallel and (form.own if parallel is None else parallel)
    if tools.mode == "required" or answer is not None:
        rules = call_grammar(form, tools.allowed, arguments, parallel=several)
        other = answer._grammar if answer is not None and tools.mode != "required" else None
        return LlamaGrammar.from_string(with_root(rules, or_answer=other, **thinking), verbose=False)
    rules = call_grammar(form, tools.allowed, arguments, parallel=several, after_opening=True)
    return LazyGrammar(f"{rules}\nroot ::= calls", form.trigger, thinking=prompt.thinking)


def _chunk(
    head: dict[str, Any], delta: dict[str, Any], entries: list[dict[str, Any]] | None = None, finish: str | None = None
) -> dict[str, Any]:
    logprobs = {"content": entries, "refusal": None} if entries else None
    return {**head, "choices": [{"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}]}
