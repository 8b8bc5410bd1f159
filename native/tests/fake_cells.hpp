// A fake KV cache that obeys llama.cpp's rules: cells carry a position and a set of sequences, a row sees the cells of
// its first sequence up to its position. A row's logits are the hash of the tokens it sees, in the order of their
// cells.
#pragma once

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include "fake_api.hpp"

struct Cell {
    int32_t pos = -1, token = 0;
    std::set<int32_t> seqs;
};

constexpr int32_t n_vocab = 50;
constexpr uint32_t kHashOfNothing = 2166136261u;

inline std::vector<Cell> cells;
inline std::vector<float> outputs;      // of the rows asked for, one after the other
inline std::vector<int32_t> output_of;  // by batch row: which of them it is, or -1
inline int32_t waits = 0;               // calls that wait for the forward
inline int32_t next_code = 0;           // what the next forward returns

inline uint32_t add_to_hash(uint32_t h, int32_t pos, int32_t token) {
    return (h ^ static_cast<uint32_t>(token + 31 * pos)) * 16777619u;
}

inline void append_logits(uint32_t h, std::vector<float>& to) {
    std::mt19937 random(h);
    for (int32_t i = 0; i < n_vocab; i++) to.push_back(static_cast<float>(random() % 1000));
}

// The logits of the rows that a batch asks for, whose cells are there.
inline void compute(const hd::LlamaBatch& batch) {
    outputs.clear();
    output_of.assign(static_cast<size_t>(batch.n_tokens), -1);
    int32_t asked = 0;
    for (int32_t i = 0; i < batch.n_tokens; i++) {
        if (batch.logits[i] == 0) continue;
        uint32_t h = kHashOfNothing;
        for (const Cell& c : cells) {
            if (c.seqs.count(batch.seq_id[i][0]) && c.pos <= batch.pos[i]) h = add_to_hash(h, c.pos, c.token);
        }
        append_logits(h, outputs);
        output_of[static_cast<size_t>(i)] = asked++;
    }
}

inline float* fake_logits(void*, int32_t row) {
    waits++;
    const int32_t out = output_of.at(static_cast<size_t>(row));
    return out < 0 ? nullptr : outputs.data() + out * n_vocab;
}

inline void fake_cp(void*, int32_t source, int32_t target, int32_t from, int32_t to) {
    for (Cell& c : cells) {
        if (c.seqs.count(source) && c.pos >= from && (to < 0 || c.pos < to)) c.seqs.insert(target);
    }
}

inline int32_t fake_pos_min(void*, int32_t) { return 0; }

inline int32_t fake_pos_max(void*, int32_t seq) {
    int32_t end = -1;
    for (const Cell& c : cells) {
        if (c.seqs.count(seq)) end = std::max(end, c.pos);
    }
    return end;
}
