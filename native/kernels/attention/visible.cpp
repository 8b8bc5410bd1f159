#include "visible.hpp"

#include <algorithm>
#include <cstring>

namespace hd::kernels {
namespace {

constexpr int kStep = 16;   // mask values looked at together
constexpr int kLeap = 128;  // and where other conversations' cells lie, of which there are many in a row

float from_half(uint16_t h) {
    const uint32_t sign = (h & 0x8000U) << 16, exponent = h >> 10 & 31, mantissa = h & 1023U;
    uint32_t bits = sign | (exponent + 112) << 23 | mantissa << 13;
    if (exponent == 31) bits = sign | 0x7f800000U | mantissa << 13;
    float x;
    std::memcpy(&x, &bits, 4);
    if (exponent == 0) x = (sign ? -1.0f : 1.0f) * static_cast<float>(mantissa) / 16777216.0f;
    return x;
}

// Bitwise "or" and "and" over a step of mask values; the sign of a zero does not matter.
struct Step {
    bool zero, hidden;

    explicit Step(const uint16_t* m) {
        uint16_t any = 0, differs = 0;
        for (int i = 0; i < kStep; i++) any |= m[i], differs |= static_cast<uint16_t>(m[i] ^ kHidden);
        zero = (any & 0x7fff) == 0;
        hidden = differs == 0;
    }
};

// The first cell from `c` on that may be seen: whole leaps of hidden ones are left out.
int64_t behind_hidden(const uint16_t* mask, int64_t c, int64_t cells) {
    while (c + kLeap <= cells) {
        uint16_t differs = 0;
        for (int i = 0; i < kLeap; i++) differs |= static_cast<uint16_t>(mask[c + i] ^ kHidden);
        if (differs) break;
        c += kLeap;
    }
    return c;
}

// The first cell in which two rows differ, or `cells`.
int64_t first_difference(const uint16_t* a, const uint16_t* b, int64_t cells) {
    constexpr int64_t kTogether = 512;
    int64_t c = 0;
    while (c + kTogether <= cells && !std::memcmp(a + c, b + c, kTogether * sizeof *a)) c += kTogether;
    while (c < cells && a[c] == b[c]) c++;
    return c;
}

int32_t seen_in(const uint16_t* mask, int64_t begin, int64_t end) {
    return static_cast<int32_t>(end - begin - std::count(mask + begin, mask + end, kHidden));
}

}  // namespace

Visible::Visible(const Problem& problem, void* memory)
    : problem_(problem),
      table_(static_cast<int32_t*>(memory)),
      step_(kHead + chunks(problem) + 1),
      streams_(std::min(problem.mask_streams, problem.streams)) {}

size_t Visible::bytes(const Problem& problem) {
    if (!problem.mask) return 0;
    const int64_t streams = std::min(problem.mask_streams, problem.streams);
    return static_cast<size_t>(streams * problem.rows * (kHead + chunks(problem) + 1)) * sizeof(int32_t);
}

void Visible::fill(int thread, int threads) {
    if (!problem_.mask) return;
    const int64_t rows = problem_.rows * streams_, first = rows * thread / threads;
    for (int64_t i = first; i < rows * (thread + 1) / threads; i++) {
        const int64_t stream = i / problem_.rows, row = i % problem_.rows;
        int32_t* const to = head(stream, row);
        if (row == 0) {
            scan(stream, row, {});
            to[kCommon] = 0;
            continue;
        }
        // Rows of one conversation differ by a few cells at the end: the others need not be looked for again.
        const int32_t* const before = head(stream, row - 1);
        const uint16_t *mask = problem_.mask_of(stream, row), *above = problem_.mask_of(stream, row - 1);
        const int64_t differs = first_difference(above, mask, problem_.cells);
        if (i == first || !before[kZero]) {
            scan(stream, row, {});
            to[kCommon] = ranks(stream, row, differs);
            continue;
        }
        const int32_t common = ranks(stream, row - 1, differs), seen = (common + kChunk - 1) / kChunk;
        std::copy_n(before + kHead, seen, to + kHead);
        const bool all = common == before[kCount];
        scan(stream, row, {all ? before[kHead + seen] : differs, common, all ? before[kHead + seen] : 0});
        to[kCommon] = common;
    }
}

// Fills a row's head from a cell on, before which so many are seen, the last of them before `end`; 0: it is not known.
void Visible::scan(int64_t stream, int64_t row, Begin begin) {
    const uint16_t* mask = problem_.mask_of(stream, row);
    int32_t* const to = head(stream, row);
    int32_t count = begin.count, end = begin.end;
    bool zero = true;
    const auto see = [&](int64_t cell) {
        if (count % kChunk == 0) to[kHead + count / kChunk] = static_cast<int32_t>(cell);
        count++;
        end = static_cast<int32_t>(cell) + 1;
    };
    for (int64_t c = behind_hidden(mask, begin.cell, problem_.cells), next; c < problem_.cells; c = next) {
        next = c + kStep;
        const int64_t left = std::min<int64_t>(kStep, problem_.cells - c);
        if (left == kStep) {
            const Step step(mask + c);
            if (step.hidden) {
                next = behind_hidden(mask, next, problem_.cells);
                continue;
            }
            if (step.zero) {  // the next border of a chunk lies within these cells, at their start, or behind them
                const int32_t border = (count + kChunk - 1) / kChunk * kChunk;
                if (border < count + kStep) to[kHead + border / kChunk] = static_cast<int32_t>(c + border - count);
                count += kStep;
                end = static_cast<int32_t>(c) + kStep;
                continue;
            }
        }
        for (int64_t j = c; j < c + left; j++)
            if (mask[j] != kHidden) {
                zero &= (mask[j] & 0x7fff) == 0;
                see(j);
            }
    }
    if (count && !end)
        for (end = static_cast<int32_t>(begin.cell); mask[end - 1] == kHidden;) end--;
    to[kCount] = count;
    to[kZero] = zero;
    to[kHead + (count + kChunk - 1) / kChunk] = end;
}

int32_t Visible::ranks(int64_t stream, int64_t row, int64_t cell) const {
    const int32_t *h = head(stream, row), *firsts = h + kHead, *behind = firsts + (h[kCount] + kChunk - 1) / kChunk;
    if (cell >= *behind) return h[kCount];
    const auto chunks = static_cast<int32_t>(std::upper_bound(firsts, behind, cell) - firsts);
    return chunks ? (chunks - 1) * kChunk + seen_in(problem_.mask_of(stream, row), firsts[chunks - 1], cell) : 0;
}

int64_t Visible::most() const {
    if (!problem_.mask) return problem_.cells;
    int64_t most = 0;
    for (int64_t s = 0; s < streams_; s++)
        for (int64_t r = 0; r < problem_.rows; r++) most = std::max<int64_t>(most, head(s, r)[kCount]);
    return most;
}

bool Visible::plain(int64_t stream, int64_t row, int64_t chunk) const {
    if (!problem_.mask) return true;
    const int32_t* h = head(stream, row);
    const int n = in_chunk(stream, row, chunk);
    // The first cell of the next chunk may lie behind hidden ones, so a chunk is called plain only if it does not.
    return h[kZero] && h[kHead + chunk + 1] - h[kHead + chunk] == n;
}

bool Visible::akin(int64_t stream, int64_t row, int64_t chunk) const {
    if (!zero(stream, row) || !zero(stream, row - 1)) return true;
    return 2 * (common(stream, row) - chunk * kChunk) >=
           std::min(in_chunk(stream, row, chunk), in_chunk(stream, row - 1, chunk));
}

int Visible::list(int64_t stream, int64_t row, int64_t chunk, int32_t* cells, float* values) const {
    const int n = in_chunk(stream, row, chunk);
    if (!n) return 0;
    const int32_t begin = first(stream, row, chunk);
    if (plain(stream, row, chunk)) {
        for (int i = 0; i < n; i++) cells[i] = begin + i;
        return n;
    }
    const uint16_t* mask = problem_.mask_of(stream, row);
    if (!zero(stream, row)) {
        for (int32_t c = begin, i = 0; i < n; c++)
            if (mask[c] != kHidden) cells[i] = c, values[i++] = (mask[c] & 0x7fff) ? from_half(mask[c]) : 0.0f;
        return n;
    }
    // Cells of several conversations lie in turns, so whether one is seen is hard to foretell: no branch for each.
    int32_t c = begin;
    int i = 0;
    while (i + kStep <= n && c + kStep <= problem_.cells) {
        if (Step(mask + c).hidden) {
            c = static_cast<int32_t>(behind_hidden(mask, c + kStep, problem_.cells));
            continue;
        }
        for (const int32_t end = c + kStep; c < end; c++) cells[i] = c, i += mask[c] != kHidden;
    }
    for (; i < n; c++) cells[i] = c, i += mask[c] != kHidden;
    return n;
}

}  // namespace hd::kernels
