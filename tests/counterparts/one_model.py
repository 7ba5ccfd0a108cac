"""A model of one number, for servers that are functions, and what a client of them tells."""

from engineroom.client import ModelMetadata, TensorMetadata

M = ModelMetadata("m", (TensorMetadata("x", "FP32", (1,)),), (TensorMetadata("y", "FP32", (1,)),))


def ask(client, **options):
    """The answer to 1."""
    return int(client.infer("m", x=[1.0], **options)["y"][0])


def asked(servers):
    """How many requests each has got."""
    return [len(server.requests) for server in servers]


def in_flight(client):
    """How many requests of the client each server has not answered."""
    return [endpoint.in_flight for endpoint in client._asking.servers._endpoints.all]
