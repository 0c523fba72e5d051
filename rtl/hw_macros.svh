// SPDX-License-Identifier: Apache-2.0
//
// The only macros of the RTL: assertions that stop a simulation on every simulator.
//
// Icarus refuses concurrent assertions, and $error leaves a cocotb test green there, so an
// assertion is a clocked immediate check that ends in $fatal. A condition that is X counts as
// violated. Checks are off during reset; two-cycle rules use shadow registers of their own. They
// are off at time 0 too: where a simulator starts clock and reset at random values, the first
// evaluation may see a clock edge out of reset before either is driven.

`ifndef HW_MACROS_SVH
`define HW_MACROS_SVH

`ifdef FORMAL
// A proof has to prove every assertion of the RTL too.
`define HW_ASSERT(__name, __cond, __msg) \
  always_comb begin \
    if (rst_ni) begin \
      __name: assert (__cond); \
    end \
  end
`define HW_ASSERT_INIT(__name, __cond, __msg)
// Nothing is X in a proof.
`define HW_ASSERT_KNOWN(__name, __signal, __msg)

// The macros of the checkers in formal/. The comment above each use states the property in a
// sentence, behind the rules of the contract that it covers; descring_sim reads name, rules and
// sentence there. A property is checked in every cycle out of reset, on the values that the clock
// edge at the end of the cycle samples. Reset is an input like any other, low in the first cycle
// and free afterwards, so each proof covers reset at any moment.

// Whenever __when holds, __then holds. A cover shows that __when is reachable, so that the property
// is not vacuous.
`define HW_ASSERT_IF(__name, __when, __then) \
  always_comb begin \
    if (rst_ni) begin \
      __name: assert (!(__when) || (__then)); \
      __name``_reached: cover (__when); \
    end \
  end

// An expression that is 0 for all inputs, shown over GF(2): descring_sim.formal.linear.
`define HW_ASSERT_ZERO(__name, __output, __expression) \
  assign __output = __expression;

// A state that is reachable.
`define HW_COVER(__name, __cond) \
  always_comb begin \
    if (rst_ni) begin \
      __name: cover (__cond); \
    end \
  end

// What the environment guarantees; the sentence names the module that does.
`define HW_ASSUME(__name, __cond) \
  always_comb begin \
    __name: assume (__cond); \
  end
`elsif SYNTHESIS
`define HW_ASSERT(__name, __cond, __msg)
`define HW_ASSERT_KNOWN(__name, __signal, __msg)
`define HW_ASSERT_INIT(__name, __cond, __msg)
`else
`define HW_ASSERT(__name, __cond, __msg) \
  always @(posedge clk_i) begin : __name \
    if ($time != 0 && rst_ni === 1'b1 && (__cond) !== 1'b1) begin \
      $fatal(1, "%m: %s", __msg); \
    end \
  end

`define HW_ASSERT_KNOWN(__name, __signal, __msg) `HW_ASSERT(__name, ^(__signal) !== 1'bx, __msg)

// A parameter outside its range ends the simulation before it starts.
`define HW_ASSERT_INIT(__name, __cond, __msg) \
  initial begin : __name \
    if (!(__cond)) begin \
      $fatal(1, "%m: %s", __msg); \
    end \
  end
`endif

// Payload and valid are held while valid and not ready. Wide data are compared only after a stall:
// a simulator would spend most of its time on them otherwise. Once a module, outside synthesis.
`define HW_ASSERT_STABLE(__valid, __ready, __data, __msg) \
  logic past_stalled_q, stable; \
  logic [$bits(__data)-1:0] past_data_q; \
  always_ff @(posedge clk_i) begin \
    past_stalled_q <= rst_ni && __valid && !__ready; \
    if (__valid && !__ready) begin \
      past_data_q <= __data; \
    end \
  end \
  always_comb begin \
    stable = 1'b1; \
    if (past_stalled_q) begin \
      stable = __valid && __data === past_data_q; \
    end \
  end \
  `HW_ASSERT(StableUnderStall_A, stable, __msg)

`endif
