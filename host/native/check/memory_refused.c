// SPDX-License-Identifier: Apache-2.0
//
// Memory on a kernel that refuses what it is asked for. rollouts/memory.c is compiled into this program
// with its calls of the kernel replaced by ones that fail as told. Usage: memory_refused PAGES NODE
// [CALL=ERRNO ...], where PAGES is an enum hr_pages. Prints the report, or the reason; exit code 1: the
// memory is not what the report says, or some of it stays mapped.
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { RESERVE, HUGETLB, THP, SMALL_ONLY, POPULATE, SMAPS, BIND, MOVE_PAGES, ELSEWHERE, CALLS };
static const char *const NAMES[] = {"reserve", "hugetlb", "thp", "small", "populate",
                                    "smaps", "bind", "move_pages", "elsewhere"};
static int errors[CALLS];

static int fails(int call) {
  errno = errors[call];
  return errors[call] != 0;
}

static void *asked_mmap(void *at, size_t bytes, int access, int how, int file, off_t from) {
  const int call = how & MAP_HUGETLB ? HUGETLB : RESERVE;
  return (call == HUGETLB || access == PROT_NONE) && fails(call)
             ? MAP_FAILED
             : mmap(at, bytes, access, how, file, from);
}

static int asked_madvise(void *at, size_t bytes, int advice) {
  const int call = advice == MADV_HUGEPAGE     ? THP
                   : advice == MADV_NOHUGEPAGE ? SMALL_ONLY
                                               : POPULATE;
  // Such a kernel would give no huge pages; this one might.
  const int failed = call == POPULATE && errors[call] ? 0 : madvise(at, bytes, advice);
  return fails(call) ? -1 : failed;
}

static FILE *asked_fopen(const char *name, const char *how) {
  return fails(SMAPS) ? NULL : fopen(name, how);
}

// Where pages are, whatever nodes this machine has.
static long asked_syscall(long number, int process, unsigned long count, void **page, const int *to,
                          int *status, int flags) {
  (void)number, (void)process, (void)page, (void)to, (void)flags;
  for (unsigned long at = 0; at < count; ++at) {
    status[at] = at + 1 < count ? 0 : errors[ELSEWHERE];
  }
  return fails(MOVE_PAGES) ? -1 : 0;
}

#define mmap asked_mmap
#define madvise asked_madvise
#define fopen asked_fopen
#define syscall asked_syscall
#include "rollouts/memory.c"
#undef fopen

int hd_bind_numa(void *address, uint64_t bytes, int node) {
  (void)address, (void)bytes, (void)node;
  return errors[BIND];
}

// Pages that are mapped, beside those of the heap and the stack.
static unsigned long mapped(void) {
  unsigned long pages = 0;
  char line[512];
  FILE *maps = fopen("/proc/self/maps", "re");
  while (maps && fgets(line, sizeof line, maps)) {
    unsigned long low, high;
    if (sscanf(line, "%lx-%lx", &low, &high) == 2 && !strchr(line, '[')) {
      pages += (high - low) / SMALL;
    }
  }
  fclose(maps);
  return pages;
}

static int is_resident(uint8_t *memory, uint64_t bytes) {
  static unsigned char there[(8 << 20) / SMALL];
  if (mincore(memory, bytes, there)) {
    return 0;
  }
  for (uint64_t at = 0; at < bytes; ++at) {
    if (memory[at] || !(there[at / SMALL] & 1)) {
      return 0;
    }
  }
  return 1;
}

int main(int count, char **arguments) {
  static char text[512];
  hr_memory_report_t report;
  for (int at = 3; at < count; ++at) {
    for (int call = 0; call < CALLS; ++call) {
      const size_t length = strlen(NAMES[call]);
      if (!strncmp(arguments[at], NAMES[call], length) && arguments[at][length] == '=') {
        errors[call] = atoi(arguments[at] + length + 1);
      }
    }
  }
  const unsigned long before = mapped();
  uint8_t *memory =
      hr_memory_map((4 << 20) - 1, atoi(arguments[1]), atoi(arguments[2]), &report, text, sizeof text);
  int wrong = 0;
  if (memory) {
    printf("pages %d, %d %d %d refused, %d of %d bytes huge, %d of %d on the node\n", report.pages,
           report.error[0], report.error[1], report.error[2], (int)report.huge_bytes,
           (int)report.bytes, (int)report.node_right, (int)report.node_pages);
    wrong = !is_resident(memory, report.bytes) ||
            report.huge_bytes + report.small_bytes != report.bytes;
    hr_memory_unmap(memory, (4 << 20) - 1);
  } else {
    puts(text);
  }
  if (mapped() != before) {
    printf("%lu pages were mapped, now %lu\n", before, mapped());
    wrong = 1;
  }
  return wrong;
}
