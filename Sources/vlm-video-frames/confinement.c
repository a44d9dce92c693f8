#include "confinement.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

static int limit(int resource, uint64_t most) {
    const struct rlimit both = {most, most};
    return setrlimit(resource, &both);
}

#ifdef OWN_ARCHITECTURE
#define ALLOW(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void filter_calls(void) {
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCHITECTURE, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(read), ALLOW(pread64), ALLOW(write), ALLOW(lseek), ALLOW(mmap), ALLOW(munmap), ALLOW(mremap), ALLOW(mprotect), ALLOW(madvise),
        ALLOW(brk), ALLOW(futex), ALLOW(clock_gettime), ALLOW(gettimeofday), ALLOW(clock_nanosleep), ALLOW(sched_getaffinity),
        ALLOW(rt_sigaction), ALLOW(rt_sigprocmask), ALLOW(rt_sigreturn), ALLOW(getpid), ALLOW(gettid), ALLOW(getrandom), ALLOW(exit),
        ALLOW(exit_group), ALLOW(ppoll),
#ifdef SYS_poll
        ALLOW(poll),
#endif
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
    const struct sock_fprog all = {sizeof program / sizeof program[0], program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) { prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all, 0, 0); }
}
#else
static void filter_calls(void) {}
#endif

int confine(uint64_t memory_bytes, uint64_t cpu_seconds) {
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (limit(RLIMIT_AS, memory_bytes) || limit(RLIMIT_CPU, cpu_seconds) || limit(RLIMIT_CORE, 0) || limit(RLIMIT_FSIZE, 0)
        || limit(RLIMIT_NOFILE, 3)) {
        return -1;
    }
    filter_calls();
    return 0;
}
