// SPDX-License-Identifier: Apache-2.0
//
// An implementation of the contract at both levels, written from its text alone, that is wrong as
// the environment variable WRONG names it: "family:a:b", one way to get one statement wrong. Without it
// everything is right. proof/statements.py has the families, and the rule that each breaks.
#include "descring_dut.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOP, DECODE, REWARD, PREFILL, ROLLOUT, STOP = 255 };
enum { PAUSED = 1, DONE = 2, STOPPED = 8, ERROR = 16, CHECKED = 32, OWNED = 0xFF1B };
enum { BAD_CHECKSUM = 1, BAD_OPCODE, BAD_TAG };
typedef uint32_t u32;
typedef uint64_t u64;
typedef struct { uint8_t b[64]; } line_t;

static char family[40];
static long wrong_a, wrong_b;
static void forget(void);

static void choose(void) {
  static char chosen[80];
  const char *text = getenv("WRONG");
  family[0] = 0;
  wrong_a = wrong_b = -1;
  if (text) sscanf(text, "%39[^:]:%ld:%ld", family, &wrong_a, &wrong_b);
  if (!text || strcmp(text, chosen)) forget();
  snprintf(chosen, sizeof chosen, "%s", text ? text : "");
}
static int is(const char *name) { return !strcmp(family, name); }
static int is_a(const char *name, long a) { return is(name) && wrong_a == a; }
static int is_ab(const char *name, long a, long b) { return is_a(name, a) && wrong_b == b; }

static u32 get(const line_t *l, int at, int bytes) {
  u32 value = 0;
  while (bytes--) value = value << 8 | l->b[at + bytes];
  return value;
}
static void put(line_t *l, int at, int bytes, u32 value) {
  for (int k = 0; k < bytes; k++) l->b[at + k] = (uint8_t)(value >> 8 * k);
}

static u32 crc(const line_t *l) {
  u32 c = ~0u;
  const int count = is("crc-covers") ? (int)wrong_a : 60;
  for (int at = 0; at < count; at++) {
    c ^= is_a("crc-byte", at) ? 0 : l->b[at];
    for (int k = 0; k < 8; k++) c = c >> 1 ^ (c & 1 ? 0x82F63B78u : 0);
  }
  return is("crc-plain") ? c : ~c;
}

static u32 swapped(u32 v) { return v << 24 | (v & 0xFF00) << 8 | (v >> 8 & 0xFF00) | v >> 24; }

static int crc_is_good(const line_t *l) {
  const u32 given = get(l, 60, 4), right = crc(l);
  if (is_a("crc-accepts", 0) && given == 0) return 1;
  if (is_a("crc-accepts", 1) && given == ~0u) return 1;
  if (is_a("crc-accepts", 2) && given == ~right) return 1;
  if (is_a("crc-accepts", 3) && given == swapped(right)) return 1;
  if (is_a("crc-accepts", 4) && given == get(l, 56, 4)) return 1;
  if (is_a("crc-accepts", 5) && given == right + 1) return 1;
  if (is_a("crc-rejects", 0) && right == 0) return 0;
  if (is_a("crc-rejects", 1) && right == ~0u) return 0;
  return is("crc-bit") ? !((given ^ right) & ~(1u << wrong_a)) : given == right;
}

static u32 score(u32 length) {
  const u32 low = is_a("score", 0) ? length & 127 : length & 255;
  float f = (float)low / (is_a("score", 1) ? 256.0f : 255.0f);
  u32 bits;
  memcpy(&bits, &f, 4);
  if (is_a("score", 2) && bits && (float)((double)low / 255.0) == f && (low & 3) == 3) bits--;
  return bits;
}

// Outcomes by number, as families.py numbers them.
enum { O_NOP, O_PAUSE, O_LIMIT, O_NOTHING, O_REWARD, O_PREFILL, O_ROLLOUT, O_STOP, O_CRC, O_TAG, O_OP };

typedef struct { u32 result, tokens; int outcome, checked, sealed; } step_t;

#include "contract_rare.h"

static void forget(void) { calls = 0; }

static u32 decode(line_t *l, u32 length, u32 most, step_t *step) {
  const u32 interval = is("interval") ? (u32)wrong_a : 32;
  if (is("decode-bits")) length &= (u32)((1ull << wrong_a) - 1);
  if (is("limit-bits")) most &= (u32)((1ull << wrong_a) - 1);
  if (is("decode-signed") ? (int32_t)length >= (int32_t)most : length >= most) return O_NOTHING;
  u64 next = ((u64)length / interval + 1) * interval, end = most;
  if (is("from-start")) next = (u64)length + interval;
  if (is("top-wraps")) next = (u32)next;
  if (next < end || (is("done-loses") && next == end)) {
    end = next;
    step->result = PAUSED;
  }
  step->tokens = (u32)(end - length);
  put(l, 32, 4, (u32)end);
  return step->result == PAUSED ? O_PAUSE : O_LIMIT;
}

static step_t execute(line_t *l, u32 index, int require, int halting) {
  step_t step = {DONE, 0, O_OP, 0, 0};
  const u32 flags = get(l, 2, 2), length = get(l, 32, 4), most = get(l, 36, 4);
  u32 opcode = get(l, 0, 2), code = 0, real = opcode;
  if (is("alias") && opcode == (u32)wrong_a) opcode = (u32)wrong_b;
  if (is("opcode-bits")) opcode &= (1u << wrong_a) - 1;
  if (is("opcode-dropped") && opcode == (u32)wrong_a) opcode = 0x7777;
  const int known = opcode <= ROLLOUT || opcode == STOP;
  step.checked = (flags & CHECKED) != 0;
  const u32 away = get(l, 56, 4) ^ index;
  int tag_good = is("tag-bit") ? !(away & ~(1u << wrong_a)) : !away;
  if (is("tag-window") && index - get(l, 56, 4) == (u32)wrong_a) tag_good = 1;
  int crc_good = crc_is_good(l);
  if (is("skips-crc") && real == (u32)wrong_a) crc_good = 1;
  if (is("skips-tag") && real == (u32)wrong_a) tag_good = 1;
  if (step.checked && !crc_good) code = BAD_CHECKSUM;
  else if (!step.checked && require && !is_a("require-except", real)) code = BAD_CHECKSUM;
  else if (step.checked && !tag_good) code = BAD_TAG;
  else if (!known) code = BAD_OPCODE;
  if (code && !known && is_a("order", 0)) code = BAD_OPCODE;
  if (step.checked && !tag_good && is_a("order", 1)) code = BAD_TAG;
  if (code == BAD_TAG && !known && is_a("order", 2)) code = BAD_OPCODE;
  if (code == BAD_CHECKSUM && !step.checked && is_a("require-code", real & 3)) code = BAD_OPCODE;
  step.outcome = code == BAD_CHECKSUM ? O_CRC : code == BAD_TAG ? O_TAG : O_OP;
  if (!code) switch (opcode) {
    case NOP: step.outcome = O_NOP; break;
    case DECODE: step.outcome = (int)decode(l, length, most, &step); break;
    case REWARD: put(l, 44, 4, score(is("score-of-limit") ? most : length)); step.outcome = O_REWARD; break;
    case PREFILL: {
      u32 to = is_a("prefill", 0) ? most : most > length ? most : length;
      if (is_a("prefill", 1) && to > (length | 31) + 1 && (length | 31) != ~0u) to = (length | 31) + 1;
      if (is_a("prefill", 2)) to = (int32_t)most > (int32_t)length ? most : length;
      if (is_a("prefill", 3)) to &= 0xFFFF;
      put(l, 32, 4, to);
      if (is_a("prefill", 4)) step.tokens = to - length;
      step.outcome = O_PREFILL;
      break;
    }
    case ROLLOUT: {
      u32 end = most > length ? most : length;
      if (is_a("rollout", 0) && (length / 32 + 1) * 32ull < end) end = (length / 32 + 1) * 32;
      if (is_a("rollout", 1) && end - length > 0xFFFF) end = length + ((end - length) & 0xFFFF);
      if (is_a("rollout", 2)) end = most;
      step.tokens = is_a("rollout", 3) ? 0 : end - length;
      put(l, 32, 4, end);
      if (!is_a("rollout", 4)) put(l, 44, 4, score(is_a("rollout", 5) ? length : end));
      step.outcome = O_ROLLOUT;
      break;
    }
    case STOP: step.result = STOPPED; step.outcome = O_STOP; break;
  }
  if (code) step.result = ERROR;
  u32 out = (flags & ~(u32)OWNED) | step.result | code << 8;
  if (require && !is_a("require-unsealed", step.outcome)) out |= CHECKED;
  for (int bit = 0; bit < 16; bit++) {
    if (is_ab("echoes", bit, step.outcome)) out |= flags & 1u << bit;
    if (is_ab("sets", bit, step.outcome)) out |= 1u << bit;
    if (is_ab("drops", bit, step.outcome)) out &= ~(1u << bit);
  }
  rarely_wrong(l, flags, step.outcome, &out);
  put(l, 2, 2, out);
  if (is("field") && step.outcome == wrong_b) l->b[wrong_a] &= 0x7F;
  if (code && halting && real == STOP && is_a("refused-halts", code == BAD_TAG ? 1 : step.checked ? 0 : 2))
    step.result = STOPPED;
  step.sealed = (out & CHECKED) != 0;
  return step;
}

static void seal(line_t *l, const step_t *step, u32 index, u32 first, u32 submitted, int modes) {
  if (!step->sealed) return;
  if (is_a("seal-tag", 0)) index = submitted;
  if (is_a("seal-tag", 1)) index++;
  if (is_a("seal-tag", 2) && index < first) index--;
  if (is_a("seal-tag", 3) && index < first && step->outcome == O_PAUSE) index--;
  if (is_a("seal-tag", 4)) index &= 0xFFFF;
  if (is_a("seal-tag", 5) && step->outcome == O_PAUSE) index ^= 1;
  put(l, 56, 4, index);
  put(l, 60, 4, crc(l));
  if (is_a("seal-crc", step->outcome)) l->b[60] ^= 1;
  if (is_ab("seal-in-mode", modes, step->outcome)) l->b[63] ^= 0x80;
}

u32 descring_dut_abi(void) { return DESCRING_DUT_ABI; }

int descring_dut_run(const descring_stream_t *s, const void *lines, size_t count, void *done,
                     size_t *done_count, void *reward, size_t *reward_count) {
  choose();
  const line_t *in = lines;
  line_t *out[2] = {done, reward};
  size_t posted[2] = {0, 0};
  const int require = (s->flags & DESCRING_REQUIRE_CHECKED) != 0;
  const int split = (s->flags & DESCRING_SPLIT_REWARD) != 0, halt = (s->flags & DESCRING_HALT) != 0;
  const u32 first = is("first-index") ? 0 : s->first_index;
  int leaking = 0;
  history_t past = {0};
  for (size_t i = 0; i < count; i++) {
    line_t l = in[i];
    const u32 index = first + (u32)i;
    step_t step = execute(&l, index, require, halt);
    if (leaking && !(is_ab("leaks", step.outcome, step.checked))) break;
    int to = split && step.outcome == O_PAUSE;
    if (is_a("split-too", step.outcome) && split) to = 1;
    if (is("split-ignored")) to = 0;
    if (is("lost") && i == (size_t)wrong_a) continue;
    if (is_dropped(&past, &in[i], step.outcome)) continue;
    if (is_a("length", (long)count) && i + 1 == count) continue;
    seal(&l, &step, first + (u32)posted[to], first, index, require | split << 1 | halt << 2);
    out[to][posted[to]++] = l;
    if (is("swapped") && i == (size_t)wrong_a && !to && posted[0] > 1) {
      line_t other = out[0][posted[0] - 2];
      out[0][posted[0] - 2] = l;
      out[0][posted[0] - 1] = other;
    }
    if (leaking) break;
    if (step.result == STOPPED && halt && !is_a("stop", 0)) {
      if (!is("leaks")) break;
      leaking = 1;
    }
  }
  if (is_out_of_turn(s) && posted[0] > 1) {
    const line_t last = out[0][posted[0] - 1];
    out[0][posted[0] - 1] = out[0][posted[0] - 2];
    out[0][posted[0] - 2] = last;
  }
  *done_count = posted[0];
  *reward_count = posted[1];
  return 0;
}

#include "contract_device.h"
