/** The contender's side of `interleave.ts`: warm up, then one repetition for every line `run`. */
import { createInterface } from "node:readline";

/** Serves repetitions of `work` until the input closes. @param warmups repetitions before `ready` @default 2 */
export async function serve(work: () => Promise<unknown>, warmups = 2): Promise<void> {
  for (let i = 0; i < warmups; i++) await work();
  process.stdout.write("ready\n");
  for await (const line of createInterface({ input: process.stdin })) {
    if (line !== "run") continue;
    const start = performance.now();
    await work();
    process.stdout.write(`${(performance.now() - start) / 1000}\n`);
  }
}
