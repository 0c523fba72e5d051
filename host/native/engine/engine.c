// SPDX-License-Identifier: Apache-2.0
#include "engine/inside.h"

const char *he_environment(void) { return hwe_environment(); }

static const hwe_kernels_t *choose(int kernels) {
  const hwe_kernels_t *best = he_avx2();
  switch (kernels) {
    case HE_KERNELS_BEST: return best ? best : &hwe_scalar;
    case HE_KERNELS_SCALAR: return &hwe_scalar;
    case HE_KERNELS_AVX2: return best;
    default: return NULL;
  }
}

he_engine_t *he_open(uint32_t vocabulary, int kernels, int *error) {
  if (vocabulary == 0 || vocabulary > HWE_VOCABULARY_MAX) {
    *error = HE_RANGE;
    return NULL;
  }
  const hwe_kernels_t *chosen = choose(kernels);
  if (!chosen) {
    *error = HE_NO_KERNELS;
    return NULL;
  }
  he_engine_t *engine = calloc(1, sizeof *engine);
  hw_u16 *unembedding = aligned_alloc(64, hwe_unembedding_bytes(vocabulary));
  if (!engine || !unembedding) {
    free(engine);
    free(unembedding);
    *error = HE_NO_MEMORY;
    return NULL;
  }
  hwe_fill_weights(&engine->weights, vocabulary, unembedding);
  engine->kernels = chosen;
  pthread_mutex_init(&engine->lock, NULL);
  return engine;
}

void he_close(he_engine_t *engine) {
  while (engine->idle) {
    he_worker_t *worker = engine->idle;
    engine->idle = worker->next;
    free(worker);
  }
  pthread_mutex_destroy(&engine->lock);
  free(engine->weights.unembedding);
  free(engine);
}

const char *he_kernels_name(const he_engine_t *engine) { return engine->kernels->name; }

he_worker_t *he_take_worker(he_engine_t *engine) {
  pthread_mutex_lock(&engine->lock);
  he_worker_t *worker = engine->idle;
  if (worker) {
    engine->idle = worker->next;
  }
  pthread_mutex_unlock(&engine->lock);
  return worker ? worker
                : malloc(offsetof(he_worker_t, worker) +
                         hwe_worker_bytes(engine->weights.vocabulary));
}

void he_give_worker(he_engine_t *engine, he_worker_t *worker) {
  pthread_mutex_lock(&engine->lock);
  worker->next = engine->idle;
  engine->idle = worker;
  pthread_mutex_unlock(&engine->lock);
}

// A call of he_advance, for all of its threads.
typedef struct batch {
  he_engine_t *engine;
  unsigned char *arena;
  uint64_t arena_bytes;
  const uint64_t *records;
  const uint32_t *ends;
  uint32_t *statuses;
  uint32_t count;
  _Atomic uint32_t next;
} batch_t;

typedef struct member {
  batch_t *batch;
  he_worker_t *worker;
  pthread_t thread;
} member_t;

static void *advance_some(void *argument) {
  const member_t *member = argument;
  batch_t *batch = member->batch;
  const he_engine_t *engine = batch->engine;
  for (;;) {
    const uint32_t at = atomic_fetch_add_explicit(&batch->next, 1, memory_order_relaxed);
    if (at >= batch->count) {
      return NULL;
    }
    batch->statuses[at] = (uint32_t)hwe_advance(
        engine->kernels, &engine->weights, &member->worker->worker, batch->arena,
        batch->arena_bytes, batch->records[at], batch->ends[at]);
  }
}

int he_advance(he_engine_t *engine, void *arena, uint64_t arena_bytes, const uint64_t *records,
               const uint32_t *ends, uint32_t *statuses, uint32_t count, uint32_t threads) {
  member_t member[HE_THREADS_MAX];
  if (threads == 0 || threads > HE_THREADS_MAX) {
    return HE_RANGE;
  }
  if ((uintptr_t)arena % HWE_RECORD_ALIGNMENT) {
    return HE_MISALIGNED;
  }
  if (hwe_environment()) {
    return HE_ENVIRONMENT;
  }
  const uint32_t wanted = threads < count ? threads : count;
  batch_t batch = {engine, arena, arena_bytes, records, ends, statuses, count, 0};
  uint32_t ready = 0;
  for (; ready < wanted; ++ready) {
    member[ready] = (member_t){.batch = &batch, .worker = he_take_worker(engine)};
    if (!member[ready].worker) {
      break;
    }
  }
  const int complete = ready == wanted;
  if (complete && count) {
    uint32_t started = 1;
    // A thread that cannot be had leaves its share to the others. It begins with the environment of
    // this one.
    while (started < ready && pthread_create(&member[started].thread, NULL, advance_some,
                                             &member[started]) == 0) {
      ++started;
    }
    advance_some(&member[0]);
    while (--started) {
      pthread_join(member[started].thread, NULL);
    }
  }
  while (ready--) {
    he_give_worker(engine, member[ready].worker);
  }
  return complete ? 0 : HE_NO_MEMORY;
}
