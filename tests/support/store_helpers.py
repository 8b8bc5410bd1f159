"""Small stores for tests: a vocabulary of 300 tokens, answers of random tokens."""

import random
import sqlite3
import warnings

import numpy as np

from hd_edge import _native
from hd_edge.errors import StoreWarning
from hd_edge.model.identity import Identity
from hd_edge.store.safety import SafeStore
from hd_edge.store.store import Store
from hd_edge.tiers.model import ModelTier

N_VOCAB = 300
IDENTITY = Identity("aa" * 32, "bb" * 32, N_VOCAB, "test model")
OTHER_TOKENIZER = Identity("cc" * 32, "bb" * 32, N_VOCAB, "test model")
OTHER_MODEL = Identity("aa" * 32, "dd" * 32, N_VOCAB, "other model")


def answer(seed, size=80, kinds=40):
    """A repeatable answer of ``kinds`` different tokens; with 8 of them no follower is crowded out of a row."""
    generator = random.Random(seed)
    return np.array([generator.randrange(kinds) for _ in range(size)], dtype=np.int32)


def rows_of(tokens, start=0):
    return dict(_native.AnswerCounter(N_VOCAB).records(np.asarray(tokens, dtype=np.int32), start))


def contents(store):
    """Everything the store counts: key tokens -> {follower: count}."""
    return {
        context: dict(followers)
        for key, record in store.scan()
        for context, _total, followers in _native.decode_record(key, record, store.identity.n_vocab)
    }


def run_sql(path, *statements):
    """What another program does to the file."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        for statement in statements:
            connection.execute(statement)
    finally:
        connection.close()


def numbered_answer(number):
    """Another answer for every number; no key has more than eight followers, so counts add up in any order."""
    return np.array([*answer(number, 200, kinds=4), *range(60 + number % 4, 99)], np.int32)


def expected_counts(numbers):
    """What a store must count after these numbered answers."""
    with Store(None, IDENTITY) as store:
        for number in numbers:
            store.add(rows_of(numbered_answer(number)))
        return contents(store), dict(store.scan())


def use(path, *, learn=True, default=False):
    """What Llama does with a store; returns the warnings. Anything raised fails the test."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tier = ModelTier(SafeStore(path, IDENTITY, learn=learn, default=default))
        for seed in range(3):
            keys = list(rows_of(answer(seed)))
            for at in range(0, len(keys), 4):
                tier.fetch(keys[at : at + 4])
            tier.learn(answer(seed + 10), 5)
            tier.flush()
        tier.close()
    assert all(issubclass(w.category, StoreWarning) for w in caught), [str(w.message) for w in caught]
    return [str(w.message) for w in caught]


def asides(path):
    return sorted(p for p in path.parent.iterdir() if ".corrupt-" in p.name)
