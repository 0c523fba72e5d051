// SPDX-License-Identifier: Apache-2.0
#include "axi_memory.h"

namespace descring {

void AxiMemory::drive(Vdut &top) {
  top.m_axi_arready = reads_.size() < kQueued && !random_.chance(bus_.pause);
  top.m_axi_awready = writes_.size() < kQueued && !random_.chance(bus_.pause);
  top.m_axi_wready = beats_.size() < kEarly && !random_.chance(bus_.pause);
  // What is valid stays valid.
  if (!read_offered_ && !reads_.empty() && reads_.front().due <= now_ &&
      !random_.chance(bus_.pause)) {
    const Burst &read = reads_.front();
    const uint64_t address = (read.address & ~uint64_t{kBeat - 1}) + uint64_t{kBeat} * read.done;
    const uint32_t code = response(address, kBeat);
    if (code == kOkay) {
      std::memcpy(top.m_axi_rdata.data(), memory_ + address, kBeat);
    } else {
      std::memset(top.m_axi_rdata.data(), 0xEE, kBeat);  // must not be used
      ++errors;
    }
    top.m_axi_rid = read.id;
    top.m_axi_rresp = code;
    top.m_axi_rlast = read.done + 1 == read.beats;
    read_offered_ = true;
  }
  top.m_axi_rvalid = read_offered_;
  if (!response_offered_ && !responses_.empty() && responses_.front().due <= now_ &&
      !random_.chance(bus_.pause)) {
    top.m_axi_bid = responses_.front().id;
    top.m_axi_bresp = responses_.front().response;
    response_offered_ = true;
  }
  top.m_axi_bvalid = response_offered_;
}

void AxiMemory::sample(const Vdut &top) {
  hold(held_ar_, "AR", top.m_axi_arvalid, top.m_axi_arready,
       {top.m_axi_araddr, top.m_axi_arlen, top.m_axi_arid, top.m_axi_arsize, top.m_axi_arburst});
  hold(held_aw_, "AW", top.m_axi_awvalid, top.m_axi_awready,
       {top.m_axi_awaddr, top.m_axi_awlen, top.m_axi_awid, top.m_axi_awsize, top.m_axi_awburst});
  if (top.m_axi_wvalid && !top.m_axi_wready) {
    uint64_t words[kBeat / 8];
    std::memcpy(words, top.m_axi_wdata.data(), kBeat);
    hold(held_w_, "W", true, false,
         {words[0], words[1], words[2], words[3], words[4], words[5], words[6], words[7],
          top.m_axi_wstrb, top.m_axi_wlast});
  } else {
    if (held_w_.stalled && !top.m_axi_wvalid) violation("W valid fell before it was taken");
    held_w_.stalled = false;
  }
  if (top.m_axi_arvalid && top.m_axi_arready) {
    reads_.push_back(burst("AR", top.m_axi_araddr, top.m_axi_arid, top.m_axi_arlen,
                           top.m_axi_arsize, top.m_axi_arburst));
    if (reads_.back().size != 6) violation("a read beat narrower than the bus");
  }
  if (read_offered_ && top.m_axi_rready) {
    Burst &read = reads_.front();
    note(HWR_TRACE_CONSUMED, top.m_axi_rdata.data());
    ++lines_read;
    traffic_ = true;
    read_offered_ = false;
    if (++read.done == read.beats) reads_.pop_front();
  }
  if (top.m_axi_awvalid && top.m_axi_awready) {
    writes_.push_back(burst("AW", top.m_axi_awaddr, top.m_axi_awid, top.m_axi_awlen,
                            top.m_axi_awsize, top.m_axi_awburst));
  }
  if (top.m_axi_wvalid && top.m_axi_wready) {
    Beat &beat = beats_.emplace_back();
    std::memcpy(beat.data, top.m_axi_wdata.data(), kBeat);
    beat.strobes = top.m_axi_wstrb;
    beat.last = top.m_axi_wlast;
  }
  write_beats();
  if (response_offered_ && top.m_axi_bready) {
    if (responses_.front().response != kOkay) ++errors;
    responses_.pop_front();
    response_offered_ = false;
    traffic_ = true;
  }
  ++now_;
}

void AxiMemory::note(uint32_t event, const void *bytes) const {
  if (!ring_) return;
  hw_desc_t line;
  std::memcpy(&line, bytes, sizeof line);
  hw_trace(ring_, event, line.rollout_id, hw_leg(line.user_data), line.opcode, HWR_CLOCK_RTL_CYCLE,
           ahead_ + now_);
}

AxiMemory::Burst AxiMemory::burst(const char *channel, uint64_t address, uint32_t id,
                                  uint32_t length, uint32_t size, uint32_t kind) {
  const std::string where = std::string(channel) + " at " + std::to_string(address);
  const uint64_t beats = length + 1, bytes = uint64_t{1} << size;
  if (size > 6) violation(where + ": a beat wider than the bus");
  if (kind != 1) violation(where + ": burst type " + std::to_string(kind) + ", expected INCR");
  if (address % bytes) violation(where + ": not aligned to its beats");
  if (beats > 1 && size != 6) violation(where + ": a burst of narrow beats");
  if (address / 4096 != (address + beats * bytes - 1) / 4096) {
    violation(where + ": the burst crosses a boundary of 4 KiB");
  }
  ++bursts;
  traffic_ = true;
  return {address, id, static_cast<uint32_t>(beats), 0, size, kOkay, due()};
}

uint32_t AxiMemory::response(uint64_t address, uint64_t bytes) const {
  if (address >= bytes_ || bytes > bytes_ - address) return kDecodeError;
  for (const auto &[start, stop] : failing_) {
    if (address < stop && address + bytes > start) return kSlaveError;
  }
  return kOkay;
}

// Beats go to their bursts in order, as soon as the address is there.
void AxiMemory::write_beats() {
  while (!writes_.empty() && !beats_.empty()) {
    Burst &write = writes_.front();
    write_beat(write, beats_.front());
    beats_.pop_front();
    if (write.done == write.beats) {
      responses_.push_back({write.id, write.response, due()});
      writes_.pop_front();
    }
  }
}

void AxiMemory::write_beat(Burst &write, const Beat &beat) {
  if (beat.last != (write.done + 1 == write.beats)) violation("WLAST does not mark the last beat");
  const uint64_t beat_bytes = uint64_t{1} << write.size;
  const uint64_t address = write.address + beat_bytes * write.done;
  const uint32_t lane = address % kBeat;
  const uint64_t strobes = beat.strobes;
  const uint64_t allowed = write.size == 6 ? ~uint64_t{0} : ((uint64_t{1} << beat_bytes) - 1) << lane;
  if (strobes & ~allowed) violation("a strobe outside the beat");
  const uint32_t code = response(address, beat_bytes);
  write.response = std::max(write.response, code);
  if (code == kOkay) {
    const uint64_t base = address - lane;
    // A host thread that sees an index in memory must also see the lines before it.
    std::atomic_thread_fence(std::memory_order_release);
    if (strobes == ~uint64_t{0}) {
      std::memcpy(memory_ + base, beat.data, kBeat);
      note(HWR_TRACE_PRODUCED, beat.data);
    } else {
      for (uint32_t byte = 0; byte < kBeat; ++byte) {
        if (strobes >> byte & 1) memory_[base + byte] = beat.data[byte];
      }
    }
  }
  ++write.done;
  ++lines_written;
  traffic_ = true;
}

void AxiMemory::hold(Held &held, const char *channel, bool valid, bool ready,
                     std::initializer_list<uint64_t> payload) {
  if (held.stalled) {
    if (!valid) violation(std::string(channel) + " valid fell before it was taken");
    if (!std::equal(payload.begin(), payload.end(), held.payload.begin())) {
      violation(std::string(channel) + " changed before it was taken");
    }
  }
  held.stalled = valid && !ready;
  if (held.stalled) held.payload.assign(payload.begin(), payload.end());
}

}  // namespace descring
