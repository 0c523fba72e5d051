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
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "rollouts/pipe.h"
#include "segment.h"

#if !defined(__x86_64__)
int main(void) {
  fputs("guard: expected x86-64, whose system calls it can trap\n", stderr);
  return 2;
}
#else

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_OFF 0
#define PR_SYS_DISPATCH_ON 1
#endif

enum { LET_THROUGH = 0, TRAP = 1, FATAL = 3 };
enum kind { ALLOCATION, SYSTEM_CALL, PAGE_FAULT, KINDS };
static const char *const kind_names[] = {"allocation", "system call", "page fault"};

typedef struct region {
  const char *name;
  int inside;
  volatile char selector;  // read by the kernel at every system call of this thread
  uint64_t count[KINDS];
  const char *first[KINDS];  // what the first was
  long number[KINDS];        // its size, or the number of the call
  void *place[KINDS];        // where it was called
  long faults;
} region_t;

static _Thread_local region_t mine;
static int fatal;

// A control: what is planted into a region when it is next entered.
typedef void control_t(void);
static const char *planted_region;
static control_t *_Atomic planted;

// Totals of all regions that were left.
typedef struct total {
  const char *name;
  uint64_t entered;
  uint64_t count[KINDS];
  char first[KINDS][160];
} total_t;

enum { REGIONS = 8 };
static total_t totals[REGIONS];
static hw_word_t totals_lock;

static const char *call_name(long number) {
  static const struct {
    long number;
    const char *name;
  } known[] = {{SYS_read, "read"},     {SYS_write, "write"},       {SYS_mmap, "mmap"},
               {SYS_munmap, "munmap"}, {SYS_madvise, "madvise"},   {SYS_brk, "brk"},
               {SYS_getpid, "getpid"}, {SYS_futex, "futex"},       {SYS_sched_yield, "sched_yield"},
               {SYS_clock_gettime, "clock_gettime"},               {SYS_membarrier, "membarrier"},
               {SYS_nanosleep, "nanosleep"},                       {SYS_openat, "openat"}};
  for (size_t at = 0; at < sizeof known / sizeof *known; ++at) {
    if (known[at].number == number) {
      return known[at].name;
    }
  }
  return "call";
}

static void describe(const region_t *region, enum kind kind, char *text, size_t size) {
  if (kind == PAGE_FAULT) {
    snprintf(text, size, "%lu in the region", region->count[kind]);
    return;
  }
  Dl_info info;
  const char *where = "?";
  if (dladdr(region->place[kind], &info) && info.dli_sname) {
    where = info.dli_sname;
  }
  snprintf(text, size, "%s(%ld) from %s", region->first[kind], region->number[kind], where);
}

static void note(enum kind kind, const char *what, long number, void *place) {
  region_t *region = &mine;
  if (region->count[kind]++ == 0) {
    region->first[kind] = what;
    region->number[kind] = number;
    region->place[kind] = place;
  }
  if (fatal) {
    region->selector = LET_THROUGH;
    region->inside = 0;
    char text[160];
    describe(region, kind, text, sizeof text);
    fprintf(stderr, "guard: region %s: %s: %s\n", region->name, kind_names[kind], text);
    _exit(FATAL);
  }
}

// glibc's own, which the names below stand in front of.
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void *memory);

// Not inlined: the return address is what names the caller.
#define KEPT_APART __attribute__((noinline))
#define WATCHED(what, number) \
  (mine.inside ? note(ALLOCATION, what, (long)(number), __builtin_return_address(0)) : (void)0)

KEPT_APART void *malloc(size_t bytes) {
  WATCHED("malloc", bytes);
  return __libc_malloc(bytes);
}

KEPT_APART void *calloc(size_t count, size_t bytes) {
  WATCHED("calloc", count * bytes);
  return __libc_calloc(count, bytes);
}

KEPT_APART void *realloc(void *memory, size_t bytes) {
  WATCHED("realloc", bytes);
  return __libc_realloc(memory, bytes);
}

KEPT_APART void *aligned_alloc(size_t alignment, size_t bytes) {
  WATCHED("aligned_alloc", bytes);
  return __libc_memalign(alignment, bytes);
}

KEPT_APART int posix_memalign(void **memory, size_t alignment, size_t bytes) {
  WATCHED("posix_memalign", bytes);
  *memory = __libc_memalign(alignment, bytes);
  return *memory ? 0 : ENOMEM;
}

KEPT_APART void free(void *memory) {
  WATCHED("free", 0);
  __libc_free(memory);
}

// Returns from the handler of SIGSYS by a system call that may not trap: the range between the two
// labels is exempt.
void guard_restorer(void);
extern const char guard_restorer_end[];
__asm__(".text\n"
        ".globl guard_restorer, guard_restorer_end\n"
        "guard_restorer:\n"
        "  mov $15, %eax\n"
        "  syscall\n"
        "  nop\n"  // the kernel looks at the instruction behind the call
        "guard_restorer_end:\n");

static void on_call(int number, siginfo_t *info, void *context) {
  (void)number;
  region_t *region = &mine;
  region->selector = LET_THROUGH;
  note(SYSTEM_CALL, call_name(info->si_syscall), info->si_syscall, info->si_call_addr);
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  long result = syscall(info->si_syscall, registers[REG_RDI], registers[REG_RSI],
                        registers[REG_RDX], registers[REG_R10], registers[REG_R8],
                        registers[REG_R9]);
  registers[REG_RAX] = result == -1 ? -errno : result;
  region->selector = TRAP;
}

static void check(int failed, const char *what) {
  if (failed) {
    perror(what);
    exit(2);
  }
}

// The kernel's own form of sigaction, which leaves the restorer to the caller.
static void catch_calls(void) {
  struct {
    void *handler;
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask;
  } action = {(void *)on_call, SA_SIGINFO | SA_NODEFER | 0x04000000 /* SA_RESTORER */,
              guard_restorer, 0};
  check(syscall(SYS_rt_sigaction, SIGSYS, &action, NULL, 8) != 0, "rt_sigaction");
}

static long faults_now(void) {
  struct rusage usage;
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_minflt + usage.ru_majflt;
}

void hw_guard_enter(const char *name) {
  region_t *region = &mine;
  if (region->inside) {
    return;
  }
  memset((void *)region, 0, sizeof *region);
  region->name = name;
  const uintptr_t exempt = (uintptr_t)guard_restorer;
  check(prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, exempt,
              (uintptr_t)guard_restorer_end - exempt, &region->selector),
        "prctl(PR_SET_SYSCALL_USER_DISPATCH)");
  region->faults = faults_now();
  region->inside = 1;
  region->selector = TRAP;
  if (planted_region && strcmp(planted_region, name) == 0) {
    control_t *control = atomic_exchange(&planted, NULL);
    if (control) {
      control();
    }
  }
}

void hw_guard_leave(void) {
  region_t *region = &mine;
  if (!region->inside) {
    return;
  }
  region->selector = LET_THROUGH;
  region->inside = 0;
  region->count[PAGE_FAULT] += (uint64_t)(faults_now() - region->faults);
  check(prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0, 0, 0), "prctl");
  hw_spin_lock(&totals_lock);
  total_t *total = totals;
  while (total->name && strcmp(total->name, region->name)) {
    ++total;
  }
  total->name = region->name;
  ++total->entered;
  for (int kind = 0; kind < KINDS; ++kind) {
    if (region->count[kind] && !total->count[kind]) {
      describe(region, (enum kind)kind, total->first[kind], sizeof total->first[kind]);
    }
    total->count[kind] += region->count[kind];
  }
  hw_spin_unlock(&totals_lock);
}

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
CONTROL(futex, hw_futex_wake(&totals_lock))
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
  check(!requests, "calloc");
  for (uint32_t at = 0; at < rollouts; ++at) {
    requests[at] = (hwr_request_t){.group = at / SAMPLES,
                                   .sample = at % SAMPLES,
                                   .prompt_tokens = PROMPT,
                                   .max_tokens = LONGEST,
                                   .cancel = HWR_NONE};
  }
  int error;
  hr_pipe_t *pipe = hr_pipe_open(&config, requests, rollouts, NULL, 0, &error);
  check(!pipe, "hr_pipe_open");
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
  check(memory == MAP_FAILED, "mmap");
  const uint64_t offset = (hd_header_bytes() + 4095) & ~4095ull;
  check(hd_format(memory, BYTES, offset, BYTES - offset, 0) != 0, "hd_format");
  hw_device_t *device = hd_open(memory, BYTES);
  check(!device || hd_start_workers(device, 1) != 0, "hd_start_workers");
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
  check(!queue, "hq_open");
  run_lines(queue, lines);
  run_rollouts(queue, lines);
  hq_close(queue);
  hd_close(device);
  hq_free(queue);
  hd_free(device);
  munmap(memory, BYTES);
}

static uint64_t violations(void) {
  uint64_t all = 0;
  for (int at = 0; at < REGIONS; ++at) {
    for (int kind = 0; kind < KINDS; ++kind) {
      all += totals[at].count[kind];
    }
  }
  return all;
}

static void print_totals(void) {
  for (int at = 0; at < REGIONS && totals[at].name; ++at) {
    const total_t *total = &totals[at];
    printf("region %-16s %lu allocations, %lu system calls, %lu page faults\n", total->name,
           total->count[ALLOCATION], total->count[SYSTEM_CALL], total->count[PAGE_FAULT]);
    for (int kind = 0; kind < KINDS; ++kind) {
      if (total->count[kind]) {
        printf("  first %s: %s\n", kind_names[kind], total->first[kind]);
      }
    }
  }
}

static int run_controls(void) {
  static const char *const regions[] = {"submit and poll", "worker", "rollouts"};
  int missed = 0;
  for (size_t at = 0; at < sizeof controls / sizeof *controls; ++at) {
    for (int where = 0; where < 3; ++where) {
      memset(totals, 0, sizeof totals);
      kept = kept ? kept : malloc(8);
      fresh = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      check(fresh == MAP_FAILED, "mmap");
      planted_region = regions[where];
      planted = controls[at].run;
      run_both(20000);
      const char *found = "nothing";
      for (int region = 0; region < REGIONS && totals[region].name; ++region) {
        if (strcmp(totals[region].name, regions[where]) == 0 &&
            totals[region].count[controls[at].kind]) {
          found = totals[region].first[controls[at].kind];
        }
      }
      // A first allocation may itself call the system and fault.
      const int alone = controls[at].kind == ALLOCATION || violations() == 1;
      const int right = strcmp(found, controls[at].text) == 0 && alone;
      missed += !right;
      printf("%s in %s: %s: %s\n", controls[at].name, regions[where],
             right ? "caught" : "MISSED, expected one, got", found);
      if (!right) {
        print_totals();
      }
      munmap((void *)fresh, 4096);
    }
  }
  // Where a violation is fatal, it ends the process at the place where it occurs.
  const pid_t child = fork();
  if (child == 0) {
    fatal = 1;
    planted_region = "worker";
    planted = control_malloc;
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
  catch_calls();
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
  print_totals();
  printf("%lu lines through each loop\n", lines - lines % BATCH);
  return violations() != 0;
}

#endif
