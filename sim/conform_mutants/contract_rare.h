// SPDX-License-Identifier: Apache-2.0
//
// Ways for contract.c to be wrong only now and then: after a history, with a rare line, in time.
#include <time.h>

typedef struct { u32 lines, outcomes[11], last_two; line_t last; } history_t;

static u32 calls;  // of descring_dut_run by this process

static u64 milliseconds(void) {
  struct timespec now;
  timespec_get(&now, TIME_UTC);
  return (u64)now.tv_sec * 1000 + (u64)now.tv_nsec / 1000000;
}

// "again:a:b": a line that is as the one before it in b bytes from a on is dropped.
// "third:a:b": outcome b behind two others, a = 16 x the first + the second, is dropped.
// "many:a:b": outcome a is dropped from the b-th on.
static int is_dropped(history_t *h, const line_t *l, int outcome) {
  int drop = 0;
  if (is("again") && h->lines) drop |= !memcmp(l->b + wrong_a, h->last.b + wrong_a, (size_t)wrong_b);
  if (is_ab("third", h->last_two, outcome)) drop |= h->lines >= 2;
  if (is_a("many", outcome)) drop |= h->outcomes[outcome] >= (u32)wrong_b;
  h->lines++;
  h->outcomes[outcome]++;
  h->last = *l;
  h->last_two = (h->last_two << 4 | (u32)outcome) & 0xFF;
  return drop;
}

// "seed:a", "calls:a": the order is wrong with some seeds, and from the a-th stream on.
static int is_out_of_turn(const descring_stream_t *s) {
  if (is_a("seed", 0)) return s->seed > 1;
  if (is_a("seed", 1)) return s->seed >> 32 != 0;
  if (is_a("seed", 2)) return s->seed % 2 == 0;
  return is("calls") && ++calls > (u32)wrong_a;
}

// "equal:a:b": bit 0 of kv_offset is lost where the words at a and b are equal.
// "flags:a:b": a submission with flags a and outcome b; CHECKED does not count. It loses a flag.
static void rarely_wrong(line_t *l, u32 flags, int outcome, u32 *out) {
  if (is("equal") && get(l, (int)wrong_a, 4) == get(l, (int)wrong_b, 4)) l->b[16] ^= 1;
  if (is_ab("flags", flags & ~(u32)CHECKED, outcome)) *out ^= 0x40;
}
