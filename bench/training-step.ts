/**
 * One training step (forward, backward, AdamW) against PyTorch eager, interleaved.
 *
 *   npm run bench -- training-step [--one-thread] [NETWORK …]
 *
 * with NIJIMI_PYTHON pointing at a Python that has torch and diffusers. `--one-thread` compares processor time of one
 * thread, for machines that are not idle.
 */
import { parseArgs } from "node:util";
import { interleave, showTimings } from "./lib/interleave.ts";
import { NETWORKS } from "./lib/networks.ts";

const { values: options, positionals } = parseArgs({
  options: { "one-thread": { type: "boolean", default: false } },
  allowPositionals: true,
});
if (options["one-thread"]) process.env["NIJIMI_BENCH_CLOCK"] = "processor";
const threads = options["one-thread"] ? "1" : "2";
const names = positionals.length > 0 ? positionals : Object.keys(NETWORKS);
const python = process.env["NIJIMI_PYTHON"];
const here = import.meta.dirname;
for (const name of names) {
  const own = {
    name: `nijimi ${name}`,
    command: process.execPath,
    args: [
      "--conditions=@nijimi/source",
      "--import",
      "tsx",
      `${here}/workers/training-step.ts`,
      name,
      threads,
    ],
  };
  const torch = (layout: string) => ({
    name: `torch ${layout}`,
    command: python ?? "",
    args: [`${here}/python/training_step.py`, name, layout, threads],
  });
  const contenders = python === undefined ? [own] : [own, torch("contiguous")];
  process.stdout.write(`${showTimings(await interleave(contenders))}\n`);
}
