// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "guard_watch.h"

#if defined(__x86_64__)

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_OFF 0
#define PR_SYS_DISPATCH_ON 1
#endif

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

int guard_fatal;
const char *guard_control_region;
control_t *_Atomic guard_control;
total_t guard_totals[REGIONS];
hw_word_t guard_totals_lock;

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
  if (guard_fatal) {
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

void guard_check(int failed, const char *what) {
  if (failed) {
    perror(what);
    exit(2);
  }
}

// The kernel's own form of sigaction, which leaves the restorer to the caller.
void guard_catch_calls(void) {
  struct {
    void *handler;
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask;
  } action = {(void *)on_call, SA_SIGINFO | SA_NODEFER | 0x04000000 /* SA_RESTORER */,
              guard_restorer, 0};
  guard_check(syscall(SYS_rt_sigaction, SIGSYS, &action, NULL, 8) != 0, "rt_sigaction");
}

// Text and data are mapped when they are first touched: a path that only a busy machine takes, or a
// clock's page, would fault in the region. Where the kernel cannot, they are left as they are.
void guard_map_all(const void *but) {
  FILE *maps = fopen("/proc/self/maps", "re");
  guard_check(!maps, "/proc/self/maps");
  char row[512];
  while (fgets(row, sizeof row, maps)) {
    uintptr_t start, end;
    char rights[5];
    if (sscanf(row, "%lx-%lx %4s", &start, &end, rights) != 3 || rights[0] != 'r' ||
        ((uintptr_t)but >= start && (uintptr_t)but < end)) {
      continue;
    }
    madvise((void *)start, end - start,
            rights[1] == 'w' ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
  }
  fclose(maps);
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
  guard_check(prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, exempt,
              (uintptr_t)guard_restorer_end - exempt, &region->selector),
        "prctl(PR_SET_SYSCALL_USER_DISPATCH)");
  region->faults = faults_now();
  region->inside = 1;
  region->selector = TRAP;
  if (guard_control_region && strcmp(guard_control_region, name) == 0) {
    control_t *control = atomic_exchange(&guard_control, NULL);
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
  guard_check(prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0, 0, 0), "prctl");
  hw_spin_lock(&guard_totals_lock);
  total_t *total = guard_totals;
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
  hw_spin_unlock(&guard_totals_lock);
}

uint64_t guard_violations(void) {
  uint64_t all = 0;
  for (int at = 0; at < REGIONS; ++at) {
    for (int kind = 0; kind < KINDS; ++kind) {
      all += guard_totals[at].count[kind];
    }
  }
  return all;
}

void guard_print_totals(void) {
  for (int at = 0; at < REGIONS && guard_totals[at].name; ++at) {
    const total_t *total = &guard_totals[at];
    printf("region %-16s %lu allocations, %lu system calls, %lu page faults\n", total->name,
           total->count[ALLOCATION], total->count[SYSTEM_CALL], total->count[PAGE_FAULT]);
    for (int kind = 0; kind < KINDS; ++kind) {
      if (total->count[kind]) {
        printf("  first %s: %s\n", kind_names[kind], total->first[kind]);
      }
    }
  }
}

#endif
