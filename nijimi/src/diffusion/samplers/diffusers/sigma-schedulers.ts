/**
 * diffusers' schedulers in k-diffusion's manner: `ve` states, network input x/√(1 + σ²), levels
 * interpolated from the training table or respaced by Karras, exponential or beta rules. Euler,
 * Euler a, Heun, KDPM2, KDPM2 a, LMS and DPM-Solver SDE.
 */
import { roundHalfEven } from "../../../internal/round-half-even.ts";
import { interpolate, linspace } from "../../schedules/numbers.ts";
import { spacedTimesteps } from "../../schedules/timestep-spacing.ts";
import { NijimiError } from "../../../errors.ts";
import { dpm2 } from "../dpm2.ts";
import { dpm2Ancestral } from "../dpm2-ancestral.ts";
import { dpmppSde } from "../dpmpp-sde.ts";
import { eulerAncestral } from "../euler-ancestral.ts";
import { euler } from "../euler.ts";
import { heun } from "../heun.ts";
import { lms } from "../lms.ts";
import { ancestralStep } from "../ancestral-step.ts";
import { levelOf } from "../space.ts";
import type { SamplerInput, SamplerRun } from "../types.ts";
import { eulerWithLateChurn } from "./late-churn.ts";
import type { DiffusersOptions, DiffusersSchedulerName } from "./options.ts";
import {
  addNoiseByIndex,
  type DiffusersPlan,
  type DiffusersPlanOptions,
  type DiffusersRunInput,
  type DiffusersScheduler,
  noised,
  requestedSteps,
} from "./plan.ts";
import { respace } from "./respace.ts";
import {
  discreteReading,
  predictionOf,
  type ReadingAt,
  readingDenoiser,
  type TimestepAt,
  timestepLookup,
  transformOf,
} from "./reading.ts";
import { type DiffusersTables, diffusersTables, timestepOfSigma } from "./tables.ts";

/** What tells these schedulers apart. */
interface Kind {
  /**
   * Level of a step's second evaluation, where it has one: the next, or one between, whose timestep
   * is interpolated.
   */
  readonly second?: "next" | ((from: number, to: number) => number);
  /** `scheduler.sigmas` has its last level twice as well. @default false */
  readonly repeatsEnd?: boolean;
  /** Custom arguments beside a number of steps. */
  readonly accepts?: readonly ("timesteps" | "sigmas")[];
  /** Timesteps of Karras levels are rounded. @default false */
  readonly rounds?: boolean;
  sampler(input: SamplerInput, run: DiffusersRunInput): SamplerRun;
}

const KINDS: Readonly<Record<string, Kind>> = {
  EulerDiscreteScheduler: { accepts: ["timesteps", "sigmas"], sampler: (input) => euler(input) },
  EulerAncestralDiscreteScheduler: { sampler: (input) => eulerAncestral(input) },
  HeunDiscreteScheduler: {
    second: "next",
    accepts: ["timesteps"],
    sampler: (input) => heun(input),
  },
  KDPM2DiscreteScheduler: {
    second: (from, to) => Math.sqrt(from * to),
    rounds: true,
    repeatsEnd: true,
    sampler: (input) => dpm2(input),
  },
  KDPM2AncestralDiscreteScheduler: {
    second: (from, to) =>
      Math.sqrt(from * ancestralStep("ve", levelOf("ve", from), levelOf("ve", to)).down.sigma),
    rounds: true,
    repeatsEnd: true,
    sampler: (input) => dpm2Ancestral(input),
  },
  LMSDiscreteScheduler: {
    sampler: (input, { order }) => lms({ ...input, order, countSkippedSteps: true }),
  },
  DPMSolverSDEScheduler: {
    second: (from, to) => Math.sqrt(from * to),
    sampler: (input, { sNoise }) => dpmppSde({ ...input, sNoise }),
  },
};

/** The scheduler of one of these classes. */
export function sigmaScheduler(
  name: DiffusersSchedulerName,
  options: DiffusersOptions,
): DiffusersScheduler {
  const tables = diffusersTables(options, true);
  const continuous =
    options.timestep_type === "continuous" && options.prediction_type === "v_prediction";
  return {
    name,
    options,
    alphasCumprod: tables.alphasCumprod,
    betas: tables.betas,
    plan: (asked) => makePlan(name, KINDS[name], options, tables, continuous, asked),
  };
}

function makePlan(
  name: DiffusersSchedulerName,
  kind: Kind,
  options: DiffusersOptions,
  tables: DiffusersTables,
  continuous: boolean,
  asked: DiffusersPlanOptions,
): DiffusersPlan {
  const steps = requestedSteps(name, asked, kind.accepts);
  const { levels, timesteps: spaced } = asked.sigmas
    ? givenLevels(asked.sigmas, tables)
    : scheduledLevels(name, kind, options, tables, steps, asked);
  const timesteps = continuous
    ? levels.slice(0, steps).map((sigma) => Math.log(sigma) / 4)
    : spaced;
  const between = (sigma: number) =>
    continuous ? Math.log(sigma) / 4 : timestepOfSigma(tables, sigma);
  const timestepAt: TimestepAt =
    kind.second === "next"
      ? timestepLookup(levels, timesteps, between)
      : (sigma, step) => (sigma === levels[step] ? timesteps[step] : between(sigma));
  const reading = discreteReading(predictionOf(options), "ve", timestepAt);
  const [sigmas, calls] = withSecondEvaluations(kind, levels, timesteps, between);
  const largest = Math.max(...levels);
  const path = levels.slice(0, steps + 1); // log-linear interpolation has a level more than it uses
  return {
    timesteps: calls,
    sigmas,
    initNoiseSigma: ["linspace", "trailing"].includes(options.timestep_spacing)
      ? largest
      : Math.sqrt(largest ** 2 + 1),
    space: "ve",
    steps,
    // diffusers spreads the churn over all levels it holds, used or not
    run: (input) =>
      run(kind, options, reading, path, {
        ...input,
        sChurn: ((input.sChurn ?? 0) * steps) / (levels.length - 1),
      }),
    addNoise: (x0, noise, step) => noised(x0, noise, "ve", levels[step]),
    addNoiseAt: addNoiseByIndex(calls, sigmas, "ve"),
  };
}

function run(
  kind: Kind,
  options: DiffusersOptions,
  reading: ReadingAt,
  sigmas: Float64Array,
  input: DiffusersRunInput,
): SamplerRun {
  const { network, x, noise, signal, firstStep } = input;
  if ((input.sChurn ?? 0) > 0) {
    if (options.prediction_type !== "v_prediction")
      return eulerWithLateChurn({ ...input, sigmas, reading, readAt: "churned" });
    return eulerWithLateChurn({ ...input, sigmas, reading, readAt: "original" });
  }
  const denoise = readingDenoiser(network, reading, { transform: transformOf(options) });
  return kind.sampler({ denoise, x, sigmas, space: "ve", noise, signal, firstStep }, input);
}

/** Levels given outright, the last included. */
function givenLevels(
  sigmas: readonly number[],
  tables: DiffusersTables,
): { levels: Float64Array; timesteps: Float64Array } {
  const levels = Float64Array.from(sigmas, Math.fround);
  return { levels, timesteps: levels.slice(0, -1).map((sigma) => timestepOfSigma(tables, sigma)) };
}

function scheduledLevels(
  name: string,
  kind: Kind,
  options: DiffusersOptions,
  tables: DiffusersTables,
  steps: number,
  { timesteps: custom }: DiffusersPlanOptions,
): { levels: Float64Array; timesteps: Float64Array } {
  if (
    custom &&
    (options.use_karras_sigmas || options.use_exponential_sigmas || options.use_beta_sigmas)
  )
    throw new NijimiError(
      "option",
      `${name}: timesteps cannot be given together with Karras, exponential or beta sigmas.`,
    );
  let timesteps: Float64Array = custom
    ? Float64Array.from(custom)
    : spacedTimesteps({
        spacing: options.timestep_spacing,
        trainSteps: options.num_train_timesteps,
        steps,
        stepsOffset: options.steps_offset,
        round: false,
      });
  timesteps = name === "DPMSolverSDEScheduler" ? timesteps : timesteps.map(Math.fround);
  const index = Float64Array.from(tables.sigmas, (_, t) => t);
  let levels: Float64Array = timesteps.map((t) => interpolate(t, index, tables.sigmas));
  if (options.interpolation_type === "log_linear") {
    const { logSigmas } = tables;
    levels = linspace(logSigmas[logSigmas.length - 1], logSigmas[0], steps + 1).map(Math.exp);
  }
  const respaced = respace(options, levels, steps);
  if (respaced) {
    levels = respaced;
    const round = kind.rounds && options.use_karras_sigmas ? roundHalfEven : (t: number) => t;
    timesteps = levels.map((sigma) => round(timestepOfSigma(tables, sigma)));
  }
  const last = options.final_sigmas_type === "sigma_min" ? tables.sigmas[0] : 0;
  return {
    levels: Float64Array.from([...levels, last], Math.fround),
    timesteps: timesteps.map((t) => (name === "DPMSolverSDEScheduler" ? t : Math.fround(t))),
  };
}

/**
 * `scheduler.sigmas` and `.timesteps` with one entry per evaluation: everything between the ends
 * twice.
 */
function withSecondEvaluations(
  { second, repeatsEnd = false }: Kind,
  levels: Float64Array,
  timesteps: Float64Array,
  between: (sigma: number) => number,
): [sigmas: Float64Array, timesteps: Float64Array] {
  if (!second) return [levels, timesteps];
  const last = levels.length - 1;
  const once = (i: number) => i === 0 || (i === last && !repeatsEnd);
  const sigmas = [...levels].flatMap((sigma, i) => (once(i) ? [sigma] : [sigma, sigma]));
  if (repeatsEnd) sigmas.push(levels[last]);
  const calls = [...timesteps].flatMap((t, i) => {
    if (i === 0) return [t];
    return [second === "next" ? t : between(second(levels[i - 1], levels[i])), t];
  });
  return [Float64Array.from(sigmas), Float64Array.from(calls)];
}
