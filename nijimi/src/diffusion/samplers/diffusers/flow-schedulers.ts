/**
 * diffusers' schedulers of rectified flow, and iPNDM, whose schedule belongs to no table either.
 */
import { dynamicShiftSigma, shiftSigma, stretchToTerminal } from "../../schedules/flow-shift.ts";
import { linspace } from "../../schedules/numbers.ts";
import { NijimiError } from "../../../errors.ts";
import { flowEuler } from "../flow-euler.ts";
import { flowHeun } from "../flow-heun.ts";
import { ipndm } from "../ipndm.ts";
import { levelOf } from "../space.ts";
import type { DiffusersOptions, DiffusersSchedulerName } from "./options.ts";
import {
  addNoiseByIndex,
  type DiffusersPlan,
  type DiffusersPlanOptions,
  type DiffusersScheduler,
  noised,
  requestedSteps,
} from "./plan.ts";
import { discreteReading, type ReadingAt, readingDenoiser, timestepLookup } from "./reading.ts";
import { respace } from "./respace.ts";

const PLANS: Readonly<
  Record<string, (options: DiffusersOptions, asked: DiffusersPlanOptions) => DiffusersPlan>
> = {
  FlowMatchEulerDiscreteScheduler: flowEulerPlan,
  FlowMatchHeunDiscreteScheduler: flowHeunPlan,
  IPNDMScheduler: ipndmPlan,
};

/** The scheduler of one of these classes. */
export function flowScheduler(
  name: DiffusersSchedulerName,
  options: DiffusersOptions,
): DiffusersScheduler {
  return { name, options, plan: (asked) => PLANS[name](options, asked) };
}

/** First and last level of the training schedule. */
function trainedRange({
  num_train_timesteps: trained,
  shift,
  use_dynamic_shifting,
}: DiffusersOptions): [number, number] {
  const shifted = (sigma: number) =>
    use_dynamic_shifting ? sigma : Math.fround(shiftSigma(Math.fround(sigma), shift));
  return [shifted(1), shifted(1 / trained)];
}

function flowEulerPlan(options: DiffusersOptions, asked: DiffusersPlanOptions): DiffusersPlan {
  const name = "FlowMatchEulerDiscreteScheduler";
  const { num_train_timesteps: trained } = options;
  const steps = asked.sigmas
    ? asked.sigmas.length
    : requestedSteps(name, asked, ["timesteps", "sigmas"]);
  const given =
    asked.sigmas?.map(Math.fround) ?? asked.timesteps?.map((t) => Math.fround(t) / trained);
  const unshifted = given ? Float64Array.from(given) : linspace(...trainedRange(options), steps);
  let levels: Float64Array = unshifted.map((sigma) => shifted(name, options, sigma, asked.mu));
  if (options.shift_terminal) levels = stretchToTerminal(levels, options.shift_terminal);
  levels = (respace(options, levels, steps) ?? levels).map(Math.fround);
  const timesteps = asked.timesteps
    ? Float64Array.from(asked.timesteps, Math.fround)
    : levels.map((sigma) => Math.fround(sigma * trained));
  if (!options.invert_sigmas)
    return flowPlan({ levels, timesteps, stochastic: options.stochastic_sampling });
  // Inverted, sigma is the share of signal and the network's velocity points the other way.
  const inverted = levels.map((sigma) => Math.fround(1 - sigma));
  return flowPlan({
    levels,
    timesteps: inverted.map((sigma) => Math.fround(sigma * trained)),
    shown: [...inverted, 1],
    direction: -1,
  });
}

function flowHeunPlan(options: DiffusersOptions, asked: DiffusersPlanOptions): DiffusersPlan {
  const { num_train_timesteps: trained, shift } = options;
  const steps = requestedSteps("FlowMatchHeunDiscreteScheduler", asked);
  const levels = linspace(...trainedRange(options), steps).map((sigma) =>
    Math.fround(shiftSigma(sigma, shift)),
  );
  const twice = <T>(values: ArrayLike<T>) =>
    Array.from(values).flatMap((value, i) => (i === 0 ? [value] : [value, value]));
  const timesteps = levels.map((sigma) => Math.fround(sigma * trained));
  return {
    ...flowPlan({ levels, timesteps, heun: true, shown: [...twice(levels), 0] }),
    timesteps: Float64Array.from(twice(timesteps)),
  };
}

function shifted(
  name: string,
  options: DiffusersOptions,
  sigma: number,
  mu: number | undefined,
): number {
  if (!options.use_dynamic_shifting) return shiftSigma(sigma, options.shift);
  if (mu === undefined)
    throw new NijimiError(
      "option",
      `${name}: use_dynamic_shifting needs mu; compute it from the image size with shiftMu.`,
    );
  return dynamicShiftSigma(sigma, mu, options.time_shift_type);
}

function flowPlan({
  levels,
  timesteps,
  stochastic = false,
  heun = false,
  direction = 1,
  shown,
}: {
  readonly levels: Float64Array;
  readonly timesteps: Float64Array;
  readonly stochastic?: boolean;
  readonly heun?: boolean;
  readonly direction?: 1 | -1;
  /** `scheduler.sigmas`, where it is not the levels and 0. */
  readonly shown?: readonly number[];
}): DiffusersPlan {
  const sigmas = Float64Array.of(...levels, 0);
  const timestep = timestepLookup(sigmas, timesteps, (sigma) => sigma * (timesteps[0] / levels[0]));
  const at: ReadingAt = (sigma, step) => ({
    cIn: 1,
    timestep: timestep(sigma, step),
    x0: { x: 1, output: -direction * sigma },
  });
  return {
    timesteps,
    sigmas: shown ? Float64Array.from(shown) : sigmas,
    initNoiseSigma: 1,
    space: "flow",
    steps: levels.length,
    run({ network, x, noise, signal, firstStep }) {
      const input = { denoise: readingDenoiser(network, at), x, sigmas, noise, signal, firstStep };
      return heun ? flowHeun(input) : flowEuler({ ...input, stochastic });
    },
    addNoise: (x0, noise, step) =>
      noised(x0, noise, "flow", direction === 1 ? sigmas[step] : 1 - sigmas[step]),
    addNoiseAt: addNoiseByIndex(timesteps, shown ?? sigmas, "flow"),
  };
}

/**
 * iPNDM's own schedule: σ = sin²(π/2·u) for u from 1 to 0, α = √(1 − σ²), timesteps 2/π·atan2(σ,
 * α); the network predicts v.
 */
function ipndmPlan(options: DiffusersOptions, asked: DiffusersPlanOptions): DiffusersPlan {
  const steps = requestedSteps("IPNDMScheduler", asked);
  const betas =
    options.trained_betas ??
    Array.from(linspace(1, 0, steps + 1), (u) => Math.sin((u * Math.PI) / 2) ** 2);
  const stds = Float64Array.from(betas, Math.fround);
  const alphas = stds.map((std) => Math.fround(Math.sqrt(1 - std ** 2)));
  const levels = stds.map((std, i) => std / alphas[i]);
  const timesteps = stds
    .slice(0, -1)
    .map((std, i) => Math.fround((Math.atan2(std, alphas[i]) / Math.PI) * 2));
  const at = discreteReading(
    "v",
    "vp",
    timestepLookup(
      levels,
      timesteps,
      (sigma) => (Math.asin(levelOf("vp", sigma).std) / Math.PI) * 2,
    ),
    { eps: true },
  );
  return {
    timesteps,
    initNoiseSigma: 1,
    space: "vp",
    steps,
    run: ({ network, x, noise, signal, firstStep }) =>
      ipndm({
        denoise: readingDenoiser(network, at),
        x,
        sigmas: levels,
        space: "vp",
        noise,
        signal,
        firstStep,
      }),
    addNoise: (x0, noise, step) => noised(x0, noise, "vp", levels[step]),
    addNoiseAt: addNoiseByIndex(timesteps, levels, "vp"),
  };
}
