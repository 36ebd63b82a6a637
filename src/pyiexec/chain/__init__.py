"""What talks to an EVM node: JSON-RPC, ABI, signing, transactions, logs, deployment, the development chain."""
