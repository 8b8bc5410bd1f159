"""Identity of tokenizer and model: which store belongs to which GGUF file.

The tokenizer's identity covers every token's text, score and attributes, the special ids and the pre-tokenizer, so
two vocabularies of one size never pass for each other. The model's covers its shape and nothing of its weights' types:
all quantizations of one model share what they learn. No cache is needed: 50,000 tokens are hashed in about 5 ms.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hd_edge.errors import StoreMismatchError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Identity:
    """Whose tokens a store holds.

    Args:
        tokenizer: Hash of the tokenizer, hexadecimal.
        architecture: Hash of the model's architecture and shape, hexadecimal.
        n_vocab: Number of tokens.
        name: The model's name, for people.
    """

    tokenizer: str
    architecture: str
    n_vocab: int
    name: str

    def to_dict(self) -> dict[str, str | int]:
        """As the ``meta`` table keeps it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Identity | None:
        """From the ``meta`` table; None if something is missing or of the wrong type."""
        tokenizer, architecture = values.get("tokenizer"), values.get("architecture")
        n_vocab, name = values.get("n_vocab"), values.get("name")
        if not (isinstance(tokenizer, str) and isinstance(architecture, str) and isinstance(name, str)):
            return None
        if not isinstance(n_vocab, int) or not 0 < n_vocab < 1 << 31:
            return None
        return cls(tokenizer, architecture, n_vocab, name)

    def check(self, other: Identity, *, of: str, any_model: bool) -> None:
        """Compares what ``of`` (a store) holds with the model at hand.

        Raises:
            StoreMismatchError: Another tokenizer or, unless ``any_model``, another model.
        """
        if (self.tokenizer, self.n_vocab) != (other.tokenizer, other.n_vocab):
            msg = (
                f"{of} belongs to another tokenizer ({self.tokenizer[:12]}, {self.n_vocab} tokens; this model has"
                f" {other.tokenizer[:12]}, {other.n_vocab} tokens): name another path, or carry its text over with"
                " `hd-edge db export` and `hd-edge db import`"
            )
            raise StoreMismatchError(msg)
        if not any_model and self.architecture != other.architecture:
            msg = (
                f"{of} belongs to another model ({self.name}, {self.architecture[:12]}; this one is {other.name},"
                f" {other.architecture[:12]}): name another path, or merge the two with `hd-edge db merge`"
            )
            raise StoreMismatchError(msg)
