// SPDX-License-Identifier: Apache-2.0
//
// The baseline: a pipeline that behaves as the reference's, written from scratch from its behaviour. Six
// queues of ids, 4096 each; 8192 slots whose states are swapped; credits for decode, reward and
// trajectory; batches of up to 32 descriptors with one commit, each stamped with its place and the
// batch's size; a worker that makes one token a step; a score by the host.
#include <pthread.h>
#include <stdlib.h>

#include "bench.h"
#include "reference_ring.h"

enum { SLOTS = 8192, ROOM = 4096, BATCH = 32, CREDITS = 1024 };
enum { FREE, PREFILL_READY, DECODING, REWARD_PENDING, TRAJECTORY_READY, DONE, QUEUES = 6 };

typedef struct ids {
  uint32_t id[ROOM];
  uint32_t head;
  uint32_t tail;
} ids_t;

typedef struct reference {
  reference_ring_t *command;
  reference_ring_t *done;
  ids_t queue[QUEUES];
  _Atomic uint32_t state[SLOTS];
  uint32_t length[SLOTS];
  float score[SLOTS];
  uint32_t credits[QUEUES];
  uint64_t legs;
  hw_word_t stop;
} reference_t;

static int push(ids_t *queue, uint32_t id) {
  if (queue->tail - queue->head == ROOM) {
    return 0;
  }
  queue->id[queue->tail++ % ROOM] = id;
  return 1;
}

static int pop(ids_t *queue, uint32_t *id) {
  if (queue->head == queue->tail) {
    return 0;
  }
  *id = queue->id[queue->head++ % ROOM];
  return 1;
}

static void move(reference_t *all, uint32_t id, uint32_t from, uint32_t to) {
  uint32_t expected = from;
  if (!atomic_compare_exchange_strong(&all->state[id], &expected, to) ||
      !push(&all->queue[to], id)) {
    fail("a rollout is not where it must be", id);
  }
}

static void *work(void *argument) {
  reference_t *all = argument;
  uint32_t spins = 0;
  hw_desc_t line;
  while (!hw_get(&all->stop)) {
    if (reference_pop(all->command, &line)) {
      give_way(&spins);
      continue;
    }
    line.flags = 0;
    do {  // one token a step
      if (line.seq_len < line.max_tokens) {
        ++line.seq_len;
      }
      __asm__ volatile("" : "+m"(line.seq_len));
    } while (line.seq_len < line.max_tokens && line.seq_len % HW_REWARD_INTERVAL);
    line.flags = line.seq_len >= line.max_tokens ? HW_FLAG_DONE : HW_FLAG_NEEDS_REWARD;
    while (reference_push(all->done, &line)) {
      give_way(&spins);
    }
  }
  return NULL;
}

// Up to a batch of lines, committed by one store of the tail.
static uint32_t submit(reference_t *all, uint32_t longest) {
  reference_ring_t *ring = all->command;
  ids_t *ready = &all->queue[DECODING];
  const uint32_t waiting = ready->tail - ready->head;
  const uint32_t count = waiting < BATCH ? waiting : BATCH;
  const uint32_t tail = reference_load(&ring->tail);
  if (count == 0 || tail + count - reference_load(&ring->head) > REFERENCE_SLOTS) {
    return 0;
  }
  for (uint32_t at = 0; at < count; ++at) {
    uint32_t id = 0;
    pop(ready, &id);
    hw_desc_t *line = &ring->line[(tail + at) % REFERENCE_SLOTS];
    *line = (hw_desc_t){.opcode = HW_OPCODE_DECODE,
                        .rollout_id = id,
                        .kv_offset = (uint64_t)id * 16384u,
                        .seq_len = all->length[id],
                        .max_tokens = longest,
                        .user_data = (uint64_t)count << 32 | at};
    line->checksum_or_cookie = line->kv_offset ^ (uint64_t)id << 32;
  }
  reference_store(&ring->tail, tail + count);
  return count;
}

// The states behind a completion, each through its queue.
static void finish(reference_t *all, uint32_t *ended) {
  uint32_t id;
  while (all->credits[REWARD_PENDING] < CREDITS && pop(&all->queue[REWARD_PENDING], &id)) {
    ++all->credits[REWARD_PENDING];
    all->score[id] = (float)(all->length[id] & 255u) / 255.0f;
    --all->credits[REWARD_PENDING];
    move(all, id, REWARD_PENDING, TRAJECTORY_READY);
  }
  while (all->credits[TRAJECTORY_READY] < CREDITS && pop(&all->queue[TRAJECTORY_READY], &id)) {
    move(all, id, TRAJECTORY_READY, DONE);
  }
  while (pop(&all->queue[DONE], &id)) {
    --all->credits[DECODING];
    ++*ended;
    move(all, id, DONE, FREE);
  }
}

double reference_pipeline(uint32_t rollouts, uint32_t prompt, uint32_t longest) {
  reference_t *all = aligned_alloc(64, (sizeof *all + 63u) & ~63ul);
  reference_ring_t *rings = aligned_alloc(64, 2 * sizeof *rings);
  if (!all || !rings) {
    fail("no memory for the reference", 0);
  }
  memset(all, 0, sizeof *all);
  memset(rings, 0, 2 * sizeof *rings);
  all->command = &rings[0];
  all->done = &rings[1];
  for (uint32_t id = 0; id < ROOM; ++id) {
    push(&all->queue[FREE], id);
  }
  pthread_t worker;
  run_on(1);
  if (pthread_create(&worker, NULL, work, all)) {
    fail("no worker thread", 0);
  }
  run_on(0);
  uint32_t admitted = 0, ended = 0, spins = 0, id;
  const double start = seconds();
  while (ended < rollouts) {
    while (admitted < rollouts && all->credits[DECODING] < CREDITS && pop(&all->queue[FREE], &id)) {
      all->length[id] = prompt;
      ++all->credits[DECODING];
      ++admitted;
      move(all, id, FREE, PREFILL_READY);
    }
    while (pop(&all->queue[PREFILL_READY], &id)) {
      move(all, id, PREFILL_READY, DECODING);
    }
    const uint32_t sent = submit(all, longest);
    hw_desc_t line;
    uint32_t taken = 0;
    for (; reference_pop(all->done, &line) == 0; ++taken) {
      ++all->legs;
      all->length[line.rollout_id] = line.seq_len;
      if (line.flags == HW_FLAG_DONE) {
        move(all, line.rollout_id, DECODING, REWARD_PENDING);
      } else if (!push(&all->queue[DECODING], line.rollout_id)) {
        fail("the queue is full", line.rollout_id);
      }
    }
    finish(all, &ended);
    if (!sent && !taken) {
      give_way(&spins);
    }
  }
  const double took = seconds() - start;
  hw_put(&all->stop, 1);
  pthread_join(worker, NULL);
  const uint64_t legs = (uint64_t)rollouts * ((longest - prompt) / HW_REWARD_INTERVAL);
  if (all->legs != legs || all->credits[DECODING]) {
    fail("the reference did not end as it must", (uint32_t)all->legs);
  }
  free(rings);
  free(all);
  return (double)legs / took;
}
