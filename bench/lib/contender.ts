/**
 * The contender's side of `interleave.ts`: warm up, then one repetition for every line `run`.
 *
 * `NIJIMI_BENCH_CLOCK=processor` counts the processor time of all the process's threads instead of the time on the
 * wall: what can be compared, with one thread, on a machine that does other work as well.
 */
import { createInterface } from "node:readline";

/** Serves repetitions of `work` until the input closes. @param warmups repetitions before `ready` @default 2 */
export async function serve(work: () => Promise<unknown>, warmups = 2): Promise<void> {
  for (let i = 0; i < warmups; i++) await work();
  process.stdout.write("ready\n");
  for await (const line of createInterface({ input: process.stdin })) {
    if (line !== "run") continue;
    const start = seconds();
    await work();
    process.stdout.write(`${seconds() - start}\n`);
  }
}

function seconds(): number {
  if (process.env["NIJIMI_BENCH_CLOCK"] !== "processor") return performance.now() / 1000;
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
