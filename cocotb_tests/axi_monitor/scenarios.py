# SPDX-License-Identifier: Apache-2.0
"""What stands on a bus, cycle by cycle: a scenario for every rule, that breaks it and no other.

A cycle is a mapping from signal names to values; signals left out are 0. X stands for all bits X.
"""

from __future__ import annotations

from collections.abc import Iterator

from descring_vip.axi.rules import EXOKAY, FIXED, INCR, PAYLOAD, RULES, SLVERR, SOURCE, WRAP

X = "X"
Cycle = dict[str, int | str]
Scenario = list[Cycle]

RESET: Cycle = {"rst_ni": 0}
IDLE: Cycle = {}


def _address(channel: str, **values: int) -> Cycle:
    """A handshake on an address channel: one beat of 8 bytes, unless ``values`` say otherwise."""
    fields = {"id": 3, "addr": 0x1000, "size": 3, "burst": INCR, "valid": 1, "ready": 1} | values
    return {f"{channel}{name}": value for name, value in fields.items()}


def aw(**values: int) -> Cycle:
    """A write address."""
    return _address("aw", **values)


def ar(**values: int) -> Cycle:
    """A read address."""
    return _address("ar", **values)


def w(**values: int) -> Cycle:
    """A beat of write data, the last one, on no lane."""
    fields = {"data": 0x5A, "strb": 0, "last": 1, "valid": 1, "ready": 1} | values
    return {f"w{name}": value for name, value in fields.items()}


def b(**values: int) -> Cycle:
    """A write response."""
    return {
        f"b{name}": value for name, value in ({"id": 3, "valid": 1, "ready": 1} | values).items()
    }


def r(**values: int) -> Cycle:
    """A beat of read data, the last one."""
    fields = {"id": 3, "data": 0xA5, "last": 1, "valid": 1, "ready": 1} | values
    return {f"r{name}": value for name, value in fields.items()}


def write(**values: int) -> Scenario:
    """A whole write; ``values`` are those of its address."""
    beats = values.get("len", 0) + 1
    data = [w(last=int(beat == beats - 1)) for beat in range(beats)]
    return [aw(**values), *data, b(id=values.get("id", 3))]


def read(**values: int) -> Scenario:
    """A whole read; ``values`` are those of its address."""
    beats = values.get("len", 0) + 1
    data = [r(last=int(beat == beats - 1), id=values.get("id", 3)) for beat in range(beats)]
    return [ar(**values), *data]


_WRITE: Scenario = [aw(), w(), b()]
_READ: Scenario = [ar(), r()]
_PARTS = {"aw": _WRITE, "w": _WRITE, "b": _WRITE, "ar": _READ, "r": _READ}
_AT = {"aw": 0, "w": 1, "b": 2, "ar": 0, "r": 1}


def _stalled(channel: str, **first: int | str) -> Scenario:
    """A transfer in which ``channel`` waits three cycles; ``first`` is changed in the first."""
    scenario = list(_PARTS[channel])
    at = _AT[channel]
    waiting = scenario[at] | {f"{channel}ready": 0}
    return [*scenario[:at], waiting | first, waiting, waiting, *scenario[at:]]


def stalled_without_a_change() -> Iterator[Scenario]:
    """The stalls of :func:`_stalled`, kept to the rules."""
    for channel in PAYLOAD:
        yield _stalled(channel)


_OTHER = {"burst": FIXED, "size": 2, "last": 0, "resp": SLVERR}
"""Legal values to change from; 1 fits the other signals."""


def _handshakes() -> Iterator[tuple[str, Scenario]]:
    for channel, names in PAYLOAD.items():
        bus, source = channel.upper(), f"AXI4_ERR{SOURCE[channel]}"
        sink = "AXI4_ERRS" if SOURCE[channel] == "M" else "AXI4_ERRM"
        whole, at = _PARTS[channel], _AT[channel]
        yield f"{source}_{bus}VALID_RESET", [RESET, RESET | {f"{channel}valid": 1}, RESET, IDLE]
        withdrawn = whole[at] | {f"{channel}ready": 0}
        yield f"{source}_{bus}VALID_STABLE", [*whole[:at], withdrawn, IDLE, *whole[at:]]
        yield f"{source}_{bus}VALID_X", [IDLE, {f"{channel}valid": X}, IDLE]
        yield f"{sink}_{bus}READY_X", [IDLE, {f"{channel}ready": X}, IDLE]
        for name in names:
            signal = channel + name
            changed = _stalled(channel, **{signal: _OTHER.get(name, 1)})
            if signal == "wlast":
                changed = [aw(), w(ready=0), w(ready=0, last=0), w(last=1), b()]
            if signal == "rlast":
                changed = [ar(len=1), *(r(ready=0, last=last) for last in (0, 1)), r(last=0), r()]
            if signal in ("rid", "bid"):
                # Another transaction is open, so that the other id is no fault of its own.
                other = aw(id=1) | w() if channel == "b" else ar(id=1)
                closing = b(id=1) if channel == "b" else r(id=1)
                changed = [other, *changed, closing]
            yield f"{source}_{signal.upper()}_STABLE", changed
            # X counts as 0: ids are 0, so that it is no further fault.
            unknown: Scenario = [aw(id=0), w(), b(id=0)]
            if channel in ("ar", "r"):
                unknown = [ar(id=0), r(id=0)]
            if name == "last":
                unknown[0] |= {"awlen": 1, "arlen": 1}
                unknown.insert(at, {**unknown[at]})
            if signal == "wdata":
                unknown[1]["wstrb"] = 0x10
            unknown[at][signal] = X
            yield f"{source}_{signal.upper()}_X", unknown


def _addresses() -> Iterator[tuple[str, Scenario]]:
    for channel, whole in (("AW", write), ("AR", read)):
        rule = f"AXI4_ERRM_{channel}"
        yield f"{rule}ADDR_BOUNDARY", whole(addr=0x1FF8, len=1)
        yield f"{rule}ADDR_WRAP_ALIGN", whole(addr=0x1004, len=3, burst=WRAP)
        yield f"{rule}LEN_WRAP", whole(len=2, burst=WRAP)
        yield f"{rule}LEN_FIXED", whole(len=16, burst=FIXED)
        yield f"{rule}SIZE", whole(size=7)
        yield f"{rule}BURST", whole(burst=3)
        yield f"{rule}CACHE", whole(cache=0b0100)
        yield f"{rule}LEN_LOCK", whole(len=31, size=2, lock=1)
        yield f"{rule}EXCL_ALIGN", whole(addr=0x1008, len=1, lock=1)
        yield f"{rule}EXCL_LEN", whole(len=2, lock=1)
        yield f"{rule}EXCL_MAX", whole(len=31, lock=1)


def _transactions() -> Iterator[tuple[str, Scenario]]:
    yield "AXI4_ERRM_WDATA_NUM", [aw(len=1), w(last=1), b()]
    yield "AXI4_ERRM_WSTRB", [aw(addr=0x1004, size=2), w(strb=0x0F), b()]
    yield "AXI4_ERRS_BRESP_AW", [w(), b() | {"bready": 0}, aw() | b(), b()]
    yield "AXI4_ERRS_BRESP_WLAST", [aw(), b() | {"bready": 0}, w() | b(), b()]
    yield "AXI4_ERRS_BID", [aw(), w(), b(id=4), b()]
    yield "AXI4_ERRS_BRESP_EXOKAY", [aw(), w(), b(resp=EXOKAY)]
    yield "AXI4_ERRS_BRESP_ALL_DONE_EOS", [aw(), w()]
    yield "AXI4_ERRS_RID", [ar(), r(id=4), r()]
    yield "AXI4_ERRS_RDATA_NUM", [ar(len=1), r(last=1)]
    yield "AXI4_ERRS_RRESP_EXOKAY", [ar(), r(resp=EXOKAY)]
    yield "AXI4_ERRS_RLAST_ALL_DONE_EOS", [ar(len=1), r(last=0)]


BREAKING: dict[str, Scenario] = dict([*_handshakes(), *_addresses(), *_transactions()])
"""Rule to a scenario on the AXI4 bus."""

COMPANIONS = {f"AXI4_ERRM_{bus}EXCL_MAX": [f"AXI4_ERRM_{bus}LEN_LOCK"] for bus in ("AW", "AR")}
"""Rules that a scenario cannot but break too: 16 beats of a narrow bus are no more than allowed."""

MORE_BREAKING: list[tuple[str, Scenario]] = [
    ("AXI4_ERRM_WDATA_NUM", [aw(len=1), w(last=0), w(last=0), w(last=1), b()]),
    ("AXI4_ERRM_WDATA_NUM", [w(last=0), w(last=1), aw(), b()]),
    ("AXI4_ERRM_WDATA_NUM", [w(last=0), aw(), w(last=1), b()]),
    ("AXI4_ERRM_WSTRB", [w(strb=0xF0), aw(size=2), b()]),
    ("AXI4_ERRS_RDATA_NUM", [ar(), r(last=0)]),
    ("AXI4_ERRS_RID", [r(ready=0), ar() | r(ready=0), r()]),
    ("AXI4_ERRS_RID", [ar() | r(ready=0), r()]),
    ("AXI4_ERRS_BRESP_WLAST", [aw(), w() | b(ready=0), b()]),
    ("AXI4_ERRS_BRESP_ALL_DONE_EOS", [w()]),
    ("AXI4_ERRS_BRESP_ALL_DONE_EOS", [w(last=0)]),
    ("AXI4_ERRS_BRESP_ALL_DONE_EOS", [aw()]),
    ("AXI4_ERRM_AWVALID_RESET", [RESET, RESET, {"awvalid": 1}, aw(), w(), b()]),
    ("AXI4_ERRM_AWADDR_BOUNDARY", write(addr=0x1F0C, len=31)),
]
"""Further ways to break a rule."""

LITE_BREAKING: dict[str, Scenario] = {
    "AXI4LITE_ERRS_BRESP_EXOKAY": [
        {"awvalid": 1, "awready": 1, "wvalid": 1, "wready": 1},
        {"bvalid": 1, "bready": 1, "bresp": EXOKAY},
    ],
    "AXI4LITE_ERRS_RRESP_EXOKAY": [
        {"arvalid": 1, "arready": 1},
        {"rvalid": 1, "rready": 1, "rresp": EXOKAY},
    ],
}
"""Rule to a scenario on the AXI4-Lite bus."""

LEGAL: list[Scenario] = [
    _WRITE,
    _READ,
    *stalled_without_a_change(),
    [w(), aw(), b()],
    [w(last=0), aw(len=2) | w(last=0), w(), b()],
    [w(), w(last=0), w(), aw(), aw(len=1, id=4), b(id=4), b()],
    [aw(id=1), aw(id=2), w(), w(), b(id=2), b(id=1)],
    [ar(id=1, len=1), ar(id=2), r(id=1, last=0), r(id=2), r(id=1)],
    [ar(), ar(), r() | ar(), r(), r()],
    [aw(lock=1), w(), b(resp=EXOKAY), ar(lock=1), r(resp=EXOKAY)],
    [aw(), w(), b(resp=SLVERR), ar(), r(resp=SLVERR)],
    write(addr=0x1FF8, len=15, burst=FIXED),
    write(addr=0x1038, len=7, burst=WRAP),
    write(addr=0x1004, len=255, size=2),
    read(addr=0x1F80, len=15),
    write(addr=0x1F04, len=31),
    [aw(), w(strb=0xFF), b()],
    [aw(addr=0x1004, size=2), w(strb=0xF0), b()],
    [aw(addr=0x1006, size=3, len=1), w(strb=0xC0, last=0), w(), b()],
    [aw(), RESET, RESET, IDLE, IDLE, *_WRITE],
    [aw(ready=0), RESET, RESET, IDLE, IDLE, *_WRITE],
    [aw() | ar() | w(), r() | b(), *_READ],
]
"""Traffic without a fault."""

assert BREAKING.keys() | LITE_BREAKING.keys() <= RULES.keys()
