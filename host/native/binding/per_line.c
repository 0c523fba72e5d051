// SPDX-License-Identifier: Apache-2.0
//
// descring_host._per_line.PerLine: the base of the queue's class. One line in, one completion out,
// as methods that cost Python little.
//
// What cffi offers for any function (fetching each argument, saving errno, letting the
// interpreter's lock go and taking it again), and a frame of Python around it, cost several times
// what a line does. These methods know the common case only: a native queue, plain ints,
// and a wait of one piece. Everything else is left to methods of the same signature that the
// subclass has in Python, `_submit_decode_slowly` and `_next_slowly`; what a negative answer of the
// native core means, to its `_complain`.
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <structmember.h>

#include "api.h"
#include "hw_desc.h"

enum { FIELDS = 13, POSITIONAL = 6, WORDS = 7 };

typedef struct per_line {
  PyObject_HEAD
  PyTypeObject *completion;
  hw_queue_t *queue;         // NULL: there is none, or it was closed
  unsigned long long submitted;
  unsigned long long taken;
  double timeout_s;          // of a caller who gives none
  double piece_s;            // the longest wait that Python need not be asked about
  unsigned int start;        // ring index of the first line
} per_line_t;

static PyObject *submit_slowly, *next_slowly, *user_data_name;

// A plain int of at most `bits` bits; 0 with nothing raised if it is anything else.
static int word(PyObject *object, int bits, uint64_t *value) {
  if (!PyLong_CheckExact(object)) {
    return 0;
  }
  *value = PyLong_AsUnsignedLongLong(object);
  if (*value == UINT64_MAX && PyErr_Occurred()) {
    PyErr_Clear();
    return 0;
  }
  return bits == 64 || *value >> bits == 0;
}

// The arguments of submit_decode as words; 0 with nothing raised where that takes the slow way.
static int words_of(PyObject *const *given, Py_ssize_t positional, PyObject *names,
                    uint64_t words[WORDS]) {
  static const int bits[WORDS] = {32, 64, 64, 32, 32, 32, 64};
  const Py_ssize_t named = names ? PyTuple_GET_SIZE(names) : 0;
  if (positional != POSITIONAL || named > 1 ||
      (named && PyTuple_GET_ITEM(names, 0) != user_data_name)) {
    return 0;
  }
  for (int at = 0; at < POSITIONAL + named; ++at) {
    if (!word(given[at], bits[at], &words[at])) {
      return 0;
    }
  }
  if (!named) {
    words[WORDS - 1] = words[0];
  }
  return 1;
}

// A method of the subclass with the arguments as they came.
static PyObject *slowly(per_line_t *self, PyObject *method, PyObject *const *given,
                        Py_ssize_t positional, PyObject *names) {
  PyObject *all[1 + 2 * WORDS];
  const Py_ssize_t count = positional + (names ? PyTuple_GET_SIZE(names) : 0);
  if (count > 2 * WORDS) {
    return PyErr_Format(PyExc_TypeError, "expected at most %d arguments, got %zd", WORDS, count);
  }
  all[0] = (PyObject *)self;
  for (Py_ssize_t at = 0; at < count; ++at) {
    all[1 + at] = given[at];
  }
  return PyObject_VectorcallMethod(method, all, (size_t)positional + 1, names);
}

PyDoc_STRVAR(
    submit_decode_doc,
    "submit_decode($self, /, rollout_id, kv_offset, delta_offset, prefix_id, seq_len, max_tokens, "
    "*, user_data=None)\n--\n\n"
    "Submit one DECODE line [DESC-024]; its cookie is the reference host's [DESC-021].\n\n"
    "Args:\n"
    "    rollout_id: u32.\n"
    "    kv_offset: u64.\n"
    "    delta_offset: u64.\n"
    "    prefix_id: u32; 0 is none, else COW_PREFIX is set.\n"
    "    seq_len: tokens present, u32.\n"
    "    max_tokens: sequence length at which decoding ends, u32.\n"
    "    user_data: u64, echoed; default: rollout_id.\n\n"
    "Returns:\n"
    "    The ring index of the line; None with ``\"short\"`` where there is no room.\n\n"
    "Raises:\n"
    "    ValueError: a value that is no integer, or does not fit; nothing was submitted.\n"
    "    QueueFull, QueueTimeout, PeerDied, DeviceError: as :meth:`submit`.");

static PyObject *submit_decode(per_line_t *self, PyObject *const *given, Py_ssize_t positional,
                               PyObject *names) {
  uint64_t words[WORDS];
  if (self->queue && words_of(given, positional, names, words)) {
    // Nothing in there waits, so the interpreter's lock is kept.
    const int taken =
        hq_submit_decode(self->queue, (uint32_t)words[0], words[1], words[2], (uint32_t)words[3],
                         (uint32_t)words[4], (uint32_t)words[5], words[6]);
    if (taken == 1) {
      return PyLong_FromUnsignedLong((uint32_t)(self->start + self->submitted++));
    }
    if (taken < 0) {
      PyObject *answer = PyObject_CallMethod((PyObject *)self, "_complain", "i", taken);
      if (!answer) {
        return NULL;
      }
      Py_DECREF(answer);
    }
  }
  return slowly(self, submit_slowly, given, positional, names);
}

// A completion as an object of `type`, a subclass of tuple: its fields in the contract's order.
static PyObject *as_tuple(PyTypeObject *type, const hw_desc_t *line) {
  const uint64_t fields[FIELDS] = {
      line->opcode,       line->flags,     line->rollout_id, line->kv_arena_id,
      line->prefix_id,    line->kv_offset, line->delta_offset, line->seq_len,
      line->max_tokens,   line->reward_model_id, line->reserved0, line->user_data,
      line->checksum_or_cookie,
  };
  PyObject *completion = type->tp_alloc(type, FIELDS);
  for (int at = 0; completion && at < FIELDS; ++at) {
    PyObject *value = PyLong_FromUnsignedLongLong(fields[at]);
    if (!value) {
      Py_CLEAR(completion);
    } else {
      PyTuple_SET_ITEM(completion, at, value);
    }
  }
  return completion;
}

PyDoc_STRVAR(next_completion_doc,
             "next_completion($self, /, timeout_s=None)\n--\n\n"
             "Take one completion of the done ring as an object; None if none came in time.\n\n"
             "Args:\n"
             "    timeout_s: seconds; default: the queue's.\n\n"
             "Raises:\n"
             "    As :meth:`poll`.");

static PyObject *next_completion(per_line_t *self, PyObject *const *given, Py_ssize_t positional,
                                 PyObject *names) {
  hw_queue_t *queue = self->queue;
  const int own = positional == 0 || (positional == 1 && given[0] == Py_None);
  if (!queue || names || !(own || (positional == 1 && PyFloat_CheckExact(given[0])))) {
    return slowly(self, next_slowly, given, positional, names);
  }
  const double timeout_s = own ? self->timeout_s : PyFloat_AS_DOUBLE(given[0]);
  if (!(timeout_s >= 0)) {
    return slowly(self, next_slowly, given, positional, names);
  }
  hw_desc_t line;
  uint32_t taken = hq_poll(queue, 0, &line, 1, 0);
  if (taken == 0 && timeout_s > 0) {
    const double piece_s = timeout_s < self->piece_s ? timeout_s : self->piece_s;
    // That begins with spinning, so a round trip is one call each way.
    Py_BEGIN_ALLOW_THREADS
    taken = hq_poll(queue, 0, &line, 1, (int64_t)(piece_s * 1e9));
    Py_END_ALLOW_THREADS
    if (taken == 0) {
      return PyObject_CallMethod((PyObject *)self, "_next_slowly", "d", timeout_s - piece_s);
    }
  }
  if (taken == 0) {
    Py_RETURN_NONE;
  }
  ++self->taken;
  return as_tuple(self->completion, &line);
}

PyDoc_STRVAR(bind_doc,
             "_bind($self, queue, completion, piece_s, /)\n--\n\n"
             "Serve this native queue (its address; 0: none, or no longer), make completions of "
             "this subclass of tuple, and wait at most so long before asking Python.");

static PyObject *bind(per_line_t *self, PyObject *args) {
  PyObject *address;
  PyTypeObject *completion;
  double piece_s;
  if (!PyArg_ParseTuple(args, "O!O!d:_bind", &PyLong_Type, &address, &PyType_Type, &completion,
                        &piece_s)) {
    return NULL;
  }
  if (!PyType_IsSubtype(completion, &PyTuple_Type)) {
    return PyErr_Format(PyExc_TypeError, "expected a subclass of tuple, got %s",
                        completion->tp_name);
  }
  hw_queue_t *queue = PyLong_AsVoidPtr(address);
  if (PyErr_Occurred()) {
    return NULL;
  }
  Py_INCREF(completion);
  Py_XSETREF(self->completion, completion);
  self->queue = queue;
  self->piece_s = piece_s;
  Py_RETURN_NONE;
}

static void dealloc(per_line_t *self) {
  PyTypeObject *type = Py_TYPE(self);
  Py_CLEAR(self->completion);
  type->tp_free(self);
  Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"submit_decode", (PyCFunction)(void (*)(void))submit_decode, METH_FASTCALL | METH_KEYWORDS,
     submit_decode_doc},
    {"next_completion", (PyCFunction)(void (*)(void))next_completion,
     METH_FASTCALL | METH_KEYWORDS, next_completion_doc},
    {"_bind", (PyCFunction)bind, METH_VARARGS, bind_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"timeout_s", T_DOUBLE, offsetof(per_line_t, timeout_s), 0,
     "How long blocking calls wait unless told otherwise."},
    {"_submitted", T_ULONGLONG, offsetof(per_line_t, submitted), 0, "Lines submitted so far."},
    {"_taken", T_ULONGLONG, offsetof(per_line_t, taken), 0, "Completions taken so far."},
    {"_start", T_UINT, offsetof(per_line_t, start), 0, "Ring index of the first line."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "What a queue does with one line at a time."},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {Py_tp_dealloc, dealloc},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "descring_host._per_line.PerLine",
    .basicsize = sizeof(per_line_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};

static int fill(PyObject *module) {
  submit_slowly = PyUnicode_InternFromString("_submit_decode_slowly");
  next_slowly = PyUnicode_InternFromString("_next_slowly");
  user_data_name = PyUnicode_InternFromString("user_data");
  PyObject *type = PyType_FromSpec(&spec);
  if (!submit_slowly || !next_slowly || !user_data_name || !type) {
    Py_XDECREF(type);
    return -1;
  }
  const int failed = PyModule_AddObjectRef(module, "PerLine", type);
  Py_DECREF(type);
  return failed;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, fill}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "descring_host._per_line",
    .m_doc = "One line in, one completion out.",
    .m_slots = module_slots,
};

// In the library of descring_host._native, so that both see the same queues.
PyMODINIT_FUNC PyInit__per_line(void) { return PyModuleDef_Init(&definition); }
