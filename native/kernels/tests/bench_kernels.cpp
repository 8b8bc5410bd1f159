// cycles per tile: pure compute (panel set in L2) and streamed; thread cpu time, min
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>
#include <time.h>
#include <sys/mman.h>
#include "kernel_sets.hpp"
#include "product.hpp"
#include "repack.hpp"
#include "tests/reference.hpp"
using namespace hd::kernels;
static double cpu(){ timespec t; clock_gettime(CLOCK_THREAD_CPUTIME_ID,&t); return t.tv_sec+1e-9*t.tv_nsec; }
int main(int argc, char** argv) {
    const KernelSet* set = argc > 1 ? kernels_named(argv[1]) : best_kernels();
    for (int t : {0, 2, 4, 6}) {
        if (argc > 2 && std::string(argv[2]) != kLayouts[t].name) continue;
        WeightType type = WeightType(t);
        const int64_t K=4096;
        for (int64_t M : {256, 65536*2}) {
        size_t bytes = size_t(M) * K / layout(type).columns * layout(type).block_bytes;
        auto blocks = reference::random_blocks(type, M * K / layout(type).columns, 3);
        Matrix m{type, set->lanes, M, K, (uint8_t*)aligned_alloc(1<<21, (bytes + (1<<21)) & ~((1ull<<21)-1))};
        if (getenv("HUGE_")) madvise(m.data, bytes, MADV_HUGEPAGE);
        repack(m, blocks.data(), 2);
        std::vector<float> x(16 * K), y(16 * M);
        for (auto& v : x) v = float(rand() % 2001 - 1000) / 500;
        printf("%-5s %s cycles/tile:", layout(type).name, M<1000?"cached  ":"streamed");
        for (int64_t n : {1, 2, 4, 6, 8, 12, 16}) {
            Rows in{(char*)x.data(), {n, 1, 1}, {K * 4, 0, 0}, 4}, out{(char*)y.data(), {n, 1, 1}, {size_t(M) * 4, 0, 0}, 4};
            std::vector<uint8_t> work(Product::work_bytes(type, n, K));
            Product p(*set, m, in, out); p.quantize(work.data(),0,1);
            double best[2]={9,9};
            auto body=[&](int k){ int reps = M<1000?40:5; for(int r=0;r<reps;r++){ double s=cpu(); if (M<1000) for(int q=0;q<20;q++) p.multiply(work.data(),0,1); else p.multiply(work.data(),k,2); best[k]=std::min(best[k],cpu()-s);} };
            if (M<1000) { body(0); printf(" %d:%.1f",(int)n,best[0]/20*3.69e9/(M/set->lanes*K/32)); }
            else { std::thread a(body,0),b(body,1); a.join(); b.join(); double v=std::max(best[0],best[1]); printf(" %d:%.1f",(int)n,v*3.69e9/(M/set->lanes*K/32/2)); if(n==1) printf("(%.0fGB/s)",bytes/v/1e9); }
            fflush(stdout);
        }
        puts(""); free(m.data);
        }
    }
}
