// SPDX-License-Identifier: Apache-2.0
//
// Who is at the other side of a shared segment, and is it alive. Each side holds an open-file-
// description lock on a byte of the segment's file as long as it lives: the kernel lets go of it
// when the process dies, however it dies, so that neither a slow peer is called dead nor a reused
// process id alive. The heartbeat tells a stopped peer from a working one.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "gate.h"

static const int64_t BEAT_NS = 50ll * 1000 * 1000;

static struct flock role_lock(short type, int role) {
  struct flock lock = {0};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = role;
  lock.l_len = 1;
  return lock;
}

int hd_role_held(int lock_file, int role) {
  struct flock lock = role_lock(F_WRLCK, role);
  if (fcntl(lock_file, F_OFD_GETLK, &lock)) {
    return -errno;
  }
  return lock.l_type != F_UNLCK;
}

// Look at the other side now.
static int look(hw_device_t *device) {
  hw_peer_line_t *peer = &device->segment->peer[!device->role];
  int state = HD_PEER_NONE;
  if (hd_role_held(device->lock_file, !device->role) > 0) {
    state = HD_PEER_ALIVE;
  } else if (atomic_load(&peer->pid)) {
    state = hw_get(&peer->ended) ? HD_PEER_ENDED : HD_PEER_DIED;
  }
  atomic_store(&device->peer_state, state);
  return state;
}

static void *watch(void *argument) {
  hw_device_t *device = argument;
  hw_peer_line_t *own = &device->segment->peer[device->role];
  while (hw_get(&device->watching)) {
    atomic_store(&own->beat, hw_now());
    look(device);
    hw_futex_wait(&device->watch_wake, 0, BEAT_NS);
  }
  return NULL;
}

int hd_join(hw_device_t *device, int lock_file, int role) {
  struct flock lock = role_lock(F_WRLCK, role);
  hw_peer_line_t *own = &device->segment->peer[role];
  if (fcntl(lock_file, F_OFD_SETLK, &lock)) {
    return errno == EAGAIN || errno == EACCES ? EBUSY : errno;
  }
  device->lock_file = lock_file;
  device->role = role;
  atomic_store(&own->beat, hw_now());
  hw_put(&own->ended, 0);
  hw_put(&own->fault, HW_FAULT_NONE);
  atomic_store(&own->pid, (uint64_t)getpid());
  atomic_fetch_add(&own->incarnation, 1);
  look(device);
  if (role == HD_ROLE_HOST) {
    hw_recover(device);
  }
  hw_put(&device->watching, 1);
  hw_put(&device->watch_wake, 0);
  const int failed = pthread_create(&device->watcher, NULL, watch, device);
  if (failed) {
    hw_put(&device->watching, 0);
    hd_leave(device);
  }
  return failed;
}

void hd_leave(hw_device_t *device) {
  if (device->lock_file < 0) {
    return;
  }
  if (hw_get(&device->watching)) {
    hw_put(&device->watching, 0);
    hw_put(&device->watch_wake, 1);
    hw_futex_wake(&device->watch_wake);
    pthread_join(device->watcher, NULL);
  }
  struct flock lock = role_lock(F_UNLCK, device->role);
  hw_put(&device->segment->peer[device->role].ended, 1);
  fcntl(device->lock_file, F_OFD_SETLK, &lock);
  device->lock_file = -1;
}

static void peer_info(hw_device_t *device, hd_peer_info_t *info) {
  *info = (hd_peer_info_t){0, 0, 0, HD_PEER_ALIVE};
  if (device->lock_file < 0) {
    return;  // both sides live in this process
  }
  hw_peer_line_t *peer = &device->segment->peer[!device->role];
  const uint64_t beat = atomic_load(&peer->beat);
  const uint64_t now = hw_now();
  info->state = look(device);
  info->pid = atomic_load(&peer->pid);
  info->incarnation = atomic_load(&peer->incarnation);
  info->beat_age = now > beat ? now - beat : 0;
}

int hd_peer(hw_device_t *device, hd_peer_info_t *info) {
  if (!hw_enter(&device->callers)) {
    return HD_CLOSED;
  }
  peer_info(device, info);
  hw_leave(&device->callers);
  return 0;
}
