# pragma version 0.4.3
"""
@title DiamondInit
@license Apache-2.0
@notice What the diamond runs once, at its construction: it declares the interfaces it has.
@dev    The function is `init()`, a name that Vyper keeps for itself: hence the default function. The published ABI
        names it.
"""
from hub.modules import store

initializes: store

INIT_SELECTOR: constant(bytes4) = method_id("init()", output_type=bytes4)
ERC165: constant(bytes4) = 0x01ffc9a7
DIAMOND_CUT: constant(bytes4) = 0x1f931c1c
DIAMOND_LOUPE: constant(bytes4) = 0x48e2b093
ERC173: constant(bytes4) = 0x7f5828d0


@external
def __default__():
    assert convert(slice(msg.data, 0, 4), bytes4) == INIT_SELECTOR
    store.interfaces[ERC165] = True
    store.interfaces[DIAMOND_CUT] = True
    store.interfaces[DIAMOND_LOUPE] = True
    store.interfaces[ERC173] = True
