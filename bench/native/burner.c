/* Burns a share of one core in bursts, until it is killed: the CPU that a flood costs, without the flood.
 *
 *   burner SHARE BURST_US   0 < SHARE <= 1; each burst is that many microseconds of CPU time
 *
 * Prints a line when it has begun. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/prctl.h>

#include "net.h"

static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv)
{
    double share = argc == 3 ? atof(argv[1]) : 0, burst = argc == 3 ? atof(argv[2]) * 1e3 : 0;
    if (share <= 0 || share > 1 || burst <= 0)
        die("usage: burner SHARE BURST_US");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    printf("{\"share\": %.4f}\n", share);
    fflush(stdout);
    uint64_t begin = now_ns(), burnt = cpu_ns();
    for (;;) {
        for (uint64_t end = cpu_ns() + (uint64_t)burst; cpu_ns() < end;) {}
        /* What it could not burn because another had the core is made up for, as a flood would be. */
        uint64_t due = begin + (uint64_t)((double)(cpu_ns() - burnt) / share), now = now_ns();
        if (due > now)
            nanosleep(&(struct timespec){.tv_sec = (time_t)((due - now) / 1000000000u),
                                         .tv_nsec = (long)((due - now) % 1000000000u)}, NULL);
    }
}
