import { describe, expect, it } from "vitest";
import { float32, type Tensor } from "../../tensor/tensor.ts";
import { alphasCumprodOf, diffusionTables } from "../schedules/diffusion-tables.ts";
import { discreteSigmasOf } from "../schedules/discrete-sigmas.ts";
import { makeBetas } from "../schedules/betas.ts";
import { vpSigma } from "../schedules/sigmas-vp.ts";
import { levelOf } from "../samplers/space.ts";
import { clipX0, dynamicThreshold, quantile } from "./clipping.ts";
import { denoiserOf } from "./denoiser.ts";
import {
  discretePreconditioning,
  edmPreconditioning,
  flowPreconditioning,
  type Preconditioning,
  previousMeanPreconditioning,
  vePreconditioning,
  vpPreconditioning,
  vpTimeOfSigma,
} from "./preconditioning.ts";
import {
  epsCoefficients,
  PREDICTION_TYPES,
  predictionTarget,
  type PredictionType,
  x0Coefficients,
} from "./prediction.ts";
import { fixedLogVariance, interpolateLogVariance, logVarianceRange } from "./variance.ts";

const betas = makeBetas({ schedule: "scaled-linear", betaStart: 0.00085, betaEnd: 0.012 });
const tables = diffusionTables(betas);
const table = discreteSigmasOf(alphasCumprodOf(betas));
const mixtures = [
  { alpha: 0.8, std: 0.6 },
  { alpha: 1, std: 3 },
  { alpha: 0.3, std: 0.7 },
];

describe("predictions", () => {
  it.each(PREDICTION_TYPES)("%s: x0 and ε come back from state and output", (type) => {
    const [x0, eps] = [0.37, -1.2];
    for (const mixture of mixtures) {
      const x = mixture.alpha * x0 + mixture.std * eps;
      const target = predictionTarget(type, mixture);
      const output = target.x0 * x0 + target.eps * eps;
      const toX0 = x0Coefficients(type, mixture);
      const toEps = epsCoefficients(type, mixture);
      expect(toX0.x * x + toX0.output * output).toBeCloseTo(x0, 12);
      expect(toEps.x * x + toEps.output * output).toBeCloseTo(eps, 12);
    }
  });

  it("v from pure noise is still a picture, ε is not", () => {
    expect(x0Coefficients("v", { alpha: 0, std: 1 })).toEqual({ x: 0, output: -1 });
    expect(x0Coefficients("eps", { alpha: 0, std: 1 }).output).toBe(-Infinity);
  });

  it("an unknown one is refused with the names", () => {
    expect(() => predictionTarget("epsilon" as PredictionType, mixtures[0])).toThrow(
      /"eps"|eps, x0, v/,
    );
  });
});

describe("preconditionings", () => {
  // A network that knows x0 and noise exactly must be turned into the exact denoiser by every adapter.
  const [x0, eps] = [0.25, 1.5];

  async function denoised(
    preconditioning: Preconditioning,
    sigma: number,
    output: (seen: number, c: number) => number,
  ) {
    const level = levelOf(preconditioning.space, sigma);
    const x = float32([1, 1], [level.alpha * x0 + level.std * eps]);
    const denoise = denoiserOf(
      (seen, c) => float32([1, 1], [output(seen.data[0], c)]),
      preconditioning,
    );
    return (await denoise(x, sigma, { step: 0 })).denoised.data[0];
  }

  const vpInput = (sigma: number) => (x0 + sigma * eps) / Math.sqrt(1 + sigma ** 2);
  const targetAt = (type: PredictionType, sigma: number, space: "vp" | "ve" | "flow") => {
    const target = predictionTarget(type, levelOf(space, sigma));
    return target.x0 * x0 + target.eps * eps;
  };

  it("discrete networks: every prediction, both scales, see x_VP and their timestep", async () => {
    const sigma = table.sigmas[417];
    for (const space of ["ve", "vp"] as const)
      for (const prediction of PREDICTION_TYPES) {
        const got = await denoised(
          discretePreconditioning(table, { prediction, space }),
          sigma,
          (seen, t) => {
            expect(seen).toBeCloseTo(vpInput(sigma), 6);
            expect(t).toBe(417);
            return targetAt(prediction, sigma, "vp");
          },
        );
        expect(got).toBeCloseTo(x0, 5);
      }
  });

  it("discrete networks: fractions, the nearest timestep, and a map", () => {
    const sigma = Math.sqrt(table.sigmas[10] * table.sigmas[11]);
    const at = (options: object) => discretePreconditioning(table, options).at(sigma).cNoise;
    expect(at({})).toBeCloseTo(10.5, 6);
    expect([10, 11]).toContain(at({ quantize: true }));
    expect(at({ condition: (t: number) => t * 4 })).toBeCloseTo(42, 5);
  });

  it("zero terminal SNR: σ = ∞ is the last timestep", () => {
    const scalings = discretePreconditioning(table, { prediction: "v", space: "vp" }).at(Infinity);
    expect(scalings).toEqual({ cSkip: 0, cOut: -1, cIn: 1, cNoise: 999 });
  });

  it("the previous mean", async () => {
    const sigma = table.sigmas[417];
    for (const space of ["ve", "vp"] as const) {
      const mean =
        tables.posteriorMeanCoef1[417] * x0 + tables.posteriorMeanCoef2[417] * vpInput(sigma);
      const got = await denoised(
        previousMeanPreconditioning(tables, table, { space }),
        sigma,
        () => mean,
      );
      expect(got).toBeCloseTo(x0, 3);
    }
  });

  it("VE, VP in continuous time, and flow", async () => {
    const expecting = (condition: number, output: number) => (_: number, c: number) => {
      expect(c).toBeCloseTo(condition, 9);
      return output;
    };
    expect(await denoised(vePreconditioning(), 3, expecting(3, -eps / 3))).toBeCloseTo(x0, 6);
    const sigma = vpSigma(0.4);
    const vp = vpPreconditioning({ prediction: "v", condition: (level) => vpTimeOfSigma(level) });
    const v = targetAt("v", sigma, "vp");
    expect(await denoised(vp, sigma, expecting(0.4, v))).toBeCloseTo(x0, 6);
    expect(await denoised(flowPreconditioning(), 0.7, expecting(700, eps - x0))).toBeCloseTo(x0, 6);
  });

  it("EDM: unit variance of input and target, and it is VP's v for sigmaData 1", () => {
    const sigma = 2.3;
    const { cSkip, cOut, cIn } = edmPreconditioning().at(sigma);
    expect(cIn ** 2 * (0.25 + sigma ** 2)).toBeCloseTo(1, 12);
    expect(((1 - cSkip) ** 2 * 0.25 + cSkip ** 2 * sigma ** 2) / cOut ** 2).toBeCloseTo(1, 12);
    const v = discretePreconditioning(table, { prediction: "v" }).at(sigma);
    const edm = edmPreconditioning({ sigmaData: 1 }).at(sigma);
    expect(v.cSkip).toBeCloseTo(edm.cSkip, 12);
    expect(-v.cOut).toBeCloseTo(edm.cOut, 12);
  });
});

describe("the denoiser", () => {
  const preconditioning = discretePreconditioning(table, { space: "vp" });
  const x = float32([2, 1, 2], [1, 2, 3, 4]);

  it("clips x0 and keeps ε when asked to", async () => {
    const network = () => float32([2, 1, 2], [0.1, 0.2, 0.3, 0.4]);
    const sigma = table.sigmas[100];
    const clipped = await denoiserOf(network, preconditioning, { transform: clipX0(1) })(x, sigma, {
      step: 0,
    });
    expect(Math.max(...clipped.denoised.data)).toBe(1);
    expect(clipped.eps).toBeUndefined();
    const kept = await denoiserOf(network, preconditioning, {
      transform: clipX0(1),
      keepEps: true,
    })(x, sigma, { step: 0 });
    [0.1, 0.2, 0.3, 0.4].forEach((e, i) => expect(kept.eps?.data[i]).toBeCloseTo(e, 5));
  });

  it("splits a variance off, per sample", async () => {
    const output = float32([2, 2, 2], [1, 2, 10, 20, 3, 4, 30, 40]);
    const ask = (variance: "learned" | "learned-range" | "fixed-large") =>
      denoiserOf(() => output, preconditioning, { variance })(x, table.sigmas[5], { step: 0 });
    expect([...((await ask("learned-range")).varianceRange as Tensor<"float32">).data]).toEqual([
      10, 20, 30, 40,
    ]);
    expect([...((await ask("learned")).logVariance as Tensor<"float32">).data]).toEqual([
      10, 20, 30, 40,
    ]);
    expect(Object.keys(await ask("fixed-large"))).toEqual(["denoised"]);
  });

  it("refuses outputs of another shape", async () => {
    const wrong = denoiserOf(() => float32([2, 3, 2], new Float32Array(12)), preconditioning);
    await expect(wrong(x, 1, { step: 0 })).rejects.toThrow(/\[2,3,2\] for a state of \[2,1,2\]/);
    const missing = denoiserOf(() => x, preconditioning, { variance: "learned" });
    await expect(missing(x, 1, { step: 0 })).rejects.toThrow(
      /twice the channels: mean and variance/,
    );
  });
});

describe("dynamic thresholding", () => {
  it("leaves small values alone and brings large ones to [−1, 1] per sample", () => {
    const x0 = float32([2, 4], [0.1, -0.5, 0.9, 0.2, 4, -2, 1, 0.5]);
    const out = dynamicThreshold({ percentile: 1 })(x0).data;
    expect(out.slice(0, 4)).toEqual(x0.data.slice(0, 4));
    expect(out.slice(4)).toEqual(Float32Array.of(1, -0.5, 0.25, 0.125));
    expect([...dynamicThreshold({ percentile: 1, maximum: 1 })(x0).data]).toEqual([
      ...clipX0()(x0).data,
    ]);
  });

  it("interpolates quantiles", () => {
    expect(quantile([3, 1, 2, 4], 0.5)).toBe(2.5);
    expect(() => dynamicThreshold({ percentile: 1.5 })).toThrow(/percentile/);
    expect(() => clipX0(Number.NaN)).toThrow(/range/);
  });
});

describe("variances", () => {
  it("the learned range runs from β̃ to β", () => {
    const range = logVarianceRange(tables, 300);
    expect(interpolateLogVariance(-1, range)).toBeCloseTo(
      fixedLogVariance(tables, 300, "fixed-small"),
      12,
    );
    expect(interpolateLogVariance(1, range)).toBeCloseTo(
      fixedLogVariance(tables, 300, "fixed-large"),
      12,
    );
    expect(fixedLogVariance(tables, 0, "fixed-large")).toBe(Math.log(tables.posteriorVariance[1]));
  });
});
