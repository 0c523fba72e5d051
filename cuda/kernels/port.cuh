// SPDX-License-Identifier: Apache-2.0
//
// What the kernels need of a machine: whole 16-byte accesses, fences, a clock, and a team of
// threads. Two targets: CUDA C++ through NVRTC, and C++17 on a CPU, where one thread is a whole
// team, so that the control logic can be run and checked without a GPU.
//
// Every access that may race with another thread is relaxed; fences are where order is needed.
#ifndef HW_PORT_CUH
#define HW_PORT_CUH

#include "hw_link.h"

#if defined(__CUDACC_RTC__)
#define HW_DEV static __device__ __forceinline__
#define HW_METHOD __device__ __forceinline__
#define HW_SHARED __shared__
#define HW_UNROLL _Pragma("unroll")
#else
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <xmmintrin.h>
#define HW_DEV static inline
#define HW_METHOD inline
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
  // The values of all lanes, one exclusive or.
  __device__ __forceinline__ hw_u32 fold(hw_u32 value) const {
    static_assert(Lanes == 32, "one warp");
    return __reduce_xor_sync(0xFFFFFFFFu, value);
  }
  // The sum of 32 words needs 37 bits, and a reduction gives 32: the halves are added apart.
  __device__ __forceinline__ void add(hw_u64 *sum, hw_u32 value) const {
    const hw_u32 low = __reduce_add_sync(0xFFFFFFFFu, value & 0xFFFFu);
    const hw_u32 high = __reduce_add_sync(0xFFFFFFFFu, value >> 16);
    if (lane % 32 == 0 && (low | high)) {
      atomicAdd(sum, ((hw_u64)high << 16) + low);
    }
  }
};

// Where two warps of a block meet: neither continues before both have arrived, and the stores of
// one before it are visible to the other behind it. A hardware barrier; number 0 is __syncthreads'.
struct hw_meeting {};

template <hw_u32 Lanes>
HW_DEV void hw_meet(hw_meeting *, const hw_team<Lanes> &team) {
  static_assert(Lanes == 32, "two warps meet");
  team.sync();
  asm volatile("bar.sync 1, 64;" ::: "memory");
}

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
  hw_u32 fold(hw_u32 value) const { return value; }
  void add(hw_u64 *sum, hw_u32 value) const { *sum += value; }
};

struct hw_meeting {
  pthread_barrier_t both;

  hw_meeting() { pthread_barrier_init(&both, nullptr, 2); }
  ~hw_meeting() { pthread_barrier_destroy(&both); }
};

template <hw_u32 Lanes>
HW_DEV void hw_meet(hw_meeting *meeting, const hw_team<Lanes> &) {
  pthread_barrier_wait(&meeting->both);
}

#endif

#endif  // HW_PORT_CUH
