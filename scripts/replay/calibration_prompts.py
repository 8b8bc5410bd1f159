"""The prompts on whose answers the default calibration is trained: templates over topics, all our own."""

from __future__ import annotations

import random
from collections.abc import Iterator

_TOPICS = (
    "photosynthesis, the history of bread, chess openings, solar panels, bicycle repair, volcanoes, the Roman "
    "roads, machine learning, beekeeping, tides, jazz music, vaccination, knitting, black holes, coffee, the "
    "printing press, urban gardening, glaciers, database indexes, marathon training, lighthouses, the human "
    "heart, public libraries, recycling, the violin, wolves, electric cars, meditation, cheese making, "
    "lightning, the stock market, coral reefs, clocks, the Silk Road, sleep, steam engines, compilers, "
    "migration of birds, earthquakes, tea ceremonies, bridges, yeast, time zones, fairy tales, dentistry, "
    "rainforests, sailing, the telephone, mushrooms, negotiation"
)
_TASKS = (
    "reverses the words of a sentence, counts the vowels in a string, finds the second largest number of a "
    "list, merges two sorted lists, checks whether a string is a palindrome, computes the factorial of n, "
    "removes duplicates from a list, converts Celsius to Fahrenheit, groups words by their first letter, parses "
    "a date like 2024-05-17, finds all primes up to n, flattens a nested list"
)
TOPICS = _TOPICS.split(", ")
TASKS = _TASKS.split(", ")
SENTENCES = (
    "The train to the coast leaves at nine in the morning.",
    "My grandmother keeps her old letters in a wooden box.",
    "We will meet in front of the library if it does not rain.",
    "The city council decided to build a new park near the river.",
    "She has studied medicine for five years and wants to become a surgeon.",
    "Nobody knew why the lights in the village went out last night.",
    "The price of bread has risen again since the beginning of the year.",
    "After the concert the children talked about nothing but the drums.",
)
CHAT = (
    "Explain {0} to a ten year old.",
    "Write a short story about {0}.",
    "List ten facts about {0}.",
    "What are the advantages and disadvantages of {0}?",
    "Write a letter to a friend about {0}.",
    "Compare {0} and {1}.",
    "Give me a step by step plan to learn about {0}.",
    "Write a blog post about {0} with headings.",
    "You are a teacher. Prepare five quiz questions about {0} and answer them.",
)
QUESTIONS = ("What is {0}?", "Why does {0} matter?", "When did people begin to study {0}?", "How does {0} work?")
SUMS = (
    "A shop sells {a} boxes with {b} apples each. {c} apples are bad. How many good apples are there? Think "
    "step by step.",
    "A train travels {a} kilometres per hour for {b} hours, then {c} kilometres more. How far does it go?",
    "Anna saves {a} euros a week for {b} weeks and spends {c} euros. How much money does she have left?",
)
ABOUT_A_TEXT = (
    "Summarize the following text in three sentences.\n\n{text}",
    "Read the text and answer the question.\n\nText: {text}\n\nQuestion: What is most important about {0}?",
    "Rewrite the following text in a more formal style.\n\n{text}",
    "List the key points of this text.\n\n{text}",
)


def first_prompts(n: int) -> Iterator[tuple[str, str]]:
    """(group, prompt) of ``n`` prompts that need no text; the same ones each time."""
    rng = random.Random(1)
    for i in range(n):
        kind = i % 6
        if kind in (0, 1):
            yield "chat", rng.choice(CHAT).format(*rng.sample(TOPICS, 2))
        elif kind == 2:
            yield "question", rng.choice(QUESTIONS).format(rng.choice(TOPICS))
        elif kind == 3:
            yield "code", f"Write a Python function that {rng.choice(TASKS)} and show how to use it."
        elif kind == 4:
            numbers = {"a": rng.randint(3, 90), "b": rng.randint(2, 12), "c": rng.randint(1, 9)}
            yield "sums", rng.choice(SUMS).format(**numbers)
        else:
            language = rng.choice(("German", "French", "Spanish", "Italian"))
            yield "translation", f"Translate into {language}: {' '.join(rng.sample(SENTENCES, 2))}"


def text_prompts(texts: list[str], n: int) -> Iterator[tuple[str, str]]:
    """(group, prompt) of ``n`` prompts about earlier answers."""
    rng = random.Random(2)
    for i in range(n):
        form = ABOUT_A_TEXT[i % len(ABOUT_A_TEXT)]
        yield "text", form.format(rng.choice(TOPICS), text=texts[rng.randrange(len(texts))])
