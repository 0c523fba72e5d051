// SPDX-License-Identifier: Apache-2.0
//
// The loops that must not allocate, call the system or fault: submit and poll, the worker, and the
// rollout core, while they spin. Each thread has its own region, in which the malloc family is
// interposed, every system call traps (Syscall User Dispatch), and page faults are counted.
//
// guard LINES: so many lines through each loop; exit code 1 if anything occurred.
// guard controls: a violation of each kind in each region, each of which must be found and named; and one
// that ends the process.
#define _GNU_SOURCE
#include "guard_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if !defined(__x86_64__)
int main(void) {
  fputs("guard: expected x86-64, whose system calls it can trap\n", stderr);
  return 2;
}
#else

// What is planted; each is a function of its own, so that it has a name.
static void *volatile kept;

#define CONTROL(name, ...) \
  void control_##name(void); \
  __attribute__((noinline)) void control_##name(void) { \
    __VA_ARGS__; \
    __asm__ volatile(""); /* no tail call, which would return to the caller */ \
  }

CONTROL(malloc, kept = malloc(24))
CONTROL(calloc, kept = calloc(3, 8))
CONTROL(realloc, kept = realloc(kept, 24))
CONTROL(aligned_alloc, kept = aligned_alloc(64, 64))
CONTROL(posix_memalign, void *got; kept = posix_memalign(&got, 64, 64) ? NULL : got)
CONTROL(free, void *had = kept; kept = NULL; free(had))
CONTROL(getpid, syscall(SYS_getpid))
CONTROL(write, syscall(SYS_write, -1, "", 1))
CONTROL(futex, hw_futex_wake(&guard_totals_lock))
CONTROL(sched_yield, syscall(SYS_sched_yield))
static volatile char *fresh;  // a page that nothing has touched
CONTROL(page_fault, fresh[0] = 1)

static const struct {
  const char *name;
  control_t *run;
  enum kind kind;
  const char *text;
} controls[] = {
    {"malloc", control_malloc, ALLOCATION, "malloc(24) from control_malloc"},
    {"calloc", control_calloc, ALLOCATION, "calloc(24) from control_calloc"},
    {"realloc", control_realloc, ALLOCATION, "realloc(24) from control_realloc"},
    {"aligned_alloc", control_aligned_alloc, ALLOCATION,
     "aligned_alloc(64) from control_aligned_alloc"},
    {"posix_memalign", control_posix_memalign, ALLOCATION,
     "posix_memalign(64) from control_posix_memalign"},
    {"free", control_free, ALLOCATION, "free(0) from control_free"},
    {"getpid", control_getpid, SYSTEM_CALL, "getpid(39) from syscall"},
    {"write", control_write, SYSTEM_CALL, "write(1) from syscall"},
    {"futex", control_futex, SYSTEM_CALL, "futex(202) from syscall"},
    {"sched_yield", control_sched_yield, SYSTEM_CALL, "sched_yield(24) from syscall"},
    {"page fault", control_page_fault, PAGE_FAULT, "1 in the region"},
};

enum { LOG2 = 12, SLOTS = 1 << LOG2, BATCH = 32, FLIGHT = SLOTS / 2, BYTES = 4 << 20 };
static const int64_t PATIENCE_NS = 60ll * 1000 * 1000 * 1000;

static void stop(const char *what, uint64_t at) {
  hw_guard_leave();
  fprintf(stderr, "guard: %s at %lu\n", what, at);
  exit(2);
}

static void fill(hw_desc_t *line, uint32_t at) {
  *line = (hw_desc_t){.opcode = HW_OPCODE_DECODE,
                      .rollout_id = at,
                      .kv_offset = at,
                      .seq_len = at & 31u,
                      .max_tokens = (at & 31u) + 1u,
                      .user_data = at,
                      .checksum_or_cookie = at ^ (uint64_t)at << 32};
}

// Submit and poll as a host does, and check every completion.
static void run_lines(hw_queue_t *queue, uint64_t lines) {
  static hw_desc_t out[BATCH], in[SLOTS];
  memset(in, 0, sizeof in);
  for (uint64_t sent = 0, got = 0; got < lines;) {
    hw_guard_enter("submit and poll");
    while (sent < lines && sent - got + BATCH <= FLIGHT) {
      for (uint32_t at = 0; at < BATCH; ++at) {
        fill(&out[at], (uint32_t)(sent + at));
      }
      const int64_t taken = hq_submit_all(queue, out, BATCH);
      if (taken < 0) {
        stop("a submission failed", sent);
      }
      sent += (uint64_t)taken;
      if (taken == 0) {
        break;
      }
    }
    const int64_t taken = hq_poll(queue, 0, in, SLOTS, 0);
    if (taken < 0) {
      stop("a poll failed", got);
    }
    for (int64_t at = 0; at < taken; ++at, ++got) {
      if (in[at].user_data != (uint32_t)got || in[at].flags != HW_FLAG_DONE ||
          in[at].seq_len != ((uint32_t)got & 31u) + 1u) {
        stop("a completion is wrong", got);
      }
    }
    if (taken == 0) {
      hw_pause();
    }
  }
  hw_guard_leave();
}

// Whole rollouts, so that about so many lines cross the rings.
static void run_rollouts(hw_queue_t *queue, uint64_t lines) {
  enum { PROMPT = 64, LONGEST = 320, SAMPLES = 16, LEGS = (LONGEST - PROMPT) / HWR_BLOCK_TOKENS };
  const uint32_t rollouts = (uint32_t)(lines / (LEGS + 1)) + 1u;
  const hwr_config_t config = {.slots = 1024,
                               .decode_credits = HWR_NONE,
                               .reward_credits = HWR_NONE,
                               .trajectory_credits = HWR_NONE,
                               .kv_blocks = 1 << 16,
                               .window = 256,
                               .depth = 2,
                               .ring_slots = SLOTS,
                               .overtake = HWR_NONE,
                               .score_ticks = 1,
                               .deliver = HWR_NONE,
                               .seats = HWR_NONE,
                               .options = HWR_OPTION_SHARE | HWR_OPTION_FINAL_REWARD};
  hwr_request_t *requests = calloc(rollouts, sizeof *requests);
  guard_check(!requests, "calloc");
  for (uint32_t at = 0; at < rollouts; ++at) {
    requests[at] = (hwr_request_t){.group = at / SAMPLES,
                                   .sample = at % SAMPLES,
                                   .prompt_tokens = PROMPT,
                                   .max_tokens = LONGEST,
                                   .cancel = HWR_NONE};
  }
  int error;
  hr_pipe_t *pipe = hr_pipe_open(&config, requests, rollouts, NULL, 0, &error);
  guard_check(!pipe, "hr_pipe_open");
  // What a run touches for the first time, it touches in its first rounds; the tables by request and by
  // group it has to be shown.
  error = hr_pipe_run(pipe, queue, 64, PATIENCE_NS);
  const size_t page = 4096, by_request = rollouts * sizeof(uint32_t);
  for (size_t at = 0; at < by_request; at += page) {
    ((volatile uint32_t *)pipe->node_of)[at / sizeof(uint32_t)] += 0;
    ((volatile uint8_t *)pipe->outcome)[at / sizeof(uint32_t)] += 0;
  }
  for (uint32_t block = 0; block < config.kv_blocks; block += 512) {
    ((volatile uint32_t *)pipe->arena->next)[block] += 0;
    ((volatile uint32_t *)pipe->arena->generation)[block] += 0;
  }
  hw_guard_enter("rollouts");
  error = error ? error : hr_pipe_run(pipe, queue, UINT64_MAX, PATIENCE_NS);
  hw_guard_leave();
  if (error || !pipe->finished || pipe->counter[HWR_COUNTER_DELIVERED] != rollouts) {
    stop("a run did not end as it must", (uint64_t)-error);
  }
  hr_pipe_close(pipe);
  free(requests);
}

static void run_both(uint64_t lines) {
  void *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  guard_check(memory == MAP_FAILED, "mmap");
  const uint64_t offset = (hd_header_bytes() + 4095) & ~4095ull;
  guard_check(hd_format(memory, BYTES, offset, BYTES - offset, 0) != 0, "hd_format");
  hw_device_t *device = hd_open(memory, BYTES);
  guard_check(!device, "hd_open");
  guard_map_all((const void *)fresh);
  guard_check(hd_start_workers(device, 1) != 0, "hd_start_workers");
  const hd_geometry_t geometry = {.cmd_base = 128,
                                  .done_base = 256 + (uint64_t)SLOTS * HW_DESC_BYTES,
                                  .ring_log2 = LOG2 << HW_RING_LOG2_CMD_LSB |
                                               LOG2 << HW_RING_LOG2_DONE_LSB};
  hd_write32(device, HW_REG_RING_LOG2, geometry.ring_log2, PATIENCE_NS);
  hd_write32(device, HW_REG_CMD_BASE_LO, (uint32_t)geometry.cmd_base, PATIENCE_NS);
  hd_write32(device, HW_REG_DONE_BASE_LO, (uint32_t)geometry.done_base, PATIENCE_NS);
  hd_write32(device, HW_REG_CTRL, HW_BIT(HW_CTRL_ENABLE_BIT), PATIENCE_NS);
  int failure = 0;
  hw_queue_t *queue = hq_open(device, &geometry, PATIENCE_NS, &failure);
  guard_check(!queue, "hq_open");
  run_lines(queue, lines);
  run_rollouts(queue, lines);
  hq_close(queue);
  hd_close(device);
  hq_free(queue);
  hd_free(device);
  munmap(memory, BYTES);
}

static int run_controls(void) {
  static const char *const regions[] = {"submit and poll", "worker", "rollouts"};
  int missed = 0;
  for (size_t at = 0; at < sizeof controls / sizeof *controls; ++at) {
    for (int where = 0; where < 3; ++where) {
      memset(guard_totals, 0, sizeof guard_totals);
      kept = kept ? kept : malloc(8);
      fresh = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      guard_check(fresh == MAP_FAILED, "mmap");
      guard_control_region = regions[where];
      guard_control = controls[at].run;
      run_both(20000);
      const char *found = "nothing";
      for (int region = 0; region < REGIONS && guard_totals[region].name; ++region) {
        if (strcmp(guard_totals[region].name, regions[where]) == 0 &&
            guard_totals[region].count[controls[at].kind]) {
          found = guard_totals[region].first[controls[at].kind];
        }
      }
      // A first allocation may itself call the system and fault.
      const int alone = controls[at].kind == ALLOCATION || guard_violations() == 1;
      const int right = strcmp(found, controls[at].text) == 0 && alone;
      missed += !right;
      printf("%s in %s: %s: %s\n", controls[at].name, regions[where],
             right ? "caught" : "MISSED, expected one, got", found);
      if (!right) {
        guard_print_totals();
      }
      munmap((void *)fresh, 4096);
    }
  }
  // Where a violation is fatal, it ends the process at the place where it occurs.
  const pid_t child = fork();
  if (child == 0) {
    guard_fatal = 1;
    guard_control_region = "worker";
    guard_control = control_malloc;
    run_both(20000);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  const int right = WIFEXITED(status) && WEXITSTATUS(status) == FATAL;
  printf("malloc in worker, fatal: %s\n", right ? "caught" : "MISSED");
  return missed || !right;
}

int main(int count, char **arguments) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  guard_catch_calls();
  const char *what = count == 2 ? arguments[1] : "";
  if (strcmp(what, "controls") == 0) {
    return run_controls();
  }
  char *end;
  const uint64_t lines = strtoull(what, &end, 10);
  if (*end || lines < BATCH) {
    fputs("usage: guard LINES | controls, at least 32 LINES\n", stderr);
    return 2;
  }
  run_both(lines - lines % BATCH);
  guard_print_totals();
  printf("%lu lines through each loop\n", lines - lines % BATCH);
  return guard_violations() != 0;
}

#endif
