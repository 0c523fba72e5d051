// SPDX-License-Identifier: Apache-2.0
//
// The inside of an engine, for the files of this folder.
#ifndef HE_INSIDE_H
#define HE_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/engine.h"
#include "engine/kernels.h"

enum { HE_THREADS_MAX = 64 };

typedef struct he_worker {
  struct he_worker *next;  // of those that nobody uses
  hwe_worker_t worker;
} he_worker_t;

struct he_engine {
  hwe_weights_t weights;
  const hwe_kernels_t *kernels;
  pthread_mutex_t lock;  // of idle
  he_worker_t *idle;
};

// What one thread computes in; NULL: no memory.
he_worker_t *he_take_worker(he_engine_t *engine);
void he_give_worker(he_engine_t *engine, he_worker_t *worker);

#endif  // HE_INSIDE_H
