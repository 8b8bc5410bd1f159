"""Text that a grammar forces: JSON keys and punctuation, drafted before the model has to say them.

A grammar seldom leaves one *token*: several spellings of the same forced text are allowed (``n``, ``na``, ``name``). So
the grammar is asked byte by byte: while it allows one byte only, that byte is certain, and the forced text as the
tokenizer spells it is a draft. As every draft it is verified: text is the target's own in any case.

Optional white space (``" "?`` after every colon of a JSON schema's grammar) would end forced text at once; it is
guessed as compact JSON is usually written, a space after ``:`` and ``,`` and none elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from hd_edge import _native

from .planner import root_alone
from .tree_planner import TreePlanner

if TYPE_CHECKING:
    from hd_edge.backend.grammar import Matcher, Vocabulary

    from .planner import Planner, Step, TokenArray

MOST_BYTES = 48  # of forced text per step
LEAST_TOKENS = 2  # shorter forced texts are left to the planner
WHITE = b" \t\n\r"


class ForcedTokens:
    """Follows one generation through its grammar and finds the tokens that it forces.

    Args:
        vocabulary: Of the model.
        grammar: ``LlamaGrammar`` of llama_cpp.
    """

    def __init__(self, vocabulary: Vocabulary, grammar: Any) -> None:
        self._vocabulary = vocabulary
        self._matcher: Matcher | None = vocabulary.matcher(grammar)

    def accept(self, token: int) -> None:
        """The generation drew this; one that the grammar does not allow ends the following."""
        with suppress(_native.TooManyWays):
            if self._matcher is not None and self._matcher.accept(token):
                return
        self._matcher = None

    def forced_after(self, last: int) -> list[int]:
        """Tokens of the text that is forced after the token `last`; empty if the next byte is free."""
        if self._matcher is None:
            return []
        before = self._vocabulary.piece(last)
        text, complete = bytearray(), False

        def choose(allowed: bytes, end: bool) -> int:
            nonlocal complete
            chosen = -1 if end else only_byte(allowed, bytes(text[-1:]) or before[-1:])
            if chosen < 0:
                complete = True
            else:
                text.append(chosen)
            return chosen

        with suppress(_native.TooManyWays):
            self._matcher.follow(MOST_BYTES, choose)
        tokens = self._spell(before, bytes(text))
        return tokens if complete else tokens[:-1]  # a text cut off may end within a token

    def _spell(self, before: bytes, text: bytes) -> list[int]:
        """The tokenizer's spelling of `text`, as it stands behind `before`."""
        if not text:
            return []
        for prefix in (before, b"\n"):  # a spelling may join the border: then as at the beginning of a line
            tokens, rest = self._vocabulary.tokenize(prefix + text), text
            spelled: list[int] = []
            while rest and tokens:
                piece = self._vocabulary.piece(tokens[-1])
                if not piece or not rest.endswith(piece):
                    break
                spelled.insert(0, tokens.pop())
                rest = rest[: -len(piece)]
            if not rest:
                return spelled
        return []


def only_byte(allowed: bytes, previous: bytes) -> int:
    """The one byte allowed, white space aside; -1 if there is a choice."""
    others = allowed.translate(None, WHITE)
    if len(others) != 1:
        return -1
    return ord(" ") if previous in (b":", b",") and b" " in allowed else others[0]


class JumpForward:
    """Drafts forced text where it is worth its rows, else what the inner planner drafts.

    Args:
        inner: The model's planner; it goes on learning in every step.
        text: Follows the grammar.
    """

    def __init__(self, inner: TreePlanner, text: ForcedTokens) -> None:
        self.inner = inner
        self._text = text
        self._right, self._drafted = 9.0, 10.0  # forced tokens; the start says nine of ten
        self._chain: list[int] = []  # forced tokens in the tree of this step

    def begin(self, tokens: TokenArray, prediction: TokenArray) -> None:
        """The conversation so far; its last token was drawn under the grammar."""
        self.inner.begin(tokens, prediction)
        self._text.accept(int(tokens[-1]))

    def plan(self, root: int, rows: int, leaves: int) -> _native.DraftTree:
        """A chain of forced tokens, if the inner tree does not hold it and it is worth its rows."""
        self._chain = []
        tree = self.inner.plan(root, rows, leaves)
        chain = self._text.forced_after(root)
        chain = chain[: self._worth(min(len(chain), rows - 1))]
        if len(chain) < LEAST_TOKENS or len(tree.follow(chain)) > len(chain):
            return tree
        self._chain = chain
        forced = root_alone(root)
        chance = 1.0
        for node, token in enumerate(chain):
            chance *= self._right / self._drafted
            forced.add(token, node, _native.Tier.context, chance)
        return forced

    def _worth(self, longest: int) -> int:
        """Length of the chain that brings most tokens per cost; 0 if plain decoding does, or no costs are known."""
        rows, cost = self.inner.cost.relative(self.inner.context)
        chance = self._right / self._drafted
        best, length = 1.0, 0
        for n, price in zip(rows.tolist(), cost.tolist(), strict=True):
            if n <= longest + 1 and (1 - chance**n) / (1 - chance) / price > best:
                best, length = (1 - chance**n) / (1 - chance) / price, n - 1
        return length

    def learn(self, step: Step) -> None:
        """Follows the grammar, and counts how often forced tokens were drawn."""
        self.inner.learn(step)
        for token in step.tokens:
            self._text.accept(token)
        if self._chain:
            taken = len(step.path) - 1
            self._right += taken
            self._drafted += min(taken + 1, len(self._chain))


@contextmanager
def jump_forward(llama: Any, planner: Planner, grammar: Any) -> Iterator[Planner]:
    """`planner` for a generation under `grammar` (a ``LlamaGrammar`` or None); the vocabulary is read at first use."""
    if grammar is None or not isinstance(planner, TreePlanner):
        yield planner
        return
    yield JumpForward(planner, ForcedTokens(llama.vocabulary, grammar))
