import { describe, expect, it } from "vitest";
import { edmPreconditioning } from "../parameterisations/preconditioning.ts";
import {
  lossHistory,
  recordLosses,
  secondMomentProbabilities,
  secondMomentWeights,
} from "./loss-second-moment.ts";
import {
  cosineInterpolatedDensity,
  logitNormalDensity,
  logLogisticDensity,
  logNormalDensity,
  logUniformDensity,
  modeDensity,
  splitLogNormal,
  vDiffusionDensity,
} from "./noise-level-densities.ts";
import {
  antitheticTimesteps,
  importanceTimesteps,
  stratify,
  uniformTimesteps,
} from "./timestep-samplers.ts";
import * as weights from "./weights.ts";

describe("weights", () => {
  it("agree between predictions: λ_x0·|Δx0|² = λ_ε·|Δε|² = λ_v·|Δv|²", () => {
    const alphaBar = 0.3;
    const snr = weights.snrOfAlphaBar(alphaBar);
    const deltaX0 = 0.7;
    const deltaEps = deltaX0 * Math.sqrt(snr);
    const deltaV = deltaX0 / Math.sqrt(1 - alphaBar);
    for (const weight of [
      weights.minSnrWeight,
      weights.truncatedSnrWeight,
      weights.p2Weight,
      weights.debiasedWeight,
    ]) {
      const x0Loss = weight("x0", snr) * deltaX0 ** 2;
      expect(weight("eps", snr) * deltaEps ** 2).toBeCloseTo(x0Loss, 12);
      expect(weight("v", snr) * deltaV ** 2).toBeCloseTo(x0Loss, 12);
    }
  });

  it("have their papers' values", () => {
    expect(weights.minSnrWeight("eps", 10, 5)).toBe(0.5);
    expect(weights.minSnrWeight("eps", 2, 5)).toBe(1);
    expect(weights.p2Weight("eps", 3)).toBe(0.25);
    const { cOut } = edmPreconditioning().at(1.3);
    expect(weights.edmWeight(1.3)).toBeCloseTo(1 / cOut ** 2, 12);
    expect(weights.denoiserWeight("soft-min-snr", 1)).toBe(0.25);
    expect(weights.flowWeight("cosmap", 0.5)).toBeCloseTo(4 / Math.PI, 12);
    expect(() => weights.flowWeight("cos" as "cosmap", 0.5)).toThrow(/cosmap/);
  });
});

describe("timestep samplers", () => {
  it("uniform and antithetic", () => {
    expect([...uniformTimesteps(10, [0, 0.55, 0.999]).t]).toEqual([0, 5, 9]);
    expect([...antitheticTimesteps(10, 4, [0, 0.25, 0.9]).t]).toEqual([0, 2, 9, 9]);
    expect([...stratify([0.5, 0.5])]).toEqual([0.25, 0.75]);
    expect(() => uniformTimesteps(0, [0.5])).toThrow(/got 0/);
  });

  it("importance sampling is unbiased", () => {
    const probabilities = [0.1, 0.6, 0.3];
    const loss = [5, 1, 2];
    const grid = Array.from({ length: 1000 }, (_, i) => (i + 0.5) / 1000);
    const { t: drawn, weights: factors } = importanceTimesteps(probabilities, grid);
    const estimate = drawn.reduce((sum, step, i) => sum + factors[i] * loss[step], 0) / 1000;
    expect(estimate).toBeCloseTo((5 + 1 + 2) / 3, 10);
  });

  it("the second moment takes over when every history is full", () => {
    const history = lossHistory(2, 3);
    recordLosses(history, [0, 0, 0, 1, 1], [1, 1, 1, 2, 2]);
    expect([...secondMomentWeights(history)]).toEqual([1, 1]);
    recordLosses(history, [1, 0], [2, 4]); // 0's history is now 1, 1, 4
    const [a, b] = secondMomentProbabilities(history, { uniformProbability: 0 });
    expect(a / b).toBeCloseTo(Math.sqrt(6) / 2, 12);
    expect(a + b).toBeCloseTo(1, 12);
    expect(() => recordLosses(history, [2], [1])).toThrow(/between 0 and 1/);
    expect(() => recordLosses(history, [1], [Number.NaN])).toThrow(/finite/);
  });
});

describe("densities of noise levels", () => {
  it("have their medians and ends", () => {
    expect(logNormalDensity()(0.5)).toBeCloseTo(Math.exp(-1.2), 12);
    expect(logLogisticDensity({ mean: 0.3 })(0.5)).toBeCloseTo(Math.exp(0.3), 12);
    expect(logLogisticDensity({ min: 0.1, max: 10 })(0)).toBeCloseTo(0.1, 12);
    expect(logUniformDensity({ min: 0.1, max: 10 })(0.5)).toBeCloseTo(1, 12);
    expect(vDiffusionDensity({ sigmaData: 2 })(0.5)).toBeCloseTo(2, 12);
    expect(vDiffusionDensity({ min: 0.2, max: 3 })(1)).toBeCloseTo(3, 12);
    expect(logitNormalDensity()(0.5)).toBeCloseTo(0.5, 12);
    expect([0, 1].map((u) => modeDensity()(u))).toEqual(
      [1, 0].map((value) => expect.closeTo(value, 12)),
    );
  });

  it("interpolated cosine between equal shifts is the cosine's, and rises or falls throughout", () => {
    const plain = cosineInterpolatedDensity({ imageSize: 64, noiseLow: 64, noiseHigh: 64 });
    const reference = vDiffusionDensity({ min: 1e-3, max: 1e3 });
    for (const u of [0.1, 0.5, 0.9]) expect(plain(u)).toBeCloseTo(reference(1 - u), 8);
  });

  it("split log-normal draws each side in proportion to its width", () => {
    expect(splitLogNormal(1, 0.2, { mode: 0.5, stdLow: 1, stdHigh: 3 })).toBeCloseTo(
      Math.exp(-0.5),
      12,
    );
    expect(splitLogNormal(-1, 0.3, { mode: 0.5, stdLow: 1, stdHigh: 3 })).toBeCloseTo(
      Math.exp(3.5),
      12,
    );
  });
});
