// SPDX-License-Identifier: Apache-2.0
//
// Lines from one CPU to another without a product in between: the reference's way, and as bare as
// can be, which shows what the machine allows.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "reference_ring.h"

enum { BARE_BATCH = 256, BARE_SLOTS = REFERENCE_SLOTS, CACHED_SLOTS = 4096 };

typedef struct bare_ring {
  HW_LINE hw_word_t head;
  HW_LINE hw_word_t tail;
  HW_LINE hw_desc_t line[BARE_SLOTS];
} bare_ring_t;

// What a good queue of one writer and one reader does: each index on a line of its own beside the other
// side's as it was last seen, which is read again only where it does not suffice; a release store a
// line, no locked instruction.
typedef struct cached_ring {
  HW_LINE hw_word_t tail;
  uint32_t head_seen;
  HW_LINE hw_word_t head;
  uint32_t tail_seen;
  HW_LINE hw_desc_t line[CACHED_SLOTS];
} cached_ring_t;

typedef struct job {
  uint32_t lines;
  reference_ring_t *there;
  reference_ring_t *back;
  bare_ring_t *bare;
  cached_ring_t *cached;
} job_t;

static void push(reference_ring_t *ring, const hw_desc_t *line) {
  uint32_t spins = 0;
  while (reference_push(ring, line)) {
    give_way(&spins);
  }
}

static void pop(reference_ring_t *ring, hw_desc_t *line) {
  uint32_t spins = 0;
  while (reference_pop(ring, line)) {
    give_way(&spins);
  }
}

static void *push_all(void *argument) {
  const job_t *job = argument;
  for (uint32_t at = 0; at < job->lines; ++at) {
    hw_desc_t line;
    fill(&line, at);
    push(job->there, &line);
  }
  return NULL;
}

static void pop_all(const job_t *job) {
  for (uint32_t at = 0; at < job->lines; ++at) {
    hw_desc_t line;
    pop(job->there, &line);
    if (!is(&line, at, 0)) {
      fail("the reference ring gave a wrong line", at);
    }
  }
}

// The reference's worker: pop, decode token by token to the end or a reward boundary, push.
static void *work(void *argument) {
  const job_t *job = argument;
  for (uint32_t at = 0; at < job->lines; ++at) {
    hw_desc_t line;
    pop(job->there, &line);
    while (line.seq_len < line.max_tokens) {
      if (++line.seq_len >= line.max_tokens) {
        line.flags |= HW_FLAG_DONE;
      } else if (line.seq_len % HW_REWARD_INTERVAL == 0) {
        line.flags |= HW_FLAG_NEEDS_REWARD;
        break;
      }
    }
    push(job->back, &line);
  }
  return NULL;
}

// As the reference's own benchmark: a push a line, and now and then all completions that are there.
static void submit_and_take(const job_t *job) {
  uint32_t sent = 0, taken = 0, spins = 0;
  while (taken < job->lines) {
    hw_desc_t line;
    for (uint32_t turn = 0; turn < 256u && sent < job->lines; ++turn) {
      fill(&line, sent);
      if (reference_push(job->there, &line)) {
        break;
      }
      ++sent;
    }
    const uint32_t before = taken;
    while (reference_pop(job->back, &line) == 0) {
      if (!is(&line, taken, 1)) {
        fail("the reference's worker gave a wrong completion", taken);
      }
      ++taken;
    }
    if (taken == before) {
      give_way(&spins);
    }
  }
}

// A batch at a time: lines side by side, then one index; the other side's index only where needed.
static void *push_bare(void *argument) {
  const job_t *job = argument;
  bare_ring_t *ring = job->bare;
  uint32_t tail = 0, head = 0, spins = 0;
  while (tail < job->lines) {
    const uint32_t left = job->lines - tail;
    const uint32_t stop = tail + (left < BARE_BATCH ? left : BARE_BATCH);
    while (stop - head > BARE_SLOTS) {
      head = hw_get(&ring->head);
      give_way(&spins);
    }
    for (; tail != stop; ++tail) {
      fill(&ring->line[tail % BARE_SLOTS], tail);
    }
    hw_put(&ring->tail, tail);
  }
  return NULL;
}

static void pop_bare(const job_t *job) {
  bare_ring_t *ring = job->bare;
  uint32_t head = 0, spins = 0;
  while (head < job->lines) {
    const uint32_t tail = hw_get(&ring->tail);
    if (head == tail) {
      give_way(&spins);
      continue;
    }
    const uint32_t stop = tail - head < BARE_BATCH ? tail : head + BARE_BATCH;
    for (; head != stop; ++head) {
      if (!is(&ring->line[head % BARE_SLOTS], head, 0)) {
        fail("the bare ring gave a wrong line", head);
      }
    }
    hw_put(&ring->head, head);
  }
}

static void *push_cached(void *argument) {
  const job_t *job = argument;
  cached_ring_t *ring = job->cached;
  uint32_t spins = 0;
  for (uint32_t at = 0; at < job->lines; ++at) {
    while (at - ring->head_seen == CACHED_SLOTS) {
      ring->head_seen = hw_get(&ring->head);
      give_way(&spins);
    }
    fill(&ring->line[at % CACHED_SLOTS], at);
    hw_put(&ring->tail, at + 1u);
  }
  return NULL;
}

static void pop_cached(const job_t *job) {
  cached_ring_t *ring = job->cached;
  uint32_t spins = 0;
  for (uint32_t at = 0; at < job->lines; ++at) {
    while (at == ring->tail_seen) {
      ring->tail_seen = hw_get(&ring->tail);
      if (at == ring->tail_seen) {
        give_way(&spins);
      }
    }
    if (!is(&ring->line[at % CACHED_SLOTS], at, 0)) {
      fail("the queue with cached indices gave a wrong line", at);
    }
    hw_put(&ring->head, at + 1u);
  }
}

static double rate_of(job_t *job, void *(*there)(void *), void (*here)(const job_t *)) {
  pthread_t thread;
  run_on(1);
  const double start = seconds();
  pthread_create(&thread, NULL, there, job);
  run_on(0);
  here(job);
  pthread_join(thread, NULL);
  return job->lines / (seconds() - start);
}

static job_t open_job(uint32_t lines) {
  return (job_t){lines, zeroed(sizeof(reference_ring_t)), zeroed(sizeof(reference_ring_t)),
                 zeroed(sizeof(bare_ring_t)), zeroed(sizeof(cached_ring_t))};
}

static void close_job(job_t job) {
  free(job.there);
  free(job.back);
  free(job.bare);
  free(job.cached);
}

double ring_rate(ring_t ring, uint32_t lines) {
  job_t job = open_job(lines);
  const double rate = ring == RING_PER_LINE ? rate_of(&job, push_all, pop_all)
                      : ring == RING_CACHED ? rate_of(&job, push_cached, pop_cached)
                                            : rate_of(&job, push_bare, pop_bare);
  close_job(job);
  return rate;
}

void measure_rings(uint32_t lines) {
  print_rate("reference ring, one way", 1, ring_rate(RING_PER_LINE, lines));
  job_t job = open_job(lines);
  print_rate("reference rings and worker, there and back", 1, rate_of(&job, work, submit_and_take));
  close_job(job);
  print_rate("SPSC queue with cached indices, one way", 1, ring_rate(RING_CACHED, lines));
  print_rate("bare ring, one way", BARE_BATCH, ring_rate(RING_BATCHED, lines));
}

static struct {
  HW_LINE hw_word_t ping;
  HW_LINE hw_word_t pong;
} table_tennis;

static void *echo(void *argument) {
  const uint32_t rounds = *(const uint32_t *)argument;
  for (uint32_t round = 1; round <= rounds; ++round) {
    while (hw_get(&table_tennis.ping) != round) {
      hw_pause();
    }
    hw_put(&table_tennis.pong, round);
  }
  return NULL;
}

double line_round_trip(uint32_t rounds) {
  pthread_t thread;
  hw_put(&table_tennis.ping, 0);
  hw_put(&table_tennis.pong, 0);
  run_on(1);
  pthread_create(&thread, NULL, echo, &rounds);
  run_on(0);
  const uint64_t start = hw_now();
  for (uint32_t round = 1; round <= rounds; ++round) {
    hw_put(&table_tennis.ping, round);
    while (hw_get(&table_tennis.pong) != round) {
      hw_pause();
    }
  }
  const double took = (double)(hw_now() - start);
  pthread_join(thread, NULL);
  return took / rounds;
}

void measure_line(uint32_t rounds) {
  printf("{\"what\": \"one word to the other CPU and back\", \"samples\": %u, \"mean_ns\": %.0f}\n",
         rounds, line_round_trip(rounds));
}
