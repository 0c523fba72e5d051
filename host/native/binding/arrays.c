// SPDX-License-Identifier: Apache-2.0
//
// NumPy's buffer protocol describes each field of a line again for every caller, which takes as
// long as tens of lines do; its C interface says where an array lies in a few loads.
#include "arrays.h"

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#include <numpy/arrayobject.h>

#include "hw_desc.h"

int ha_import(void) {
  import_array1(-1);
  return 0;
}

PyObject *ha_new(PyObject *dtype, Py_ssize_t count, void **lines) {
  npy_intp shape[1] = {count};
  Py_INCREF(dtype);  // stolen
  PyObject *array = PyArray_SimpleNewFromDescr(1, shape, (PyArray_Descr *)dtype);
  if (array) {
    *lines = PyArray_DATA((PyArrayObject *)array);
  }
  return array;
}

const void *ha_lines(PyObject *object, PyObject *dtype, Py_ssize_t *count) {
  if (!PyArray_CheckExact(object)) {
    return NULL;
  }
  PyArrayObject *array = (PyArrayObject *)object;
  const int whole = (PyObject *)PyArray_DESCR(array) == dtype && PyArray_NDIM(array) == 1;
  const int bytes = PyArray_TYPE(array) == NPY_UINT8 && PyArray_NDIM(array) == 2 &&
                    PyArray_DIM(array, 1) == HW_DESC_BYTES;
  if (!(whole || bytes) || !PyArray_IS_C_CONTIGUOUS(array)) {
    return NULL;
  }
  *count = PyArray_DIM(array, 0);
  return PyArray_DATA(array);
}

void *ha_target(PyObject *object, PyObject *dtype, Py_ssize_t *count) {
  if (!PyArray_CheckExact(object)) {
    return NULL;
  }
  PyArrayObject *array = (PyArrayObject *)object;
  if ((PyObject *)PyArray_DESCR(array) != dtype || PyArray_NDIM(array) != 1 ||
      !PyArray_IS_C_CONTIGUOUS(array) || !PyArray_ISWRITEABLE(array)) {
    return NULL;
  }
  *count = PyArray_DIM(array, 0);
  return PyArray_DATA(array);
}

int ha_check(PyObject *dtype) {
  if (!PyArray_DescrCheck(dtype) || PyDataType_ELSIZE((PyArray_Descr *)dtype) != HW_DESC_BYTES) {
    PyErr_Format(PyExc_TypeError, "expected a dtype of %d bytes, got %R", HW_DESC_BYTES, dtype);
    return -1;
  }
  return 0;
}
