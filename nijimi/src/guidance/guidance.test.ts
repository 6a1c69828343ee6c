import { describe, expect, it } from "vitest";
import { float32, type Tensor } from "../tensor/tensor.ts";
import { clipX0 } from "../diffusion/parameterisations/clipping.ts";
import { discretePreconditioning } from "../diffusion/parameterisations/preconditioning.ts";
import { makeBetas } from "../diffusion/schedules/betas.ts";
import { alphasCumprodOf } from "../diffusion/schedules/diffusion-tables.ts";
import { discreteSigmasOf } from "../diffusion/schedules/discrete-sigmas.ts";
import { ddpm } from "../diffusion/samplers/ddpm.ts";
import type { Denoiser } from "../diffusion/samplers/types.ts";
import { adaptiveProjectedGuidance, projectedUpdate } from "./apg.ts";
import { cfgPlusPlus } from "./cfg-plus-plus.ts";
import { cfgZeroStar } from "./cfg-zero-star.ts";
import { classifierGuided, classifierShifted, shiftEps, shiftMean } from "./classifier.ts";
import { classifierFree, guide, unguided } from "./classifier-free.ts";
import { clipGradient, similarityGradient } from "./clip-guidance.ts";
import { composable, promptBranch } from "./composable.ts";
import { guidedDenoiser } from "./guided-denoiser.ts";
import { withinInterval, withinSteps } from "./interval.ts";
import {
  mimic,
  mimicThresholding,
  SCALE_MODES,
  type ScaleMode,
  scheduledScale,
} from "./mimic-thresholding.ts";
import { perturbedAttention, skipLayers } from "./perturbed.ts";
import { rescaleGuided, withRescale } from "./rescale.ts";
import { dotPerSample, stdPerSample } from "./statistics.ts";
import { COND, type Guidance, PERTURBED, scaleAt, SKIPPED, UNCOND } from "./types.ts";

type F32 = Tensor<"float32">;

const shape = [2, 2, 3];
const wave = (phase: number, scale = 1) =>
  float32(
    shape,
    Float32Array.from({ length: 12 }, (_, i) => scale * Math.sin(1.3 * i + phase) + 0.1),
  );
const predictions: Record<string, F32> = {
  [COND]: wave(0),
  [UNCOND]: wave(1, 0.7),
  [PERTURBED]: wave(2),
  [SKIPPED]: wave(3),
  [promptBranch(1)]: wave(4),
};
const at = { sigma: 2, step: 5 };
const plain = (guidance: Guidance, context = at): F32 => {
  const combined = guidance.combine(predictions, context);
  return "prediction" in combined ? combined.prediction : combined;
};
function expectClose(got: F32, expected: F32, digits = 5) {
  got.data.forEach((value, i) => expect(value).toBeCloseTo(expected.data[i], digits));
}
const network = (_: F32, __: number, branches: readonly string[]) =>
  branches.map((name) => predictions[name]);
const table = discreteSigmasOf(alphasCumprodOf(makeBetas()));

describe("scale 1 is no guidance", () => {
  const recipes: Record<string, Guidance> = {
    "classifier-free, s = 1": classifierFree({ guidanceScale: 1 }),
    "classifier-free, w = 0": classifierFree({ guidanceStrength: 0 }),
    rescaled: withRescale(classifierFree({ guidanceScale: 1 }), 0.7),
    apg: adaptiveProjectedGuidance({ guidanceScale: 1, momentum: -0.5, normThreshold: 2 }),
    "cfg-zero-star": cfgZeroStar({ guidanceScale: 1 }),
    "cfg++": cfgPlusPlus({ guidanceScale: 1 }),
    composable: composable({ guidanceScale: 1, weights: [1] }),
    mimic: mimicThresholding({ guidanceScale: 1, mimicScale: 1 }),
    "PAG of scale 0": perturbedAttention(unguided, { scale: 0 }),
    "outside the interval": withinInterval(classifierFree({ guidanceScale: 9 }), { sigmaHigh: 1 }),
  };
  it.each(Object.keys(recipes))("%s", (name) =>
    expectClose(plain(recipes[name]), predictions[COND]),
  );
});

describe("classifier-free guidance", () => {
  it("the two formulas agree for s = w + 1", () => {
    const [s, w] = [
      classifierFree({ guidanceScale: 7.5 }),
      classifierFree({ guidanceStrength: 6.5 }),
    ];
    expectClose(plain(s), plain(w));
    expect(plain(s).data[3]).toBeCloseTo(
      predictions[UNCOND].data[3] + 7.5 * (predictions[COND].data[3] - predictions[UNCOND].data[3]),
      4,
    );
  });

  it("evaluates the unconditional branch only where it counts", () => {
    const guidance = classifierFree({ guidanceScale: ({ sigma }) => (sigma > 1 ? 5 : 1) });
    expect(guidance.branches({ sigma: 2, step: 0 })).toEqual([COND, UNCOND]);
    expect(guidance.branches({ sigma: 0.5, step: 0 })).toEqual([COND]);
    expect(withinSteps(guidance, { start: 2 }).branches({ sigma: 2, step: 1 })).toEqual([COND]);
  });

  it("acts the same on ε and on x0", async () => {
    const preconditioning = discretePreconditioning(table);
    const x = wave(7, 2);
    const scale = classifierFree({ guidanceScale: 4 });
    const run = (guidance: Guidance) =>
      guidedDenoiser(network, preconditioning, guidance)(x, table.sigmas[300], { step: 0 });
    expectClose((await run(scale)).denoised, (await run({ ...scale, domain: "x0" })).denoised);
  });

  it("refuses both formulas at once, none, and NaN", () => {
    const both = { guidanceScale: 2, guidanceStrength: 1 } as unknown as { guidanceScale: number };
    expect(() => plain(classifierFree(both))).toThrow(/not both/);
    expect(() => plain(classifierFree({} as { guidanceScale: number }))).toThrow(
      /guidanceScale .* or guidanceStrength/,
    );
    expect(() => plain(classifierFree({ guidanceScale: Number.NaN }))).toThrow(/finite/);
    expect(() => guide(wave(0), float32([2, 6], new Float32Array(12)), 2)).toThrow(
      /\[2,2,3\] and \[2,6\]/,
    );
  });
});

describe("rescale", () => {
  it("φ = 1 has the conditional's standard deviation, φ = 0 changes nothing", () => {
    const guided = guide(predictions[COND], predictions[UNCOND], 7);
    const [got, expected] = [
      stdPerSample(rescaleGuided(guided, predictions[COND], 1)),
      stdPerSample(predictions[COND]),
    ];
    got.forEach((std, b) => expect(std).toBeCloseTo(expected[b], 5));
    expectClose(plain(withRescale(classifierFree({ guidanceScale: 7 }), 0)), guided);
    expect(() => withRescale(unguided, 1.5)).toThrow(/phi/);
  });
});

describe("projected and zero-star guidance", () => {
  it("APG with eta 1 is classifier-free; with eta 0 it moves across cond only", () => {
    expectClose(
      plain(adaptiveProjectedGuidance({ guidanceScale: 4, eta: 1 })),
      guide(predictions[COND], predictions[UNCOND], 4),
      4,
    );
    const update = projectedUpdate(wave(2), predictions[COND], { eta: 0, normThreshold: 0.5 });
    dotPerSample(update, predictions[COND]).forEach((dot) => expect(dot).toBeCloseTo(0, 5));
    const whole = projectedUpdate(wave(2), predictions[COND], { eta: 1, normThreshold: 0.5 });
    dotPerSample(whole, whole).forEach((squares) => expect(squares).toBeCloseTo(0.25, 5));
  });

  it("APG's momentum starts anew at step 0", () => {
    const guidance = adaptiveProjectedGuidance({ guidanceScale: 4, momentum: -0.5 });
    const first = plain(guidance, { sigma: 3, step: 0 });
    const second = plain(guidance, { sigma: 2, step: 1 });
    expect(second.data[0]).not.toBeCloseTo(first.data[0], 3);
    expectClose(plain(guidance, { sigma: 3, step: 0 }), first);
  });

  it("CFG-Zero* ignores an unconditional prediction parallel to cond, and zeroes the first steps", () => {
    const parallel = {
      ...predictions,
      [UNCOND]: { ...predictions[COND], data: predictions[COND].data.map((v) => 3 * v) },
    };
    expectClose(
      cfgZeroStar({ guidanceScale: 5 }).combine(parallel, at) as F32,
      predictions[COND],
      4,
    );
    const early = plain(cfgZeroStar({ guidanceScale: 5, zeroSteps: 2 }), { sigma: 1, step: 1 });
    expect(early.data.every((value) => value === 0)).toBe(true);
  });
});

describe("perturbed networks and composed prompts", () => {
  it("add their differences to the base", () => {
    const base = classifierFree({ guidanceScale: 3 });
    const got = plain(
      skipLayers(perturbedAttention(base, { scale: 2 }), { steps: 100, scale: 1.5 }),
    );
    const c = predictions[COND].data;
    got.data.forEach((value, i) =>
      expect(value).toBeCloseTo(
        plain(base).data[i] +
          2 * (c[i] - predictions[PERTURBED].data[i]) +
          1.5 * (c[i] - predictions[SKIPPED].data[i]),
        4,
      ),
    );
    expect(perturbedAttention(base).branches(at)).toEqual([COND, UNCOND, PERTURBED]);
    expect(skipLayers(base, { steps: 10 }).branches({ sigma: 1, step: 3 })).toEqual([COND, UNCOND]);
  });

  it("AND: uncond + s·Σ w·(cond − uncond)", () => {
    const guidance = composable({ guidanceScale: 2, weights: [1.2, -0.5] });
    expect(guidance.branches(at)).toEqual([COND, "cond:1", UNCOND]);
    const u = predictions[UNCOND].data;
    plain(guidance).data.forEach((value, i) =>
      expect(value).toBeCloseTo(
        u[i] +
          2 *
            (1.2 * (predictions[COND].data[i] - u[i]) -
              0.5 * (predictions["cond:1"].data[i] - u[i])),
        4,
      ),
    );
    expect(() => composable({ guidanceScale: 2, weights: [] })).toThrow(/at least one/);
  });
});

describe("mimicked range", () => {
  const guided = guide(predictions[COND], predictions[UNCOND], 9);
  const mimicked = guide(predictions[COND], predictions[UNCOND], 3);
  const deviation = (x: F32, channel: number) => {
    const values = x.data.slice(3 * channel, 3 * channel + 3);
    const mean = values.reduce((sum, value) => sum + value / 3, 0);
    return Math.max(...values.map((value) => Math.abs(value - mean)));
  };

  it("every channel gets the range of the mimicked scale", () => {
    for (const scalingStartpoint of ["mean", "zero"] as const)
      for (let channel = 0; channel < 4; channel++)
        expect(deviation(mimic(guided, mimicked, { scalingStartpoint }), channel)).toBeCloseTo(
          deviation(mimicked, channel),
          4,
        );
    expectClose(mimic(guided, mimicked, { interpolatePhi: 0 }), guided);
  });

  it("over all channels, or by standard deviation", () => {
    const flat = (x: F32) => float32([1, 12], x.data);
    const whole = mimic(float32([1, 1, 12], guided.data), float32([1, 1, 12], mimicked.data), {
      variability: "std",
    });
    expect(stdPerSample(flat(whole))[0]).toBeCloseTo(stdPerSample(flat(mimicked))[0], 4);
    const together = mimic(guided, mimicked, {
      separateChannels: false,
      scalingStartpoint: "zero",
    });
    const ratio = together.data[0] / guided.data[0];
    expect(together.data[11] / guided.data[11]).toBeCloseTo(ratio, 4);
  });

  it("scale modes run between the minimum and the scale", () => {
    for (const mode of SCALE_MODES) {
      const scale = scheduledScale(10, { mode, steps: 20, minimum: 2 });
      for (let step = 0; step < 20; step++) {
        const value = scaleAt(scale, { sigma: 1, step });
        expect(value).toBeGreaterThanOrEqual(2 - 1e-9);
        expect(value).toBeLessThanOrEqual(10 + 1e-9);
      }
    }
    expect(() => scheduledScale(1, { mode: "up" as ScaleMode, steps: 5 })).toThrow(/linear-up/);
  });
});

describe("the guided denoiser", () => {
  const preconditioning = discretePreconditioning(table);
  const sigma = table.sigmas[300];
  const x = wave(7, 2);

  it("CFG++ renoises with the unconditional ε", async () => {
    for (const domain of ["output", "x0"] as const) {
      const guidance = { ...cfgPlusPlus({ guidanceScale: 0.6 }), domain };
      const { eps } = await guidedDenoiser(network, preconditioning, guidance)(x, sigma, {
        step: 0,
      });
      expectClose(eps!, predictions[UNCOND], 4);
    }
  });

  it("guides the mean, and takes the variance of cond", async () => {
    const doubled = (name: string) => {
      const data = new Float32Array(24);
      for (const b of [0, 1]) {
        data.set(predictions[name].data.subarray(6 * b, 6 * b + 6), 12 * b);
        data.fill(name === COND ? 0.25 : 0.5, 12 * b + 6, 12 * b + 12);
      }
      return float32([2, 4, 3], data);
    };
    const guidance = composable({ guidanceScale: 3, weights: [1] });
    const learning = guidedDenoiser(
      (_, __, branches) => branches.map(doubled),
      preconditioning,
      guidance,
      {
        variance: "learned-range",
        transform: clipX0(),
      },
    );
    const { denoised, varianceRange } = await learning(x, sigma, { step: 0 });
    expect(varianceRange!.data.every((value) => value === 0.25)).toBe(true);
    expect(Math.max(...denoised.data.map(Math.abs))).toBeLessThanOrEqual(1);
  });

  it("refuses a network that does not answer for every branch", async () => {
    const lazy = guidedDenoiser(
      () => [predictions[COND]],
      preconditioning,
      classifierFree({ guidanceScale: 2 }),
    );
    await expect(lazy(x, sigma, { step: 0 })).rejects.toThrow(
      /asked the network for cond, uncond and got 1/,
    );
  });
});

describe("classifier guidance", () => {
  // x0 ~ N(0, 1), y = x0 + N(0, r²): the classifier's gradient turns the prior's denoiser into the posterior's.
  const [y, r2] = [0.8, 0.3];

  it.each(["ve", "vp"] as const)("scale 1 is Bayes' rule (%s)", async (space) => {
    for (const sigma of [0.3, 1.5, 6]) {
      const alpha = space === "vp" ? 1 / Math.sqrt(1 + sigma ** 2) : 1;
      const prior: Denoiser = (x) => ({
        denoised: float32(
          x.shape,
          x.data.map((value) => value / alpha / (1 + sigma ** 2)),
        ),
      });
      const gradient = (x: F32) =>
        float32(
          x.shape,
          x.data.map((value) => {
            const mean = value / alpha / (1 + sigma ** 2);
            const variance = sigma ** 2 / (1 + sigma ** 2) + r2;
            return (y - mean) / variance / (1 + sigma ** 2) / alpha;
          }),
        );
      const guided = classifierGuided(prior, { gradient, space });
      const x = float32([1, 1], [1.1 * alpha]);
      const [m, v] = [y / (1 + r2), r2 / (1 + r2)];
      const expected = (v * 1.1 + sigma ** 2 * m) / (v + sigma ** 2);
      expect((await guided(x, sigma, { step: 0 })).denoised.data[0]).toBeCloseTo(expected, 5);
    }
  });

  it("shifts means by s·Σ·g and noise by −s·σ·g", () => {
    const [mean, gradient, logVariance] = [wave(0), wave(1), wave(2)];
    shiftMean(mean, logVariance, gradient, 2).data.forEach((value, i) =>
      expect(value).toBeCloseTo(
        mean.data[i] + 2 * Math.exp(logVariance.data[i]) * gradient.data[i],
        5,
      ),
    );
    expectClose(shiftMean(mean, 0, gradient), shiftEps(mean, -1, gradient));
  });

  it("the ancestral sampler shifts its mean by Σ·s·g", async () => {
    const [x, g] = [wave(0), wave(1)];
    const zero = float32(shape, new Float32Array(12));
    const prior: Denoiser = () => ({ denoised: zero, logVariance: wave(2) });
    const input = {
      x,
      sigmas: [2, 1, 0.5],
      space: "vp",
      variance: "learned",
      noise: () => zero,
    } as const;
    const first = async (denoise: Denoiser) => (await ddpm({ ...input, denoise }).next()).value!.x;
    const shifted = await first(classifierShifted(prior, { gradient: () => g, scale: 2 }));
    expectClose(shifted, shiftMean(await first(prior), wave(2), g, 2));
  });

  it("CLIP's gradient is that of the cosine", async () => {
    const features = float32([2, 3], [1, 2, -1, 0.5, 0.2, 2]);
    const text = float32([1, 3], [0.3, -0.5, 1]);
    const cosine = (f: number[]) =>
      f.reduce((sum, value, i) => sum + value * text.data[i], 0) /
      Math.hypot(...f) /
      Math.hypot(...text.data);
    const gradient = similarityGradient(features, text, 3);
    for (const b of [0, 1])
      for (const i of [0, 1, 2]) {
        const move = (h: number) =>
          cosine(
            Array.from(features.data.subarray(3 * b, 3 * b + 3), (v, k) => v + (k === i ? h : 0)),
          );
        expect(gradient.data[3 * b + i]).toBeCloseTo((3 * (move(1e-4) - move(-1e-4))) / 2e-4, 4);
      }
    const identity = { encode: (x: F32) => x, backward: (_: F32, __: number, v: F32) => v };
    expectClose(
      await clipGradient(identity, text, { scale: 3 })(features, 1, { step: 0 }),
      gradient,
    );
    expect(() => similarityGradient(features, float32([3, 3], new Float32Array(9)))).toThrow(
      /captions \[2 or 1, 3\]/,
    );
  });
});
