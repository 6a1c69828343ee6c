/**
 * The child process of a batch: `tsx worker.ts TARGET SEED FIRST COUNT`.
 *
 * Before each input its number is written to descriptor 3, at once, so that the parent knows it even when the process
 * dies or never comes back. Findings are lines of JSON on standard output.
 */
import { writeSync } from "node:fs";
import { makeInput } from "./input.ts";
import { peakMemory, runWithin } from "./limits.ts";
import { targets } from "./targets/index.ts";

const [name, ...numbers] = process.argv.slice(2);
const [seed, first, count] = numbers.map(Number);
const target = targets.find((candidate) => candidate.name === name);
if (!target) throw new Error(`There is no target ${name}.`);

const material = await target.material();
const peak = peakMemory();
const place = new Uint32Array(1);

// Errors outside of the call that is being timed count against the input that runs.
process.on("unhandledRejection", (error) => {
  throw error;
});

for (let index = first; index < first + count; index++) {
  const input = makeInput(target, material, seed, index);
  place[0] = index;
  writeSync(3, place);
  const finding = await runWithin(target, input, peak);
  if (finding) process.stdout.write(`${JSON.stringify({ index, ...finding })}\n`);
}
