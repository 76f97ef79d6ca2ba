"""What the network is computed with: attention, linear maps, precision."""
