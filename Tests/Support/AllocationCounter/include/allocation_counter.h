// Counts how often a thread asks for memory: the test process's own malloc stands before the C library's.
#pragma once

// Starts counting for the calling thread.
void allocation_counter_start(void);

// Stops, and returns how many blocks the calling thread has asked for since the start.
long allocation_counter_stop(void);
