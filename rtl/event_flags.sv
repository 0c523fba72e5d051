// SPDX-License-Identifier: Apache-2.0
//
// What a host learns of events: the errors that STATUS keeps, and the interrupt.
//
// Rules: IRQ-001, and REG-*: STATUS, IRQ_STATUS, IRQ_MASK. If an event and a write that clears it
// coincide, the event wins.
`default_nettype none
`include "hw_macros.svh"

module event_flags
  import hw_desc_pkg::*;
(
    // Clock and synchronous active-low reset.
    input wire logic        clk_i,
    input wire logic        rst_ni,
    // A register is written.
    input wire logic        write_i,
    input wire logic [11:0] addr_i,
    input wire logic [31:0] wdata_i,
    // Events: the host may be told of completions; errors {bus, doorbell, configuration}. The
    // device is halted: its beginning is an event.
    input wire logic        announce_i,
    input wire logic [ 2:0] errors_i,
    input wire logic        halted_i,
    // STATUS.BUS_ERROR, BAD_DOORBELL, BAD_CONFIG; the registers of the interrupt, and its level.
    output logic     [ 2:0] errors_o,
    output logic     [ 2:0] irq_status_o,
    output logic     [ 2:0] irq_mask_o,
    output logic            irq_o
);

  logic [2:0] errors_q, error_clear, irq_status_q, irq_mask_q, irq_events, irq_clear;
  logic halted_q, halts, write_status;

  assign halts = halted_i && !halted_q;
  assign write_status = write_i && addr_i == REG_STATUS;
  assign error_clear = write_status ? {wdata_i[STATUS_BUS_ERROR_BIT],
                                       wdata_i[STATUS_BAD_DOORBELL_BIT],
                                       wdata_i[STATUS_BAD_CONFIG_BIT]} : 3'd0;
  assign irq_clear = write_i && addr_i == REG_IRQ_STATUS ? wdata_i[2:0] : 3'd0;

  always_comb begin
    irq_events = '0;
    irq_events[IRQ_STATUS_COMPLETION_BIT] = announce_i;
    irq_events[IRQ_STATUS_HALTED_BIT] = halts;
    irq_events[IRQ_STATUS_ERROR_BIT] = errors_i != '0;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      errors_q     <= '0;
      halted_q     <= 1'b0;
      irq_status_q <= '0;
      irq_mask_q   <= '0;
    end else begin
      errors_q     <= errors_i | (errors_q & ~error_clear);
      halted_q     <= halted_i;
      irq_status_q <= irq_events | (irq_status_q & ~irq_clear);
      if (write_i && addr_i == REG_IRQ_MASK) begin
        irq_mask_q <= wdata_i[2:0];
      end
    end
  end

  assign errors_o     = errors_q;
  assign irq_status_o = irq_status_q;
  assign irq_mask_o   = irq_mask_q;
  assign irq_o        = |(irq_status_q & irq_mask_q);

`ifndef SYNTHESIS
  `HW_ASSERT_KNOWN(IrqKnown_A, irq_o, "the interrupt is never X")
`endif

endmodule

`default_nettype wire
