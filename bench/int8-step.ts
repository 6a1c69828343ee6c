/**
 * Stable Diffusion 1.5 at full size with random weights: one guided U-Net step at 512 × 512 with int8 weights and
 * activations, against our own floats and OpenVINO in bf16 and f32, interleaved; and the peak memory of each of ours.
 *
 *   npm run bench -- int8-step [PRECISIONS] [THREADS]      e.g. int8,float32 2
 *
 * NIJIMI_PYTHON: a Python with torch, diffusers and openvino, for OpenVINO's lines; the last of them is what ratios
 * are of. NIJIMI_BENCH_MODELS: where the weights are made (4.3 GB) and quantised (1.4 GB each), once.
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { interleave, showTimings } from "./lib/interleave.ts";
import { randomStableDiffusion } from "./lib/random-sd15.ts";

const [asked = "int8,float32", threads = "2"] = process.argv.slice(2);
const python = process.env["NIJIMI_PYTHON"];
const here = import.meta.dirname;
const models = process.env["NIJIMI_BENCH_MODELS"] ?? join(tmpdir(), "nijimi-bench");
const folder = await randomStableDiffusion(join(models, "sd15-random"));

const own = asked.split(",").map((precision) => ({
  name: `nijimi ${precision}`,
  command: process.execPath,
  args: [
    "--conditions=@nijimi/source",
    "--import",
    "tsx",
    `${here}/workers/int8-step.ts`,
    folder,
    precision,
    threads,
    join(models, "quantized"),
  ],
}));
const peers = ["openvino", "openvino-bf16"].map((engine) => ({
  name: engine,
  command: python ?? "",
  args: [`${here}/python/sd_step.py`, folder, "unet", threads, engine],
}));
const contenders = python === undefined ? own : [...own, ...peers];
process.stdout.write(`${showTimings(await interleave(contenders, 3))}\n`);
