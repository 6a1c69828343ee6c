import { describe, expect, it } from "vitest";
import { add, concat, constant, gather, mean, mul, tanh } from "../../graph/ops.ts";
import { gradients } from "../../graph/gradient.ts";
import type { Sym } from "../../graph/primitives.ts";
import { spec } from "../../graph/trace.ts";
import { compile } from "../../runtime/compile.ts";
import { float32, int64, type Tensor } from "../../tensor/tensor.ts";
import { variationalBound } from "../likelihood/variational-bound.ts";
import { discretisedLogLikelihood, normalKl } from "../likelihood/gaussian-terms.ts";
import { edmPreconditioning } from "../parameterisations/preconditioning.ts";
import { PREDICTION_TYPES, predictionTarget } from "../parameterisations/prediction.ts";
import { makeBetas } from "../schedules/betas.ts";
import { diffusionTables } from "../schedules/diffusion-tables.ts";
import { veSde, vpSde } from "../schedules/sde.ts";
import { latentBoundWeights, latentDiffusionLoss } from "./latent-diffusion-loss.ts";
import { preconditionedBatch, preconditionedLoss } from "./preconditioned-loss.ts";
import { mixtureAt, predictionLoss } from "./prediction-loss.ts";
import { annealedScoreLoss, scoreMatchingLoss, sdeBatch } from "./score-matching.ts";
import { elementError, ERROR_NORMS } from "./traced.ts";
import {
  hybridLoss,
  tracedDiscretisedLogLikelihood,
  tracedNormalKl,
  variationalLoss,
} from "./variational-loss.ts";
import * as weights from "./weights.ts";

const betas = makeBetas({ steps: 8, betaEnd: 0.4 });
const tables = diffusionTables(betas);
const shape = [3, 2, 2];
const wave = (phase: number, scale = 1) =>
  float32(
    shape,
    Float32Array.from({ length: 12 }, (_, i) => scale * Math.sin(1.7 * i + phase)),
  );
const x0 = float32(
  shape,
  wave(0.3).data.map((value) => Math.round(value * 127.5 + 127.5) / 127.5 - 1),
);
const noise = wave(2, 1.3);
const timesteps = [0, 3, 7];
const t = int64([3], timesteps);
const batch = { x0: spec("float32", shape), noise: spec("float32", shape), t: spec("int64", [3]) };

/** Runs a traced loss once. */
async function run(fn: (inputs: { x0: Sym; noise: Sym; t: Sym }) => Record<string, Sym>) {
  const compiled = await compile(fn, batch);
  const outputs = (await compiled({ x0, noise, t })) as Record<string, Tensor>;
  await compiled.dispose();
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { data }]) => [name, Array.from(data as Float32Array)]),
  );
}

function expectClose(got: readonly number[], expected: readonly number[], relative = 2e-5) {
  expect(got).toHaveLength(expected.length);
  got.forEach((value, i) =>
    expect(Math.abs(value - expected[i])).toBeLessThan(1e-6 + relative * Math.abs(expected[i])),
  );
}

/** Mean over the elements of sample b. */
const sampleMean = (b: number, value: (i: number) => number) =>
  [0, 1, 2, 3].reduce((sum, i) => sum + value(4 * b + i), 0) / 4;
/** The closed-form network of these tests, on the host. */
const network = (x: number, condition: number) => Math.tanh(x) + 0.1 * condition;
const tracedNetwork = (x: Sym, condition: Sym) =>
  add(tanh(x), gather(constant(conditions), condition));
const conditions = float32(
  [8, 1, 1],
  Array.from({ length: 8 }, (_, i) => 0.1 * i),
);

describe("the loss of a prediction", () => {
  const expected = (type: (typeof PREDICTION_TYPES)[number]) =>
    timesteps.map((step, b) => {
      const mixture = {
        alpha: Math.sqrt(tables.alphasCumprod[step]),
        std: Math.sqrt(1 - tables.alphasCumprod[step]),
      };
      const target = predictionTarget(type, mixture);
      return sampleMean(b, (i) => {
        const x = mixture.alpha * x0.data[i] + mixture.std * noise.data[i];
        return (network(x, step) - target.x0 * x0.data[i] - target.eps * noise.data[i]) ** 2;
      });
    });

  it.each(PREDICTION_TYPES)("%s: traced = host formula", async (prediction) => {
    const { loss } = await run((inputs) => ({
      loss: predictionLoss({
        ...inputs,
        network: tracedNetwork,
        mixture: mixtureAt(tables, inputs.t),
        condition: inputs.t,
        prediction,
      }),
    }));
    expectClose(loss, expected(prediction));
  });

  it.each(ERROR_NORMS)("norm %s", async (norm) => {
    const { error } = await run((inputs) => ({
      error: elementError(inputs.x0, inputs.noise, norm),
    }));
    const host = (d: number) =>
      ({
        l2: d * d,
        l1: Math.abs(d),
        huber: Math.abs(d) < 1 ? (d * d) / 2 : Math.abs(d) - 0.5,
        "pseudo-huber": Math.hypot(d, 0.03) - 0.03,
      })[norm];
    expectClose(
      error,
      Array.from(x0.data, (value, i) => host(value - noise.data[i])),
    );
  });
});

describe("the variational losses", () => {
  const learned = (x: Sym, condition: Sym) =>
    concat([tracedNetwork(x, condition), tanh(mul(x, 2))], 1);
  // The bound on the host, in which sample b's noise is used at every timestep.
  const bound = variationalBound({
    x0,
    betas,
    noise: () => noise,
    variance: "learned-range",
    network: (x, step) => {
      const data = new Float32Array(24);
      for (let b = 0; b < 3; b++)
        for (let i = 0; i < 4; i++) {
          data[8 * b + i] = network(x.data[4 * b + i], step);
          data[8 * b + 4 + i] = Math.tanh(2 * x.data[4 * b + i]);
        }
      return float32([3, 4, 2], data);
    },
  });
  const boundAt = async () => {
    const { terms } = await bound;
    return timesteps.map((step, b) => terms.find((term) => term.t === step)!.bits[b]);
  };

  it("L_vlb: T times the term of the bound", async () => {
    const { kl, rescaled } = await run((inputs) => ({
      kl: variationalLoss({ ...inputs, network: learned, tables, scale: 1 }),
      rescaled: variationalLoss({ ...inputs, network: learned, tables }),
    }));
    expectClose(kl, await boundAt(), 1e-4);
    expectClose(
      rescaled,
      (await boundAt()).map((bits) => 8 * bits),
      1e-4,
    );
  });

  it("L_hybrid: L_simple + weight·bound, and the bound does not move the mean", async () => {
    const got = await run((inputs) => {
      const hybrid = hybridLoss({ ...inputs, network: learned, tables });
      const simple = hybridLoss({
        ...inputs,
        network: tracedNetwork,
        tables,
        variance: "fixed-large",
      });
      // The gradient with respect to a shift of the mean alone.
      const shifted = (shift: Sym) =>
        hybridLoss({
          ...inputs,
          tables,
          network: (x, c) => concat([add(tracedNetwork(x, c), shift), tanh(mul(x, 2))], 1),
        });
      const shift = mul(mean(inputs.x0), 0);
      const { loss, mse } = shifted(shift);
      const [full] = gradients(mean(loss), [shift]);
      const [mseOnly] = gradients(mean(mse), [shift]);
      return {
        loss: hybrid.loss,
        mse: hybrid.mse,
        bound: hybrid.bound!,
        simple: simple.loss,
        full,
        mseOnly,
      };
    });
    expectClose(got.bound, await boundAt(), 1e-4);
    expectClose(got.simple, got.mse);
    expectClose(
      got.loss,
      got.mse.map((mse, b) => mse + 0.008 * got.bound[b]),
    );
    expectClose(got.full, got.mseOnly);
  });

  it("KL and decoder are those of the host", async () => {
    const got = await run((inputs) => ({
      kl: tracedNormalKl(inputs.x0, mul(inputs.noise, 0.5), inputs.noise, inputs.x0),
      decoder: tracedDiscretisedLogLikelihood(
        inputs.x0,
        mul(inputs.noise, 0.5),
        mul(inputs.noise, 0.2),
      ),
    }));
    const [a, n] = [x0.data, noise.data];
    expectClose(
      got.kl,
      Array.from(a, (_, i) => normalKl(a[i], 0.5 * n[i], n[i], a[i])),
      1e-4,
    );
    expectClose(
      got.decoder,
      Array.from(a, (_, i) => discretisedLogLikelihood(a[i], 0.5 * n[i], 0.2 * n[i])),
      2e-3,
    );
  });
});

describe("score matching", () => {
  it.each([veSde({ sigmaMax: 5 }), vpSde()])(
    "$kind: both weightings, both reductions",
    async (sde) => {
      const host = sdeBatch(sde, [0.1, 0.5, 0.9]);
      const compiled = await compile(
        ({ x0: data, noise: z, t: step, sde: { alpha, std, likelihoodWeight } }) => {
          const options = {
            network: tracedNetwork,
            x0: data,
            noise: z,
            mixture: { alpha, std },
            condition: step,
          };
          return {
            variance: scoreMatchingLoss(options),
            likelihood: scoreMatchingLoss({ ...options, weight: likelihoodWeight, reduce: "mean" }),
            annealed: annealedScoreLoss({ ...options, sigma: std }),
          };
        },
        {
          ...batch,
          sde: {
            alpha: spec("float32", [3]),
            std: spec("float32", [3]),
            likelihoodWeight: spec("float32", [3]),
          },
        },
      );
      const got = await compiled({ x0, noise, t, sde: host });
      await compiled.dispose();
      const error = (b: number, alpha: number) => {
        const std = sde.marginal([0.1, 0.5, 0.9][b]).sigma;
        return sampleMean(
          b,
          (i) =>
            (network(alpha * x0.data[i] + std * noise.data[i], timesteps[b]) +
              noise.data[i] / std) **
            2,
        );
      };
      const level = (b: number) => sde.marginal([0.1, 0.5, 0.9][b]);
      const g2 = (b: number) => sde.at([0.1, 0.5, 0.9][b]).diffusion ** 2;
      const list = (tensor: Tensor) => Array.from(tensor.data as Float32Array);
      expectClose(
        list(got.variance),
        [0, 1, 2].map((b) => 2 * level(b).sigma ** 2 * error(b, level(b).alpha)),
        1e-4,
      );
      expectClose(
        list(got.likelihood),
        [0, 1, 2].map((b) => g2(b) * error(b, level(b).alpha)),
        1e-4,
      );
      expectClose(
        list(got.annealed),
        [0, 1, 2].map((b) => 2 * level(b).sigma ** 2 * error(b, 1)),
        1e-4,
      );
    },
  );
});

describe("preconditioned losses", () => {
  it("EDM: the weight of F's error is λ·cOut² = 1", async () => {
    const sigmas = [0.1, 0.7, 3];
    const names = ["alpha", "std", "cSkip", "cOut", "cIn", "cNoise"] as const;
    const column = spec("float32", [3]);
    const compiled = await compile(
      ({ x0: data, noise: z, numbers }) =>
        preconditionedLoss({ network: (x) => tanh(x), x0: data, noise: z, batch: numbers }),
      {
        x0: batch.x0,
        noise: batch.noise,
        numbers: {
          alpha: column,
          std: column,
          cSkip: column,
          cOut: column,
          cIn: column,
          cNoise: column,
        },
      },
    );
    const numbers = preconditionedBatch(edmPreconditioning(), sigmas);
    expect(Object.keys(numbers)).toEqual(names);
    const got = await compiled({ x0, noise, numbers });
    await compiled.dispose();
    const expected = sigmas.map((sigma, b) => {
      const { cSkip, cOut, cIn } = edmPreconditioning().at(sigma);
      const error = sampleMean(b, (i) => {
        const x = x0.data[i] + sigma * noise.data[i];
        return (cSkip * x + cOut * Math.tanh(cIn * x) - x0.data[i]) ** 2; // D − x0
      });
      return weights.edmWeight(sigma) * error;
    });
    expectClose(Array.from(got.data as Float32Array), expected, 1e-4);
  });
});

describe("latent diffusion's loss", () => {
  it("weighs simple and bound, and learns a log-variance", async () => {
    const logVariance = float32([8], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]);
    const got = await run((inputs) => ({
      ...latentDiffusionLoss({
        ...inputs,
        network: tracedNetwork,
        betas,
        logVariance: constant(logVariance),
        simpleWeight: 0.7,
        elboWeight: 0.1,
        norm: "l1",
      }),
      errors: predictionLoss({
        ...inputs,
        network: tracedNetwork,
        mixture: mixtureAt(tables, inputs.t),
        condition: inputs.t,
        norm: "l1",
      }),
    }));
    const lambda = latentBoundWeights(betas);
    const average = (value: (b: number) => number) =>
      [0, 1, 2].reduce((sum, b) => sum + value(b), 0) / 3;
    const s = timesteps.map((step) => logVariance.data[step]);
    const bound = average((b) => lambda[timesteps[b]] * got.errors[b]);
    expectClose(got.simple, [average((b) => got.errors[b])]);
    expectClose(got.bound, [bound]);
    expectClose(got.loss, [
      0.7 * average((b) => got.errors[b] / Math.exp(s[b]) + s[b]) + 0.1 * bound,
    ]);
  });

  it("the bound's weights: the first is the second's; ε's is half of the KL's factor", () => {
    const lambda = latentBoundWeights(betas);
    expect(lambda[0]).toBe(lambda[1]);
    const step = 5;
    const factor = tables.posteriorMeanCoef1[step] ** 2 / (2 * tables.posteriorVariance[step]); // of ‖x0 − x̂0‖²
    const snr = weights.snrOfAlphaBar(tables.alphasCumprod[step]);
    expect(lambda[step]).toBeCloseTo(factor / snr, 10);
    expect(latentBoundWeights(betas, { prediction: "v" }).every((w) => w === 1)).toBe(true);
  });
});
