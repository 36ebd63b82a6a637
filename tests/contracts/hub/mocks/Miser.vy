# pragma version 0.4.3
# Pays, but takes no coins back: a plain transfer to it reverts, whatever the amount.


@external
@payable
@raw_return
def perform(target: address, data: Bytes[1024]) -> Bytes[1024]:
    return raw_call(target, data, value=msg.value, max_outsize=1024)
