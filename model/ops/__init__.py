"""The network's arithmetic: attention, linears, precision, allocator."""
