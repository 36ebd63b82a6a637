"""Hypothesis learns what orders and their parts look like: ``st.from_type(AppOrder)`` gives arbitrary signed orders."""

from hypothesis import strategies as st

from pyiexec.protocol.orders import ORDER_KINDS
from pyiexec.protocol.primitives import bytes32, checksum, to_hex

_PARTS = {
    "Address": st.binary(min_size=20, max_size=20).map(checksum),
    "Bytes32": st.binary(min_size=32, max_size=32).map(bytes32),
    "int": st.integers(0, 2**256 - 1),
    "str": st.text(max_size=40),
}

for struct in ORDER_KINDS.values():
    fields = {name: _PARTS[kind] for name, kind in struct.__annotations__.items()}
    fields["sign"] = st.binary(max_size=65).map(to_hex)
    st.register_type_strategy(struct, st.builds(struct, **fields))
