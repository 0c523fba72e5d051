// SPDX-License-Identifier: Apache-2.0
//
// The persistent kernels of the resident shape, by the number of seats of a group. Block 0 coordinates;
// without an engine it is the only one.
#include "coordinator.cuh"
#include "resident.cuh"

template <hw_u32 Group>
HW_DEV void hw_resident(const hw_link_t *link, hw_lobby *lobby, hw_u32 draws,
                        hw_resident_room<Group> *room, hw_desk_state *state) {
  if (blockIdx.x != 0) {
    return hw_resident_worker<Group>(lobby, draws, room);
  }
  hw_crc_fill(hw_team<HWE_THREADS>{threadIdx.x});
  if (threadIdx.x < 32) {
    hw_resident_coordinator(link, lobby, state, hw_team<32>{threadIdx.x});
  }
}

extern "C" __global__ void __launch_bounds__(HWE_THREADS, 1)
    hw_resident_4(const hw_link_t *link, hw_lobby *lobby, hw_u32 draws) {
  __shared__ union {
    hw_resident_room<4> room;
    hw_desk_state state;
  } shared;
  hw_resident<4>(link, lobby, draws, &shared.room, &shared.state);
}

extern "C" __global__ void __launch_bounds__(HWE_THREADS, 1)
    hw_resident_8(const hw_link_t *link, hw_lobby *lobby, hw_u32 draws) {
  __shared__ union {
    hw_resident_room<8> room;
    hw_desk_state state;
  } shared;
  hw_resident<8>(link, lobby, draws, &shared.room, &shared.state);
}

extern "C" __global__ void __launch_bounds__(HWE_THREADS, 1)
    hw_resident_16(const hw_link_t *link, hw_lobby *lobby, hw_u32 draws) {
  __shared__ union {
    hw_resident_room<16> room;
    hw_desk_state state;
  } shared;
  hw_resident<16>(link, lobby, draws, &shared.room, &shared.state);
}
