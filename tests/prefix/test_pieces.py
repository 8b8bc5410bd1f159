"""Pieces, and pieces in memory: what shares most with a prompt is found, and the budget holds."""

from hypothesis import given
from hypothesis import strategies as st

from hd_edge.prefix.memory import MemoryPieces
from hd_edge.prefix.pieces import PIECE, Piece, common, cut, pack

ROOT = b"r" * 32
TOKENS = st.lists(st.integers(0, 3), max_size=6)


def test_a_prompt_is_cut_at_fixed_places():
    tokens = list(range(2 * PIECE + 7))
    pieces = list(cut(ROOT, tokens))
    assert [(p.start, p.stop) for p in pieces] == [(0, PIECE), (PIECE, 2 * PIECE), (2 * PIECE, 2 * PIECE + 7)]
    assert [p.full for p in pieces] == [True, True, False]
    assert pieces[0].parent == ROOT
    assert pieces[1].parent == pieces[0].name


def test_names_tell_everything_before():
    a = list(cut(ROOT, [1] * 600))
    b = list(cut(ROOT, [2] + [1] * 599))
    assert a[2].tokens == b[2].tokens
    assert a[2].name != b[2].name
    assert next(cut(b"s" * 32, [1] * 600)).name != a[0].name


@given(TOKENS, TOKENS)
def test_common_counts_tokens(a, b):
    n = 0
    while n < min(len(a), len(b)) and a[n] == b[n]:
        n += 1
    assert common(pack(a), pack(b)) == n


@given(st.lists(TOKENS.filter(len), max_size=12), TOKENS.filter(len))
def test_what_shares_most_is_found(stored, wanted):
    memory = MemoryPieces(1 << 20)
    for tokens in stored:
        memory.put(Piece(ROOT, pack(tokens), 0), bytearray(8))
    most = max((common(pack(tokens), pack(wanted)) for tokens in stored), default=0)
    found = memory.find(ROOT, 0, pack(wanted))
    assert (found[1] if found else 0) == most
    assert memory.bytes == 8 * len(memory)


def test_a_longer_piece_replaces_its_beginning():
    memory = MemoryPieces(100)
    short, long = Piece(ROOT, pack([1, 2]), 0), Piece(ROOT, pack([1, 2, 3]), 0)
    memory.put(short, bytearray(10))
    memory.put(long, bytearray(15))
    assert short not in memory
    assert long in memory
    assert memory.bytes == 15


def test_the_least_recently_used_goes_and_beginnings_stay():
    memory = MemoryPieces(30)
    first, second = list(cut(ROOT, [1] * 200)), list(cut(ROOT, [2] * 200))
    for piece in [*first, second[0]]:
        memory.put(piece, bytearray(10))
    memory.touch(second)
    memory.touch(first)
    memory.put(second[1], bytearray(10))
    assert second[0] not in memory  # the oldest, though put later
    assert first[0] in memory
    memory.put(Piece(ROOT, pack([9]), 0), bytearray(10))
    assert first[1] not in memory  # the end goes before the beginning
    assert first[0] in memory


def test_what_is_larger_than_the_budget_is_not_kept():
    memory = MemoryPieces(10)
    memory.put(Piece(ROOT, pack([1]), 0), bytearray(11))
    assert len(memory) == memory.bytes == 0


def test_the_end_of_a_prompt_does_not_push_out_its_beginning():
    memory = MemoryPieces(20)
    chain = list(cut(ROOT, [1] * 300))
    names = {piece.name for piece in chain}
    assert [memory.put(piece, bytearray(10), names) for piece in chain] == [True, True, False]
    assert chain[0] in memory
    other = Piece(ROOT, pack([9]), 0)
    assert memory.put(other, bytearray(10))
    assert chain[0] not in memory
