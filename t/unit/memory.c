/* The end of memory (src/base/memory.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void what_was_allocated_is_passed_on(void **state)
{
    int memory;

    (void)state;
    assert_ptr_equal(base_must(&memory), &memory);
}

static void the_end_is_said_and_is_an_abort(void **state)
{
    char said[256] = "", expected[256];
    int pipes[2], status;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(pipes), 0);
    pid = fork();
    if (pid == 0) {
        const struct rlimit no_core = {0, 0};

        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL); /* not the test's, which cmocka catches */
        prctl(PR_SET_NAME, "asks");
        dup2(pipes[1], STDERR_FILENO);
        base_must(NULL);
        _exit(0);
    }
    close(pipes[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_true(read(pipes[0], said, sizeof said - 1) > 0);
    close(pipes[0]);
    snprintf(expected, sizeof expected, "CT0064: out of memory: process %ld (asks) ends\n",
             (long)pid);
    assert_string_equal(said, expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_allocated_is_passed_on),
        cmocka_unit_test(the_end_is_said_and_is_an_abort),
    };

    return cmocka_run_group_tests_name("the end of memory", tests, NULL, NULL);
}
