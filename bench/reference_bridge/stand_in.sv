// SPDX-License-Identifier: Apache-2.0
//
// A core of the size that small runtimes of this kind have, to measure against; no part of the
// product. Command FIFO of 16 descriptors of 192 bits, one worker, completion FIFO of 16 entries of
// 56 bits. The worker keeps a descriptor for one cycle, one more a token, and one for its
// completion, so that a descriptor of one token takes three.
//
// Descriptor, from bit 0: max_tokens 16, seq_len 16, id 16, opcode 8; the rest is carried along.
// Completion, from bit 0: reward id 16, final seq_len 16, status 8, id 16.
`default_nettype none

module stand_in (
    input wire logic          clk_i,
    input wire logic          rst_ni,
    input wire logic          desc_valid_i,
    output logic              desc_ready_o,
    input wire logic  [191:0] desc_i,
    output logic              comp_valid_o,
    input wire logic          comp_ready_i,
    output logic      [ 55:0] comp_o
);

  typedef enum logic [1:0] {
    StIdle,
    StDecode,
    StComplete
  } state_e;

  logic [191:0] desc_mem[16];
  logic [55:0] comp_mem[16];
  logic [4:0] desc_head_q, desc_tail_q, comp_head_q, comp_tail_q;
  state_e state_q;
  logic [191:0] desc_q, next_desc;
  logic [15:0] tokens_q, next_tokens;
  logic [55:0] comp_q;
  logic desc_waits, comp_room, last, boundary;

  assign desc_waits   = desc_head_q != desc_tail_q;
  assign desc_ready_o = (desc_tail_q - desc_head_q) != 5'd16;
  assign comp_room    = (comp_tail_q - comp_head_q) != 5'd16;
  assign comp_valid_o = comp_head_q != comp_tail_q;
  assign comp_o       = comp_mem[comp_head_q[3:0]];
  assign next_desc    = desc_mem[desc_head_q[3:0]];
  assign next_tokens  = tokens_q + 16'd1;
  assign last         = next_tokens >= desc_q[15:0];
  assign boundary     = next_tokens % 16'd32 == 16'd0;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      desc_head_q <= '0;
      desc_tail_q <= '0;
      comp_head_q <= '0;
      comp_tail_q <= '0;
      state_q     <= StIdle;
      tokens_q    <= '0;
      desc_q      <= '0;
      comp_q      <= '0;
    end else begin
      if (desc_valid_i && desc_ready_o) begin
        desc_mem[desc_tail_q[3:0]] <= desc_i;
        desc_tail_q <= desc_tail_q + 5'd1;
      end
      if (comp_valid_o && comp_ready_i) begin
        comp_head_q <= comp_head_q + 5'd1;
      end
      case (state_q)
        StIdle: begin
          if (desc_waits) begin
            desc_q      <= next_desc;
            tokens_q    <= next_desc[31:16];
            desc_head_q <= desc_head_q + 5'd1;
            if (next_desc[55:48] == 8'd1) begin
              state_q <= StDecode;
            end else begin
              comp_q  <= {next_desc[47:32], 8'd1, next_desc[31:16], next_desc[71:56]};
              state_q <= StComplete;
            end
          end
        end
        StDecode: begin
          tokens_q <= next_tokens;
          if (last || boundary) begin
            comp_q  <= {desc_q[47:32], last ? 8'd1 : 8'd2, next_tokens, desc_q[71:56]};
            state_q <= StComplete;
          end
        end
        StComplete: begin
          if (comp_room) begin
            comp_mem[comp_tail_q[3:0]] <= comp_q;
            comp_tail_q <= comp_tail_q + 5'd1;
            state_q     <= StIdle;
          end
        end
        default: state_q <= StIdle;
      endcase
    end
  end

endmodule

`default_nettype wire
