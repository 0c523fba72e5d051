// SPDX-License-Identifier: Apache-2.0
//
// KV blocks, prefixes, policies and the trace of the rollout core, each beside the plain way to do the
// same, in CPU time of one thread. What was timed is checked: blocks, orders and events.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench.h"
#include "hw_trace.h"
#include "rollouts/policy.h"
#include "rollouts/tree.h"

static uint64_t dice = 88172645463325252ull;

static uint32_t roll(uint32_t below) {
  dice ^= dice << 13;
  dice ^= dice >> 7;
  dice ^= dice << 17;
  return (uint32_t)((dice >> 32) * below >> 32);
}

enum { BLOCKS = 1 << 20, AWAY = 4096 };

// Plain: one bitmap, searched from its start.
static uint32_t scan(uint64_t *word, uint32_t words) {
  for (uint32_t at = 0; at < words; ++at) {
    if (word[at]) {
      const uint32_t block = at * 64u + (uint32_t)__builtin_ctzll(word[at]);
      word[at] &= word[at] - 1u;
      return block;
    }
  }
  fail("no free block", words);
}

static void measure_fill(uint32_t rounds, uint32_t percent) {
  hr_arena_t *arena = hr_arena_open(BLOCKS, HWR_BLOCK_BYTES, NULL);
  uint64_t *word = zeroed(BLOCKS / 8);
  uint64_t *handle = zeroed(BLOCKS * sizeof *handle);
  memset(word, 0xFF, BLOCKS / 8);
  for (uint32_t block = 0; block < BLOCKS; ++block) {
    hr_arena_alloc(arena, &handle[block]);
  }
  for (uint32_t block = 0; block < BLOCKS; ++block) {
    if (roll(100) >= percent) {
      hr_arena_release(arena, handle[block]);
      handle[block] = 0;
    } else {
      word[block / 64] &= ~(1ull << block % 64);
    }
  }
  char detail[32];
  snprintf(detail, sizeof detail, "%u %% of 2^20 blocks in use", percent);
  static uint64_t taken[AWAY];
  static uint32_t plain[AWAY];
  double ours = 0, theirs = 0, given = 0;
  uint32_t done = 0;
  for (; done < rounds; done += AWAY) {
    double start = cpu_seconds();
    for (uint32_t at = 0; at < AWAY; ++at) {
      hr_arena_alloc(arena, &taken[at]);
    }
    ours += cpu_seconds() - start;
    const uint32_t some = done ? 0 : AWAY;  // the scan is slow
    start = cpu_seconds();
    for (uint32_t at = 0; at < some; ++at) {
      plain[at] = scan(word, BLOCKS / 64);
    }
    theirs += cpu_seconds() - start;
    for (uint32_t at = 0; at < some; ++at) {
      if ((uint32_t)taken[at] != plain[at]) {
        fail("not the lowest free block", at);
      }
    }
    // In any order, as branches end.
    for (uint32_t at = AWAY - 1; at > 0; --at) {
      const uint32_t other = roll(at + 1);
      const uint64_t swapped = taken[at];
      taken[at] = taken[other];
      taken[other] = swapped;
    }
    start = cpu_seconds();
    for (uint32_t at = 0; at < AWAY; ++at) {
      if (hr_arena_release(arena, taken[at])) {
        fail("a block was not released", at);
      }
    }
    given += cpu_seconds() - start;
  }
  print_ns("block alloc", detail, ours / done * 1e9);
  print_ns("block free", detail, given / done * 1e9);
  print_ns("block alloc, plain: one bitmap from its start", detail, theirs / AWAY * 1e9);
  hr_arena_close(arena);
  free(word);
  free(handle);
}

void measure_arena(uint32_t rounds) {
  measure_fill(rounds, 1);
  measure_fill(rounds, 50);
  measure_fill(rounds, 99);
}

// Plain: a count a block, raised by each fork and lowered by each release.
static double measure_counts(uint32_t rounds, uint32_t blocks) {
  uint32_t *count = zeroed(blocks * sizeof *count), *map = zeroed(blocks * sizeof *map);
  for (uint32_t block = 0; block < blocks; ++block) {
    map[block] = block * 7u % blocks;
  }
  const double start = cpu_seconds();
  for (uint32_t round = 0; round < rounds; ++round) {
    for (uint32_t block = 0; block < blocks; ++block) {
      ++count[map[block]];
    }
    __asm__ volatile("" ::: "memory");
    for (uint32_t block = 0; block < blocks; ++block) {
      --count[map[block]];
    }
    __asm__ volatile("" ::: "memory");
  }
  const double took = (cpu_seconds() - start) / rounds * 1e9;
  for (uint32_t block = 0; block < blocks; ++block) {
    if (count[block]) {
      fail("a count is left", block);
    }
  }
  free(count);
  free(map);
  return took;
}

void measure_tree(uint32_t rounds) {
  static const uint32_t lengths[] = {32, 4096, 1 << 20};
  for (int at = 0; at < 3; ++at) {
    hr_arena_t *arena = hr_arena_open(BLOCKS, HWR_BLOCK_BYTES, NULL);
    hr_tree_t *tree = hr_tree_open(arena, 4, 1024);
    uint32_t node, branch, fixed;
    if (hr_tree_node(tree, 0, lengths[at], &node) ||
        hr_tree_fork(tree, node, lengths[at] + 64, &fixed)) {
      fail("no prefix", lengths[at]);
    }
    const uint32_t used = arena->in_use, reserved = arena->reserved;
    hr_released_t released;
    const double start = cpu_seconds();
    for (uint32_t round = 0; round < rounds; ++round) {
      if (hr_tree_fork(tree, node, lengths[at] + 64, &branch) ||
          hr_tree_release(tree, branch, &released)) {
        fail("no fork", round);
      }
    }
    const double took = (cpu_seconds() - start) / rounds * 1e9;
    if (arena->in_use != used || arena->reserved != reserved || released.left != 2 ||
        hr_tree_node_count(tree, node) != 1) {
      fail("a fork and its release left something", at);
    }
    char detail[32];
    snprintf(detail, sizeof detail, "prefix of %u tokens", lengths[at]);
    print_ns("fork and release", detail, took);
    print_ns("fork and release, plain: a count a block", detail,
             measure_counts(rounds / (lengths[at] / 8) + 1, lengths[at] / 32));
    hr_tree_close(tree);
    hr_arena_close(arena);
  }
}

enum { DEEP = 4096 };

// Plain: all entries, searched for the least (rank, sequence number).
static double measure_search(uint32_t rounds) {
  hr_rank_t *entry = zeroed(DEEP * sizeof *entry);
  for (uint32_t at = 0; at < DEEP; ++at) {
    entry[at] = (hr_rank_t){roll(1 << 20), at, at};
  }
  int64_t before = -1;
  const double start = cpu_seconds();
  for (uint32_t round = 0; round < rounds; ++round) {
    uint32_t least = 0;
    for (uint32_t at = 1; at < DEEP; ++at) {
      if (entry[at].rank < entry[least].rank ||
          (entry[at].rank == entry[least].rank && entry[at].sequence < entry[least].sequence)) {
        least = at;
      }
    }
    if (entry[least].rank < before) {
      fail("out of order", round);
    }
    before = entry[least].rank;
    entry[least] = (hr_rank_t){before + roll(1 << 20), DEEP + round, least};
  }
  const double took = (cpu_seconds() - start) / rounds * 1e9;
  free(entry);
  return took;
}

void measure_policies(uint32_t rounds) {
  static const char *const names[] = {"FIFO", "SHORTEST_REMAINING", "LONGEST_REMAINING", "PREFIX",
                                      "CUSTOM"};
  int64_t *rank = zeroed(DEEP * sizeof *rank);
  for (uint32_t policy = 0; policy <= HWR_POLICY_CUSTOM; ++policy) {
    for (uint32_t overtake = HWR_NONE;; overtake = 1u << 16) {
      hr_policy_t *queue = hr_policy_open(policy, overtake, DEEP, 256);
      for (uint32_t entry = 0; entry < DEEP; ++entry) {
        rank[entry] = roll(1 << 20);
        hr_policy_push(queue, entry, entry % 256, (uint32_t)rank[entry], rank[entry]);
      }
      int64_t before = -1;
      const double start = cpu_seconds();
      for (uint32_t round = 0; round < rounds; ++round) {
        uint32_t entry;
        hr_policy_pop(queue, &entry);
        const int64_t now = rank[entry];
        if (policy == HWR_POLICY_CUSTOM && overtake == HWR_NONE && now < before) {
          fail("out of order", round);
        }
        before = now;
        rank[entry] = now + roll(1 << 20);
        hr_policy_push(queue, entry, entry % 256, (uint32_t)(rank[entry] & 0xFFFFF), rank[entry]);
      }
      const double took = (cpu_seconds() - start) / rounds * 1e9;
      if (hr_policy_count(queue) != DEEP) {
        fail("an entry is lost", policy);
      }
      char what[64];
      snprintf(what, sizeof what, "policy push and pop%s",
               overtake == HWR_NONE ? "" : ", overtake bound 65536");
      print_ns(what, names[policy], took);
      hr_policy_close(queue);
      if (overtake != HWR_NONE) {
        break;
      }
    }
  }
  print_ns("policy push and pop, plain: search of all entries", "CUSTOM",
           measure_search(rounds / 256 + 1));
  free(rank);
}

enum { TRACED = 1 << 16 };

// Plain: the time of day, and the place by a counter that threads share.
static double measure_shared_trace(uint32_t rounds) {
  hwr_trace_t *events = zeroed(TRACED * sizeof *events);
  static _Atomic uint64_t written;
  const double start = cpu_seconds();
  for (uint32_t round = 0; round < rounds; ++round) {
    hwr_trace_t *to = &events[atomic_fetch_add(&written, 1) % TRACED];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    *to = (hwr_trace_t){.host = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
                        .rollout = round,
                        .event = HWR_TRACE_POSTED};
  }
  const double took = (cpu_seconds() - start) / rounds * 1e9;
  if (events[(rounds - 1) % TRACED].rollout != rounds - 1) {
    fail("an event is lost", rounds);
  }
  free(events);
  return took;
}

hw_trace_ring_t *open_trace(void) {
  hw_trace_ring_t *ring = zeroed(sizeof *ring + TRACED * sizeof(hwr_trace_t));
  ring->head.mask = TRACED - 1;
  return ring;
}

void measure_trace(uint32_t rounds) {
  hw_trace_ring_t *ring = open_trace();
  const double start = cpu_seconds();
  for (uint32_t round = 0; round < rounds; ++round) {
    hw_trace(ring, HWR_TRACE_POSTED, round, round & 0xFFFFFFu, HW_OPCODE_DECODE, HWR_CLOCK_HOST, 0);
  }
  const double took = (cpu_seconds() - start) / rounds * 1e9;
  const hwr_trace_t *events = (const hwr_trace_t *)(ring + 1);
  uint64_t before = 0;
  for (uint32_t at = 0; at < TRACED && at < rounds; ++at) {
    const uint32_t round = rounds < TRACED ? at : rounds - TRACED + at;
    const hwr_trace_t *event = &events[round % TRACED];
    if (event->rollout != round || event->event != HWR_TRACE_POSTED || event->host < before) {
      fail("an event is wrong", round);
    }
    before = event->host;
  }
  if (ring->head.written != rounds) {
    fail("events were not counted", (uint32_t)ring->head.written);
  }
  print_ns("trace event", "a ring of 65536", took);
  print_ns("trace event, plain: clock_gettime and a shared counter", "a ring of 65536",
           measure_shared_trace(rounds));
  free(ring);
}
