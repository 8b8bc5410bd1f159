"""A model that says what a test wants, for chats and edits."""

from __future__ import annotations

from hd_edge.stats import GenerationStats


class Talker:
    """Says its answers one after the other, the last again and again; None: it is interrupted.

    Args:
        *answers: Texts.
        finish: Why they end.
        context: Tokens of the context window; a character is a token.
    """

    tier, on_prefill = "context", None

    def __init__(self, *answers: str | None, finish: str = "stop", context: int = 4096) -> None:
        self.answers, self.finish, self.context = list(answers), finish, context
        self.calls: list[tuple[list, dict]] = []
        self.stats = self.total_stats = GenerationStats()

    def n_ctx(self) -> int:
        return self.context

    def tokenize(self, data: bytes, add_bos: bool) -> list[int]:
        return list(data)

    def create_chat_completion(self, messages, **settings):
        self.calls.append((messages, settings))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            raise KeyboardInterrupt
        self.stats = GenerationStats(tokens=len(answer))
        for piece in (answer[:9], answer[9:]):
            yield {"choices": [{"delta": {"content": piece}, "finish_reason": None}]}
        yield {"choices": [{"delta": {}, "finish_reason": self.finish}]}

    def cancel(self) -> None:
        pass

    def catch_up(self) -> None:
        pass
