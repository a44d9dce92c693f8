#ifndef VLM_RATE_H
#define VLM_RATE_H
#include "internal.h"

enum { VLM_RATE_CHAINS = 16 };  // independent dependency chains

#endif
