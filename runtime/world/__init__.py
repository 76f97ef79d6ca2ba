"""One world's time, cues and blocks; no sockets, no threads, no torch."""
