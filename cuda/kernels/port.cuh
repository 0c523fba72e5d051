// SPDX-License-Identifier: Apache-2.0
//
// What the kernels need of a machine: whole 16-byte accesses, fences, a clock, and a team of
// threads. Two targets: CUDA C++ through NVRTC, and C++17 on a CPU, where one thread is a whole
// team, so that the control logic can be run and checked without a GPU.
//
// Every access that somebody else may race with is relaxed; fences stand where order is needed.
#ifndef HW_PORT_CUH
#define HW_PORT_CUH

#include "hw_link.h"

#if defined(__CUDACC_RTC__)
#define HW_DEV static __device__ __forceinline__
#define HW_SHARED __shared__
#define HW_UNROLL _Pragma("unroll")
#else
#include <sched.h>
#include <time.h>
#include <xmmintrin.h>
#define HW_DEV static inline
#define HW_SHARED static
#define HW_UNROLL
#endif

#if defined(__CUDACC_RTC__)

// Memory that the host shares: system scope.
HW_DEV hw_chunk_t hw_load_system(hw_u64 address) {
  hw_u64 low, high;
  asm volatile(
      "{\n\t.reg .b128 whole;\n\tld.relaxed.sys.global.b128 whole, [%2];\n\t"
      "mov.b128 {%0, %1}, whole;\n\t}"
      : "=l"(low), "=l"(high) : "l"(address) : "memory");
  return hw_chunk_t{{(hw_u32)low, (hw_u32)(low >> 32), (hw_u32)high, (hw_u32)(high >> 32)}};
}

HW_DEV void hw_store_system(hw_u64 address, const hw_chunk_t &chunk) {
  const hw_u64 low = chunk.word[0] | (hw_u64)chunk.word[1] << 32;
  const hw_u64 high = chunk.word[2] | (hw_u64)chunk.word[3] << 32;
  asm volatile(
      "{\n\t.reg .b128 whole;\n\tmov.b128 whole, {%1, %2};\n\t"
      "st.relaxed.sys.global.b128 [%0], whole;\n\t}"
      :: "l"(address), "l"(low), "l"(high) : "memory");
}

HW_DEV void hw_store_word_system(hw_u64 address, hw_u32 word) {
  asm volatile("st.relaxed.sys.global.u32 [%0], %1;" :: "l"(address), "r"(word) : "memory");
}

HW_DEV void hw_fence_system() { asm volatile("fence.acq_rel.sys;" ::: "memory"); }

// Memory that the blocks of one kernel share: device scope.
HW_DEV hw_chunk_t hw_load_device(const hw_chunk_t *from) {
  hw_u64 low, high;
  asm volatile(
      "{\n\t.reg .b128 whole;\n\tld.relaxed.gpu.global.b128 whole, [%2];\n\t"
      "mov.b128 {%0, %1}, whole;\n\t}"
      : "=l"(low), "=l"(high) : "l"(from) : "memory");
  return hw_chunk_t{{(hw_u32)low, (hw_u32)(low >> 32), (hw_u32)high, (hw_u32)(high >> 32)}};
}

HW_DEV void hw_store_device(hw_chunk_t *to, const hw_chunk_t &chunk) {
  const hw_u64 low = chunk.word[0] | (hw_u64)chunk.word[1] << 32;
  const hw_u64 high = chunk.word[2] | (hw_u64)chunk.word[3] << 32;
  asm volatile(
      "{\n\t.reg .b128 whole;\n\tmov.b128 whole, {%1, %2};\n\t"
      "st.relaxed.gpu.global.b128 [%0], whole;\n\t}"
      :: "l"(to), "l"(low), "l"(high) : "memory");
}

HW_DEV hw_u32 hw_load_word_device(const hw_u32 *from) {
  hw_u32 word;
  asm volatile("ld.relaxed.gpu.global.u32 %0, [%1];" : "=r"(word) : "l"(from) : "memory");
  return word;
}

HW_DEV void hw_store_word_device(hw_u32 *to, hw_u32 word) {
  asm volatile("st.relaxed.gpu.global.u32 [%0], %1;" :: "l"(to), "r"(word) : "memory");
}

HW_DEV hw_u64 hw_load_long_device(const hw_u64 *from) {
  hw_u64 value;
  asm volatile("ld.relaxed.gpu.global.u64 %0, [%1];" : "=l"(value) : "l"(from) : "memory");
  return value;
}

HW_DEV void hw_store_long_device(hw_u64 *to, hw_u64 value) {
  asm volatile("st.relaxed.gpu.global.u64 [%0], %1;" :: "l"(to), "l"(value) : "memory");
}

HW_DEV int hw_swap_long_device(hw_u64 *at, hw_u64 expected, hw_u64 value) {
  hw_u64 found;
  asm volatile("atom.relaxed.gpu.global.cas.b64 %0, [%1], %2, %3;"
               : "=l"(found) : "l"(at), "l"(expected), "l"(value) : "memory");
  return found == expected;
}

HW_DEV void hw_add_device(hw_u32 *to, hw_u32 value) {
  asm volatile("red.relaxed.gpu.global.add.u32 [%0], %1;" :: "l"(to), "r"(value) : "memory");
}

HW_DEV void hw_fence_device() { asm volatile("fence.acq_rel.gpu;" ::: "memory"); }

HW_DEV hw_u64 hw_nanoseconds() {
  hw_u64 now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  return now;
}

// Between two looks: where nothing hurries, and where the next look should come at once.
HW_DEV void hw_pause() { asm volatile("nanosleep.u32 40;" ::: "memory"); }
HW_DEV void hw_look_again() {}
HW_DEV hw_u32 hw_ones(hw_u32 word) { return __popc(word); }
HW_DEV hw_u32 hw_lowest(hw_u32 word) { return __ffs(word) - 1; }

// Between the teams of one block.
HW_DEV hw_u32 hw_load_word_block(const hw_u32 *from) {
  hw_u32 word;
  asm volatile("ld.relaxed.cta.u32 %0, [%1];" : "=r"(word) : "l"(from) : "memory");
  return word;
}

HW_DEV void hw_store_word_block(hw_u32 *to, hw_u32 word) {
  asm volatile("st.relaxed.cta.u32 [%0], %1;" :: "l"(to), "r"(word) : "memory");
}

HW_DEV void hw_fence_block() { asm volatile("fence.acq_rel.cta;" ::: "memory"); }

// `Lanes` threads that run the same program: 32, a warp, or more, a block.
template <hw_u32 Lanes>
struct hw_team {
  enum : hw_u32 { lanes = Lanes };
  hw_u32 lane;

  __device__ __forceinline__ void sync() const {
    if (Lanes == 32) {
      __syncwarp();
    } else {
      __syncthreads();
    }
  }
  // Collect a bit of each line; every lane of a warp calls it for 32 lines in a row.
  __device__ __forceinline__ void mark(hw_u32 *words, hw_u32 at, int bit) const {
    const hw_u32 bits = __ballot_sync(0xFFFFFFFFu, bit);
    if (at % 32 == 0) {
      words[at / 32] = bits;
    }
  }
  __device__ __forceinline__ void add(hw_u32 *sum, hw_u32 value) const {
    value = __reduce_add_sync(0xFFFFFFFFu, value);
    if (lane % 32 == 0 && value) {
      atomicAdd(sum, value);
    }
  }
};

// Eight chunks side by side, one in each of a warp's first lanes: one read over the bus.
template <hw_u32 Lanes>
struct hw_eight {
  hw_chunk_t mine;

  __device__ __forceinline__ void load(hw_u64 address, const hw_team<Lanes> &team) {
    if (team.lane < 8) {
      mine = hw_load_system(address + team.lane * sizeof(hw_chunk_t));
    }
  }
  __device__ __forceinline__ hw_u32 word(hw_u32 chunk, hw_u32 at) const {
    return __shfl_sync(0xFFFFFFFFu, mine.word[at], (int)chunk);
  }
  // Whether this word of the first `count` chunks is `value`.
  __device__ __forceinline__ int all(hw_u32 count, hw_u32 at, hw_u32 value) const {
    const hw_u32 wanted = (1u << count) - 1u;
    return (__ballot_sync(0xFFFFFFFFu, mine.word[at] == value) & wanted) == wanted;
  }
  // Whether this word of one of them is at `value` or beyond, in u32 arithmetic that wraps.
  __device__ __forceinline__ int any_from(hw_u32 count, hw_u32 at, hw_u32 value) const {
    return (__ballot_sync(0xFFFFFFFFu, mine.word[at] - value < 0x80000000u) &
            ((1u << count) - 1u)) != 0;
  }
};

#else  // a CPU

HW_DEV hw_chunk_t hw_load_whole(const void *from) {
  hw_chunk_t chunk;
  __m128 whole;
  __asm__ volatile("movaps %1, %0" : "=x"(whole) : "m"(*(const __m128 *)from) : "memory");
  *(__m128 *)&chunk = whole;
  return chunk;
}

HW_DEV void hw_store_whole(void *to, const hw_chunk_t &chunk) {
  const __m128 whole = *(const __m128 *)&chunk;
  __asm__ volatile("movaps %1, %0" : "=m"(*(__m128 *)to) : "x"(whole) : "memory");
}

HW_DEV hw_chunk_t hw_load_system(hw_u64 address) { return hw_load_whole((const void *)address); }
HW_DEV void hw_store_system(hw_u64 address, const hw_chunk_t &chunk) {
  hw_store_whole((void *)address, chunk);
}
HW_DEV void hw_store_word_system(hw_u64 address, hw_u32 word) {
  __atomic_store_n((hw_u32 *)address, word, __ATOMIC_RELAXED);
}
HW_DEV void hw_fence_system() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
HW_DEV hw_chunk_t hw_load_device(const hw_chunk_t *from) { return hw_load_whole(from); }
HW_DEV void hw_store_device(hw_chunk_t *to, const hw_chunk_t &chunk) { hw_store_whole(to, chunk); }
HW_DEV hw_u32 hw_load_word_device(const hw_u32 *from) {
  return __atomic_load_n(from, __ATOMIC_RELAXED);
}
HW_DEV void hw_store_word_device(hw_u32 *to, hw_u32 word) {
  __atomic_store_n(to, word, __ATOMIC_RELAXED);
}
HW_DEV hw_u64 hw_load_long_device(const hw_u64 *from) {
  return __atomic_load_n(from, __ATOMIC_RELAXED);
}
HW_DEV void hw_store_long_device(hw_u64 *to, hw_u64 value) {
  __atomic_store_n(to, value, __ATOMIC_RELAXED);
}
HW_DEV int hw_swap_long_device(hw_u64 *at, hw_u64 expected, hw_u64 value) {
  return __atomic_compare_exchange_n(at, &expected, value, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}
HW_DEV void hw_add_device(hw_u32 *to, hw_u32 value) {
  __atomic_fetch_add(to, value, __ATOMIC_RELAXED);
}
HW_DEV void hw_fence_device() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
HW_DEV hw_u64 hw_nanoseconds() {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (hw_u64)now.tv_sec * 1000000000u + (hw_u64)now.tv_nsec;
}
HW_DEV void hw_pause() { sched_yield(); }
HW_DEV void hw_look_again() { sched_yield(); }
HW_DEV hw_u32 hw_ones(hw_u32 word) { return (hw_u32)__builtin_popcount(word); }
HW_DEV hw_u32 hw_lowest(hw_u32 word) { return (hw_u32)__builtin_ffs((int)word) - 1u; }

HW_DEV hw_u32 hw_load_word_block(const hw_u32 *from) {
  return __atomic_load_n(from, __ATOMIC_RELAXED);
}
HW_DEV void hw_store_word_block(hw_u32 *to, hw_u32 word) {
  __atomic_store_n(to, word, __ATOMIC_RELAXED);
}
HW_DEV void hw_fence_block() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

// One thread.
template <hw_u32 Lanes>
struct hw_team {
  enum : hw_u32 { lanes = Lanes };
  hw_u32 lane;

  void sync() const { static_assert(Lanes == 1, "on a CPU one thread is a whole team"); }
  void mark(hw_u32 *words, hw_u32 at, int bit) const {
    words[at / 32] = (at % 32 ? words[at / 32] : 0u) | (hw_u32)bit << at % 32;
  }
  void add(hw_u32 *sum, hw_u32 value) const { *sum += value; }
};

template <hw_u32 Lanes>
struct hw_eight {
  hw_chunk_t chunk[8];

  void load(hw_u64 address, const hw_team<Lanes> &) {
    for (hw_u32 at = 0; at < 8; ++at) {
      chunk[at] = hw_load_system(address + at * sizeof(hw_chunk_t));
    }
  }
  hw_u32 word(hw_u32 at, hw_u32 word) const { return chunk[at].word[word]; }
  int all(hw_u32 count, hw_u32 word, hw_u32 value) const {
    int same = 1;
    for (hw_u32 at = 0; at < count; ++at) {
      same &= chunk[at].word[word] == value;
    }
    return same;
  }
  int any_from(hw_u32 count, hw_u32 word, hw_u32 value) const {
    int any = 0;
    for (hw_u32 at = 0; at < count; ++at) {
      any |= chunk[at].word[word] - value < 0x80000000u;
    }
    return any;
  }
};

#endif

#endif  // HW_PORT_CUH
