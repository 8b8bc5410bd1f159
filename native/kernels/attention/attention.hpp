// One attention operation, shared by the threads of a graph.
#pragma once

#include "chunk.hpp"

namespace hd::kernels {

// What the threads that work together offer each other.
class Team {
  public:
    Team(int thread_number, int thread_count) : thread(thread_number), threads(thread_count) {}
    virtual ~Team() = default;
    virtual void barrier() = 0;
    virtual void restart(int first) = 0;  // the next claim gives `first`; called by one thread before a barrier
    virtual int64_t claim() = 0;          // 1 more at every call, whoever calls

    const int thread, threads;
};

class Attention {
  public:
    Attention(const Problem& problem, const AttentionSet& set);
    // Bytes of scratch memory that suffice for up to this many threads.
    size_t work_bytes(int threads) const;
    // Every thread of the team calls it with the same memory.
    void run(Team& team, void* memory) const;

  private:
    struct Plan {
        bool
            walk;  // a unit walks through all chunks of its rows; otherwise it has one chunk and parts are folded later
        int64_t heads, rows;                                        // of a unit, at most
        int64_t head_shares, tiles;                                 // how many units KV heads and rows make
        int64_t singles, single_rows, single_heads, single_shares;  // rows at the beginning with units of their own
        int64_t chunks, units;  // chunks that any row needs; units in all (of one chunk unless walking)
    };
    Plan plan(const Visible& visible, int threads) const;
    int64_t singles(const Visible& visible) const;
    Unit unit(const Plan& plan, int64_t number) const;
    void walk(const Plan& plan, Team& team, const Visible& visible, ChunkWorker& worker, float* parts) const;
    void split(const Plan& plan, Team& team, const Visible& visible, ChunkWorker& worker, float* shared) const;
    void fold(const Visible& visible, Team& team, float* shared, int64_t first, int64_t last, int64_t chunks) const;
    const float* sink(int64_t kv_head, int64_t query) const {
        return problem_.sinks ? problem_.sinks + kv_head * problem_.group() + query % problem_.group() : nullptr;
    }
    int64_t all_queries() const { return problem_.streams * problem_.kv_heads * problem_.queries(); }
    int64_t step() const { return part_step(problem_.v.size); }

    const Problem problem_;
    const AttentionSet& set_;
    Limits limits_;
    int64_t round_;  // chunks whose parts there is room for, 0: none, every unit walks
};

}  // namespace hd::kernels
