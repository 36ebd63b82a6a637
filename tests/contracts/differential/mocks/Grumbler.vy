# pragma version 0.4.3
# Refuses everything, and says so.


@external
@payable
def __default__():
    raise "certainly not"
