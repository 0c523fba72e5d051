// SPDX-License-Identifier: Apache-2.0
//
// The threads of the native core as fibers of one thread, with a clock of their own: the fuzz and its
// workers then switch at random loads and stores of shared words, a wait costs no time, and a run is
// repeated exactly by its seed. The core is compiled with HW_FIBERS, and what starts a thread, sleeps,
// yields and reads the clock is renamed on the compiler's command line (fibers.options).
#ifndef HW_FIBERS_H
#define HW_FIBERS_H

#include <stdint.h>

// Draw the points of switching from this seed, and call `at_point` at some of them (it may be NULL).
void fiber_begin(uint64_t seed, void (*at_point)(void));
// Report a call that goes on behind `deadline_ns` of hw_now() by calling `late`; 0: no limit.
void fiber_limit(uint64_t deadline_ns, void (*late)(void));

#endif  // HW_FIBERS_H
