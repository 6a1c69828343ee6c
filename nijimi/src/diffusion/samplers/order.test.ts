/**
 * The order of convergence of every ODE solver, measured on mixtures with known score, is the one
 * its table entry states.
 */
import { describe, expect, it } from "vitest";
import type { Tensor } from "../../tensor/tensor.ts";
import { type GaussianMixture, mixtureDenoiser } from "./gaussian-mixture.ts";
import { heun } from "./heun.ts";
import { lastStep } from "./run.ts";
import { levelOf, SPACES } from "./space.ts";
import { type SamplerEntry, SAMPLERS } from "./table.ts";
import type { Denoiser, SamplerInput, Space } from "./types.ts";

interface Problem {
  readonly mixture: GaussianMixture;
  /** Noise : signal ratios of the first and last level. */
  readonly range: readonly [number, number];
  /**
   * Numbers of steps between which the order is measured; two of three modulo 3, for solvers that
   * group steps by three.
   */
  readonly steps: readonly [number, number];
}

const MEANS = [-1.2, 0.3, 1.5];
const WEIGHTS = [0.3, 0.4, 0.3];
const SHARP: Problem = {
  mixture: { means: MEANS, weights: WEIGHTS, std: 0.2 },
  range: [6, 0.1],
  steps: [62, 125],
};
/** Where low-order first steps dominate early, as they must in the end. */
const GENTLE: Problem = {
  mixture: { means: MEANS, weights: WEIGHTS, std: 0.35 },
  range: [5, 0.2],
  steps: [62, 125],
};
const PROBLEMS: Readonly<Record<string, Problem>> = {
  lms: GENTLE,
  deis: { ...GENTLE, steps: [29, 62] }, // before float32's rounding shows
  "unipc-bh1": { ...SHARP, steps: [29, 62] },
};

/** Options that take the randomness out of any sampler. */
const DETERMINISTIC = {
  eta: 0,
  sChurn: 0,
  restarts: [],
  tau: () => 0,
  lowerOrderFinal: false,
  noise: silence,
};

function silence(shape: readonly number[]): Tensor<"float32"> {
  return { dtype: "float32", shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) };
}

/** Karras' levels without the last one, 0. */
function levels([high, low]: readonly [number, number], steps: number, space: Space): number[] {
  const [a, b] = [high ** (1 / 7), low ** (1 / 7)];
  const ratios = Array.from({ length: steps + 1 }, (_, i) => (a + (i / steps) * (b - a)) ** 7);
  return space === "flow" ? ratios.map((r) => r / (1 + r)) : ratios;
}

function start(range: readonly [number, number], space: Space): Tensor<"float32"> {
  const { alpha, std } = levelOf(space, levels(range, 1, space)[0]);
  const scale = Math.hypot(std, 1.2 * alpha);
  return {
    dtype: "float32",
    shape: [16],
    data: Float32Array.from({ length: 16 }, (_, i) => (-2.2 + (4.4 * i) / 15) * scale),
  };
}

async function endpoint(
  entry: Pick<SamplerEntry, "run">,
  { mixture, range }: Problem,
  steps: number,
  space: Space,
): Promise<Float32Array> {
  const input: SamplerInput = {
    ...DETERMINISTIC,
    denoise: withEps(mixtureDenoiser(mixture, space), space),
    x: start(range, space),
    sigmas: levels(range, steps, space),
    space,
  };
  return (await lastStep(entry.run(input))).x.data;
}

/** CFG++ without guidance: the noise is that of the prediction. */
function withEps(denoise: Denoiser, space: Space): Denoiser {
  return async (x, sigma, context) => {
    const { denoised } = await denoise(x, sigma, context);
    const { alpha, std } = levelOf(space, sigma);
    return {
      denoised,
      eps: { ...x, data: x.data.map((value, i) => (value - alpha * denoised.data[i]) / std) },
    };
  };
}

const solvers = (Object.entries(SAMPLERS) as [string, SamplerEntry][]).filter(
  ([, { order, evaluations }]) => order !== undefined && (evaluations !== undefined || order === 3),
);

describe.each(SPACES)("order of convergence in %s", (space) => {
  const here = solvers.filter(
    ([name, { spaces }]) =>
      name !== "dpm-adaptive" && (spaces === undefined || spaces.includes(space)),
  );
  it.each(here)("%s", async (name, entry) => {
    const problem = PROBLEMS[name] ?? SHARP;
    const exact = await endpoint({ run: heun }, problem, 2000, space);
    const errors: number[] = [];
    for (const steps of problem.steps) {
      const got = await endpoint(entry, problem, steps, space);
      errors.push(Math.max(...got.map((value, i) => Math.abs(value - exact[i]))));
    }
    const order = Math.log(errors[0] / errors[1]) / Math.log(problem.steps[1] / problem.steps[0]);
    expect(order).toBeGreaterThan(entry.order! - 0.4);
    expect(order).toBeLessThan(entry.order! + 0.4);
  });
});

it("dpm-adaptive comes as close as its tolerance asks", async () => {
  const exact = await endpoint({ run: heun }, SHARP, 2000, "ve");
  const error = async (tolerance: number) => {
    const run = (input: SamplerInput) =>
      SAMPLERS["dpm-adaptive"].run({ ...input, rtol: tolerance, atol: tolerance } as SamplerInput);
    const got = await endpoint({ run }, SHARP, 2, "ve");
    return Math.max(...got.map((value, i) => Math.abs(value - exact[i])));
  };
  expect(await error(1e-2)).toBeLessThan(1e-2);
  expect(await error(1e-4)).toBeLessThan(2e-4);
});
