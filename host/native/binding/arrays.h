// SPDX-License-Identifier: Apache-2.0
//
// NumPy arrays of lines, as the queue's class takes and makes them.
#ifndef HW_ARRAYS_H
#define HW_ARRAYS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

// Load NumPy's C interface; -1 with an exception if that fails.
int ha_import(void);
// 0, or -1 with an exception if this is no dtype of a line.
int ha_check(PyObject *dtype);
// A new array `(count,)` of this dtype, and where its first line lies.
PyObject *ha_new(PyObject *dtype, Py_ssize_t count, void **lines);
// The lines of an array of this very dtype, `(n,)`, or of `(n, 64)` uint8, that lie side by side in
// memory, and how many there are; NULL with nothing raised for anything else.
const void *ha_lines(PyObject *object, PyObject *dtype, Py_ssize_t *count);
// Where lines can be written to: as ha_lines, of this very dtype only.
void *ha_target(PyObject *object, PyObject *dtype, Py_ssize_t *count);

#endif  // HW_ARRAYS_H
