/**
 * Fuzzes every parser with mutated files, each batch in a child process.
 *
 * `npm run fuzz -- [--seed N] [--inputs N] [--only TARGET,…] [--jobs N]`
 * `npm run fuzz -- --show TARGET:INDEX [--seed N]` writes one input to a file and runs it.
 *
 * Ends with the number of inputs and of what must not happen: crashes, errors outside of the library's family, more
 * than a second, more than 256 MB. Exits with 1 when anything was found.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { countFindings, fuzz } from "./fuzz/fuzz.ts";
import { makeInput } from "./fuzz/input.ts";
import { MAX_GROWTH, MAX_SECONDS, peakMemory, runWithin } from "./fuzz/limits.ts";
import { targets } from "./fuzz/targets/index.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    inputs: { type: "string", default: "200000" },
    only: { type: "string" },
    jobs: { type: "string", default: String(Math.min(2, availableParallelism())) },
    show: { type: "string" },
  },
});
const seed = Number(values.seed);

if (values.show === undefined) await runAll();
else await show(values.show);

async function runAll(): Promise<void> {
  const names = values.only?.split(",");
  const chosen = targets.filter(({ name }) => names?.includes(name) ?? true);
  if (chosen.length === 0)
    throw new Error(`No such target; there are ${targets.map(({ name }) => name).join(", ")}.`);
  const start = performance.now();
  const report = await fuzz({
    targets: chosen,
    seed,
    inputs: Number(values.inputs),
    jobs: Number(values.jobs),
    onBatch: ({ target, first, count }, found) => {
      console.log(
        `${target} ${first}–${first + count - 1}: ${found.length === 0 ? "ok" : `${found.length} found`}`,
      );
      for (const { index, kind, message } of found)
        console.log(
          `  ${kind} --seed ${seed} --show ${target}:${index}\n  ${message.replaceAll("\n", "\n  ")}`,
        );
    },
  });
  const total = Object.values(report.inputs).reduce((sum, count) => sum + count, 0);
  const { crash, error, hang, memory } = countFindings(report.findings);
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  console.log(
    Object.entries(report.inputs)
      .map(([name, count]) => `${name} ${count}`)
      .join(", "),
  );
  console.log(
    `${total} inputs in ${seconds} s: ${crash} crashes, ${error} unexpected errors, ` +
      `${hang} above ${MAX_SECONDS} s, ${memory} above ${MAX_GROWTH / 2 ** 20} MB`,
  );
  process.exitCode = report.findings.length > 0 ? 1 : 0;
}

async function show(input: string): Promise<void> {
  const [name, index] = input.split(":");
  const target = targets.find((candidate) => candidate.name === name);
  if (!target) throw new Error(`There is no target ${name}.`);
  const made = makeInput(target, await target.material(), seed, Number(index));
  const file = path.join(".cache", "fuzz", `${name}-${seed}-${index}.bin`);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, made.bytes);
  console.log(`${file}: ${made.bytes.length} bytes`);
  const finding = await runWithin(target, made, peakMemory());
  console.log(finding ? `${finding.kind}: ${finding.message}` : "ok");
}
