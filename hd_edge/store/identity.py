"""Identity of tokenizer and model: which store belongs to which GGUF file.

The tokenizer's identity covers every token's text, score and attributes, the special ids and the pre-tokenizer, so
two vocabularies of one size never pass for each other. The model's covers its shape and nothing of its weights' types:
all quantizations of one model share what they learn. No cache is needed: 50,000 tokens are hashed in about 5 ms.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hd_edge.errors import StoreMismatchError

if TYPE_CHECKING:
    from collections.abc import Mapping

SPECIAL_IDS = (
    *("bos", "eos", "eot", "sep", "nl", "pad", "mask"),
    *("fim_pre", "fim_suf", "fim_mid", "fim_pad", "fim_rep", "fim_sep"),
    *("get_add_bos", "get_add_eos", "get_add_sep"),
)
SHAPE = (
    *("block_count", "embedding_length", "feed_forward_length", "context_length", "expert_count"),
    *("attention.head_count", "attention.head_count_kv"),
)


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


def identify(model: Any) -> Identity:
    """Identity of a loaded model.

    Args:
        model: ``llama_model*`` as llama_cpp holds it (``Llama.model``).
    """
    from llama_cpp import llama_cpp as lib

    from hd_edge.model.vocabulary import Vocabulary, metadata

    vocabulary = Vocabulary(model)
    tokenizer = hashlib.sha256(vocabulary.table())
    vocab = lib.llama_model_get_vocab(model)
    ids = [getattr(lib, f"llama_vocab_{name}")(vocab) for name in SPECIAL_IDS]
    about = [lib.llama_vocab_type(vocab), vocabulary.n_tokens, *map(int, ids), metadata(model, "tokenizer.ggml.pre")]
    tokenizer.update(repr(about).encode())
    kind = metadata(model, "general.architecture")
    shape = [kind, *(metadata(model, f"{kind}.{name}") for name in SHAPE)]
    return Identity(
        tokenizer=tokenizer.hexdigest(),
        architecture=hashlib.sha256(repr(shape).encode()).hexdigest(),
        n_vocab=vocabulary.n_tokens,
        name=metadata(model, "general.name") or kind or "unnamed",
    )
