/*
 * Runs a program as on a kernel that forbids io_uring, as containers do: in it, and in all that it
 * starts, io_uring_setup() fails with EPERM. It needs no rights.
 *
 *   without_uring PROGRAM [ARGUMENT ...]
 *   without_uring --is-allowed         ends with 0 where io_uring can be used here, else with 1
 *
 * Ends with 125 where the kernel cannot forbid it, or where it is not forbidden then.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef __NR_io_uring_setup
#define __NR_io_uring_setup 425 /* the same on every architecture that Debian has today */
#endif

#define CANNOT_FORBID 125

/* A call without parameters: it fails in any case, but with EFAULT only where it is allowed. */
static bool is_allowed(void)
{
    errno = 0;
    return syscall(__NR_io_uring_setup, 1, NULL) >= 0 || errno == EFAULT;
}

static int forbid(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return -1;
    }
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s PROGRAM [ARGUMENT ...]\n", argv[0]);
        return 2;
    }
    if (strcmp(argv[1], "--is-allowed") == 0) {
        return is_allowed() ? 0 : 1;
    }
    if (forbid() != 0) {
        fprintf(stderr, "%s: cannot forbid io_uring: %s\n", argv[0], strerror(errno));
        return CANNOT_FORBID;
    }
    if (is_allowed()) {
        fprintf(stderr, "%s: io_uring is forbidden, but works\n", argv[0]);
        return CANNOT_FORBID;
    }
    execvp(argv[1], argv + 1);
    fprintf(stderr, "%s: %s: %s\n", argv[0], argv[1], strerror(errno));
    return errno == ENOENT ? 127 : 126;
}
