"""The contender's side of bench/lib/interleave.ts, as bench/lib/contender.ts."""
import os, sys, time


def serve(work, warmups=2):
    """Warms up, prints "ready", and for every line "run" does `work` once and prints the seconds it took.

    NIJIMI_BENCH_CLOCK=processor counts the process's processor time.
    """
    clock = time.process_time if os.environ.get("NIJIMI_BENCH_CLOCK") == "processor" else time.perf_counter
    for _ in range(warmups):
        work()
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "run":
            start = clock()
            work()
            print(clock() - start, flush=True)
