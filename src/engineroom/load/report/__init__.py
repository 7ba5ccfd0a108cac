"""One page about measurements that needs nothing but a browser: no network, no scripts, no fonts of its own."""
