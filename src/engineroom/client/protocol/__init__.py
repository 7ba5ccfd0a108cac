"""How a server is reached: gRPC and HTTP, blocking and in an event loop, over TLS; the seam that tests use instead."""
