// SPDX-License-Identifier: Apache-2.0
//
// The only macros of the proofs. The comment above each use says the property in a sentence, behind
// the rules of the contract that it states; descring_sim.formal reads name, rules and sentence there.
//
// A property is a combinational immediate assertion: it is checked in every cycle out of reset, on
// the values that the clock edge at the end of the cycle samples. Reset is an input like any other,
// low in the first cycle and free afterwards, so each proof covers reset at any moment.

`ifndef FORMAL_MACROS_SVH
`define FORMAL_MACROS_SVH

// Whenever __when holds, __then holds. A cover shows that __when is reachable, so that the property
// does not hold for want of a case.
`define PROVE(__name, __when, __then) \
  always_comb begin \
    if (rst_ni) begin \
      __name: assert (!(__when) || (__then)); \
      __name``_reached: cover (__when); \
    end \
  end

// An expression that is 0 for all inputs, shown over GF(2): descring_sim.formal.linear says how.
`define PROVE_ZERO(__name, __output, __expression) \
  assign __output = __expression;

// Something that can happen.
`define REACH(__name, __what) \
  always_comb begin \
    if (rst_ni) begin \
      __name: cover (__what); \
    end \
  end

// What the surroundings promise; the sentence says who keeps the promise.
`define SUPPOSE(__name, __what) \
  always_comb begin \
    __name: assume (__what); \
  end

`endif
