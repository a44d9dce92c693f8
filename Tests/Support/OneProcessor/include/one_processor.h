// Binds threads, so that a test has more of them than processors wherever it runs.
#pragma once

// Binds the calling thread, and those that it starts, to the first processor that it may use; 0 where that is done.
int one_processor_bind(void);
