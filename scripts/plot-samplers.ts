/**
 * The plots of `docs/guide/choose-a-sampler.md`: error against evaluations of the denoiser, on a
 * distribution whose denoiser is known.
 *
 * npm run plots
 */
import { writeFileSync } from "node:fs";
import path from "node:path";
import {
  brownianNoise,
  componentWeights,
  type DiscreteSigmas,
  discreteSigmasOf,
  diffusionTables,
  type GaussianMixture,
  lastStep,
  makeBetas,
  makeSigmas,
  mixtureDenoiser,
  type NoiseSource,
  type SamplerEntry,
  type SamplerInput,
  type SamplerName,
  SAMPLERS,
  sequentialNoise,
} from "nijimi/diffusion";
import { type Tensor, torchGenerator } from "nijimi/tensor";
import { type Line, lineChart } from "./plots/line-chart.ts";

const MIXTURE: GaussianMixture = { means: [-1, -0.2, 0.9], weights: [0.3, 0.3, 0.4], std: 0.1 };
/** Stable Diffusion's levels: 0.029 to 14.6. */
const TABLE: DiscreteSigmas = discreteSigmasOf(
  diffusionTables(makeBetas({ schedule: "scaled-linear", betaStart: 0.00085, betaEnd: 0.012 }))
    .alphasCumprod,
);
const EVALUATIONS = [4, 6, 8, 10, 14, 20, 30, 40, 60, 100];
const IMAGES = path.join(import.meta.dirname, "..", "docs", "guide", "images");

await write(
  "sampler-ode-error",
  "Samplers without noise: how far from the exact end of the ODE",
  "root mean square error",
  [
    ...(await odeLines(
      [
        "euler",
        "heun",
        "dpm2",
        "dpmpp-2m",
        "dpmpp-3m",
        "unipc-bh2",
        "deis",
        "lms",
        "ipndm",
        "dpmpp-2s",
      ],
      "karras",
    )),
  ],
);
await write(
  "sampler-distribution-error",
  "Samplers with noise: how far from the distribution",
  "Wasserstein distance",
  [
    ...(await distributionLines([
      "euler-ancestral",
      "ddpm",
      "dpmpp-2s-ancestral",
      "dpmpp-sde",
      "dpmpp-2m-sde",
      "dpmpp-3m-sde",
      "sa-solver",
      "euler",
      "dpmpp-2m",
    ])),
  ],
);
await write(
  "schedule-error",
  "DPM++ 2M on different schedules: how far from the exact end of the ODE",
  "root mean square error",
  await scheduleLines("dpmpp-2m"),
);

async function write(
  name: string,
  title: string,
  yLabel: string,
  lines: readonly Line[],
): Promise<void> {
  const file = path.join(IMAGES, `${name}.svg`);
  writeFileSync(file, lineChart({ title, xLabel: "evaluations of the denoiser", yLabel, lines }));
  process.stdout.write(`${path.relative(process.cwd(), file)}\n`);
}

function start(count: number, sigma: number): Tensor<"float32"> {
  const noise = torchGenerator(0).randn([1, count]);
  return { ...noise, data: noise.data.map((value) => value * sigma) };
}

/** Steps that spend about `evaluations`; a two-stage sampler's last step takes one. */
function stepsFor(entry: SamplerEntry, evaluations: number): number {
  return entry.evaluations === 2 ? Math.floor((evaluations + 1) / 2) : evaluations;
}

async function run(
  sampler: SamplerName,
  schedule: string,
  steps: number,
  count: number,
  noise?: NoiseSource,
): Promise<Float32Array> {
  const entry: SamplerEntry = SAMPLERS[sampler];
  const sigmas = makeSigmas(schedule, steps, { table: TABLE });
  const input: SamplerInput = {
    denoise: mixtureDenoiser(MIXTURE),
    x: start(count, sigmas[0]),
    sigmas,
    noise,
  };
  return (await lastStep(entry.run(input))).x.data;
}

/** Errors of the endpoints against a run of Heun's method with very many steps. */
async function odeLines(samplers: readonly SamplerName[], schedule: string): Promise<Line[]> {
  const count = 512;
  const exact = await run("heun", "karras", 2000, count);
  return Promise.all(
    samplers.map(async (name) => ({
      name,
      points: await curve(SAMPLERS[name], async (steps) =>
        rootMeanSquare(await run(name, schedule, steps, count), exact),
      ),
    })),
  );
}

async function scheduleLines(sampler: SamplerName): Promise<Line[]> {
  const count = 512;
  const lines: Line[] = [];
  for (const schedule of [
    "karras",
    "exponential",
    "normal",
    "simple",
    "sgm-uniform",
    "beta",
    "kl-optimal",
  ]) {
    // every schedule starts at a level of its own: the exact end is that of its own start
    const points = await curve(SAMPLERS[sampler], async (steps) => {
      const sigmas = makeSigmas(schedule, steps, { table: TABLE });
      const x = start(count, sigmas[0]);
      const exact = await lastStep(
        SAMPLERS.heun.run({
          denoise: mixtureDenoiser(MIXTURE),
          x,
          sigmas: makeSigmas("karras", 1000, { sigmaMin: 0.0292, sigmaMax: sigmas[0] }),
        }),
      );
      const { x: end } = await lastStep(
        SAMPLERS[sampler].run({ denoise: mixtureDenoiser(MIXTURE), x, sigmas }),
      );
      return rootMeanSquare(end.data, exact.x.data);
    });
    lines.push({ name: schedule, points });
  }
  return lines;
}

async function distributionLines(samplers: readonly SamplerName[]): Promise<Line[]> {
  const count = 40_000;
  const quantiles = mixtureQuantiles(count);
  const lines: Line[] = [];
  for (const name of samplers) {
    const entry: SamplerEntry = SAMPLERS[name];
    const points = await curve(entry, async (steps) =>
      wasserstein(await run(name, "karras", steps, count, noiseFor(entry, count)), quantiles),
    );
    lines.push({ name, points });
  }
  const floor = wasserstein(exactDraws(count), quantiles);
  return [
    ...lines,
    {
      name: "40,000 exact draws",
      reference: true,
      points: EVALUATIONS.map((n) => [n, floor] as const),
    },
  ];
}

function noiseFor({ noise }: SamplerEntry, count: number): NoiseSource {
  if (noise !== "brownian") return sequentialNoise(torchGenerator(1));
  return brownianNoise({
    shape: [1, count],
    sigmaMin: 0.0292,
    sigmaMax: 14.6147,
    seed: 1,
    decimals: 3,
  });
}

async function curve(
  entry: SamplerEntry,
  error: (steps: number) => Promise<number>,
): Promise<(readonly [number, number])[]> {
  const points: (readonly [number, number])[] = [];
  for (const evaluations of EVALUATIONS) {
    const steps = stepsFor(entry, evaluations);
    if (steps >= 3) points.push([evaluations, await error(steps)]);
  }
  return points;
}

function rootMeanSquare(a: Float32Array, b: Float32Array): number {
  return Math.sqrt(a.reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0) / a.length);
}

/** W1 between draws and a distribution given by as many quantiles. */
function wasserstein(draws: Float32Array, quantiles: Float64Array): number {
  const sorted = draws.toSorted();
  return sorted.reduce((sum, value, i) => sum + Math.abs(value - quantiles[i]), 0) / sorted.length;
}

/** The mixture at the probabilities (i + ½)/count. */
function mixtureQuantiles(count: number): Float64Array {
  const weights = componentWeights(MIXTURE);
  const cells = 20_000;
  const [low, high] = [-2, 2];
  const out = new Float64Array(count);
  let cumulative = 0;
  let next = 0;
  for (let cell = 0; cell < cells && next < count; cell++) {
    const value = low + ((cell + 0.5) / cells) * (high - low);
    const density = MIXTURE.means.reduce(
      (sum, mean, k) =>
        sum +
        (weights[k] * Math.exp(-((value - mean) ** 2) / (2 * MIXTURE.std ** 2))) /
          (MIXTURE.std * Math.sqrt(2 * Math.PI)),
      0,
    );
    cumulative += (density * (high - low)) / cells;
    while (next < count && (next + 0.5) / count <= cumulative) out[next++] = value;
  }
  return out.fill(high, next);
}

function exactDraws(count: number): Float32Array {
  const weights = componentWeights(MIXTURE);
  const generator = torchGenerator(2);
  const [noise, choice] = [generator.randn([count]).data, generator.rand([count]).data];
  return noise.map((value, i) => {
    let k = 0;
    for (
      let rest = choice[i] - weights[0];
      rest > 0 && k < weights.length - 1;
      rest -= weights[++k]
    );
    return MIXTURE.means[k] + MIXTURE.std * value;
  });
}
