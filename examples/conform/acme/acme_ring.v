// SPDX-License-Identifier: Apache-2.0
//
// A core that shares no line and no name with rtl/: one worker, AXI-Stream ports, an asynchronous
// active-high reset. It is here to be connected to the conformance kit by acme.toml alone.
`default_nettype none

module acme_ring #(
    parameter integer SLOTS = 8,
    parameter integer TOKEN_CYCLES = 1
) (
    input  wire         aclk,
    input  wire         areset,
    input  wire [ 31:0] cfg_start_index,
    input  wire         cfg_strict,
    input  wire         cfg_two_rings,
    input  wire         run,
    input  wire         go_on,
    input  wire [ 31:0] published,
    output wire         running_n,
    // Descriptors.
    input  wire [511:0] s_axis_tdata,
    input  wire [ 63:0] s_axis_tkeep,
    input  wire         s_axis_tlast,
    input  wire         s_axis_tvalid,
    output wire         s_axis_tready,
    // Completions.
    output wire [511:0] m_axis_tdata,
    output wire         m_axis_tlast,
    output wire         m_axis_tvalid,
    input  wire         m_axis_tready,
    output wire [511:0] r_axis_tdata,
    output wire         r_axis_tvalid,
    input  wire         r_axis_tready
);

  // CRC-32C over the first 60 bytes, bit by bit.
  function [31:0] crc(input [479:0] data);
    integer k;
    reg [31:0] c;
    begin
      c = 32'hFFFFFFFF;
      for (k = 0; k < 480; k = k + 1) begin
        c = (c >> 1) ^ ((c[0] ^ data[k]) ? 32'h82F63B78 : 32'd0);
      end
      crc = ~c;
    end
  endfunction

  // k / 255 as a float32, to nearest: scaled until the quotient has 24 bits.
  function [31:0] score(input [7:0] k);
    integer e;
    reg [63:0] n;
    reg [63:0] q;
    begin
      e = 127 + 23;
      n = {56'd0, k};
      if (k == 8'd0) begin
        score = 32'd0;
      end else begin
        while (n / 64'd255 < 64'h800000) begin
          n = n << 1;
          e = e - 1;
        end
        q = (n + 64'd127) / 64'd255;
        score = {1'b0, e[7:0], q[22:0]};
      end
    end
  endfunction

  localparam [1:0] WAIT = 2'd0, WORK = 2'd1, POST = 2'd2, HALT = 2'd3;

  reg [1:0] state;
  reg [31:0] written, taken, main_posted, side_posted, spent;
  reg [511:0] line;
  reg [511:0] slots[0:SLOTS-1];

  wire [15:0] opcode = line[15:0];
  wire [15:0] given = line[31:16];
  wire [31:0] have = line[287:256];
  wire [31:0] want = line[319:288];
  wire checked = given[5];
  wire known = opcode <= 16'd4 || opcode == 16'd255;

  wire [7:0] refusal =
      !checked && cfg_strict ? 8'd1 :
      checked && crc(line[479:0]) != line[511:480] ? 8'd1 :
      checked && line[479:448] != taken ? 8'd3 :
      !known ? 8'd2 : 8'd0;
  wire good = refusal == 8'd0;

  wire is_rollout = good && opcode == 16'd4;
  wire is_decode = good && opcode == 16'd1 || is_rollout;
  wire [31:0] missing = have < want ? want - have : 32'd0;
  wire [31:0] to_boundary = 32'd32 - {27'd0, have[4:0]};
  wire pause = is_decode && !is_rollout && missing > to_boundary;
  wire [31:0] tokens = !is_decode ? 32'd0 : pause ? to_boundary : missing;
  wire is_stop = good && opcode == 16'd255;

  wire [7:0] low = {given[7:6], checked || cfg_strict, !good, is_stop, given[2],
                    good && !pause && !is_stop, pause};
  wire [31:0] length = is_decode ? have + tokens :
                       good && opcode == 16'd3 && want > have ? want : have;
  wire [31:0] group = good && opcode == 16'd2 || is_rollout ? score(length[7:0]) : line[383:352];
  wire to_side = cfg_two_rings && pause;
  wire [31:0] tag = to_side ? side_posted : main_posted;
  wire sealed = checked || cfg_strict;
  wire [479:0] body = {sealed ? tag : line[479:448], line[447:384], group, line[351:320], want,
                       length, line[255:32], refusal, low, opcode};
  wire [511:0] answer = {sealed ? crc(body) : line[511:480], body};

  wire take = state == WAIT && run && taken != written && taken != published;

  assign s_axis_tready = !areset && written - taken != SLOTS;
  assign m_axis_tdata = answer;
  assign m_axis_tlast = 1'b1;
  assign m_axis_tvalid = state == POST && !to_side;
  assign r_axis_tdata = answer;
  assign r_axis_tvalid = state == POST && to_side;
  assign running_n = state != HALT;

  always @(posedge aclk or posedge areset) begin
    if (areset) begin
      state <= WAIT;
      written <= cfg_start_index;
      taken <= cfg_start_index;
      main_posted <= cfg_start_index;
      side_posted <= cfg_start_index;
      spent <= 32'd0;
      line <= 512'd0;
    end else begin
      if (s_axis_tready && s_axis_tvalid) begin
        slots[written%SLOTS] <= s_axis_tdata;
        written <= written + 32'd1;
      end
      case (state)
        WAIT: begin
          spent <= 32'd0;
          if (take) begin
            line <= slots[taken%SLOTS];
            state <= WORK;
          end
        end
        WORK: begin
          spent <= spent + 32'd1;
          if (spent >= tokens * TOKEN_CYCLES) state <= POST;
        end
        POST: begin
          if (to_side ? r_axis_tready : m_axis_tready) begin
            taken <= taken + 32'd1;
            if (to_side) side_posted <= side_posted + 32'd1;
            else main_posted <= main_posted + 32'd1;
            state <= is_stop ? HALT : WAIT;
          end
        end
        default: if (go_on) state <= WAIT;
      endcase
    end
  end

endmodule

`default_nettype wire
