// SPDX-License-Identifier: Apache-2.0
//
// Runs a generated litmus test on a GPU. A warp has one thread of the test, in 32 instances at once, and
// each multiprocessor one block. The warps of an instance are in one block, or with `shift` in different
// ones. In a step every warp runs its part of its instances, at a moment that is drawn; then all blocks
// meet, the outcomes are counted and the locations cleared, and all blocks meet again.

enum {
  WARP = 32,
  VALUE_BITS = 8,  // of each register in what a thread returns
  KEYS = 256,      // outcomes: an observed value is two bits
  LATE = KEYS,     // counted here: a block that did not meet the others in time
};

struct litmus_run_t {
  unsigned *at[2];  // a word for each instance
  unsigned *reads;  // of each thread of the test, a word for each instance
  unsigned long long *counted;
  unsigned *arrived;
  unsigned *places;  // multiprocessor of each block
  unsigned steps;
  unsigned shift;  // from the block of one thread of an instance to that of the next
  unsigned factor[2], offset[2];  // instance to word of each location; no product exceeds 32 bits
  unsigned window;  // cycles, a power of two: a warp begins a step within so many
  unsigned seed;
  unsigned long long limit_ns;
};

static __device__ unsigned get(const unsigned *place) {
  unsigned value;
  asm volatile("ld.relaxed.gpu.u32 %0, [%1];" : "=r"(value) : "l"(place) : "memory");
  return value;
}

static __device__ void put(unsigned *place, unsigned value) {
  asm volatile("st.relaxed.gpu.u32 [%0], %1;" ::"l"(place), "r"(value) : "memory");
}

static __device__ unsigned long long now_ns() {
  unsigned long long time;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(time));
  return time;
}

// Wait for all blocks. Everything before it is visible to everything behind it, and the acquire drops
// what the multiprocessor's own cache holds. False: some block is late.
static __device__ bool meet(const litmus_run_t &run, unsigned target) {
  __shared__ bool late;
  __syncthreads();
  if (threadIdx.x == 0) {
    asm volatile("red.release.gpu.add.u32 [%0], 1;" ::"l"(run.arrived) : "memory");
    const unsigned long long start = now_ns();
    unsigned seen;
    late = false;
    do {
      asm volatile("ld.acquire.gpu.u32 %0, [%1];" : "=r"(seen) : "l"(run.arrived) : "memory");
      late = now_ns() - start > run.limit_ns;
    } while ((int)(seen - target) < 0 && !late);
  }
  __syncthreads();
  return !late;
}

template <class Test>
static __device__ void litmus(const litmus_run_t *given) {
  const litmus_run_t run = *given;
  __shared__ unsigned counted[KEYS];
  for (unsigned key = threadIdx.x; key < KEYS; key += blockDim.x) {
    counted[key] = 0;
  }
  const unsigned warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
  const unsigned groups = blockDim.x / WARP / Test::THREADS, part = warp % Test::THREADS;
  const unsigned instances = gridDim.x * groups * WARP;
  const unsigned home = (blockIdx.x + gridDim.x - part * run.shift % gridDim.x) % gridDim.x;
  if (threadIdx.x == 0) {
    asm volatile("mov.u32 %0, %smid;" : "=r"(run.places[blockIdx.x]));
  }
  unsigned state = run.seed + (blockIdx.x * blockDim.x / WARP + warp) * 2654435761u | 1u, target = 0;
  for (unsigned step = 0; step < run.steps; ++step) {
    state ^= state << 13, state ^= state >> 17, state ^= state << 5;
    // Another lane of each part, so that no pair of lanes meets in every instance.
    const unsigned mine = (lane * (2 * part + 1) + part * step) % WARP;
    const unsigned instance = (home * groups + warp / Test::THREADS) * WARP + mine;
    unsigned *at[2];
    for (int name = 0; name < 2; ++name) {
      at[name] = run.at[name] + (instance * run.factor[name] + run.offset[name]) % instances;
    }
    if (!meet(run, target += gridDim.x)) {
      break;
    }
    const unsigned wait = state & (run.window - 1);
    for (const long long start = clock64(); clock64() - start < wait;) {
    }
    put(&run.reads[part * instances + instance], Test::thread(part, at[0], at[1]));
    if (!meet(run, target += gridDim.x)) {
      break;
    }
    if (part == 0) {
      unsigned key = 0;
      for (int name = 0; name < Test::REGISTERS; ++name) {
        const unsigned read = get(&run.reads[Test::owner(name) * instances + instance]);
        key = key << 2 | (read >> VALUE_BITS * Test::place(name) & 3);
      }
      for (int name = 0; name < Test::FINALS; ++name) {
        key = key << 2 | (get(at[Test::final(name)]) & 3);
      }
      put(at[0], 0);
      put(at[1], 0);
      const unsigned same = __match_any_sync(~0u, key);
      if (lane == __ffs(same) - 1) {
        atomicAdd(&counted[key], __popc(same));
      }
    }
  }
  __syncthreads();
  for (unsigned key = threadIdx.x; key < KEYS; key += blockDim.x) {
    if (counted[key]) {
      atomicAdd(&run.counted[key], (unsigned long long)counted[key]);
    }
  }
  if (threadIdx.x == 0 && target != 2 * run.steps * gridDim.x) {
    atomicAdd(&run.counted[LATE], 1ull);
  }
}
