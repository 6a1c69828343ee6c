/**
 * One training step (forward, backward, AdamW) against PyTorch eager, interleaved.
 *
 *   npm run bench -- training-step [NETWORK …]     with NIJIMI_PYTHON pointing at a Python that has torch and diffusers
 */
import { interleave, showTimings } from "./lib/interleave.ts";
import { NETWORKS } from "./lib/networks.ts";

const names = process.argv.slice(2).length > 0 ? process.argv.slice(2) : Object.keys(NETWORKS);
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
    ],
  };
  const torch = (layout: string) => ({
    name: `torch ${layout}`,
    command: python ?? "",
    args: [`${here}/python/training_step.py`, name, layout],
  });
  const contenders = python === undefined ? [own] : [own, torch("contiguous")];
  process.stdout.write(`${showTimings(await interleave(contenders))}\n`);
}
