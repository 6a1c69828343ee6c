/** One guided step of Stable Diffusion 1.5's U-Net, 512 × 512, in a precision, served to `interleave.ts`. */
import { readFileSync } from "node:fs";
import { loadPipeline, NO_ADAPTERS, type Precision } from "nijimi/pipelines";
import { torchGenerator } from "nijimi/tensor";
import { serve } from "../lib/contender.ts";

const [folder, precision, threads = "2", quantizedFolder] = process.argv.slice(2);
const { unet } = await loadPipeline(folder, {
  threads: Number(threads),
  precision: precision as Precision,
  quantizedFolder,
});
const random = torchGenerator(0);
const context = random.randn([2, 77, 768]);
const sample = random.randn([2, 4, 64, 64]);
await serve(() => unet.run({ sample, timestep: 500, context }, NO_ADAPTERS), 1);
const peak = /VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
process.stderr.write(`${precision}: peak ${((Number(peak) * 1024) / 1e9).toFixed(2)} GB\n`);
