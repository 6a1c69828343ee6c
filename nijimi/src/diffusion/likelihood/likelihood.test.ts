import { describe, expect, it } from "vitest";
import { isNijimiError } from "../../errors.ts";
import { float32, type Tensor } from "../../tensor/tensor.ts";
import { makeBetas } from "../schedules/betas.ts";
import { diffusionTables } from "../schedules/diffusion-tables.ts";
import { subVpSde, veSde, vpSde } from "../schedules/sde.ts";
import { clipX0 } from "../parameterisations/clipping.ts";
import { discretisedLogLikelihood, normalKl } from "./gaussian-terms.ts";
import { erf, erfc, normalCdf, normalQuantile, tanhNormalCdf } from "./normal-distribution.ts";
import { bitsPerDimension, denoiserLogLikelihood, sdeLogLikelihood } from "./probability-flow.ts";
import { reverseStep } from "./reverse-step.ts";
import { integrate } from "./runge-kutta.ts";
import { priorBits, variationalBound, variationalBoundTerms } from "./variational-bound.ts";

describe("the normal distribution", () => {
  it("has the tabulated values", () => {
    expect(erf(0.5)).toBeCloseTo(0.5204998778130465, 15);
    expect(erf(-2.5)).toBeCloseTo(-0.999593047982555, 14);
    expect(erfc(5) / 1.5374597944280349e-12).toBeCloseTo(1, 12);
    expect(normalCdf(1.96)).toBeCloseTo(0.9750021048517795, 14);
    expect(normalCdf(-10) / 7.61985302416047e-24).toBeCloseTo(1, 9);
  });

  it("quantiles invert it, in the tails too", () => {
    for (const p of [1e-12, 1e-4, 0.02, 0.3, 0.5, 0.9, 0.9999])
      expect(normalCdf(normalQuantile(p)) / p).toBeCloseTo(1, 11);
    expect([0, 1].map(normalQuantile)).toEqual([-Infinity, Infinity]);
    expect(normalQuantile(2)).toBeNaN();
  });

  it("tanh approximates it to 5·10⁻⁴", () => {
    for (let x = -5; x < 5; x += 0.1)
      expect(Math.abs(tanhNormalCdf(x) - normalCdf(x))).toBeLessThan(5e-4);
  });
});

describe("terms of the bound", () => {
  it("the KL of two normals is its integral", () => {
    const [m1, l1, m2, l2] = [0.3, -1, -0.4, 0.5];
    const density = (x: number, m: number, l: number) =>
      Math.exp(-((x - m) ** 2) / 2 / Math.exp(l)) / Math.sqrt(2 * Math.PI * Math.exp(l));
    let integral = 0;
    for (let x = -8; x < 8; x += 0.001)
      integral += 0.001 * density(x, m1, l1) * Math.log(density(x, m1, l1) / density(x, m2, l2));
    expect(normalKl(m1, l1, m2, l2)).toBeCloseTo(integral, 8);
    expect(normalKl(m1, l1, m1, l1)).toBe(0);
  });

  it.each(["erf", "tanh"] as const)("the decoder's 256 probabilities add up to 1 (%s)", (cdf) => {
    for (const [mean, logScale] of [
      [0, -1],
      [0.7, -3],
      [-1.2, 0],
    ]) {
      let total = 0;
      for (let k = 0; k < 256; k++)
        total += Math.exp(discretisedLogLikelihood((2 * k) / 255 - 1, mean, logScale, { cdf }));
      expect(total).toBeCloseTo(1, 8);
    }
  });
});

it("in float32 the decoder's tail ends where the rounding of the published code ends it", () => {
  const at = (mean: number, precision: "float32" | "float64") =>
    discretisedLogLikelihood(0, mean, -2, { precision });
  expect(at(0.1, "float32")).toBeCloseTo(at(0.1, "float64"), 4);
  expect(at(-0.74, "float64")).toBeGreaterThan(-22);
  expect(at(-0.74, "float32")).toBeCloseTo(Math.log(1e-12), 6); // both bounds round to 1
});

describe("the reverse step", () => {
  const tables = diffusionTables(makeBetas({ steps: 40, betaEnd: 0.3 }));
  const t = 17;
  const [x0, eps] = [0.4, -0.9];
  const [alpha, std] = [Math.sqrt(tables.alphasCumprod[t]), Math.sqrt(1 - tables.alphasCumprod[t])];
  const x = float32([1, 1], [alpha * x0 + std * eps]);

  it("is the posterior for a network that is right, whatever it predicts", () => {
    const mean = tables.posteriorMeanCoef1[t] * x0 + tables.posteriorMeanCoef2[t] * x.data[0];
    const outputs = { eps, x0, v: alpha * eps - std * x0, "previous-mean": mean } as const;
    for (const [prediction, output] of Object.entries(outputs)) {
      const step = reverseStep(tables, t, x, float32([1, 1], [output]), {
        prediction: prediction as keyof typeof outputs,
      });
      expect(step.mean[0]).toBeCloseTo(mean, 6);
      expect(step.x0[0]).toBeCloseTo(x0, 5);
      expect(step.eps[0]).toBeCloseTo(eps, 5);
      expect(step.logVariance[0]).toBe(tables.posteriorLogVarianceClipped[t]);
    }
  });

  it("reads variances and clips", () => {
    const output = float32([1, 2], [5, 0]);
    expect(reverseStep(tables, t, x, output, { variance: "learned" }).logVariance[0]).toBe(0);
    const middle = (tables.posteriorLogVarianceClipped[t] + Math.log(tables.betas[t])) / 2;
    expect(
      reverseStep(tables, t, x, output, { variance: "learned-range" }).logVariance[0],
    ).toBeCloseTo(middle, 12);
    const clipped = reverseStep(tables, t, x, output, { prediction: "x0", transform: clipX0() });
    expect(clipped.x0[0]).toBe(1);
  });
});

describe("the variational bound", () => {
  // x0 ~ N(0, s²) and the network that is optimal for it. The terms are quadratic, so that a grid of
  // numbers with mean 0 and variance 1 gives the expectation over a Gaussian exactly.
  const betas = makeBetas({ steps: 12, betaEnd: 0.5 });
  const tables = diffusionTables(betas);
  const s2 = 0.25;
  const spread = Array.from({ length: 40 }, (_, i) => i - 19.5);
  const rms = Math.sqrt(spread.reduce((sum, z) => sum + z * z, 0) / spread.length);
  const grid = spread.map((z) => z / rms);
  const shape = [1, grid.length ** 2];
  const x0 = float32(
    shape,
    grid.flatMap((z) => grid.map(() => Math.sqrt(s2) * z)),
  );
  const noise = () =>
    float32(
      shape,
      grid.flatMap(() => grid),
    );
  const network = (x: Tensor<"float32">, t: number) => {
    const total = tables.alphasCumprod[t] * s2 + 1 - tables.alphasCumprod[t];
    return float32(
      shape,
      x.data.map((value) => (Math.sqrt(1 - tables.alphasCumprod[t]) / total) * value),
    ); // E[ε|x_t]
  };

  it("of a known Gaussian model is the analytic value, term by term", async () => {
    const { terms, prior } = await variationalBound({ x0, betas, network, noise });
    for (const { t, kl } of terms.filter((term) => term.t > 0)) {
      const noiseVariance = 1 - tables.alphasCumprod[t];
      const posterior = (s2 * noiseVariance) / (tables.alphasCumprod[t] * s2 + noiseVariance); // Var[x0|x_t]
      const expected =
        (tables.posteriorMeanCoef1[t] ** 2 * posterior) /
        (2 * tables.posteriorVariance[t]) /
        Math.LN2;
      expect(kl[0] / expected).toBeCloseTo(1, 5);
    }
    const last = tables.alphasCumprod[11];
    const expectedPrior =
      normalKl(0, Math.log(1 - last), 0, 0) / Math.LN2 + (last * s2) / 2 / Math.LN2;
    expect(prior[0] / expectedPrior).toBeCloseTo(1, 5);
    expect(priorBits(x0, tables)[0]).toBe(prior[0]);
  });

  it("total = prior + terms, and stops when told to", async () => {
    const small = {
      x0: float32([2, 2], [-1, 1, 0.2, 0.6]),
      noise: () => float32([2, 2], [1, -1, 0.5, 0]),
    };
    const bound = await variationalBound({ ...small, betas, network: (x) => x });
    bound.total.forEach((bits, b) =>
      expect(bits).toBeCloseTo(
        bound.terms.reduce((sum, term) => sum + term.bits[b], bound.prior[b]),
        12,
      ),
    );
    expect(bound.terms.map(({ t }) => t)).toEqual([11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    const controller = new AbortController();
    const run = variationalBoundTerms({
      ...small,
      betas,
      network: (x) => x,
      signal: controller.signal,
    });
    await run.next();
    controller.abort();
    await expect(run.next()).rejects.toSatisfy((e) => isNijimiError(e) && e.code === "cancelled");
  });
});

describe("integration", () => {
  it("solves known equations to its tolerance, forwards and backwards", async () => {
    const oscillator = (_: number, [x, v]: Float64Array) => Float64Array.of(v, -x);
    const { y, evaluations } = await integrate(oscillator, 0, 2 * Math.PI, Float64Array.of(1, 0), {
      rtol: 1e-8,
      atol: 1e-8,
    });
    expect(y[0]).toBeCloseTo(1, 6);
    expect(y[1]).toBeCloseTo(0, 6);
    expect(evaluations).toBeLessThan(1000);
    const back = await integrate((t) => Float64Array.of(2 * t), 3, 1, Float64Array.of(9));
    expect(back.y[0]).toBeCloseTo(1, 8);
  });

  it("the error falls with the fifth power of the evaluations", async () => {
    const solve = async (tolerance: number) => {
      const { y, evaluations } = await integrate(
        (t, [v]) => Float64Array.of(v * Math.cos(t)),
        0,
        10,
        Float64Array.of(1),
        {
          rtol: tolerance,
          atol: tolerance,
        },
      );
      return { error: Math.abs(y[0] - Math.exp(Math.sin(10))), evaluations };
    };
    const [loose, tight] = [await solve(1e-5), await solve(1e-10)];
    const order =
      Math.log(loose.error / tight.error) / Math.log(tight.evaluations / loose.evaluations);
    expect(order).toBeGreaterThan(4);
  });

  it("refuses bad tolerances, endless and broken equations", async () => {
    const one = Float64Array.of(1);
    await expect(integrate((_, y) => y, 0, 1, one, { rtol: 0 })).rejects.toThrow(
      /rtol must be > 0/,
    );
    await expect(integrate((_, y) => y, 0, 1, one, { maxEvaluations: 5 })).rejects.toThrow(
      /no end after 5/,
    );
    await expect(integrate(() => Float64Array.of(Number.NaN), 0, 1, one)).rejects.toThrow(
      /not finite|no end/,
    );
  });
});

describe("the likelihood of the probability flow", () => {
  const s = 0.6;
  const x = float32([2, 3], [0.1, -0.5, 0.9, 0, 0.3, -1.2]);
  const v = float32([2, 3], [1, -1, 1, -1, -1, 1]);
  const logDensity = (b: number) =>
    x.data
      .slice(3 * b, 3 * b + 3)
      .reduce(
        (sum, value) => sum - value ** 2 / (2 * s * s) - Math.log(s * Math.sqrt(2 * Math.PI)),
        0,
      );
  const linear = (factor: number) => ({
    value: (state: Tensor<"float32">) => ({
      ...state,
      data: state.data.map((value) => factor * value),
    }),
  });

  it.each([vpSde(), subVpSde(), veSde({ sigmaMax: 50 })])(
    "is a Gaussian's density under the $kind equation",
    async (sde) => {
      const score = (state: Tensor<"float32">, t: number, probe: Tensor<"float32">) => {
        const { alpha, sigma } = sde.marginal(t);
        const { value } = linear(-1 / (alpha ** 2 * s ** 2 + sigma ** 2));
        return { value: value(state), vjp: value(probe) };
      };
      const { logLikelihood } = await sdeLogLikelihood({ sde, score, x, v });
      for (const b of [0, 1]) expect(Math.abs(logLikelihood[b] - logDensity(b))).toBeLessThan(5e-3);
    },
  );

  it("and under a denoiser's flow", async () => {
    const denoise = (state: Tensor<"float32">, sigma: number, probe: Tensor<"float32">) => {
      const { value } = linear(s ** 2 / (s ** 2 + sigma ** 2));
      return { value: value(state), vjp: value(probe) };
    };
    const { logLikelihood } = await denoiserLogLikelihood({
      denoise,
      x,
      v,
      sigmaMin: 1e-3,
      sigmaMax: 100,
    });
    for (const b of [0, 1]) expect(Math.abs(logLikelihood[b] - logDensity(b))).toBeLessThan(1e-3);
  });

  it("8-bit noise costs 8 bits", () => {
    expect(bitsPerDimension(Math.log(0.5) * 10, 10)).toBeCloseTo(8, 12);
    expect(bitsPerDimension(0, 10, { dataRange: 1 })).toBe(8);
  });
});
