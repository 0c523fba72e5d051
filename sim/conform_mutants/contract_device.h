// SPDX-License-Identifier: Apache-2.0
//
// The device level of contract.c: registers, and rings in memory.

enum { READY = 1, RUNNING = 2, HALTED = 4, BAD_CONFIG = 0x100, BAD_DOORBELL = 0x200 };
enum { ENABLE = 1, RESET = 2, RESUME = 4, SPLIT = 8, REQUIRE = 16, PUBLISH = 32 };
enum { I_COMPLETION = 1, I_HALTED = 2, I_ERROR = 4 };

typedef struct {
  uint8_t *memory;
  u64 bytes;
  u32 first, ctrl, errors, halted, locked, resume_kept;
  u32 cmd_head, cmd_tail, tail[3], head[3], log2, base[6];
  u32 irq, mask, descriptors, error_count, stalls, bad_doorbells, tokens_high;
  u64 tokens;
  u32 times[5], waited;
  u64 since;
  history_t past;
} device_t;

// "nth:a:b": the device is wrong from the b-th halt, RESET, refusal, pause or RESUME on.
enum { N_HALT, N_RESET, N_REFUSAL, N_PAUSE, N_RESUME };
static int is_worn(device_t *d, int what) {
  return ++d->times[what] > (u32)wrong_b && is_a("nth", what);
}

// "gives-up:a:b": after b waits in a state, or -b milliseconds.
static int gives_up(device_t *d, int state, int here) {
  if (!is_a("gives-up", state)) return 0;
  if (!here) d->waited = 0;
  if (!d->waited) d->since = milliseconds();
  if (!here) return 0;
  d->waited++;
  return wrong_b < 0 ? milliseconds() - d->since > (u64)-wrong_b : d->waited > (u32)wrong_b;
}

static void reset(device_t *d) {
  device_t old = *d;
  memset(d, 0, sizeof *d);
  d->memory = old.memory;
  d->bytes = old.bytes;
  d->first = is("first-index") ? 0 : old.first;
  memcpy(d->times, old.times, sizeof d->times);
  if (is_worn(d, N_RESET)) d->mask = old.mask;
  d->cmd_head = d->cmd_tail = d->first;
  for (int r = 1; r < 3; r++) d->tail[r] = d->head[r] = d->first;
  switch (is("not-reset") ? wrong_a : 0) {
    case 0x2C: d->log2 = old.log2; break;
    case 0x30: case 0x34: case 0x38: case 0x3C: case 0x40: case 0x44:
      d->base[(wrong_a - 0x30) / 4] = old.base[(wrong_a - 0x30) / 4]; break;
    case 0x48: d->irq = old.irq; break;
    case 0x4C: d->mask = old.mask; break;
    case 0x50: d->descriptors = old.descriptors; break;
    case 0x54: d->tokens = old.tokens; break;
    case 0x58: d->tokens_high = old.tokens_high; break;
    case 0x5C: d->error_count = old.error_count; break;
    case 0x64: d->bad_doorbells = old.bad_doorbells; break;
    case 0x08: d->ctrl = old.ctrl & ENABLE; break;
    case 0x0C: d->errors = old.errors; break;
    case 0x1C: d->tail[1] = old.tail[1]; d->head[1] = old.tail[1]; break;
    case 0x24: d->tail[2] = old.tail[2]; d->head[2] = old.tail[2]; break;
    default: break;
  }
}

static u64 base(const device_t *d, int r) {
  const u64 at = d->base[2 * r] | (u64)d->base[2 * r + 1] << 32;
  if (is("base-bit")) return at & ~(1ull << wrong_a);
  return is("base-bits") ? at & ((1ull << wrong_a) - 1) : at;
}
static u32 log2_of(const device_t *d, int r) {
  const u32 all = d->log2 >> 8 * r & 255;
  return is("size-bits") ? all & ((1u << wrong_a) - 1) : all;
}
static uint8_t *slot(const device_t *d, int r, u32 index) {
  u32 mask = (1u << log2_of(d, r)) - 1;
  if (is_a("slot-bits", r)) mask &= (1u << wrong_b) - 1;
  if (is_ab("slot-bit-lost", r, -1)) mask >>= 1;
  return d->memory + base(d, r) + 64ull * (index & mask);
}

static int config_is_good(const device_t *d, u32 ctrl) {
  for (int r = 0; r < (ctrl & SPLIT ? 3 : 2); r++) {
    const u32 n = log2_of(d, r);
    const u64 at = base(d, r), before = ctrl & PUBLISH && !is_a("words-outside", r) ? 128 : 0;
    if (n < 1 && !is_ab("config", 0, r)) return 0;
    if (n > 16 && !is_ab("config", 1, r)) return 0;
    if (at & 63 && !is_ab("config", 2, r)) return 0;
    if (at < before) return 0;
    if (is_ab("config", 3, r)) continue;
    if (at > d->bytes || d->bytes - at < 64ull << (n & 31)) return 0;
    if (is_a("ring-order", 0) && r && at < base(d, r - 1)) return 0;
    if (is_a("ring-order", 1) && r && at == base(d, r - 1) + (64ull << (log2_of(d, r - 1) & 31))) return 0;
  }
  return 1;
}

static void word(device_t *d, u64 at, u32 value) {
  __atomic_store_n((u32 *)(d->memory + at), value, __ATOMIC_RELEASE);
}

static void event(device_t *d, u32 bit) { d->irq |= is_a("no-event", bit) ? 0 : bit; }

static void halt(device_t *d) {
  d->halted = !d->resume_kept && !is_worn(d, N_HALT);
  d->resume_kept = 0;
  event(d, I_HALTED);
}

static void waits(device_t *d, const step_t *step) {
  d->stalls += !is("no-stalls");
  if (step->result == STOPPED) {
    if (is_a("early", 0)) d->irq |= I_HALTED;
    if (is_a("early", 1)) d->halted = 1;
  }
  if (is_a("early", 2) && step->result == ERROR) d->error_count++;
  if (is_a("early", 3)) d->tokens += step->tokens;
  if (is_a("early", 4)) d->irq |= I_COMPLETION;
}

static void work(device_t *d) {
  int posted = 0, event_due = 0;
  if (gives_up(d, 1, (int)d->halted)) d->halted = 0;
  if (gives_up(d, 3, d->locked && !(d->ctrl & ENABLE))) d->ctrl |= ENABLE;
  const int idle = d->ctrl & ENABLE && !d->halted && d->cmd_head == d->cmd_tail;
  if (is_a("gives-up", 2) && (idle || d->waited <= (u32)wrong_b)) gives_up(d, 2, idle);
  while ((d->ctrl & ENABLE || is("pause-ignored")) && d->locked && !d->halted &&
         d->cmd_head != d->cmd_tail) {
    line_t l;
    memcpy(&l, slot(d, 0, d->cmd_head), 64);
    step_t step = execute(&l, d->cmd_head, (d->ctrl & REQUIRE) != 0, 1);
    int to = d->ctrl & SPLIT && step.outcome == O_PAUSE ? 2 : 1;
    if (is_a("split-too", step.outcome) && d->ctrl & SPLIT) to = 2;
    if (is("split-ignored")) to = 1;
    const u32 room = (1u << log2_of(d, to)) - (is_a("one-less", to) ? 1 : 0);
    const int full = d->tail[to] - d->head[to] >= room && !is_a("overwrites", to);
    if (is_a("gives-up", 2) && d->waited > (u32)wrong_b) {
      d->waited = 0;
      d->cmd_head++;
      continue;
    }
    if (gives_up(d, 0, full) || (!full && is_dropped(&d->past, &l, step.outcome))) {
      d->cmd_head++;
      continue;
    }
    if (full) {
      waits(d, &step);
      break;
    }
    const int modes = (d->ctrl >> 4 & 1) | (d->ctrl >> 3 & 1) << 1;
    seal(&l, &step, d->tail[to], d->first, d->cmd_head, modes | 4);
    memcpy(slot(d, to, d->tail[to]), &l, 64);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    d->tail[to]++;
    d->cmd_head++;
    d->descriptors++;
    d->tokens += is_a("tokens", step.outcome) ? 0 : step.tokens;
    d->error_count += step.result == ERROR || is_a("counts-as-error", step.outcome);
    posted = 1;
    event_due |= !is_a("no-completion-of", step.outcome);
    if (step.result == STOPPED && !is_a("stop", 0)) {
      halt(d);
      if (is_ab("stop", 1, -1) && d->cmd_head != d->cmd_tail) d->cmd_head++;
    }
  }
  if (!posted) return;
  if (d->ctrl & PUBLISH) {
    const u32 late = is_a("word", 3) ? 1 : 0;
    if (!is_a("word", 0)) word(d, base(d, 1) - 64, d->tail[1] - late);
    if (d->ctrl & SPLIT && !is_a("word", 1)) word(d, base(d, 2) - 64, d->tail[2]);
    if (!is_a("word", 2)) word(d, base(d, 0) - 128, d->cmd_head);
    if (is_a("word", 4)) word(d, base(d, 0) - 64, d->cmd_tail);
  }
  if (event_due) event(d, I_COMPLETION);
}

void *descring_dut_open(void *memory, uint64_t bytes, uint32_t first_index) {
  device_t *d = calloc(1, sizeof *d);
  choose();
  if (!d) return NULL;
  d->memory = memory;
  d->bytes = bytes;
  d->first = first_index;
  reset(d);
  if (is("not-reset")) d->resume_kept = 0;
  return d;
}

static u32 cut(u32 counter, u32 value) {
  return is_a("counter-bits", counter) ? value & ((1u << wrong_b) - 1) : value;
}

static u32 value_of(device_t *d, u32 at) {
  const int running = d->ctrl & ENABLE && !d->halted;
  switch (at) {
    case 0x00: return 0x474E5244;
    case 0x04: return DESCRING_CONTRACT_VERSION;
    case 0x08: return d->ctrl;
    case 0x0C: return READY | (running ? RUNNING : 0) | (d->halted ? HALTED : 0) | d->errors;
    case 0x14: return d->cmd_head;
    case 0x18: return d->cmd_tail;
    case 0x1C: return d->tail[1];
    case 0x20: return d->head[1];
    case 0x24: return d->tail[2];
    case 0x28: return d->head[2];
    case 0x2C: return d->log2;
    case 0x30: case 0x34: case 0x38: case 0x3C: case 0x40: case 0x44: return d->base[(at - 0x30) / 4];
    case 0x48: return d->irq;
    case 0x4C: return d->mask;
    case 0x50: return cut(0x50, d->descriptors);
    case 0x54: d->tokens_high = (u32)(d->tokens >> 32); return cut(0x54, (u32)d->tokens);
    case 0x58: return is("high-live") ? (u32)(d->tokens >> 32) : cut(0x58, d->tokens_high);
    case 0x5C: return cut(0x5C, d->error_count);
    case 0x60: return d->stalls;
    case 0x64: return cut(0x64, d->bad_doorbells);
    case 0x7C: return DESCRING_CONTRACT_HASH;
    default: return is("unknown-reads") ? 0xDEAD : 0;
  }
}

// "address-bits:a": only a bits of an address count.
static u32 cut_address(u32 at) {
  if (is("address-cut")) at &= ~3u;
  return is("address-bits") ? at & ((1u << wrong_a) - 1) : at;
}

uint32_t descring_dut_read32(void *device, uint32_t at) {
  const u32 value = value_of(device, cut_address(at));
  return is_a("reads", at) ? value ^ 1u << wrong_b : value;
}

static int state_of(const device_t *d, int r);

static void doorbell(device_t *d, u32 to) {
  const u32 size = 1u << log2_of(d, 0), ahead = to - d->cmd_head, now = d->cmd_tail - d->cmd_head;
  const u32 most = size + (is_a("doorbell", 0) ? 1 : 0);
  int good = to == d->cmd_tail && !is_a("doorbell", 1);
  if ((d->ctrl & ENABLE || is_a("doorbell", 2)) && !(d->halted && is_a("doorbell", 3)))
    good |= ahead <= most && (ahead >= now || is_a("doorbell", 4));
  if (is_a("doorbell", 5)) good = (int32_t)(to - d->cmd_tail) >= 0 && d->ctrl & ENABLE;
  if (is_a("doorbell", 6)) good &= ahead < size || to == d->cmd_tail;
  // In one state only: no limit, backward too, not at all.
  if (is_ab("doorbell-far", state_of(d, 1), -1)) good |= ahead >= now;
  if (is_ab("doorbell-back", state_of(d, 1), -1)) good |= ahead < now && d->locked;
  if (is_ab("doorbell-lost", state_of(d, 1), -1) && to != d->cmd_tail) return;
  if (good) d->cmd_tail = to;
  else {
    if (!is_a("doorbell", 7)) d->errors |= BAD_DOORBELL;
    if (!is_a("doorbell", 8)) event(d, I_ERROR);
    d->bad_doorbells++;
  }
}

// 0 before ENABLE, 1 idle or running, 2 paused, 3 halted, 4 with a full ring.
static int state_of(const device_t *d, int r) {
  if (!d->locked) return 0;
  if (d->halted) return 3;
  if (!(d->ctrl & ENABLE)) return 2;
  return d->tail[r] - d->head[r] >= 1u << log2_of(d, r) ? 4 : 1;
}

static void move_head(device_t *d, int r, u32 to) {
  const int here = wrong_b == state_of(d, r);
  if (is_a("head-ignored", r) && here) return;
  if (to - d->head[r] <= d->tail[r] - d->head[r] || (is_a("head-any", r) && here)) d->head[r] = to;
  else if (is_a("head-clamped", r) && here) d->head[r] = d->tail[r];
}

static void control(device_t *d, u32 value) {
  if (value & RESET && !is_a("reset", 0)) {
    reset(d);
    if (is_a("reset", 1)) d->ctrl = value & (SPLIT | REQUIRE | PUBLISH);
    return;
  }
  const u32 modes = SPLIT | REQUIRE | PUBLISH;
  const u32 open = d->locked ? (is("unlocked-mode") ? (u32)wrong_a : 0) : modes;
  d->ctrl = (d->ctrl & ~open) | (value & open);
  if (value & ENABLE && !d->locked && !config_is_good(d, d->ctrl)) {
    if (!is_worn(d, N_REFUSAL)) d->errors |= BAD_CONFIG;
    event(d, I_ERROR);
    if (is_a("refused", 0)) d->ctrl &= ~modes;
    if (is_a("refused", 1)) d->locked = 1;
  } else if (value & ENABLE) {
    d->ctrl |= ENABLE;
    d->locked = 1;
  } else if (!is("pause-ignored") && !(d->ctrl & ENABLE && is_worn(d, N_PAUSE))) {
    d->ctrl &= ~(u32)ENABLE;
    if (is_a("pause", 0)) d->halted = 0;
    if (is_a("pause", 1)) d->cmd_tail = d->cmd_head;
    if (is_a("pause", 2)) d->locked = 0;
  }
  if (value & RESUME && !(is_a("resume", 0) && !(d->ctrl & ENABLE))) {
    if (!d->halted && is_a("resume", 1)) d->resume_kept = 1;
    if (d->halted && is_a("resume", 2) && d->cmd_head != d->cmd_tail) d->cmd_head++;
    if (d->halted) d->halted = (u32)is_worn(d, N_RESUME);
  }
  if (value & RESUME && is_a("resume", 3)) d->ctrl |= RESUME;
}

static void overwrite(device_t *d, u32 at, u32 value) {
  switch (at) {
    case 0x14: d->cmd_head = value; break;
    case 0x18: d->cmd_tail = value; break;
    case 0x1C: d->tail[1] = value; break;
    case 0x24: d->tail[2] = value; break;
    case 0x50: d->descriptors = value; break;
    case 0x54: d->tokens = value; break;
    case 0x5C: d->error_count = value; break;
    case 0x64: d->bad_doorbells = value; break;
    default: break;
  }
}

// "clears:a:b": a write to the register at a clears the one at b.
static void clear(device_t *d, u32 at) {
  switch (at) {
    case 0x2C: d->log2 = 0; break;
    case 0x30: case 0x34: case 0x38: case 0x3C: case 0x40: case 0x44: d->base[(at - 0x30) / 4] = 0; break;
    case 0x48: d->irq = 0; break;
    case 0x4C: d->mask = 0; break;
    case 0x64: d->bad_doorbells = 0; break;
    default: break;
  }
}

void descring_dut_write32(void *device, uint32_t at, uint32_t value) {
  device_t *d = device;
  at = cut_address(at);
  const int open = !d->locked || is_a("unlocked", at) || is_a("unlocked-in", state_of(d, 1));
  if (is_a("clears", at)) clear(d, (u32)wrong_b);
  switch (at) {
    case 0x08: control(d, value); break;
    case 0x0C: d->errors &= is_a("w1c", 0) ? value : is_a("w1c", 1) ? 0 : ~value; break;
    case 0x10: doorbell(d, value); break;
    case 0x20: move_head(d, 1, value); break;
    case 0x28: move_head(d, 2, value); break;
    case 0x2C:
      if (open) d->log2 = value & (is("spare-bits") ? ~0u : 0xFFFFFF);
      break;
    case 0x30: case 0x34: case 0x38: case 0x3C: case 0x40: case 0x44:
      if (open) d->base[(at - 0x30) / 4] = value;
      break;
    case 0x48: d->irq &= is_a("w1c", 2) ? 0 : is_a("w1c", 3) ? ~0u : ~value; break;
    case 0x4C: d->mask = is_a("w1c", 4) ? d->mask & ~value : value & 7; break;
    default: if (is_a("writable", at)) overwrite(d, at, value); break;
  }
}

void descring_dut_wait(void *device, uint64_t nanoseconds) {
  (void)nanoseconds;
  work(device);
}
int descring_dut_irq(void *device) {
  device_t *d = device;
  const u32 seen = is_a("irq", 0) ? d->irq : is_a("irq", 1) ? d->mask : d->irq & d->mask;
  return (seen & (is_a("irq", 2) ? 1 : is_a("irq", 3) ? 3 : is_a("irq", 4) ? 5 : 7)) != 0;
}
void descring_dut_close(void *device) { free(device); }
