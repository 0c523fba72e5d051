// SPDX-License-Identifier: Apache-2.0
//
// Memory of the native core: what an object takes is given back when it is closed, each block once, and
// each thread that it has started is joined, and no other; and where an allocation fails, or the start
// of a thread, whichever it is, the call returns that and has given back all it took. Linked with
// --wrap for each function that takes or gives back, see WRAPPED in host/tests/test_memory_returned.py.
// Exit code 1, with the object and the allocation.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rollouts/pipe.h"
#include "segment.h"

enum { MOST = 4096, NEVER = -1, SEGMENT = 1 << 16, WINDOW_AT = 8192, REQUESTS = 5000 };

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
void __real_free(void *block);
typedef void *(*work_t)(void *);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *how, work_t work, void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *how, work_t work, void *argument);
int __real_pthread_join(pthread_t thread, void **result);
int __wrap_pthread_join(pthread_t thread, void **result);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
void __wrap_free(void *block);

static const char *object = "nothing";
static void *live[MOST];
static int count, threads, taken, fails_at = NEVER;

static void fail(const char *what) {
  printf("%s, allocation %d of %d: %s\n", object, fails_at, taken, what);
  fflush(stdout);
  _Exit(1);
}

static int refuses(void) { return taken++ == fails_at; }

static void *note(void *block) {
  if (block) {
    if (count == MOST) fail("more blocks than this program can count");
    live[count++] = block;
  }
  return block;
}

static void forget(const void *block) {
  for (int at = count; block && at-- > 0;) {
    if (live[at] == block) {
      live[at] = live[--count];
      return;
    }
  }
  if (block) fail("a block is given back that is not taken");
}

void *__wrap_malloc(size_t bytes) { return refuses() ? NULL : note(__real_malloc(bytes)); }

void *__wrap_calloc(size_t number, size_t bytes) {
  return refuses() ? NULL : note(__real_calloc(number, bytes));
}

void *__wrap_realloc(void *old, size_t bytes) {
  if (refuses()) {
    return NULL;
  }
  void *block = __real_realloc(old, bytes);
  forget(old);
  return note(block);
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes) {
  return refuses() ? NULL : note(__real_aligned_alloc(alignment, bytes));
}

void __wrap_free(void *block) {
  forget(block);
  __real_free(block);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *how, work_t work, void *argument) {
  if (refuses()) {
    return EAGAIN;
  }
  const int failure = __real_pthread_create(thread, how, work, argument);
  threads += !failure;
  return failure;
}

int __wrap_pthread_join(pthread_t thread, void **result) {
  if (threads-- == 0) fail("a thread is joined that was not started");
  return __real_pthread_join(thread, result);
}

static uint32_t policy, options;
static _Alignas(4096) uint8_t segment[SEGMENT];

// Open an object and close it: whether there was memory.

static int use_slab(void) {
  hr_slab_t *slab = hr_slab_open(200);
  if (!slab) {
    return 0;
  }
  hr_slab_cache_t *cache = hr_slab_cache_open(slab);
  if (cache) {
    hr_slab_cache_close(cache);
  }
  hr_slab_close(slab);
  return cache != NULL;
}

static int use_tree(void) {
  hr_arena_t *arena = hr_arena_open(100, HR_BLOCK_STEP, NULL);
  if (!arena) {
    return 0;
  }
  hr_tree_t *tree = hr_tree_open(arena, 70, 5);
  if (tree) {
    hr_tree_close(tree);
  }
  hr_arena_close(arena);
  return tree != NULL;
}

static int use_policy(void) {
  hr_policy_t *queue = hr_policy_open(policy, 3, 9, 4);
  if (queue) {
    hr_policy_close(queue);
  }
  return queue != NULL;
}

static hr_pipe_t *open_pipe(uint32_t requests, uint32_t cancel) {
  static hwr_request_t asked[REQUESTS];
  for (uint32_t at = 0; at < requests; ++at) {
    asked[at] = (hwr_request_t){.group = at / 2, .sample = at % 2, .prompt_tokens = 40,
                                .max_tokens = 90, .cancel = cancel};
  }
  const hwr_config_t config = {.slots = 4, .decode_credits = HWR_NONE, .reward_credits = HWR_NONE,
                               .trajectory_credits = HWR_NONE, .kv_blocks = 64, .window = 8,
                               .depth = 3, .ring_slots = 64, .policy = policy,
                               .overtake = HWR_NONE, .score_ticks = 2, .deliver = HWR_NONE,
                               .seats = 2, .staleness = 1, .options = options};
  int error = 1;
  hr_pipe_t *pipe = hr_pipe_open(&config, asked, requests, NULL, 1, &error);
  if (error != (pipe ? 0 : HR_NO_MEMORY)) fail("the error is another than that there is no memory");
  return pipe;
}

static int use_pipe(void) {
  hr_pipe_t *pipe = open_pipe(10, HWR_NONE);
  if (pipe) {
    hr_pipe_close(pipe);
  }
  return pipe != NULL;
}

// More events in one tick than the log has room for at first: the tick says so, and the run is over.
static int use_log(void) {
  hr_pipe_t *pipe = open_pipe(REQUESTS, 0);
  if (!pipe) {
    return 0;
  }
  const int error = hr_pipe_step(pipe, NULL, 0, NULL);
  if (error != 0 && error != HR_NO_MEMORY) fail("the tick has another error");
  if (error && hr_pipe_step(pipe, NULL, 0, NULL) != error) fail("the next tick has no error");
  hr_pipe_close(pipe);
  return error == 0;
}

static hw_device_t *open_device(void) {
  memset(segment, 0, sizeof segment);
  if (hd_format(segment, SEGMENT, WINDOW_AT, SEGMENT - WINDOW_AT, 0)) fail("no segment");
  return hd_open(segment, SEGMENT);
}

static hw_queue_t *open_queue(hw_device_t *device, int *failure) {
  const hd_geometry_t rings = {128, 8192 + 128, 0, 4u | 4u << 8, 0};
  hd_write32(device, HW_REG_RING_LOG2, rings.ring_log2, INT64_MAX);
  hd_write32(device, HW_REG_CMD_BASE_LO, (uint32_t)rings.cmd_base, INT64_MAX);
  hd_write32(device, HW_REG_DONE_BASE_LO, (uint32_t)rings.done_base, INT64_MAX);
  hd_write32(device, HW_REG_CTRL, HW_BIT(HW_CTRL_ENABLE_BIT), INT64_MAX);
  return hq_open(device, &rings, INT64_MAX, failure);
}

static int use_device(void) {
  hw_device_t *device = open_device();
  if (!device) {
    return 0;
  }
  hw_queue_t *queue = NULL;
  int failure = hd_start_workers(device, 3);
  if (failure == 0) {
    queue = open_queue(device, &failure);
    if (!queue && failure != HD_NO_MEMORY) fail("the queue's error is another one");
  } else if (failure != ENOMEM && failure != EAGAIN) {
    fail("the workers' error is another one");
  } else if (hd_start_workers(device, 1)) {
    fail("the workers cannot be started again");
  }
  if (queue) {
    hq_close(queue);
    hq_free(queue);
  }
  hd_close(device);
  hd_free(device);
  return queue != NULL;
}

// A queue on rings that do not fit, which is refused.
static int use_refused_queue(void) {
  hw_device_t *device = open_device();
  if (!device) {
    return 0;
  }
  const hd_geometry_t rings = {SEGMENT, 8192 + 128, 0, 4u | 4u << 8, 0};
  int failure = 0;
  if (hq_open(device, &rings, INT64_MAX, &failure)) fail("the queue is not refused");
  if (failure != HD_CORRUPT && failure != HD_NO_MEMORY) fail("the queue's error is another one");
  hd_close(device);
  hd_free(device);
  return failure == HD_CORRUPT;
}

// A role of a shared segment; one whose thread did not start can be taken again.
static int use_role(void) {
  hw_device_t *device = open_device();
  if (!device) {
    return 0;
  }
  const int file = memfd_create("segment", 0);
  if (file < 0) fail("no file to lock");
  const int failure = hd_join(device, file, HD_ROLE_HOST);
  if (failure) {
    if (failure != EAGAIN) fail("the error of joining is another one");
    if (hd_join(device, file, HD_ROLE_HOST)) fail("the role cannot be taken again");
  }
  hd_close(device);
  hd_free(device);
  close(file);
  return failure == 0;
}

static void try_each(const char *name, int (*use)(void)) {
  object = name;
  for (fails_at = 0;; ++fails_at) {
    taken = 0;
    const int worked = use();
    if (count) fail("a block is not given back");
    if (threads) fail("a thread is not joined");
    if (worked != (taken <= fails_at)) fail("whether there was memory is not what it returns");
    if (worked) {
      printf("%s: good, %d allocations\n", name, taken);
      return;
    }
  }
}

int main(void) {
  try_each("slab", use_slab);
  try_each("arena and tree", use_tree);
  for (policy = 0; policy <= HWR_POLICY_CUSTOM; ++policy) {
    try_each("policy", use_policy);
    for (options = 0; options < 16; options += 5) {
      try_each("run", use_pipe);
    }
  }
  policy = options = 0;
  try_each("log", use_log);
  try_each("device and queue", use_device);
  try_each("refused queue", use_refused_queue);
  try_each("role", use_role);
  fails_at = NEVER;
  return 0;
}
