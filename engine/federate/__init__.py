"""Federated training: several branches train one model, and their rows stay where they are.

Flower's words for client and strategy, in one process: `client.Client` is what Flower calls a NumPyClient, and
`strategy.FedAvg` has the methods of its strategies, so Flower can take over where the branches are machines of their
own (see `client`). The road is `road.federate`.
"""
