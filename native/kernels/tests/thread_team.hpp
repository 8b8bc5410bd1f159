// Threads that work on one attention, as those of a graph would.
#pragma once

#include <atomic>
#include <thread>
#include <vector>

#include "../attention/attention.hpp"

namespace hd::kernels {

struct TeamState {
    std::atomic<int64_t> next{0};
    std::atomic<int> waiting{0}, passed{0};
};

class ThreadTeam : public Team {
  public:
    ThreadTeam(int number, int count, TeamState& state) : Team(number, count), state_(state) {}
    void barrier() override {
        const int turn = state_.passed;
        if (++state_.waiting == threads) {
            state_.waiting = 0;
            ++state_.passed;
            return;
        }
        for (int spins = 0; state_.passed == turn; spins++)
            if (spins > 10000) std::this_thread::yield();
    }
    void restart(int first) override { state_.next = first; }
    int64_t claim() override { return state_.next++; }

  private:
    TeamState& state_;
};

// Runs work(team) on each of `threads` threads.
template <class Work>
void with_team(int threads, const Work& work) {
    TeamState state;
    std::vector<std::thread> others;
    const auto one = [&](int number) {
        ThreadTeam team(number, threads, state);
        work(team);
    };
    for (int t = 1; t < threads; t++) others.emplace_back(one, t);
    one(0);
    for (auto& t : others) t.join();
}

}  // namespace hd::kernels
