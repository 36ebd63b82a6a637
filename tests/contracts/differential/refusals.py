"""Why a call was refused, in words that do not differ from call to call."""

from __future__ import annotations

from pyiexec.chain.abi import Function, decode, decode_revert

#: Custom errors of hub, diamond and registries by selector.
ERRORS = {
    error.selector: error
    for error in map(
        Function.parse,
        (
            "FunctionNotFound(bytes4)",
            "IncompatibleDatasetOrder(string)",
            "SafeCastOverflowedUintDowncast(uint8,uint256)",
            "NoSelectorsProvidedForFacetForCut(address)",
            "CannotAddSelectorsToZeroAddress(bytes4[])",
            "NoBytecodeAtAddress(address,string)",
            "CannotAddFunctionToDiamondThatAlreadyExists(bytes4)",
            "CannotReplaceFunctionsFromFacetWithZeroAddress(bytes4[])",
            "CannotReplaceFunctionWithTheSameFunctionFromTheSameFacet(bytes4)",
            "CannotReplaceFunctionThatDoesNotExists(bytes4)",
            "RemoveFacetAddressMustBeZeroAddress(address)",
            "CannotRemoveFunctionThatDoesNotExist(bytes4)",
            "InitializationFunctionReverted(address,bytes)",
            "ERC721NonexistentToken(uint256)",
            "ERC721InvalidOwner(address)",
            "ERC721IncorrectOwner(address,uint256,address)",
            "ERC721InvalidReceiver(address)",
            "ERC721InsufficientApproval(address,uint256)",
            "ERC721InvalidApprover(address)",
            "ERC721OutOfBoundsIndex(address,uint256)",
            "OwnableInvalidOwner(address)",
        ),
    )
}


def reason_of(refusal: bytes) -> str:
    """The reason in revert data: of a custom error its name and texts, without numbers and addresses."""
    error = ERRORS.get(refusal[:4])
    if error is None:
        return decode_revert(refusal).reason
    values = zip(error.inputs, decode(error.inputs, refusal[4:]), strict=True)
    return f"{error.name}({', '.join(str(value) for parameter, value in values if parameter.type == 'string')})"
