/**
 * Predictor–corrector sampling of a reverse SDE: Song et al. 2021, "Score-Based Generative Modeling
 * through Stochastic Differential Equations" (arXiv:2011.13456), algorithms 1–5. In every step
 * correctors (Langevin) go first, then the predictor, as in the authors' code; the paper prints the
 * other order. Times run evenly from 1 to `epsilon`.
 */
import { NijimiError } from "../../errors.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { linspace } from "../schedules/numbers.ts";
import type { Sde } from "../schedules/sde.ts";
import { combine } from "./arithmetic.ts";
import { checkChoice, checkRange, stopIfAborted } from "./loop.ts";
import type { DenoiseContext, NoiseSource, SamplerRun } from "./types.ts";

type F32 = Tensor<"float32">;

/** ∇ log p_t(x). */
export type Score = (x: F32, t: number, context: DenoiseContext) => F32 | Promise<F32>;

export const PREDICTORS = ["reverse-diffusion", "ancestral", "euler-maruyama", "none"] as const;
export const CORRECTORS = ["langevin", "annealed-langevin", "none"] as const;

/** Input of {@link predictorCorrector}. */
export interface PredictorCorrectorInput {
  readonly score: Score;
  /** The process; its `steps` are the steps taken. */
  readonly sde: Sde;
  /** Draw of the prior: noise of standard deviation `sde.priorStd`. Not written to. */
  readonly x: F32;
  readonly noise: NoiseSource;
  readonly signal?: AbortSignal;
  /** @default "reverse-diffusion" */
  readonly predictor?: (typeof PREDICTORS)[number];
  /** @default "langevin" */
  readonly corrector?: (typeof CORRECTORS)[number];
  /** r: signal-to-noise ratio that sets the corrector's steps. @default 0.16 */
  readonly snr?: number;
  /** Corrector steps per step. @default 1 */
  readonly correctorSteps?: number;
  /** Predict along the probability-flow ODE. @default false */
  readonly probabilityFlow?: boolean;
  /** End at the mean of the last update, without its noise. @default true */
  readonly denoiseFinal?: boolean;
  /** Last time. @default 1e-5 for "ve", 1e-3 for others */
  readonly epsilon?: number;
}

interface Update {
  readonly x: F32;
  /** The update without its noise. */
  readonly mean: F32;
}

/**
 * Predictor–corrector sampling. Weak order 1; 1 + `correctorSteps` evaluations a step; stochastic.
 * Langevin's steps depend on norms averaged over the batch, so that an image depends on the others
 * of its batch, as in the authors' code.
 */
export async function* predictorCorrector(input: PredictorCorrectorInput): SamplerRun {
  const {
    score,
    sde,
    noise,
    signal,
    predictor = "reverse-diffusion",
    corrector = "langevin",
    snr = 0.16,
    correctorSteps = 1,
  } = input;
  const {
    probabilityFlow = false,
    denoiseFinal = true,
    epsilon = sde.kind === "ve" ? 1e-5 : 1e-3,
  } = input;
  check(input);
  const times = linspace(1, epsilon, sde.steps);
  let { x } = input;
  for (const [step, t] of times.entries()) {
    const { sigma } = sde.marginal(t);
    const ask = async (state: F32) => {
      stopIfAborted("predictorCorrector", signal);
      return score(state, t, { step, signal });
    };
    const draw = () =>
      noise(x.shape, {
        sigma,
        sigmaNext: step + 1 < times.length ? sde.marginal(times[step + 1]).sigma : 0,
      });
    let mean = x;
    for (let k = 0; k < (corrector === "none" ? 0 : correctorSteps); k++)
      ({ x, mean } = correct(
        x,
        await ask(x),
        draw(),
        corrector === "langevin" ? undefined : sigma,
        snr,
        langevinAlpha(sde, t),
      ));
    if (predictor !== "none")
      ({ x, mean } = predict(predictor, sde, t, x, await ask(x), draw(), probabilityFlow));
    const last = step === times.length - 1;
    yield { step, steps: times.length, sigma, x: last && denoiseFinal ? mean : x, denoised: mean };
  }
}

/** α_t of algorithms 4–5: 1 − β for VP, 1 otherwise. */
function langevinAlpha(sde: Sde, t: number): number {
  return sde.kind === "vp" ? 1 - sde.discretise(t).diffusion ** 2 : 1;
}

/** x + ε·s + √(2ε)·z with ε = 2α(r·|z|/|s|)², or 2α(r·σ)² for annealed Langevin dynamics. */
function correct(
  x: F32,
  score: F32,
  noise: F32,
  std: number | undefined,
  snr: number,
  alpha: number,
): Update {
  const ratio = std ?? meanNorm(noise) / meanNorm(score);
  const size = 2 * alpha * (snr * ratio) ** 2;
  const mean = combine([1, x], [size, score]);
  return { mean, x: combine([1, mean], [Math.sqrt(2 * size), noise]) };
}

function predict(
  predictor: "reverse-diffusion" | "ancestral" | "euler-maruyama",
  sde: Sde,
  t: number,
  x: F32,
  score: F32,
  noise: F32,
  probabilityFlow: boolean,
): Update {
  const half = probabilityFlow ? 0.5 : 1;
  const update = (mean: F32, deviation: number): Update => ({
    mean,
    x: combine([1, mean], [probabilityFlow ? 0 : deviation, noise]),
  });
  if (predictor === "euler-maruyama") {
    const { drift, diffusion } = sde.at(t);
    const dt = -1 / sde.steps;
    return update(
      combine([1 + drift * dt, x], [-(diffusion ** 2) * half * dt, score]),
      diffusion * Math.sqrt(-dt),
    );
  }
  const { drift, diffusion } = sde.discretise(t);
  if (predictor === "reverse-diffusion")
    return update(combine([1 - drift, x], [diffusion ** 2 * half, score]), diffusion);
  const beta = diffusion ** 2;
  if (sde.kind === "vp")
    return update(
      combine([1 / Math.sqrt(1 - beta), x], [beta / Math.sqrt(1 - beta), score]),
      diffusion,
    );
  const { sigma } = sde.marginal(Math.trunc(t * (sde.steps - 1)) / (sde.steps - 1));
  const below = Math.max(0, sigma ** 2 - beta);
  return update(combine([1, x], [beta, score]), Math.sqrt((below * beta) / sigma ** 2));
}

/** Mean over the batch of the Euclidean norms. */
function meanNorm({ shape, data }: F32): number {
  const size = data.length / shape[0];
  let total = 0;
  for (let b = 0; b < shape[0]; b++) {
    let squares = 0;
    for (let i = b * size; i < (b + 1) * size; i++) squares += data[i] * data[i];
    total += Math.sqrt(squares);
  }
  return total / shape[0];
}

function check({
  sde,
  predictor = "reverse-diffusion",
  corrector = "langevin",
  snr = 0.16,
  correctorSteps = 1,
  probabilityFlow = false,
  epsilon = 1e-3,
}: PredictorCorrectorInput): void {
  const name = "predictorCorrector";
  checkChoice(name, "predictor", predictor, PREDICTORS);
  checkChoice(name, "corrector", corrector, CORRECTORS);
  checkRange(name, "snr", snr, 0);
  checkRange(name, "epsilon", epsilon, 0, 1);
  if (!(Number.isInteger(correctorSteps) && correctorSteps >= 0))
    throw new NijimiError(
      "option",
      `${name}: correctorSteps must be a whole number ≥ 0; got ${correctorSteps}.`,
    );
  if (predictor === "ancestral" && (probabilityFlow || sde.kind === "subvp"))
    throw new NijimiError(
      "option",
      `${name}: the ancestral predictor is defined for "ve" and "vp" without probability flow; got "${sde.kind}".`,
    );
  if (predictor === "none" && corrector === "none")
    throw new NijimiError("option", `${name}: predictor and corrector are both "none".`);
}
