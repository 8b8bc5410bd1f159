"""Engine: in any company, a conversation has the tokens and the logits that it has alone."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha1
from itertools import islice

import numpy as np
import pytest
from llama_cpp import LlamaGrammar, LogitsProcessorList, StoppingCriteriaList

from hd_edge import BusyError, ClosedError, ConfigError, ContextFullError, Engine, Llama, _native
from hd_edge.draft.planner import Step, root_alone
from hd_edge.draft.tree_planner import default_calibration
from hd_edge.errors import TokenError
from hd_edge.model.questions import read_questions

ONE = {"n_threads": 1, "n_threads_batch": 1, "store": None, "statistics": None}
WINDOW = 256
Answer = tuple[list[int], list[bytes]]


@dataclass
class Asked:
    """A generation: what is asked, and how many of its tokens are wanted."""

    prompt: list[int]
    tokens: int
    settings: dict

    def of(self, llm: Llama) -> Answer:
        """Its tokens, and digests of the logits that each was drawn from."""
        rows: list[bytes] = []
        keep = StoppingCriteriaList([lambda _, row: rows.append(sha1(row.tobytes()).digest()) or False])
        if "seed" in self.settings:
            llm.set_seed(self.settings["seed"])
        settings = {name: value for name, value in self.settings.items() if name != "seed"}
        generation = llm.generate(self.prompt, stopping_criteria=keep, **settings)
        made = list(islice(generation, self.tokens))
        generation.close()
        if llm.token_eos() in made:  # nobody reads on behind it
            del made[made.index(llm.token_eos()) + 1 :]
        return made, rows[: len(made)]


class Oracle:
    """A planner that knows what will be said: right paths of many lengths, among wrong branches; and often nothing.

    Args:
        answers: What follows each prompt.
        seed: Of its choices.
    """

    def __init__(self, answers: dict[tuple[int, ...], list[int]], seed: int) -> None:
        self._answers, self._choose = answers, random.Random(seed)
        self._coming: list[int] = []

    def follow(self, forced: object) -> None:
        pass

    def begin(self, tokens: np.ndarray, prediction: np.ndarray) -> None:
        *prompt, first = tokens.tolist()
        self._coming = self._answers[tuple(prompt)][1:]
        assert self._answers[tuple(prompt)][0] == first

    def propose(self, root: int, rows: int, leaves: int) -> np.ndarray:
        return np.full(self._choose.randrange(max(rows, 1)), 0.9, np.float32)

    def take(self, root: int, rows: int, leaves: int) -> _native.DraftTree:
        tree, node, right = root_alone(root), 0, self._choose.randrange(rows + 1)
        for token in self._coming[:right]:
            for _ in range(self._choose.randrange(2)):
                self._add_wrong(tree, node, token, leaves, rows)
            if len(tree) > rows:
                break
            node = tree.add(token, node, _native.Tier.context)
        while len(tree) <= rows and self._add_wrong(tree, len(tree) - 1, -1, leaves, rows):
            pass
        return tree

    def _add_wrong(self, tree: _native.DraftTree, node: int, right: int, leaves: int, rows: int) -> bool:
        token = self._choose.randrange(300, 500)
        if len(tree) > rows or tree.leaves >= leaves or token == right or tree.child(node, token) >= 0:
            return False
        tree.add(token, node, _native.Tier.context)
        return True

    def calibration(self) -> bytes:
        return default_calibration()

    def cost_rows(self) -> list:
        return []

    def learn_shared(self, step: Step, price: float) -> None:
        del self._coming[: len(step.tokens)]


def asked(seed: int, n_vocab: int) -> Asked:
    """Half of them begin as others do, some repeat themselves, so that drafts come true; many temperatures."""
    choose = random.Random(seed)
    common = [choose.randrange(100, n_vocab) for _ in range(4)] * choose.randrange(1, 12)
    if choose.random() < 0.5:
        common = [300 + i % 7 for i in range(choose.randrange(20, 60))]
    own = [choose.randrange(100, n_vocab) for _ in range(choose.randrange(1, 30))]
    settings: dict = {"temp": choose.choice([0.0, 0.0, 0.7, 1.0])}
    if settings["temp"]:
        settings["seed"] = choose.randrange(2**31)
    if choose.random() < 0.2:
        settings["repeat_penalty"] = 1.2
    return Asked([*common, *own], choose.randrange(1, 60), settings)


def in_company(engine: Engine, all_asked: list[Asked], seed: int, seats: list[Llama] | None = None) -> list[Answer]:
    """Each on the next free seat, in an order of its own."""
    free = list(engine.seats if seats is None else seats)
    order = list(range(len(all_asked)))
    random.Random(seed).shuffle(order)
    made: dict[int, Answer] = {}

    def answer(number: int) -> None:
        seat = free.pop()
        made[number] = all_asked[number].of(seat)
        free.append(seat)

    with ThreadPoolExecutor(len(free)) as threads:
        list(threads.map(answer, order))
    return [made[number] for number in range(len(all_asked))]


@pytest.mark.parametrize("drafts", ["own", "many"])
@pytest.mark.parametrize("kind", ["Q4_0", "Q8_0", "Q4_K_M", "Q6_K"])
def test_tokens_and_logits_in_company_are_those_alone(models, kind, drafts):
    path = str(models(kind))
    with Engine(path, parallel=5, n_ctx=WINDOW, **ONE) as engine, Llama(path, n_ctx=WINDOW, **ONE) as alone:
        assert engine.exact
        everything = [asked(seed, alone.n_vocab()) for seed in range(40)]
        expected = [one.of(alone) for one in everything]
        if drafts == "many":
            answers = {tuple(one.prompt): tokens for one, (tokens, _) in zip(everything, expected, strict=True)}
            for slot in engine.slots:
                slot._planner = Oracle(answers, slot.number)
        company = in_company(engine, everything, 1)
        for (tokens, rows), (others, logits) in zip(company, expected, strict=True):
            assert (tokens, rows) == (others, logits)
        total = engine.total_stats
        if drafts == "many":
            assert sum(total.accepted.values()) > 200
            assert sum(total.drafted.values()) > 400
        assert total.cached_tokens > 100
        assert engine.steps.rows > 2 * engine.steps.forwards  # there was company
        assert engine.model.shared.check_integrity() == ""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["smollm2_q4_0", "smollm2"])
def test_two_hundred_answers_in_random_company(request, kind):
    """Real answers, up to eight at a time; other lengths and temperatures, some cancelled, some behind long prompts."""
    path, choose = str(request.getfixturevalue(kind)), random.Random(19)
    with Engine(path, parallel=8, n_ctx=1024, **ONE) as engine, Llama(path, n_ctx=1024, **ONE) as alone:
        pool = [alone.tokenize(q.turns[0].encode()) for q in read_questions(built_in="prompts.txt")]
        everything = []
        for _ in range(200):
            prompt = [token for text in choose.choices(pool, k=choose.choice([1, 1, 2, 20])) for token in text]
            temp = choose.choice([0.0, 0.0, 0.3, 0.7, 1.0])
            settings = {"temp": temp, "seed": choose.randrange(2**31)} if temp else {"temp": 0.0}
            everything.append(Asked(prompt[:800], choose.randrange(1, 128), settings))
        engine._free = engine.seats[6:]  # the others are taken below
        gone = [engine.submit(one.prompt, max_tokens=200, user="gone") for one in choose.sample(everything, 20)]
        canceller = threading.Thread(target=lambda: [time.sleep(choose.random()) or one.cancel() for one in gone])
        canceller.start()
        company = in_company(engine, everything, 19, seats=engine.seats[:6])
        canceller.join()
        assert company == [one.of(alone) for one in everything]
        assert engine.steps.rows > 3 * engine.steps.forwards


def test_nothing_changes_where_the_cells_are_few(models):
    """The log fills up again and again: cells move together, idle conversations are forgotten."""
    path = str(models("Q4_0"))
    few = {"n_ctx": WINDOW, "n_cells": 2 * WINDOW, "n_batch": 50, "n_ubatch": 50}
    with Engine(path, parallel=6, **few, **ONE) as engine, Llama(path, n_ctx=WINDOW, **ONE) as alone:
        everything = [asked(seed, alone.n_vocab()) for seed in range(60)]
        expected = [one.of(alone)[0] for one in everything]
        answers = {tuple(one.prompt): tokens for one, tokens in zip(everything, expected, strict=True)}
        for slot in engine.slots:
            slot._planner = Oracle(answers, slot.number)
        assert [tokens for tokens, _ in in_company(engine, everything, 2)] == expected
        assert engine.compactions > 3
        assert engine.model.shared.check_integrity() == ""


def test_text_of_chats_and_completions_is_that_of_llama(smollm2_q4_0):
    path = str(smollm2_q4_0)
    questions = [
        "Name three fruits.",
        "What is the capital of France?",
        "Count to ten.",
        "Say hello.",
        "Why is rain wet?",
    ]
    grammar = LlamaGrammar.from_string('root ::= "yes" | "no, " [a-z]+ "."', verbose=False)
    chats = [{"messages": [{"role": "user", "content": q}], "max_tokens": 30, "temperature": 0.0} for q in questions]
    chats += [chats[0] | {"temperature": 0.9, "seed": 7}, chats[1] | {"grammar": grammar}]
    chats += [chats[2] | {"logprobs": True, "top_logprobs": 2}, chats[3] | {"stop": ["o"]}]
    with Engine(path, parallel=4, n_ctx=512, **ONE) as engine, Llama(path, n_ctx=512, **ONE) as alone:
        handles = [engine.submit(**chat) for chat in chats]
        streams = [engine.submit(**chat, stream=True) for chat in chats]
        completion = engine.submit("Once upon a time", max_tokens=16, temperature=0.0, echo=True)
        for chat, handle, stream in zip(chats, handles, streams, strict=True):
            whole = alone.create_chat_completion(**chat)["choices"][0]
            answer = handle.result()["choices"][0]
            assert (answer["message"], answer["finish_reason"]) == (whole["message"], whole["finish_reason"])
            assert answer["logprobs"] == whole["logprobs"]
            pieces = [chunk["choices"][0]["delta"].get("content") or "" for chunk in stream]
            assert "".join(pieces) == whole["message"]["content"]
        expected = alone.create_completion("Once upon a time", max_tokens=16, temperature=0.0, echo=True)
        assert completion.result()["choices"] == expected["choices"]


def test_what_is_cancelled_ends_and_disturbs_nobody(models):
    path = str(models("Q4_0"))
    with Engine(path, parallel=3, n_ctx=WINDOW, **ONE) as engine, Llama(path, n_ctx=WINDOW, **ONE) as alone:
        everything = [asked(seed, alone.n_vocab()) for seed in range(30)]
        expected = [one.of(alone)[0] for one in everything]
        choose = random.Random(3)
        handles = []
        for one in everything:
            handles.append(engine.submit(one.prompt, max_tokens=one.tokens, temperature=0.0))
            if choose.random() < 0.5:
                choose.choice(handles).cancel()
        company = []
        for handle in handles:
            try:
                company.append(handle.result(timeout=60)["usage"]["completion_tokens"])
            except CancelledError:
                company.append(None)
        assert None in company
        assert any(company)
        again = in_company(engine, everything, 4)
        assert [tokens for tokens, _ in again] == expected


def test_users_take_turns_and_a_full_queue_refuses(models):
    path = str(models("Q4_0"))
    order: list[str] = []
    with Engine(path, parallel=1, n_ctx=WINDOW, queue=5, **ONE) as engine:
        began = threading.Event()
        go_on = threading.Event()

        def hold(_: object, scores: np.ndarray) -> np.ndarray:
            began.set()
            go_on.wait()
            return scores

        first = engine.submit([1, 300], max_tokens=1, logits_processor=LogitsProcessorList([hold]))
        began.wait()
        handles = [engine.submit([1, 300], max_tokens=1, user=user) for user in "aaab"]
        for user, handle in zip("aaab", handles, strict=True):
            handle._future.add_done_callback(lambda _, user=user: order.append(user))
        engine.submit([1, 300], max_tokens=1, user="c").cancel()
        handles.append(engine.submit([1, 300], max_tokens=1, user="d"))
        with pytest.raises(BusyError, match="5 requests wait, at most 5 may"):
            engine.submit([1, 300], max_tokens=1)
        go_on.set()
        for handle in [first, *handles]:
            assert handle.result(timeout=60)["usage"]["completion_tokens"] == 1
    assert order == ["a", "b", "a", "a"]


def test_errors_are_the_request_s_own(models):
    path = str(models("Q4_0"))

    def breaks(_: object, __: object) -> np.ndarray:
        msg = "a processor of the user's"
        raise ZeroDivisionError(msg)

    def never_ends(_: object, scores: np.ndarray) -> np.ndarray:
        scores[2] = -np.inf
        return scores

    with Engine(path, parallel=2, n_ctx=64, **ONE) as engine:
        good = engine.submit([1, 300, 301], max_tokens=40)
        with pytest.raises(ContextFullError, match="80 tokens, the context window 64"):
            engine.submit([300] * 80).result()
        with pytest.raises(TokenError, match="outside the vocabulary"):
            engine.submit([10**6]).result()
        with pytest.raises(ZeroDivisionError, match="of the user's"):
            engine.submit([1, 300], logits_processor=LogitsProcessorList([breaks])).result()
        with pytest.raises(ConfigError, match="exactly one"):
            engine.submit()
        with pytest.raises(ConfigError, match="no stream"):
            next(iter(good))
        assert good.result()["usage"]["completion_tokens"] == 40
        seat = engine.seats[0]
        with pytest.raises(ContextFullError, match="the context is full: 64 tokens"):
            list(seat.generate([1, 300], temp=0.0, logits_processor=LogitsProcessorList([never_ends])))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"parallel": 0}, "parallel=0 is not an integer from 1"),
        ({"n_ctx": "many"}, "n_ctx='many' is not an integer"),
        ({"n_ctx": 512, "n_cells": 256}, "n_cells=256 is not an integer from 512"),
        ({"n_batch": 16}, "forwards over 16 rows .* at least 34 are needed"),
        ({"drafter": "demo"}, "drafter='demo' is for one conversation at a time"),
        ({"logits_all": True}, "logits_all=True is for one conversation"),
    ],
)
def test_what_an_engine_cannot_be_is_said(models, settings, message):
    with pytest.raises(ConfigError, match=message):
        Engine(str(models("Q4_0")), **settings)


def test_a_recurrent_model_is_refused(mamba):
    with pytest.raises(ConfigError, match="cannot serve several conversations at a time"):
        Engine(str(mamba), n_ctx=64, **ONE)


def test_closing_ends_everything(models):
    engine = Engine(str(models("Q4_0")), parallel=2, n_ctx=2048, **ONE)
    handles = [engine.submit([1, 300 + i], max_tokens=2000, temperature=0.0) for i in range(6)]
    stream = engine.submit([1, 300], max_tokens=2000, stream=True)
    engine.close()
    engine.close()
    for handle in handles:
        with pytest.raises(ClosedError):
            handle.result(timeout=60)
    with pytest.raises(ClosedError):
        list(stream)
    with pytest.raises(ClosedError, match="engine is closed"):
        engine.submit([1, 300])


def test_asyncio_waits_streams_and_cancels(models):
    async def run() -> None:
        with Engine(str(models("Q4_0")), parallel=2, n_ctx=WINDOW, **ONE) as engine:
            one, other = await asyncio.gather(
                engine.submit([1, 300], max_tokens=20, temperature=0.0),
                engine.submit([1, 301], max_tokens=9, temperature=0.0),
            )
            assert [len(made["choices"][0]["text"]) > 5 for made in (one, other)] == [True, True]
            chunks = [chunk async for chunk in engine.submit([1, 300], max_tokens=20, temperature=0.0, stream=True)]
            assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == one["choices"][0]["text"]
            long = engine.submit([1, 300], max_tokens=200)
            task = asyncio.ensure_future(_await(long))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert long.done
            await engine.submit([1, 300], max_tokens=1)

    asyncio.run(run())


async def _await(handle: object) -> dict:
    return await handle


def test_what_is_learned_is_what_was_read(models, store_path):
    """The store of an engine's conversations is that of the same conversations one after the other."""
    path = str(models("Q4_0"))
    settings = ONE | {"store": str(store_path)}
    with Engine(path, parallel=3, n_ctx=WINDOW, **settings) as engine:
        for handle in [engine.submit([1, 300 + i] * 5, max_tokens=40, temperature=0.0) for i in range(6)]:
            handle.result()
    with Llama(path, n_ctx=WINDOW, **settings) as alone:
        alone.create_completion([1, 300] * 5, max_tokens=40, temperature=0.0)
        assert alone.stats.accepted["model"] > 5
