import { describe, expect, it } from "vitest";
import { betaCdf, betaQuantile } from "./beta-distribution.ts";
import { BETA_SCHEDULES, type BetaScheduleName, makeBetas } from "./betas.ts";
import { alphasCumprodOf, diffusionTables } from "./diffusion-tables.ts";
import {
  alphaBarOfSigma,
  discreteSigmasOf,
  normalSigmas,
  sigmaOfAlphaBar,
  sigmaToTimestep,
  timestepToSigma,
} from "./discrete-sigmas.ts";
import { dynamicShiftSigma, shiftMu, shiftSigma, stretchToTerminal } from "./flow-shift.ts";
import { alphaSigmaOfLogSnr, cosineLogSnr, logSnrPosterior } from "./log-snr.ts";
import { respacedBetas, respacedTimesteps } from "./respacing.ts";
import { priorLogDensity, subVpSde, veSde, vpSde } from "./sde.ts";
import { makeSigmas, resolveSigmaSchedule, SIGMA_SCHEDULES } from "./sigma-schedules.ts";
import { ALIGN_YOUR_STEPS_ROUNDED, ALIGN_YOUR_STEPS_TABLES } from "./sigmas-align-your-steps.ts";
import { betaTimestepSigmas } from "./sigmas-beta.ts";
import { geometricLevelCount, geometricSigmas } from "./sigmas-geometric.ts";
import { karrasSigmas } from "./sigmas-karras.ts";
import { linearQuadraticSigmas } from "./sigmas-linear-quadratic.ts";
import { ddimTimesteps, spacedTimesteps } from "./timestep-spacing.ts";
import { rescaleZeroTerminalSnr } from "./zero-terminal-snr.ts";

const stableDiffusion = makeBetas({
  schedule: "scaled-linear",
  betaStart: 0.00085,
  betaEnd: 0.012,
});
const table = discreteSigmasOf(alphasCumprodOf(stableDiffusion));

describe("betas", () => {
  it.each(Object.keys(BETA_SCHEDULES) as BetaScheduleName[])(
    "%s: signal falls to the end",
    (schedule) => {
      const betas = makeBetas({ schedule, steps: 1000 });
      const alphaBar = alphasCumprodOf(betas);
      expect(betas).toHaveLength(1000);
      expect(alphaBar.every((a, t) => a >= 0 && a <= (t === 0 ? 1 : alphaBar[t - 1]))).toBe(true);
    },
  );

  it("cosine follows its curve: ᾱ_t = f(t+1)/f(0) until β is capped", () => {
    const alphaBar = alphasCumprodOf(makeBetas({ schedule: "cosine", steps: 100 }));
    const f = (u: number) => Math.cos(((u + 0.008) / 1.008) * (Math.PI / 2)) ** 2;
    for (const t of [0, 10, 50, 98]) expect(alphaBar[t]).toBeCloseTo(f((t + 1) / 100) / f(0), 12);
  });

  it("zero terminal SNR: the last ᾱ is 0, the first is kept, √ᾱ stays an affine image of itself", () => {
    const before = alphasCumprodOf(stableDiffusion).map(Math.sqrt);
    const zero = makeBetas({
      schedule: "scaled-linear",
      betaStart: 0.00085,
      betaEnd: 0.012,
      zeroTerminalSnr: true,
    });
    const after = alphasCumprodOf(zero).map(Math.sqrt);
    expect(after[999]).toBe(0);
    expect(after[0]).toBeCloseTo(before[0], 12);
    const slope = (t: number) => (after[t] - after[t + 1]) / (before[t] - before[t + 1]);
    expect(slope(10)).toBeCloseTo(slope(900), 8);
  });

  it("trained betas are taken as they are", () => {
    expect([...makeBetas({ trained: [0.1, 0.2] })]).toEqual([0.1, 0.2]);
  });

  it("refuses what is no schedule", () => {
    expect(() => makeBetas({ schedule: "cosin" as BetaScheduleName })).toThrow(
      /Did you mean "cosine"/,
    );
    expect(() => makeBetas({ steps: 0 })).toThrow(/whole number ≥ 1; got 0/);
    expect(() => makeBetas({ betaEnd: Number.NaN })).toThrow(/betaEnd must be a finite number/);
    expect(() => makeBetas({ schedule: "linear-per-thousand", steps: 10 })).toThrow(
      /\[0, 1\]; got 1\.115/,
    );
    expect(() => makeBetas({ trained: [] })).toThrow(/empty/);
  });
});

describe("tables", () => {
  it("q(x_t|x_0) is what the steps q(x_t|x_{t−1}) compose to", () => {
    const tables = diffusionTables(makeBetas({ schedule: "cosine", steps: 60 }));
    let [mean, variance] = [1, 0];
    for (let t = 0; t < 60; t++) {
      mean *= Math.sqrt(tables.alphas[t]);
      variance = tables.alphas[t] * variance + tables.betas[t];
      expect(mean ** 2).toBeCloseTo(tables.alphasCumprod[t], 12);
      expect(variance).toBeCloseTo(1 - tables.alphasCumprod[t], 12);
    }
  });

  it("the posterior is Bayes' rule: q(x_s|x_t,x_0) ∝ q(x_t|x_s)·q(x_s|x_0)", () => {
    const tables = diffusionTables(makeBetas({ steps: 50, betaEnd: 0.2 }));
    const t = 23;
    const [x0, xt] = [0.3, -0.8];
    const priorVariance = 1 - tables.alphasCumprodPrev[t];
    const priorMean = Math.sqrt(tables.alphasCumprodPrev[t]) * x0;
    const precision = 1 / priorVariance + tables.alphas[t] / tables.betas[t];
    const mean =
      (priorMean / priorVariance + (Math.sqrt(tables.alphas[t]) * xt) / tables.betas[t]) /
      precision;
    expect(tables.posteriorVariance[t]).toBeCloseTo(1 / precision, 12);
    expect(tables.posteriorMeanCoef1[t] * x0 + tables.posteriorMeanCoef2[t] * xt).toBeCloseTo(
      mean,
      12,
    );
  });

  it("one timestep has a log variance of log 0", () => {
    expect(diffusionTables([0.5]).posteriorLogVarianceClipped[0]).toBe(-Infinity);
  });

  it("respaced betas keep ᾱ of the kept timesteps", () => {
    const kept = respacedTimesteps(1000, "10,10,10");
    const alphaBar = alphasCumprodOf(stableDiffusion);
    const short = alphasCumprodOf(respacedBetas(stableDiffusion, kept));
    kept.forEach((t, i) => expect(short[i]).toBeCloseTo(alphaBar[t], 12));
  });
});

describe("respacing", () => {
  it("gives OpenAI's examples", () => {
    expect(respacedTimesteps(300, "ddim7")).toEqual([0, 43, 86, 129, 172, 215, 258]);
    expect(respacedTimesteps(10, [2, 3])).toEqual([0, 4, 5, 7, 9]);
    expect(respacedTimesteps(1000, "1")).toEqual([0]);
    expect(respacedTimesteps(4, "")).toEqual([0, 1, 2, 3]);
    expect(respacedTimesteps(1000, "fast27").at(-1)).toBe(997);
  });

  it("refuses impossible and unreadable ones", () => {
    expect(() => respacedTimesteps(100, "250")).toThrow(/section 0 has 100 timesteps/);
    expect(() => respacedTimesteps(25, "ddim10")).toThrow(/no whole-number stride/);
    expect(() => respacedTimesteps(1000, "ddim")).toThrow(/Unknown respacing/);
    expect(() => respacedTimesteps(1000, "10;10")).toThrow(/accepted/);
  });
});

describe("timestep spacings", () => {
  it("are those of table 2 of Lin et al.", () => {
    const spaced = (spacing: "linspace" | "leading" | "trailing") =>
      [...spacedTimesteps({ spacing, trainSteps: 1000, steps: 10 })].map((t) => t + 1);
    expect(spaced("leading")).toEqual([901, 801, 701, 601, 501, 401, 301, 201, 101, 1]);
    expect(spaced("linspace")).toEqual([1000, 889, 778, 667, 556, 445, 334, 223, 112, 1]);
    expect(spaced("trailing")).toEqual([1000, 900, 800, 700, 600, 500, 400, 300, 200, 100]);
  });

  it("every number of steps gives that many falling timesteps inside the process", () => {
    for (const spacing of ["linspace", "leading", "trailing"] as const)
      for (const dropLast of [false, true])
        for (let steps = 1; steps < 100; steps++) {
          const timesteps = spacedTimesteps({ spacing, trainSteps: 100, steps, dropLast });
          expect(timesteps).toHaveLength(steps);
          expect(timesteps.every((t, i) => t >= 0 && t < (i === 0 ? 100 : timesteps[i - 1]))).toBe(
            true,
          );
        }
  });

  it("DDIM's uniform subsequence may be longer than asked for", () => {
    expect(ddimTimesteps("uniform", { trainSteps: 1000, steps: 7, offset: 1 })).toHaveLength(8);
    expect([...ddimTimesteps("quadratic", { trainSteps: 100, steps: 3 })]).toEqual([0, 20, 80]);
  });

  it("refuses more steps than timesteps and unknown names", () => {
    expect(() => spacedTimesteps({ spacing: "leading", trainSteps: 10, steps: 11 })).toThrow(
      /between 1 and 10/,
    );
    expect(() =>
      spacedTimesteps({ spacing: "trail" as "trailing", trainSteps: 10, steps: 5 }),
    ).toThrow(/"trail"\. Accepted: .*trailing/);
  });
});

describe("noise levels", () => {
  it.each(Object.keys(SIGMA_SCHEDULES))("%s falls and ends with 0", (name) => {
    for (const steps of [1, 2, 5, 20]) {
      const sigmas = makeSigmas(name, steps, { table });
      expect(sigmas.at(-1)).toBe(0);
      expect(sigmas.every((sigma, i) => i === 0 || sigma < sigmas[i - 1])).toBe(true);
      if (name !== "ddim-uniform") expect(sigmas).toHaveLength(steps + 1);
    }
  });

  it("karras and exponential end at σ_min", () => {
    for (const name of ["karras", "exponential", "polyexponential", "kl-optimal", "beta"]) {
      const sigmas = makeSigmas(name, 7, { sigmaMin: 0.1, sigmaMax: 10 });
      expect(sigmas[0]).toBeCloseTo(10, 10);
      expect(sigmas[6]).toBeCloseTo(0.1, 10);
    }
  });

  it("names are found in any spelling; unknown ones are refused with the nearest", () => {
    expect(resolveSigmaSchedule("SGM Uniform")).toBe("sgm-uniform");
    expect(resolveSigmaSchedule("align_your_steps")).toBe("align-your-steps");
    expect(() => resolveSigmaSchedule("karas")).toThrow(/Did you mean "karras"/);
    expect(() => makeSigmas("simple", 5)).toThrow(/options.table/);
    expect(() => makeSigmas("karras", 5, { sigmaMin: 0.1 })).toThrow(/sigmaMax/);
  });

  it("refuses bad ranges and steps", () => {
    expect(() => karrasSigmas(0, { sigmaMin: 0.1, sigmaMax: 1 })).toThrow(/got 0/);
    expect(() => karrasSigmas(5, { sigmaMin: Number.NaN, sigmaMax: 1 })).toThrow(/0 < sigmaMin/);
    expect(() => karrasSigmas(5, { sigmaMin: 2, sigmaMax: 1 })).toThrow(/sigmaMin 2, sigmaMax 1/);
  });

  it("timestep ↔ σ are inverse, and clamp outside", () => {
    for (const t of [0, 0.25, 17.5, 998.9, 999])
      expect(sigmaToTimestep(table, timestepToSigma(table, t))).toBeCloseTo(t, 6);
    expect(sigmaToTimestep(table, 1e-9)).toBe(0);
    expect(sigmaToTimestep(table, 1e9)).toBe(999);
    expect(sigmaToTimestep(table, table.sigmas[500] * 1.0001, { quantize: true })).toBe(500);
    expect(alphaBarOfSigma(sigmaOfAlphaBar(0.3))).toBeCloseTo(0.3, 14);
  });

  it("zero terminal SNR needs a floor before it has finite levels", () => {
    const alphaBar = alphasCumprodOf(rescaleZeroTerminalSnr(stableDiffusion));
    expect(() => discreteSigmasOf(alphaBar)).toThrow(/terminalAlphaBar/);
    expect(discreteSigmasOf(alphaBar, { terminalAlphaBar: 2 ** -24 }).sigmas[999]).toBeCloseTo(
      4096,
      3,
    );
  });

  it("normal without a count visits every level", () => {
    expect(normalSigmas(table)).toHaveLength(1001);
    expect(normalSigmas(table)[0]).toBe(table.sigmas[999]);
  });

  it("Align Your Steps gives its tables at ten steps", () => {
    const sigmas = makeSigmas("AYS", 10, { model: "stable-diffusion-xl" });
    const published = ALIGN_YOUR_STEPS_TABLES["stable-diffusion-xl"];
    published.slice(0, 10).forEach((sigma, i) => expect(sigmas[i]).toBeCloseTo(sigma, 9));
  });

  it("A1111's forms differ where they should", () => {
    const make = (name: string) => makeSigmas(name, 11, { table, convention: "a1111" });
    ALIGN_YOUR_STEPS_ROUNDED["stable-diffusion-1"].forEach((sigma, i) =>
      expect(make("align-your-steps")[i]).toBeCloseTo(sigma, 9),
    );
    expect(make("kl-optimal")[11]).toBeCloseTo(table.sigmas[0], 9);
    expect(make("beta")[10]).toBeCloseTo(table.sigmas[0], 9);
    expect(make("karras")).toEqual(makeSigmas("karras", 11, { table }));
  });

  it("the beta schedule on timesteps visits none twice", () => {
    const sigmas = betaTimestepSigmas(400, { table });
    expect(new Set(sigmas).size).toBe(sigmas.length);
  });

  it("linear-quadratic is continuous where the pieces meet", () => {
    const sigmas = linearQuadraticSigmas(10);
    expect(1 - sigmas[5]).toBeCloseTo(0.025, 12);
    expect(sigmas[0]).toBe(1);
  });

  it("NCSN's levels have a constant ratio", () => {
    const sigmas = geometricSigmas(10, { sigmaMin: 0.01, sigmaMax: 1 });
    expect(sigmas[0]).toBeCloseTo(1, 12);
    expect(sigmas[1] / sigmas[0]).toBeCloseTo(sigmas[9] / sigmas[8], 12);
    // The authors of NCSNv2 took 232 levels from 50 for CIFAR-10 and 500 from 90 for CelebA.
    const count = (size: number, sigmaMax: number) =>
      geometricLevelCount(3 * size * size, { sigmaMin: 0.01, sigmaMax });
    expect(Math.abs(count(32, 50) / 232 - 1)).toBeLessThan(0.06);
    expect(Math.abs(count(64, 90) / 500 - 1)).toBeLessThan(0.06);
  });
});

describe("the Beta distribution", () => {
  it("has the closed forms of Beta(1, b), Beta(½, ½) and is inverted exactly", () => {
    expect(betaCdf(0.3, 1, 4)).toBeCloseTo(1 - 0.7 ** 4, 13);
    expect(betaCdf(0.3, 0.5, 0.5)).toBeCloseTo((2 / Math.PI) * Math.asin(Math.sqrt(0.3)), 13);
    for (const p of [1e-6, 0.1, 0.5, 0.9, 1 - 1e-6])
      for (const [a, b] of [
        [0.6, 0.6],
        [2, 5],
        [0.2, 3],
      ])
        expect(betaCdf(betaQuantile(p, a, b), a, b)).toBeCloseTo(p, 11);
  });
});

describe("flow shift", () => {
  it("keeps the ends, and a shift of 1 changes nothing", () => {
    expect([0, 1].map((s) => shiftSigma(s, 3))).toEqual([0, 1]);
    expect(shiftSigma(0.4, 1)).toBe(0.4);
    expect(dynamicShiftSigma(0.4, Math.log(3))).toBeCloseTo(shiftSigma(0.4, 3), 12);
    expect([0, 1].map((s) => dynamicShiftSigma(s, 1.15, "linear"))).toEqual([0, 1]);
    expect(shiftMu(4096)).toBeCloseTo(1.15, 12);
  });

  it("stretching ends at the terminal level and keeps 1", () => {
    const stretched = stretchToTerminal(Float64Array.of(1, 0.6, 0.2), 0.1);
    expect(stretched[0]).toBe(1);
    expect(stretched[2]).toBeCloseTo(0.1, 12);
  });
});

describe("continuous processes", () => {
  it("log-SNR gives α² + σ² = 1, and its posterior is Bayes' rule", () => {
    const [logSnr, logSnrNext] = [cosineLogSnr(0.6), cosineLogSnr(0.4)];
    const now = alphaSigmaOfLogSnr(logSnr);
    const next = alphaSigmaOfLogSnr(logSnrNext);
    expect(now.alpha ** 2 + now.sigma ** 2).toBeCloseTo(1, 12);
    const { coefXt, coefX0, variance } = logSnrPosterior(logSnr, logSnrNext);
    const ratio = now.alpha / next.alpha; // x_t = ratio·x_s + noise
    const step = now.sigma ** 2 - ratio ** 2 * next.sigma ** 2;
    expect(variance).toBeCloseTo((step * next.sigma ** 2) / now.sigma ** 2, 12);
    expect(coefXt).toBeCloseTo((ratio * next.sigma ** 2) / now.sigma ** 2, 12);
    expect(coefX0).toBeCloseTo((next.alpha * step) / now.sigma ** 2, 12);
  });

  it.each([vpSde(), subVpSde(), veSde()])(
    "$kind: the marginal solves dα/dt = f·α, dσ²/dt = 2fσ² + g²",
    (sde) => {
      for (const t of [0.05, 0.3, 0.8]) {
        const h = 1e-6;
        const [before, here, after] = [sde.marginal(t - h), sde.marginal(t), sde.marginal(t + h)];
        const { drift, diffusion } = sde.at(t);
        expect((after.alpha - before.alpha) / (2 * h)).toBeCloseTo(drift * here.alpha, 5);
        const growth = (after.sigma ** 2 - before.sigma ** 2) / (2 * h);
        const expected = 2 * drift * here.sigma ** 2 + diffusion ** 2;
        expect(Math.abs(growth - expected) / expected).toBeLessThan(1e-4);
      }
    },
  );

  it("the prior's density integrates to 1", () => {
    let mass = 0;
    for (let z = -400; z < 400; z += 0.5)
      mass += 0.5 * Math.exp(priorLogDensity({ priorStd: 50 }, [z]));
    expect(mass).toBeCloseTo(1, 8);
  });
});
