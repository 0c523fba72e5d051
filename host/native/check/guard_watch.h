// SPDX-License-Identifier: Apache-2.0
//
// Watches regions of threads: in each the malloc family is interposed, every system call traps (Syscall User
// Dispatch) and page faults are counted. hw_guard_enter() and hw_guard_leave() of the native core mark them.
#ifndef GUARD_WATCH_H
#define GUARD_WATCH_H

#include <stdint.h>

#include "rollouts/pipe.h"
#include "segment.h"

enum { LET_THROUGH = 0, TRAP = 1, FATAL = 3 };
enum kind { ALLOCATION, SYSTEM_CALL, PAGE_FAULT, KINDS };

// A violation ends the process, with the status FATAL, at the place where it occurs.
extern int guard_fatal;

// A control: what is run in a region when it is next entered.
typedef void control_t(void);
extern const char *guard_control_region;
extern control_t *_Atomic guard_control;

// Totals of all regions that were left.
typedef struct total {
  const char *name;
  uint64_t entered;
  uint64_t count[KINDS];
  char first[KINDS][160];
} total_t;

enum { REGIONS = 8 };
extern total_t guard_totals[REGIONS];
extern hw_word_t guard_totals_lock;

void guard_check(int failed, const char *what);  // prints errno's text and exits with 2
void guard_catch_calls(void);                    // before the first region
void guard_map_all(const void *but);             // touches every mapped page but those of this mapping
uint64_t guard_violations(void);
void guard_print_totals(void);

#endif
