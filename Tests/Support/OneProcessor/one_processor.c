#define _GNU_SOURCE
#include "one_processor.h"

#include <sched.h>

int one_processor_bind(void) {
  cpu_set_t allowed, one;
  if (sched_getaffinity(0, sizeof allowed, &allowed)) return -1;
  int first = 0;
  while (first < CPU_SETSIZE && !CPU_ISSET(first, &allowed)) first++;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  return sched_setaffinity(0, sizeof one, &one);
}
