# SPDX-License-Identifier: Apache-2.0
#
# Timing constraints of the device out of context (Vivado; the commands are SDC, so that other tools
# take them too). In a system the clock is constrained where it is made, and these lines are not needed:
# the device has one clock, no asynchronous input, and no path that may be ignored.
create_clock -name clk -period 5.000 [get_ports clk_i]

# A fifth of the period outside, on either side; what the interconnect really takes replaces it.
set_input_delay -clock clk 1.000 [get_ports -filter {NAME != clk_i && DIRECTION == IN}]
set_output_delay -clock clk 1.000 [get_ports -filter {DIRECTION == OUT}]

# Both are wired to constants in a product [RING-012] [LIFE-002].
set_case_analysis 0 [get_ports {first_index_i[*]}]
