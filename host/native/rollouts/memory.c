// SPDX-License-Identifier: Apache-2.0
//
// Mapped memory whose pages are what the report says: each rung of the ladder is tried, and what the
// kernel gave is read back from /proc/self/smaps and, for a NUMA node, page by page.
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "api.h"
#include "rollouts/rollouts.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum { SMALL = 4096, HUGE = 2 << 20, NODES = 1024 };

static const char *const rung_names[] = {"MAP_HUGETLB", "MADV_HUGEPAGE", "small pages"};

// Bytes of [at, at + bytes) in huge pages. The mapping lies between pages of another protection, so no
// line of smaps has more than it. -1 with errno: smaps could not be read.
static int64_t huge_bytes_of(const uint8_t *at, uint64_t bytes) {
  FILE *smaps = fopen("/proc/self/smaps", "re");
  if (!smaps) {
    return -1;
  }
  char line[512];
  uint64_t inside = 0, kilobytes, page = 0, huge = 0;
  while (fgets(line, sizeof line, smaps)) {
    uint64_t low, high;
    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &low, &high) == 2) {
      inside = low >= (uintptr_t)at && high <= (uintptr_t)at + bytes ? high - low : 0;
    } else if (inside && sscanf(line, "KernelPageSize: %" SCNu64, &kilobytes) == 1) {
      page = kilobytes * 1024;
      huge += page >= HUGE ? inside : 0;
    } else if (inside && page < HUGE && sscanf(line, "AnonHugePages: %" SCNu64, &kilobytes) == 1) {
      huge += kilobytes * 1024;
    }
  }
  fclose(smaps);
  return (int64_t)huge;
}

// What is between guards that keep the kernel from joining it with a neighbour: `bytes` at a multiple
// of HUGE. NULL with errno.
static uint8_t *reserve(uint64_t bytes) {
  const uint64_t total = bytes + 2 * (uint64_t)HUGE;
  uint8_t *start = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) {
    return NULL;
  }
  uint8_t *at = (uint8_t *)(((uintptr_t)start + HUGE) & ~(uintptr_t)(HUGE - 1));
  if (at == start) {
    at += HUGE;
  }
  const uint64_t before = (uint64_t)(at - start) - SMALL;
  if (before) {
    munmap(start, before);
  }
  munmap(at + bytes + SMALL, total - bytes - SMALL - (uint64_t)(at - start));
  return at;
}

void hr_memory_unmap(void *memory, uint64_t bytes) {
  const uint64_t whole = (bytes + HUGE - 1) & ~(uint64_t)(HUGE - 1);
  munmap((uint8_t *)memory - SMALL, whole + 2 * SMALL);
}

// 0, or an errno.
static int populate(uint8_t *at, uint64_t bytes) {
  if (madvise(at, bytes, MADV_POPULATE_WRITE) == 0) {
    return 0;
  }
  if (errno != EINVAL) {
    return errno;
  }
  for (uint64_t offset = 0; offset < bytes; offset += SMALL) {  // a kernel before 5.14
    *(volatile uint8_t *)(at + offset) = 0;
  }
  return 0;
}

// Stand on a rung: 0, an errno, or HR_MEMORY_UNVERIFIED.
static int stand_on(int rung, uint8_t *at, uint64_t bytes, int node, hr_memory_report_t *report) {
  const int huge_table = rung == HR_PAGES_HUGETLB ? MAP_HUGETLB | 21 << MAP_HUGE_SHIFT : 0;
  void *mapped = mmap(at, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | huge_table, -1, 0);
  if (mapped == MAP_FAILED) {
    return errno;
  }
  if (rung != HR_PAGES_HUGETLB &&
      madvise(at, bytes, rung == HR_PAGES_THP ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) &&
      !(rung == HR_PAGES_SMALL && errno == EINVAL)) {  // a kernel that has no huge pages
    return errno;
  }
  int failed = node >= 0 ? hd_bind_numa(at, bytes, node) : 0;
  failed = failed ? failed : populate(at, bytes);
  if (failed) {
    return failed;
  }
  const int64_t huge = huge_bytes_of(at, bytes);
  if (huge < 0) {
    return errno;
  }
  report->huge_bytes = (uint64_t)huge;
  report->small_bytes = bytes - report->huge_bytes;
  return report->huge_bytes == (rung == HR_PAGES_SMALL ? 0 : bytes) ? 0 : HR_MEMORY_UNVERIFIED;
}

// Ask of every page on which node it is: 0, or an errno.
static int count_nodes(uint8_t *at, uint64_t bytes, int node, hr_memory_report_t *report) {
  enum { BATCH = 512 };
  void *page[BATCH];
  int status[BATCH];
  for (uint64_t offset = 0; offset < bytes;) {
    unsigned long count = 0;
    for (; count < BATCH && offset < bytes; offset += SMALL) {
      page[count++] = at + offset;
    }
    if (syscall(SYS_move_pages, 0, count, page, NULL, status, 0)) {
      return errno;
    }
    for (unsigned long number = 0; number < count; ++number) {
      ++report->node_pages;
      report->node_right += status[number] == node;
    }
  }
  return 0;
}

static void explain(const hr_memory_report_t *report, int first, int last, char *text,
                    uint32_t size) {
  uint32_t used = 0;
  for (int rung = first; rung <= last && used < size; ++rung) {
    const int error = report->error[rung];
    const char *reason =
        error == HR_MEMORY_UNVERIFIED ? "granted, but smaps shows other pages" : strerror(error);
    used += (uint32_t)snprintf(text + used, size - used, "%s%s: %s", used ? "; " : "",
                               rung_names[rung], reason);
  }
}

void *hr_memory_map(uint64_t bytes, int require, int node, hr_memory_report_t *report, char *text,
                    uint32_t size) {
  memset(report, 0, sizeof *report);
  report->node = node;
  if (bytes == 0 || bytes > 1ull << 46 || require < 0 || require > HR_PAGES_ANY || node < -1 ||
      node >= NODES) {
    snprintf(text, size, "expected 1 to 2^46 bytes, a rung and a node from -1 to %d", NODES - 1);
    return NULL;
  }
  const uint64_t whole = (bytes + HUGE - 1) & ~(uint64_t)(HUGE - 1);
  uint8_t *at = reserve(whole);
  if (!at) {
    snprintf(text, size, "no room for %" PRIu64 " bytes: %s", whole, strerror(errno));
    return NULL;
  }
  report->bytes = whole;
  const int first = require == HR_PAGES_ANY ? HR_PAGES_HUGETLB : require;
  const int last = require == HR_PAGES_ANY ? HR_PAGES_SMALL : require;
  for (int rung = first; rung <= last; ++rung) {
    report->error[rung] = stand_on(rung, at, whole, node, report);
    if (report->error[rung]) {
      continue;
    }
    report->pages = rung;
    const int failed = node >= 0 ? count_nodes(at, whole, node, report) : 0;
    if (failed) {
      snprintf(text, size, "move_pages: %s", strerror(failed));
    } else if (report->node_right != report->node_pages) {
      snprintf(text, size, "%" PRIu64 " of %" PRIu64 " pages are on node %d", report->node_right,
               report->node_pages, node);
    } else {
      return at;
    }
    hr_memory_unmap(at, whole);
    return NULL;
  }
  explain(report, first, last, text, size);
  hr_memory_unmap(at, whole);
  return NULL;
}
