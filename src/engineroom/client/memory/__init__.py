"""Tensors through shared memory, where client and server are on one machine."""
