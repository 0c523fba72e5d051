// SPDX-License-Identifier: Apache-2.0
//
// The engine on records at random: half of them whole, the others with members, map or memory full of
// anything, also on top of each other. Each set of kernels must leave the same status and bytes, and
// nobody may touch a byte outside the arena. Whole ones are advanced again by three threads, and their
// attention is cut at random. Usage: engine ROLLOUTS [SEED]; or `engine halves` for the rounding of all
// 2^32 fp32. Exit code 0: all as it must be.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/inside.h"

enum { VOCABULARY = 40, BLOCKS = 6, TOKENS = 32 * BLOCKS, ROLLOUTS = 3, STEP = 2048, KINDS = 2 };
enum { FIRST = BLOCKS * ROLLOUTS * HWE_BLOCK_BYTES, BYTES = FIRST + ROLLOUTS * STEP };

static uint64_t dice;
static he_engine_t *engine[KINDS];
static int kinds;

static uint32_t roll(uint32_t below) {
  dice ^= dice << 13;
  dice ^= dice >> 7;
  dice ^= dice << 17;
  return (uint32_t)((dice >> 32) * below >> 32);
}

static void need(int holds, const char *what, uint64_t number) {
  if (!holds) {
    fprintf(stderr, "engine: rollout %llu: %s\n", (unsigned long long)number, what);
    exit(1);
  }
}

static uint32_t anything(void) {
  const uint32_t picks[] = {0, 1, 31, 32, TOKENS, BYTES, 0x7F800000u, 0x7FC00000u, ~0u, 1u << 31};
  return roll(3) ? picks[roll(sizeof picks / sizeof *picks)] : (uint32_t)(dice >> 20);
}

// One whole rollout: state, tokens and map behind its record, its blocks in any order.
static hwe_rollout_t whole(uint8_t *arena, uint32_t place, const uint32_t *order) {
  const uint64_t at = FIRST + (uint64_t)place * STEP;
  const float heat[] = {0.0f, 0.5f, 1.0f, 30.0f}, share[] = {1.0f, 0.9f, 0.2f, 0x1p-20f};
  hwe_rollout_t record = {.state = at + 64,
                          .blocks = at + 576,
                          .tokens = at + 640,
                          .seed = dice,
                          .prompt_tokens = 1 + roll(TOKENS),
                          .sample = place,
                          .temperature = heat[roll(4)],
                          .top_p = share[roll(4)],
                          .top_k = roll(2) ? 0 : roll(VOCABULARY + 2),
                          .eos = roll(4) ? HWE_NONE : roll(VOCABULARY)};
  uint32_t *tokens = (uint32_t *)(void *)(arena + record.tokens);
  uint32_t *map = (uint32_t *)(void *)(arena + record.blocks);
  for (uint32_t token = 0; token < TOKENS; ++token) {
    tokens[token] = roll(VOCABULARY);
  }
  memcpy(map, order + place * BLOCKS, BLOCKS * sizeof *map);
  memcpy(arena + at, &record, sizeof record);
  return record;
}

// Overwrite a member, an entry of the map, or memory.
static void damage(uint8_t *arena, uint64_t at) {
  hwe_rollout_t record;
  memcpy(&record, arena + at, sizeof record);
  const uint32_t word = anything();
  switch (roll(4)) {
    case 0: memcpy(arena + at + 4u * roll(16), &word, sizeof word); break;
    case 1: memcpy(arena + at + 576 + 4u * roll(BLOCKS), &word, sizeof word); break;
    case 2: memcpy(arena + at + 4u * roll(STEP / 4u), &word, sizeof word); break;
    default:
      // Tokens, map and state on top of each other, of the record, or of blocks.
      record.tokens = roll(2) ? record.tokens : 64ull * roll(BYTES / 64u);
      record.blocks = roll(2) ? record.blocks : 64ull * roll(BYTES / 64u);
      record.state = roll(2) ? record.state : at + 64ull * roll(STEP / 64u);
      memcpy(arena + at, &record, sizeof record);
  }
}

static void shuffle(uint32_t *order, uint32_t count) {
  for (uint32_t at = 0; at < count; ++at) {
    order[at] = at;
  }
  for (uint32_t at = count; at > 1; --at) {
    const uint32_t other = roll(at), kept = order[at - 1];
    order[at - 1] = order[other];
    order[other] = kept;
  }
}

// The same call for each set of kernels, each on its own copy; their bytes must be equal.
static void advance(uint8_t *const *arena, const uint64_t *records, const uint32_t *ends,
                    uint32_t count, uint32_t threads, uint32_t *statuses, uint64_t number) {
  for (int kind = 0; kind < kinds; ++kind) {
    uint32_t found[ROLLOUTS];
    need(he_advance(engine[kind], arena[kind], BYTES, records, ends, found, count, threads) == 0,
         "a call failed", number);
    if (kind == 0) {
      memcpy(statuses, found, count * sizeof *found);
    }
    need(memcmp(found, statuses, count * sizeof *found) == 0, "statuses differ", number);
    need(memcmp(arena[kind], arena[0], BYTES) == 0, "bytes differ", number);
  }
}

static void cut_attention(uint8_t *const *arena, const hwe_rollout_t *record, uint64_t number) {
  uint16_t query[HWE_DIMS];
  for (uint32_t d = 0; d < HWE_DIMS; ++d) {
    query[d] = (uint16_t)(0x3800u + roll(0x800u) + (roll(2) << 15));
  }
  const uint32_t tokens = 1 + roll(TOKENS);
  const uint32_t *map = (const uint32_t *)(const void *)(arena[0] + record->blocks);
  float expected[HWE_DIMS];
  for (int kind = 0; kind < kinds; ++kind) {
    for (uint32_t split = 0; split < 5; ++split) {
      float output[HWE_DIMS];
      const int status = he_attend(engine[kind], arena[0], BYTES, map, tokens, query, 1, split,
                                   output);
      need(status == HWE_STATUS_OK, "attention over a whole rollout is refused", number);
      if (kind == 0 && split == 0) {
        memcpy(expected, output, sizeof expected);
      }
      need(memcmp(output, expected, sizeof output) == 0, "outputs differ", number);
    }
  }
}

static uint64_t round_of(uint64_t number, uint8_t *const *arena) {
  uint32_t order[BLOCKS * ROLLOUTS], ends[ROLLOUTS], statuses[ROLLOUTS];
  uint64_t records[ROLLOUTS];
  memset(arena[0], 0, BYTES);
  shuffle(order, BLOCKS * ROLLOUTS);
  hwe_rollout_t record[ROLLOUTS];
  for (uint32_t place = 0; place < ROLLOUTS; ++place) {
    records[place] = FIRST + (uint64_t)place * STEP;
    record[place] = whole(arena[0], place, order);
    ends[place] = roll(TOKENS + 1);
  }
  const int damaged = roll(2);
  for (int kind = 1; kind < kinds; ++kind) {
    memcpy(arena[kind], arena[0], BYTES);
  }
  if (!damaged) {
    advance(arena, records, ends, ROLLOUTS, 1 + roll(3), statuses, number);
    for (uint32_t place = 0; place < ROLLOUTS; ++place) {
      need(statuses[place] == HWE_STATUS_OK, "a whole rollout is refused", number + place);
      ends[place] = TOKENS;
    }
    advance(arena, records, ends, ROLLOUTS, 3, statuses, number);
    cut_attention(arena, &record[roll(ROLLOUTS)], number);
    return ROLLOUTS;
  }
  for (uint32_t turn = 0; turn < 4; ++turn) {
    damage(arena[0], records[0]);
    for (int kind = 1; kind < kinds; ++kind) {
      memcpy(arena[kind], arena[0], BYTES);
    }
    ends[0] = roll(8) ? roll(TOKENS + 1) : anything();
    advance(arena, records, ends, 1, 1, statuses, number);
  }
  return 1;
}

static int all_halves(void) {
  enum { BATCH = 1 << 16 };
  static float values[BATCH];
  static uint16_t plain[BATCH], quick[BATCH];
  uint64_t differ = 0;
  for (uint64_t first = 0; first < 1ull << 32; first += BATCH) {
    for (uint32_t at = 0; at < BATCH; ++at) {
      values[at] = hwe_float((uint32_t)first + at);
    }
    he_to_half(NULL, values, BATCH, plain);
    he_to_half(engine[kinds - 1], values, BATCH, quick);
    for (uint32_t at = 0; at < BATCH; ++at) {
      differ += plain[at] != quick[at];
    }
  }
  printf("engine: 2^32 fp32 rounded to fp16 in integers and by %s: %llu differ\n",
         he_kernels_name(engine[kinds - 1]), (unsigned long long)differ);
  return differ != 0;
}

int main(int count, char **arguments) {
  const int wanted[KINDS] = {HE_KERNELS_SCALAR, HE_KERNELS_AVX2};
  for (; kinds < KINDS; ++kinds) {
    int error;
    engine[kinds] = he_open(VOCABULARY, wanted[kinds], &error);
    if (!engine[kinds]) {
      need(error == HE_NO_KERNELS, "an engine that does not open", 0);
      break;
    }
  }
  if (count > 1 && strcmp(arguments[1], "halves") == 0) {
    return all_halves();
  }
  const uint64_t rollouts = count > 1 ? strtoull(arguments[1], NULL, 10) : 1000;
  dice = 88172645463325252ull ^ (count > 2 ? strtoull(arguments[2], NULL, 10) : 1);
  uint8_t *arena[KINDS];
  for (int kind = 0; kind < kinds; ++kind) {
    arena[kind] = aligned_alloc(64, BYTES);
    need(arena[kind] != NULL, "no memory", 0);
  }
  uint64_t done = 0;
  while (done < rollouts) {
    done += round_of(done, arena);
  }
  for (int kind = 0; kind < kinds; ++kind) {
    free(arena[kind]);
    he_close(engine[kind]);
  }
  printf("engine: %llu rollouts by %d sets of kernels: the same bytes, none outside\n",
         (unsigned long long)done, kinds);
  return rollouts == 0;
}
