/**
 * What holds for every sampler of the table: distribution, determinism, independence of batches,
 * spaces, refusals, cancelling.
 */
import { describe, expect, it } from "vitest";
import { torchGenerator } from "../../tensor/random/torch.ts";
import { perImage } from "../../tensor/random/streams.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { sequentialNoise } from "../noise/sequential-noise.ts";
import { brownianNoise } from "../noise/brownian-noise.ts";
import { veSde, vpSde } from "../schedules/sde.ts";
import { annealedLangevin } from "./annealed-langevin.ts";
import { ddim } from "./ddim.ts";
import { ddimInversion } from "./ddim-inversion.ts";
import { ddpm } from "./ddpm.ts";
import { dpmSolverMultistep } from "./dpm-solver-multistep.ts";
import { euler } from "./euler.ts";
import { mixtureDenoiser } from "./gaussian-mixture.ts";
import { predictorCorrector } from "./predictor-corrector.ts";
import { repaint, repaintMoves } from "./repaint.ts";
import { lastStep } from "./run.ts";
import { levelOf, SPACES } from "./space.ts";
import { type SamplerEntry, SAMPLERS } from "./table.ts";
import { tcd } from "./tcd.ts";
import type { Denoiser, SamplerInput, Space } from "./types.ts";

type F32 = Tensor<"float32">;

const entries = Object.entries(SAMPLERS) as [string, SamplerEntry][];
const TARGET = { means: [0.5], std: 0.5 };
const MIXTURE = { means: [-1, 1], std: 0.3 };

/** Karras' levels; without the last one, 0, where a sampler cannot have it. */
function levels(
  entry: SamplerEntry,
  steps: number,
  space: Space,
  [high, low] = [20, 0.02],
): number[] {
  const [a, b] = [high ** (1 / 7), low ** (1 / 7)];
  const ratios = Array.from({ length: steps }, (_, i) => (a + (i / (steps - 1)) * (b - a)) ** 7);
  const all = entry.needs === "levels-above-0" ? ratios : [...ratios, 0];
  return space === "flow" ? all.map((r) => r / (1 + r)) : all;
}

function spaceOf({ spaces = ["ve"] }: SamplerEntry): Space {
  return spaces[0];
}

function startAt(space: Space, sigma: number, shape: readonly number[], seed = 1): F32 {
  const { std } = levelOf(space, sigma);
  const noise = torchGenerator(seed).randn(shape);
  return { ...noise, data: noise.data.map((value) => value * std) };
}

/** The exact denoiser, with what else a sampler needs of it. */
function denoiserFor({ needs }: SamplerEntry, space: Space, target = TARGET): Denoiser {
  if (needs === "consistency-network") return consistencyFunction(space, target);
  const denoise = mixtureDenoiser(target, space);
  return async (x, sigma, context) => {
    const { denoised } = await denoise(x, sigma, context);
    if (needs !== "unconditional-eps") return { denoised };
    const { alpha, std } = levelOf(space, sigma);
    return {
      denoised,
      eps: { ...x, data: x.data.map((value, i) => (value - alpha * denoised.data[i]) / std) },
    };
  };
}

/** The end of the probability-flow ODE of one Gaussian: mean + std·(x − α·mean)/√(α²std² + σ²). */
function consistencyFunction(
  space: Space,
  { means: [mean], std }: { means: number[]; std: number },
): Denoiser {
  return (x, sigma) => {
    const { alpha, std: noise } = levelOf(space, sigma);
    const scale = std / Math.hypot(alpha * std, noise);
    return {
      denoised: { ...x, data: x.data.map((value) => mean + scale * (value - alpha * mean)) },
    };
  };
}

function inputFor(
  entry: SamplerEntry,
  steps: number,
  shape: readonly number[],
  seed = 7,
): SamplerInput {
  const space = spaceOf(entry);
  const sigmas = levels(entry, steps, space);
  return {
    denoise: denoiserFor(entry, space),
    x: startAt(space, sigmas[0], shape),
    sigmas,
    space,
    noise: sequentialNoise(torchGenerator(seed)),
  };
}

function moments({ data }: F32): { mean: number; std: number } {
  const mean = data.reduce((a, b) => a + b, 0) / data.length;
  return { mean, std: Math.sqrt(data.reduce((a, b) => a + (b - mean) ** 2, 0) / data.length) };
}

describe("every sampler draws from the distribution its denoiser belongs to", () => {
  // TCD's jumps are as long as its network was trained for
  it.each(entries.filter(([, { needs }]) => needs !== "trajectory-network"))(
    "%s",
    async (name, entry) => {
      const steps = entry.needs === "consistency-network" ? 4 : 60;
      const slow = { stepsPerLevel: 40 }; // Langevin dynamics mixes slowly
      const { x } = await lastStep(entry.run({ ...slow, ...inputFor(entry, steps, [4000]) }));
      const { mean, std } = moments(x);
      // 4,000 draws: standard errors 0.008 and 0.006; discretisation adds to that
      const slack = ["restart", "annealed-langevin"].includes(name) ? 0.06 : 0.035;
      expect(Math.abs(mean - 0.5)).toBeLessThan(slack);
      expect(Math.abs(std - 0.5)).toBeLessThan(slack);
    },
  );
});

describe("every sampler yields what it promises", () => {
  it.each(entries)("%s", async (name, entry) => {
    const steps: number[] = [];
    const input = inputFor(entry, 6, [2, 3]);
    const before = input.x.data.slice();
    let sigma = Infinity;
    for await (const event of entry.run(input)) {
      steps.push(event.step);
      expect(event.x.shape).toEqual([2, 3]);
      expect(event.denoised.shape).toEqual([2, 3]);
      sigma = event.sigma;
    }
    expect(sigma).toBeLessThan(0.03);
    expect(input.x.data).toEqual(before);
    if (!["restart"].includes(name)) expect(steps).toEqual(steps.map((_, i) => i));
  });
});

describe("samplers without noise do not depend on the noise source", () => {
  it.each(entries.filter(([, { noise }]) => noise === "none"))("%s", async (_, entry) => {
    const input = inputFor(entry, 8, [3, 4]);
    const { x } = await lastStep(entry.run({ ...input, noise: undefined }));
    const { x: other } = await lastStep(
      entry.run({ ...input, noise: sequentialNoise(torchGenerator(99)) }),
    );
    expect(other.data).toEqual(x.data);
  });
});

describe("samplers with noise follow their seed", () => {
  it.each(entries.filter(([, { noise }]) => noise !== "none"))("%s", async (_, entry) => {
    const run = async (seed: number) =>
      (await lastStep(entry.run(inputFor(entry, 8, [3, 4], seed)))).x.data;
    const first = await run(7);
    expect(await run(7)).toEqual(first);
    expect(await run(8)).not.toEqual(first);
  });
});

describe("an image is the same in any batch", () => {
  const shape = [2, 4, 4];
  const seeds = [11, 12, 13, 14];
  // dpm-adaptive chooses its steps by the whole batch
  it.each(entries.filter(([name]) => name !== "dpm-adaptive"))("%s", async (_, entry) => {
    const space = spaceOf(entry);
    const sigmas = levels(entry, 7, space);
    const run = async (of: readonly number[]) => {
      const streams = of.map((seed) => torchGenerator(seed));
      const noise = perImage(streams);
      const start = noise.randn([of.length, ...shape]);
      const { std } = levelOf(space, sigmas[0]);
      const x = { ...start, data: start.data.map((value) => value * std) };
      const input = {
        denoise: denoiserFor(entry, space),
        x,
        sigmas,
        space,
        noise: sequentialNoise(streams),
      };
      return (await lastStep(entry.run(input))).x.data;
    };
    const whole = await run(seeds);
    const parts = [await run(seeds.slice(0, 1)), await run(seeds.slice(1, 4))];
    expect(Float32Array.from(parts.flatMap((part) => [...part]))).toEqual(whole);
  });
});

describe("vp is ve, scaled", () => {
  // dpm-adaptive measures its error in the scale of the state
  const both = entries.filter(
    ([name, { spaces, needs }]) => !spaces && !needs && name !== "dpm-adaptive",
  );
  it.each(both)("%s", async (_, entry) => {
    const sigmas = levels(entry, 8, "ve");
    const x = startAt("ve", sigmas[0], [2, 8]);
    const noise = () => sequentialNoise(torchGenerator(5));
    const ve = await lastStep(
      entry.run({ denoise: mixtureDenoiser(MIXTURE, "ve"), x, sigmas, noise: noise() }),
    );
    const { alpha } = levelOf("vp", sigmas[0]);
    const scaled = { ...x, data: x.data.map((value) => value * alpha) };
    const vp = await lastStep(
      entry.run({
        denoise: mixtureDenoiser(MIXTURE, "vp"),
        x: scaled,
        sigmas,
        space: "vp",
        noise: noise(),
      }),
    );
    const end = levelOf("vp", vp.sigma).alpha;
    vp.x.data.forEach((value, i) => expect(value / end).toBeCloseTo(ve.x.data[i], 4));
  });
});

describe("schedules without signal at the start", () => {
  const free = entries.filter(
    ([name, e]) => e.spaces === undefined && e.needs === undefined && !name.startsWith("dpm-"),
  );
  it.each(free)("%s starts a rectified flow at σ = 1", async (_, entry) => {
    const sigmas = [1, 0.9, 0.7, 0.5, 0.3, 0.1, 0];
    const x = startAt("flow", 1, [64]);
    const { x: end } = await lastStep(
      entry.run({
        denoise: mixtureDenoiser(MIXTURE, "flow"),
        x,
        sigmas,
        space: "flow",
        noise: sequentialNoise(torchGenerator(3)),
      }),
    );
    for (const value of end.data) expect(Math.abs(value)).toBeLessThan(5);
  });

  it.each(free)("%s starts at zero terminal SNR", async (_, entry) => {
    const sigmas = [Infinity, 20, 5, 1, 0.3, 0.05, 0];
    const x = startAt("vp", Infinity, [64]);
    const { x: end } = await lastStep(
      entry.run({
        denoise: mixtureDenoiser(MIXTURE, "vp"),
        x,
        sigmas,
        space: "vp",
        noise: sequentialNoise(torchGenerator(3)),
      }),
    );
    for (const value of end.data) expect(Math.abs(value)).toBeLessThan(5);
  });
});

describe("a run from the middle of a schedule", () => {
  it.each(
    entries.filter(([name, { needs }]) => needs !== "levels-above-0" && name !== "dpm-adaptive"),
  )("%s", async (_, entry) => {
    const input = inputFor(entry, 8, [2, 4]);
    const x = startAt(spaceOf(entry), input.sigmas[4], [2, 4]);
    const events = [];
    for await (const event of entry.run({ ...input, x, firstStep: 4 })) events.push(event);
    expect(events[events.length - 1].sigma).toBeLessThan(0.03);
    expect(events.length).toBeLessThanOrEqual(8);
  });
});

describe("bad input is refused", () => {
  const denoise = mixtureDenoiser(TARGET);
  const x = startAt("ve", 10, [2, 2]);
  const noise = sequentialNoise(torchGenerator(1));
  const good = { denoise, x, noise };
  const cases: readonly [string, Partial<SamplerInput>, RegExp][] = [
    ["no steps", { sigmas: [] }, /noise levels/],
    ["one level", { sigmas: [10] }, /noise levels/],
    ["NaN", { sigmas: [10, NaN, 0] }, /level 1 is NaN/],
    ["rising levels", { sigmas: [1, 2, 0] }, /must be falling/],
    ["negative levels", { sigmas: [1, -1] }, /between 0/],
    ["infinity in ve", { sigmas: [Infinity, 1, 0] }, /space "ve"/],
    ["more than 1 in flow", { sigmas: [2, 1, 0], space: "flow" }, /space "flow"/],
    ["an unknown space", { sigmas: [1, 0], space: "vv" as Space }, /Unknown space "vv".*ve/],
    ["a first step beyond the end", { sigmas: [1, 0], firstStep: 1 }, /firstStep/],
    [
      "data that does not fit its shape",
      { sigmas: [1, 0], x: { ...x, shape: [3, 2] } },
      /dense float32/,
    ],
  ];
  it.each(cases)("%s", async (_, bad, message) => {
    await expect(lastStep(euler({ ...good, sigmas: [10, 1, 0], ...bad }))).rejects.toThrow(message);
  });

  it.each([-0.1, 1.1, NaN])("eta %s in DDIM", async (eta) => {
    await expect(lastStep(ddim({ ...good, sigmas: [10, 1, 0], eta }))).rejects.toThrow(
      /eta must be a number between 0 and 1/,
    );
  });

  it("a denoiser that changes the shape", async () => {
    const broken: Denoiser = () => ({ denoised: startAt("ve", 1, [5]) });
    await expect(lastStep(euler({ ...good, sigmas: [10, 0], denoise: broken }))).rejects.toThrow(
      /returned \[5\] for a state of \[2,2\]/,
    );
  });

  it.each(entries.filter(([, { noise: kind }]) => kind !== "none"))(
    "%s without a source of noise",
    async (_, entry) => {
      await expect(
        lastStep(entry.run({ ...inputFor(entry, 4, [2]), noise: undefined })),
      ).rejects.toThrow(/pass `noise`/);
    },
  );

  it("an unknown choice, with the accepted ones", async () => {
    const wrong = dpmSolverMultistep({
      ...good,
      sigmas: [10, 0],
      solverType: "midpiont" as "midpoint",
    });
    await expect(lastStep(wrong)).rejects.toThrow(/Did you mean "midpoint"/);
  });

  it("CFG++ without the unconditional noise", async () => {
    await expect(
      lastStep(SAMPLERS["euler-cfg-plus-plus"].run({ ...good, sigmas: [10, 0] })),
    ).rejects.toThrow(/unconditional noise/);
  });
});

it("stops between steps when the signal fires", async () => {
  const controller = new AbortController();
  const seen: number[] = [];
  const run = async () => {
    const input = inputFor(SAMPLERS.heun, 10, [2]);
    for await (const { step } of SAMPLERS.heun.run({ ...input, signal: controller.signal })) {
      seen.push(step);
      if (step === 2) controller.abort();
    }
  };
  await expect(run()).rejects.toMatchObject({ code: "cancelled" });
  expect(seen).toEqual([0, 1, 2]);
});

describe("DDIM inversion", () => {
  const sigmas = levels(SAMPLERS.euler, 40, "vp").filter((sigma) => sigma > 0);
  const denoise = mixtureDenoiser(MIXTURE, "vp");
  it("returns: sampling from the inverted noise gives the image back", async () => {
    const image = await lastStep(
      ddim({ denoise, x: startAt("vp", 20, [64]), sigmas, space: "vp" }),
    );
    const back = await lastStep(
      ddimInversion({
        denoise,
        x: image.x,
        sigmas: sigmas.toReversed(),
        space: "vp",
        refinements: 30,
      }),
    );
    const again = await lastStep(ddim({ denoise, x: back.x, sigmas, space: "vp" }));
    again.x.data.forEach((value, i) => expect(value).toBeCloseTo(image.x.data[i], 3));
  });

  it("comes close without refinements, closer with more steps", async () => {
    const error = async (steps: number) => {
      const path = levels(SAMPLERS.euler, steps, "vp").filter((sigma) => sigma > 0);
      const image = await lastStep(
        ddim({ denoise, x: startAt("vp", 20, [64]), sigmas: path, space: "vp" }),
      );
      const back = await lastStep(
        ddimInversion({ denoise, x: image.x, sigmas: path.toReversed(), space: "vp" }),
      );
      const again = await lastStep(ddim({ denoise, x: back.x, sigmas: path, space: "vp" }));
      return Math.max(...again.x.data.map((value, i) => Math.abs(value - image.x.data[i])));
    };
    expect(await error(200)).toBeLessThan((await error(50)) / 2);
  });
});

describe("DDPM", () => {
  it("with one Gaussian and the optimal variance of a point has the posterior's moments", async () => {
    // x0 is a point: β̃ is exact, and every state of the chain has the right marginal
    const denoise = mixtureDenoiser({ means: [0.7], std: 1e-6 }, "vp");
    const sigmas = levels(SAMPLERS.ddpm, 12, "vp");
    const x = startAt("vp", sigmas[0], [4000]);
    for await (const { x: state, sigma } of ddpm({
      denoise,
      x,
      sigmas,
      space: "vp",
      noise: sequentialNoise(torchGenerator(2)),
    })) {
      const { alpha, std } = levelOf("vp", sigma);
      const { mean, std: got } = moments(state);
      expect(Math.abs(mean - 0.7 * alpha)).toBeLessThan(0.06);
      expect(Math.abs(got - std)).toBeLessThan(0.04);
    }
  });
});

describe("predictor–corrector", () => {
  const score = (std: number) => (sde: ReturnType<typeof vpSde>) => (x: F32, t: number) => {
    const { alpha, sigma } = sde.marginal(t);
    const variance = (alpha * std) ** 2 + sigma ** 2;
    return { ...x, data: x.data.map((value) => -value / variance) };
  };
  it.each([
    ["vp", vpSde({ steps: 100 }), "reverse-diffusion", "langevin"],
    ["vp", vpSde({ steps: 100 }), "ancestral", "none"],
    ["vp", vpSde({ steps: 100 }), "euler-maruyama", "none"],
    ["ve", veSde({ steps: 100, sigmaMax: 20 }), "reverse-diffusion", "annealed-langevin"],
    ["ve", veSde({ steps: 100, sigmaMax: 20 }), "ancestral", "none"],
  ] as const)(
    "samples the Gaussian its score belongs to (%s, %s)",
    async (_, sde, predictor, corrector) => {
      const start = torchGenerator(4).randn([1, 4000]);
      const x = { ...start, data: start.data.map((value) => value * sde.priorStd) };
      const noise = sequentialNoise(torchGenerator(6));
      const run = predictorCorrector({
        score: score(0.5)(sde),
        sde,
        x,
        noise,
        predictor,
        corrector,
        snr: 0.05,
      });
      const { std } = moments((await lastStep(run)).x);
      expect(Math.abs(std - 0.5)).toBeLessThan(0.06);
    },
  );
});

describe("RePaint", () => {
  it("follows the paper's schedule of jumps", () => {
    const moves = repaintMoves(6, 2, 2);
    expect(
      moves.filter((kind) => kind === "step").length -
        moves.filter((kind) => kind === "undo").length,
    ).toBe(6);
  });

  it("keeps the known region and fills the rest", async () => {
    const sigmas = levels(SAMPLERS.ddpm, 20, "vp");
    const known: F32 = { dtype: "float32", shape: [1, 8], data: new Float32Array(8).fill(0.9) };
    const mask: F32 = { ...known, data: Float32Array.from([1, 1, 1, 1, 0, 0, 0, 0]) };
    const denoise = mixtureDenoiser(MIXTURE, "vp");
    const x = startAt("vp", sigmas[0], [1, 8]);
    const run = repaint({
      denoise,
      x,
      sigmas,
      space: "vp",
      known,
      mask,
      jumpLength: 4,
      jumpSamples: 2,
      noise: sequentialNoise(torchGenerator(8)),
    });
    const { x: end } = await lastStep(run);
    for (const value of end.data.slice(0, 4)) expect(value).toBeCloseTo(0.9, 5);
    for (const value of end.data.slice(4)) expect(Math.abs(Math.abs(value) - 1)).toBeLessThan(1);
  });
});

it("TCD without stochasticity is DDIM", async () => {
  const input = inputFor(SAMPLERS.tcd, 8, [2, 4]);
  const { x } = await lastStep(tcd({ ...input, eta: 0 }));
  expect((await lastStep(ddim(input))).x.data).toEqual(x.data);
});

it("annealed Langevin dynamics ends at x0 when asked", async () => {
  const run = annealedLangevin({
    denoise: mixtureDenoiser(TARGET),
    x: startAt("ve", 1, [4]),
    sigmas: [1, 0.1],
    stepsPerLevel: 2,
    denoiseFinal: true,
    noise: sequentialNoise(torchGenerator(1)),
  });
  expect((await lastStep(run)).sigma).toBe(0);
});

it("a Brownian path makes SDE samplers converge to one image", async () => {
  const entry = SAMPLERS["dpmpp-2m-sde"];
  const image = async (steps: number) => {
    const sigmas = levels(entry, steps, "ve");
    const noise = brownianNoise({ shape: [1, 32], sigmaMin: 0.02, sigmaMax: 20, seed: [5] });
    return (
      await lastStep(
        entry.run({
          denoise: mixtureDenoiser(TARGET),
          x: startAt("ve", 20, [1, 32]),
          sigmas,
          noise,
        }),
      )
    ).x.data;
  };
  const exact = await image(320);
  const distance = (other: Float32Array) =>
    Math.sqrt(other.reduce((sum, value, i) => sum + (value - exact[i]) ** 2, 0) / 32);
  expect(distance(await image(160))).toBeLessThan(0.6 * distance(await image(40)));
});

it.each(SPACES)("levels and λ are inverse to each other in %s", async (space) => {
  const { sigmaAtLambda } = await import("./space.ts");
  for (const sigma of [0.01, 0.3, 0.9])
    expect(sigmaAtLambda(space, levelOf(space, sigma).lambda)).toBeCloseTo(sigma, 12);
});
