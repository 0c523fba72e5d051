// SPDX-License-Identifier: Apache-2.0
//
// The lines of a tick's window, and the check of what returns for them [WIN-003 to WIN-005].
#include "rollouts/pipe.h"

void hr_draft(hr_pipe_t *pipe, hr_rollout_t *rollout, uint32_t opcode, uint32_t length,
              uint32_t end, uint32_t block) {
  hr_flight_t *flight = pipe->window;
  const uint32_t slot = hr_slot(rollout), index = flight->count++, request = rollout->request;
  hr_log(pipe, HWR_EVENT_LINE, slot, request, pipe->next_window, index << 16 | opcode, block,
         length | (uint64_t)end << 32);
  const uint64_t kv = (uint64_t)pipe->tree->node[rollout->node].first * HWR_BLOCK_BYTES;
  const uint64_t delta = block == HWR_NONE ? 0 : (uint64_t)block * HWR_BLOCK_BYTES;
  ++pipe->counter[opcode == HW_OPCODE_PREFILL  ? HWR_COUNTER_PREFILL_LINES
                  : opcode == HW_OPCODE_DECODE ? HWR_COUNTER_DECODE_LINES
                                               : HWR_COUNTER_REWARD_LINES];
  flight->slot[index] = slot;
  flight->lines[index] = (hw_desc_t){
      .opcode = (uint16_t)opcode,
      .flags = HW_FLAG_COW_PREFIX,
      .rollout_id = request,
      .prefix_id = rollout->node,
      .kv_offset = kv,
      .delta_offset = delta,
      .seq_len = length,
      .max_tokens = end,
      .reward_model_id = pipe->config.scorer,
      .user_data = (uint64_t)slot << HWR_USER_DATA_SLOT_LSB |
                   (uint64_t)(hr_generation(rollout->handle) & 0xFFFFu)
                       << HWR_USER_DATA_GENERATION_LSB |
                   (uint64_t)(pipe->next_window & 0xFFFFu) << HWR_USER_DATA_WINDOW_LSB |
                   (uint64_t)index << HWR_USER_DATA_INDEX_LSB,
      .checksum_or_cookie = kv ^ delta ^ (uint64_t)request << 32,
  };
  hr_trace(pipe, HWR_TRACE_POSTED, rollout, hw_leg(flight->lines[index].user_data), opcode);
}

void hr_note_lines(const hr_pipe_t *pipe, uint32_t event, const hw_desc_t *lines, uint32_t count) {
  for (uint32_t index = 0; pipe->trace && index < count; ++index) {
    hw_trace(pipe->trace, event, lines[index].rollout_id, hw_leg(lines[index].user_data),
             lines[index].opcode, HWR_CLOCK_HOST, 0);
  }
}

void hr_close_window(hr_pipe_t *pipe) {
  hr_flight_t *flight = pipe->window;
  if (flight->count == 0) {
    return;
  }
  const uint64_t last = (uint64_t)(flight->count - 1u) << HWR_USER_DATA_LAST_LSB;
  for (uint32_t index = 0; index < flight->count; ++index) {
    flight->lines[index].user_data |= last;
  }
  flight->window = pipe->next_window++;
  ++pipe->windows_out;
  HR_COUNT(pipe, WINDOWS);
  pipe->in_flight += flight->count;
  hr_log(pipe, HWR_EVENT_WINDOW, 0, HWR_NONE, flight->window, flight->count, pipe->in_flight, 0);
}

// Whether the result is one that the line can have.
static int is_result(const hw_desc_t *line, const hw_desc_t *completion) {
  const uint32_t flags = completion->flags & HW_DEVICE_OWNED_FLAGS, got = completion->seq_len;
  if (line->opcode == HW_OPCODE_PREFILL) {
    return flags == HW_FLAG_DONE && got == line->max_tokens;
  }
  if (line->opcode == HW_OPCODE_REWARD) {
    return flags == HW_FLAG_DONE && got == line->seq_len;
  }
  const uint64_t boundary = ((uint64_t)line->seq_len / HWR_BLOCK_TOKENS + 1u) * HWR_BLOCK_TOKENS;
  if (flags == HW_FLAG_NEEDS_REWARD) {
    return got == boundary && boundary < line->max_tokens;
  }
  return flags == HW_FLAG_DONE && got >= line->seq_len && got <= boundary &&
         got <= line->max_tokens;
}

static int is_bad(hr_pipe_t *pipe, uint32_t index, uint32_t member, uint64_t expected,
                  uint64_t got) {
  pipe->bad.index = index;
  pipe->bad.member = member;
  pipe->bad.expected = expected;
  pipe->bad.got = got;
  return HR_E(BAD_COMPLETION);
}

int hr_check_window(hr_pipe_t *pipe, const hr_flight_t *flight, const hw_desc_t *completions,
                    uint32_t count) {
  pipe->bad.window = flight->window;
  for (uint32_t index = 0; index < flight->count && index < count; ++index) {
    const hw_desc_t *line = &flight->lines[index], *got = &completions[index];
    if (got->user_data != line->user_data) {
      return is_bad(pipe, index, 1, line->user_data, got->user_data);
    }
    if (got->opcode != line->opcode) {
      return is_bad(pipe, index, 2, line->opcode, got->opcode);
    }
    if (got->rollout_id != line->rollout_id) {
      return is_bad(pipe, index, 3, line->rollout_id, got->rollout_id);
    }
    if (got->max_tokens != line->max_tokens) {
      return is_bad(pipe, index, 4, line->max_tokens, got->max_tokens);
    }
    if (!is_result(line, got)) {
      return is_bad(pipe, index, 0, line->seq_len,
                    got->seq_len | (uint64_t)(got->flags & HW_DEVICE_OWNED_FLAGS) << 32);
    }
  }
  return count == flight->count
             ? 0
             : is_bad(pipe, count < flight->count ? count : flight->count, 5, flight->count, count);
}
