// SPDX-License-Identifier: Apache-2.0
//
// CUDA's threads, warps and blocks on a CPU: an operating-system thread plays a block, and the threads
// of the block are fibers on it. A fiber runs until it waits for others, at a barrier or in an exchange
// between the lanes of a warp; so the text of a kernel runs unchanged, with its barriers, its shuffles
// and its order of operations.
#ifndef HW_SIMT_H
#define HW_SIMT_H

#include <math.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

namespace hw_simt {

enum : unsigned { WARP = 32, STACK = 256 << 10 };

struct barrier {
  unsigned arrived = 0;
  unsigned generation = 0;
};

struct warp {
  barrier meeting;
  unsigned ended = 0;
  uint64_t value[2][WARP];  // of two exchanges in turn: a lane may be one ahead of another
  unsigned turn[WARP] = {};
};

struct fiber {
  void *stack_pointer = nullptr;
  unsigned thread = 0;
  bool ended = false;
};

struct block {
  unsigned index = 0, blocks = 0, threads = 0, live = 0, current = 0;
  barrier meeting;
  std::vector<fiber> fibers;
  std::vector<warp> warps;
  const std::function<void()> *kernel = nullptr;
  void *caller = nullptr;
};

inline thread_local block *now = nullptr;

// Save what the calling convention keeps, and continue where `to` was saved.
extern "C" void hw_simt_switch(void **from, void *to);
__asm__(
    ".text\n.weak hw_simt_switch\n.type hw_simt_switch,@function\nhw_simt_switch:\n"
    "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
    "  movq %rsp, (%rdi)\n  movq %rsi, %rsp\n"
    "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n  ret\n"
    ".size hw_simt_switch,.-hw_simt_switch\n");

// Let the next fiber run that has not ended; the last one to end returns to the caller.
inline void yield() {
  block *here = now;
  const unsigned from = here->current;
  unsigned to = from;
  do {
    to = to + 1 == here->threads ? 0 : to + 1;
  } while (here->fibers[to].ended && to != from);
  if (to != from) {
    here->current = to;
    hw_simt_switch(&here->fibers[from].stack_pointer, here->fibers[to].stack_pointer);
  }
}

inline void wait(barrier *at, unsigned expected) {
  const unsigned generation = at->generation;
  if (++at->arrived == expected) {
    at->arrived = 0;
    ++at->generation;
    return;
  }
  while (at->generation == generation) {
    yield();
  }
}

inline void enter() {
  block *here = now;
  const unsigned self = here->current;
  (*here->kernel)();
  here = now;
  here->fibers[self].ended = true;
  --here->live;
  ++here->warps[self / WARP].ended;
  // Who waits for all of a block waits for those that have not ended.
  if (here->live != 0 && here->meeting.arrived == here->live) {
    here->meeting.arrived = 0;
    ++here->meeting.generation;
  }
  if (here->live == 0) {
    hw_simt_switch(&here->fibers[self].stack_pointer, here->caller);
  }
  yield();
  abort();  // nothing resumes a fiber that has ended
}

// Stacks of the fibers of this thread's block, kept for the next block.
struct stack_store {
  char *stacks = nullptr;
  unsigned threads = 0;

  ~stack_store() { reserve(0); }
  void reserve(unsigned count) {
    if (stacks != nullptr) {
      munmap(stacks, (size_t)threads * STACK);
    }
    stacks = nullptr;
    threads = count;
    if (count != 0) {
      stacks = (char *)mmap(nullptr, (size_t)count * STACK, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (stacks == MAP_FAILED) {
        perror("stacks of fibers");
        abort();
      }
    }
  }
};
inline thread_local stack_store store;

// Run one block of a kernel on this thread.
inline void run(unsigned index, unsigned blocks, unsigned threads,
                const std::function<void()> &kernel) {
  block here;
  here.index = index, here.blocks = blocks, here.threads = here.live = threads;
  here.fibers.resize(threads);
  here.warps.resize((threads + WARP - 1) / WARP);
  here.kernel = &kernel;
  if (store.threads < threads) {
    store.reserve(threads);
  }
  for (unsigned thread = 0; thread < threads; ++thread) {
    // enter() begins as if called: the stack is 8 modulo 16 there, with six registers to pop before.
    void **top = (void **)(store.stacks + (size_t)(thread + 1) * STACK) - 2;
    *top = (void *)&enter;
    here.fibers[thread] = {top - 6, thread, false};
  }
  block *before = now;
  now = &here;
  hw_simt_switch(&here.caller, here.fibers[0].stack_pointer);
  now = before;
}

// Every lane of a warp gives a value; afterwards each may read those of all.
template <typename T>
inline const uint64_t *exchange(T value) {
  static_assert(sizeof(T) <= 8, "one register or two");
  block *here = now;
  const unsigned self = here->current;
  warp *mine = &here->warps[self / WARP];
  uint64_t *values = mine->value[mine->turn[self % WARP]++ % 2];
  memcpy(&values[self % WARP], &value, sizeof value);
  const unsigned lanes = here->threads - self / WARP * WARP;
  wait(&mine->meeting, (lanes < WARP ? lanes : WARP) - mine->ended);
  return values;
}

template <typename T>
inline T from(const uint64_t *values, unsigned lane) {
  T value;
  memcpy(&value, &values[lane % WARP], sizeof value);
  return value;
}

struct thread_index {
  operator unsigned() const { return now->current; }
};
struct block_index {
  operator unsigned() const { return now->index; }
};
struct block_size {
  operator unsigned() const { return now->threads; }
};
struct grid_size {
  operator unsigned() const { return now->blocks; }
};

}  // namespace hw_simt

static const struct { hw_simt::thread_index x; } threadIdx;
static const struct { hw_simt::block_index x; } blockIdx;
static const struct { hw_simt::block_size x; } blockDim;
static const struct { hw_simt::grid_size x; } gridDim;

struct uint4 {
  alignas(16) unsigned x;
  unsigned y, z, w;
};
struct float4 {
  alignas(16) float x;
  float y, z, w;
};
struct uint2 {
  alignas(8) unsigned x;
  unsigned y;
};
struct float2 {
  float x, y;
};
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

static inline void __syncthreads() { hw_simt::wait(&hw_simt::now->meeting, hw_simt::now->live); }
static inline void __syncwarp() { hw_simt::exchange(0); }

template <typename T>
static inline T __shfl_sync(unsigned, T value, unsigned lane) {
  return hw_simt::from<T>(hw_simt::exchange(value), lane);
}
template <typename T>
static inline T __shfl_xor_sync(unsigned, T value, unsigned mask) {
  const unsigned self = threadIdx.x % hw_simt::WARP;
  return hw_simt::from<T>(hw_simt::exchange(value), self ^ mask);
}
template <typename T>
static inline T __shfl_up_sync(unsigned, T value, unsigned by) {
  const unsigned self = threadIdx.x % hw_simt::WARP;
  return hw_simt::from<T>(hw_simt::exchange(value), self < by ? self : self - by);
}
static inline unsigned __ballot_sync(unsigned, int bit) {
  const uint64_t *values = hw_simt::exchange(bit != 0);
  unsigned bits = 0;
  for (unsigned lane = 0; lane < hw_simt::WARP; ++lane) {
    bits |= (unsigned)hw_simt::from<bool>(values, lane) << lane;
  }
  return bits;
}
template <typename T>
static inline T __reduce_max_sync(unsigned, T value) {
  const uint64_t *values = hw_simt::exchange(value);
  for (unsigned lane = 0; lane < hw_simt::WARP; ++lane) {
    const T other = hw_simt::from<T>(values, lane);
    value = other > value ? other : value;
  }
  return value;
}
template <typename T>
static inline T __reduce_add_sync(unsigned, T value) {
  const uint64_t *values = hw_simt::exchange(value);
  T sum = 0;
  for (unsigned lane = 0; lane < hw_simt::WARP; ++lane) {
    sum += hw_simt::from<T>(values, lane);
  }
  return sum;
}

template <typename T>
static inline T atomicAdd(T *at, T value) { return __atomic_fetch_add(at, value, __ATOMIC_RELAXED); }
template <typename T>
static inline T atomicMax(T *at, T value) {
  T before = __atomic_load_n(at, __ATOMIC_RELAXED);
  while (before < value &&
         !__atomic_compare_exchange_n(at, &before, value, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return before;
}
template <typename T>
static inline T atomicOr(T *at, T value) { return __atomic_fetch_or(at, value, __ATOMIC_RELAXED); }
static inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

// Compiled with -ffp-contract=off, so that each is one rounding.
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline float __int_as_float(int bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
static inline float __uint_as_float(unsigned bits) { return __int_as_float((int)bits); }
static inline int __float_as_int(float value) {
  int bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}
static inline unsigned __float_as_uint(float value) { return (unsigned)__float_as_int(value); }
static inline unsigned __umulhi(unsigned a, unsigned b) { return (uint64_t)a * b >> 32; }
static inline uint64_t __umul64hi(uint64_t a, uint64_t b) {
  return (uint64_t)((unsigned __int128)a * b >> 64);
}
template <typename T>
static inline T __ldcs(const T *at) { return *at; }
template <typename T>
static inline T __ldcg(const T *at) { return *at; }
template <typename T>
static inline T max(T a, T b) { return a > b ? a : b; }
template <typename T>
static inline T min(T a, T b) { return a < b ? a : b; }

#endif  // HW_SIMT_H
