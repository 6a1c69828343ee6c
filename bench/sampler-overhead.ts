/**
 * Overhead of the sampling loops themselves: milliseconds per step of every sampler with a denoiser
 * that only returns its input, on latents of one 512×512 image (4×64×64). Noise is drawn
 * beforehand. Ends non-zero when a sampler takes more than 1 ms a step.
 *
 * npm run bench -- sampler-overhead
 */
import {
  lastStep,
  levelOf,
  makeSigmas,
  type NoiseSource,
  type Prediction,
  type SamplerEntry,
  SAMPLERS,
} from "nijimi/diffusion";
import { torchGenerator } from "nijimi/tensor";

const SHAPE = [1, 4, 64, 64];
const STEPS = 40;
const ROUNDS = 7;
const LIMIT = 1;

const x = torchGenerator(0).randn(SHAPE);
const drawn = Array.from({ length: 8 }, (_, seed) => torchGenerator(seed).randn(SHAPE));
const karras = makeSigmas("karras", STEPS, { sigmaMin: 0.03, sigmaMax: 14.6 });

let slowest = 0;
for (const [name, entry] of Object.entries(SAMPLERS) as [string, SamplerEntry][]) {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) times.push(await timePerStep(entry));
  const best = Math.min(...times); // whatever else runs on the machine only adds
  slowest = Math.max(slowest, best);
  process.stdout.write(`${name.padEnd(32)} ${best.toFixed(3)} ms per step\n`);
}
process.stdout.write(`slowest ${slowest.toFixed(3)} ms per step, limit ${LIMIT} ms\n`);
if (slowest > LIMIT) process.exitCode = 1;

/** Milliseconds per step of the schedule. */
async function timePerStep(entry: SamplerEntry): Promise<number> {
  const space = entry.spaces?.[0] ?? "ve";
  const all = entry.needs === "levels-above-0" ? karras.slice(0, -1) : karras;
  const sigmas = space === "flow" ? all.map((sigma) => sigma / (1 + sigma)) : all;
  let draws = 0;
  const noise: NoiseSource = () => drawn[draws++ % drawn.length];
  const answer: Prediction =
    entry.needs === "unconditional-eps" ? { denoised: x, eps: x } : { denoised: x };
  const { std } = levelOf(space, sigmas[0]);
  const start = { ...x, data: x.data.map((value) => value * std) };
  const before = performance.now();
  await lastStep(entry.run({ denoise: () => answer, x: start, sigmas, space, noise }));
  return (performance.now() - before) / STEPS;
}
