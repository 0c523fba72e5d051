// SPDX-License-Identifier: Apache-2.0
//
// Takes the place of printf in Verilator's runtime: what the RTL prints becomes the text of the
// exception that follows.
#pragma once

int descring_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
