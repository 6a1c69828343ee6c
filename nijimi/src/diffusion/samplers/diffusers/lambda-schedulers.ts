/**
 * diffusers' exponential integrators: DPM-Solver multistep (and inverse) and singlestep, UniPC,
 * DEIS, SA-Solver. States are `vp`, or `flow` with `use_flow_sigmas`; timesteps are whole numbers,
 * spaced over one interval more than there are steps; every class rounds, truncates and ends its
 * schedule in its own way, which the table below keeps.
 */
import { roundHalfEven } from "../../../internal/round-half-even.ts";
import { NijimiError } from "../../../errors.ts";
import type { PredictionType } from "../../parameterisations/prediction.ts";
import { shiftSigma } from "../../schedules/flow-shift.ts";
import { arange, interpolate, linspace } from "../../schedules/numbers.ts";
import { luLambdas } from "../../schedules/sigmas-log-snr.ts";
import { deis } from "../deis.ts";
import type { SolverPrediction, SolverType } from "../dpm-solver-formulas.ts";
import { dpmSolverMultistep } from "../dpm-solver-multistep.ts";
import { dpmSolverSinglestep } from "../dpm-solver-singlestep.ts";
import { saSolver } from "../sa-solver.ts";
import type { SamplerInput, SamplerRun, Space } from "../types.ts";
import { unipc } from "../unipc.ts";
import type { DiffusersOptions, DiffusersSchedulerName } from "./options.ts";
import {
  addNoiseByIndex,
  type DiffusersPlan,
  type DiffusersPlanOptions,
  type DiffusersScheduler,
  noised,
  requestedSteps,
} from "./plan.ts";
import {
  discreteReading,
  predictionOf,
  readingDenoiser,
  type TimestepAt,
  timestepLookup,
  transformOf,
} from "./reading.ts";
import { respace } from "./respace.ts";
import { type DiffusersTables, diffusersTables, timestepOfSigma } from "./tables.ts";

/** What tells these schedulers apart. */
interface Kind {
  readonly customTimesteps?: boolean;
  /** Timesteps go up. */
  readonly inverse?: boolean;
  /**
   * Timesteps of Karras levels are rounded: always, or not for the cosine schedule. @default
   * "always"
   */
  readonly roundsKarras?: "always" | "unless-cosine";
  /**
   * Level after the last step: by `final_sigmas_type`, or the last level again where levels are
   * respaced.
   */
  readonly end: (
    options: DiffusersOptions,
    tables: DiffusersTables,
    respaced: ArrayLike<number> | undefined,
  ) => number;
  /** The network's ε is used, not x0. */
  readonly eps: (options: DiffusersOptions) => boolean;
  /** Thresholding is ignored. */
  readonly ignoresThresholding?: (options: DiffusersOptions) => boolean;
  sampler(input: SamplerInput, options: DiffusersOptions, timestepAt: TimestepAt): SamplerRun;
}

const byFinalSigmas = ({ final_sigmas_type }: DiffusersOptions, { sigmas }: DiffusersTables) =>
  final_sigmas_type === "zero" ? 0 : sigmas[0];
const repeatOrLowest = (
  _: DiffusersOptions,
  { sigmas }: DiffusersTables,
  respaced: ArrayLike<number> | undefined,
) => (respaced ? respaced[respaced.length - 1] : sigmas[0]);
const usesEps = ({ algorithm_type }: DiffusersOptions) =>
  algorithm_type === "dpmsolver" || algorithm_type === "sde-dpmsolver";
const isSde = ({ algorithm_type }: DiffusersOptions) => algorithm_type.startsWith("sde-");
const predictionFor = (options: DiffusersOptions): SolverPrediction =>
  usesEps(options) ? "eps" : "x0";
const solverTypeOf = ({ solver_type }: DiffusersOptions): SolverType =>
  solver_type === "heun" ? "heun" : "midpoint";

/** The options of the multistep solver that a config means. */
export function multistepOptions(options: DiffusersOptions) {
  return {
    order: options.solver_order as 1 | 2 | 3,
    prediction: predictionFor(options),
    solverType: solverTypeOf(options),
    eta: isSde(options) ? 1 : 0,
    lowerOrderFinal: options.lower_order_final,
    eulerAtFinal: options.euler_at_final,
    thirdOrderSde: "diffusers",
  } as const;
}

const KINDS: Readonly<Record<string, Kind>> = {
  DPMSolverMultistepScheduler: {
    customTimesteps: true,
    roundsKarras: "unless-cosine",
    end: byFinalSigmas,
    eps: usesEps,
    sampler: (input, options) => dpmSolverMultistep({ ...input, ...multistepOptions(options) }),
  },
  DPMSolverMultistepInverseScheduler: {
    inverse: true,
    end: repeatOrLowest,
    eps: usesEps,
    sampler: (input, options) =>
      dpmSolverMultistep({ ...input, ...multistepOptions(options), direction: "any" }),
  },
  DPMSolverSinglestepScheduler: {
    customTimesteps: true,
    end: byFinalSigmas,
    eps: usesEps,
    sampler: (input, options) => {
      const { eulerAtFinal: _, ...common } = multistepOptions(options);
      return dpmSolverSinglestep({ ...input, ...common });
    },
  },
  UniPCMultistepScheduler: {
    end: (options, tables, respaced) =>
      respaced && options.final_sigmas_type === "sigma_min"
        ? respaced[respaced.length - 1]
        : byFinalSigmas(options, tables),
    eps: ({ predict_x0 }) => !predict_x0,
    ignoresThresholding: ({ predict_x0 }) => !predict_x0,
    sampler: (input, options) =>
      unipc({
        ...input,
        order: options.solver_order,
        variant: options.solver_type === "bh1" ? "bh1" : "bh2",
        prediction: options.predict_x0 ? "x0" : "eps",
        lowerOrderFinal: options.lower_order_final,
        disableCorrector: options.disable_corrector,
      }),
  },
  DEISMultistepScheduler: {
    end: repeatOrLowest,
    eps: () => true,
    sampler: (input, { solver_order, lower_order_final }) =>
      deis({ ...input, order: solver_order as 1 | 2 | 3, lowerOrderFinal: lower_order_final }),
  },
  SASolverScheduler: {
    end: repeatOrLowest,
    eps: ({ algorithm_type }) => algorithm_type === "noise_prediction",
    sampler: (input, options, timestepAt) =>
      saSolver({
        ...input,
        predictorOrder: options.predictor_order as 1 | 2 | 3 | 4,
        correctorOrder: options.corrector_order as 1 | 2 | 3 | 4,
        prediction: options.algorithm_type === "noise_prediction" ? "eps" : "x0",
        lowerOrderFinal: options.lower_order_final,
        tau: (sigma, step) =>
          timestepAt(sigma, step) >= 200 && timestepAt(sigma, step) <= 800 ? 1 : 0,
      }),
  },
};

/** The scheduler of one of these classes. */
export function lambdaScheduler(
  name: DiffusersSchedulerName,
  options: DiffusersOptions,
): DiffusersScheduler {
  checkCombination(name, options);
  const tables = diffusersTables(options, true);
  return {
    name,
    options,
    alphasCumprod: tables.alphasCumprod,
    betas: tables.betas,
    plan: (asked) => makePlan(name, KINDS[name], options, tables, asked),
  };
}

function makePlan(
  name: DiffusersSchedulerName,
  kind: Kind,
  options: DiffusersOptions,
  tables: DiffusersTables,
  asked: DiffusersPlanOptions,
): DiffusersPlan {
  const steps = requestedSteps(name, asked, kind.customTimesteps ? ["timesteps"] : []);
  const space: Space = options.use_flow_sigmas ? "flow" : "vp";
  const spaced = asked.timesteps
    ? Float64Array.from(asked.timesteps, Math.trunc)
    : spacedTimesteps(name, kind, options, tables, steps);
  const respaced = respacedLevels(name, kind, options, tables, steps, asked);
  const index = Float64Array.from(tables.sigmas, (_, t) => t);
  const levels = respaced ?? spaced.map((t) => interpolate(t, index, tables.sigmas));
  const end =
    kind.inverse && !respaced
      ? tables.sigmas[noisiestTimestep(options, tables)]
      : kind.end(options, tables, respaced);
  // Rounding may put the last respaced level below the one that it stands for.
  const last = levels[levels.length - 1];
  const isRounding = !kind.inverse && end > last && end < last * (1 + 1e-5);
  const sigmas = Float64Array.from([...levels, isRounding ? last : end], Math.fround);
  const truncated = (respaced ? timestepsOf(kind, options, tables, levels) : spaced).map(
    Math.trunc,
  );
  const timesteps = kind.inverse ? Float64Array.from(new Set(truncated)) : truncated;
  const lookup = timestepLookup(sigmas, truncated, (sigma) => timestepOfSigma(tables, sigma));
  const at = discreteReading(predictionOf(options) as PredictionType, space, lookup, {
    eps: kind.eps(options) && !options.thresholding,
  });
  const transform = kind.ignoresThresholding?.(options) ? undefined : transformOf(options);
  return {
    timesteps,
    sigmas,
    initNoiseSigma: 1,
    space,
    steps: timesteps.length,
    run({ network, x, noise, signal, firstStep }) {
      const denoise = readingDenoiser(network, at, { transform });
      const path = sigmas.slice(0, timesteps.length + 1);
      return kind.sampler(
        { denoise, x, sigmas: path, space, noise, signal, firstStep },
        options,
        lookup,
      );
    },
    addNoise: (x0, noise, step) => noised(x0, noise, space, sigmas[step]),
    addNoiseAt:
      name === "SASolverScheduler"
        ? (x0, noise, t) => noised(x0, noise, "vp", tables.sigmas[t])
        : addNoiseByIndex(timesteps, sigmas, space),
  };
}

/** Timesteps above which λ is not below `lambda_min_clipped`. */
function clippedCount(
  { lambda_min_clipped }: DiffusersOptions,
  { alphasCumprod }: DiffusersTables,
): number {
  const { fround } = Math;
  const lambdas = alphasCumprod.map((a) =>
    fround(
      fround(Math.log(fround(Math.sqrt(a)))) - fround(Math.log(fround(Math.sqrt(fround(1 - a))))),
    ),
  );
  return lambdas.filter((lambda) => lambda < lambda_min_clipped).length;
}

function noisiestTimestep(options: DiffusersOptions, tables: DiffusersTables): number {
  return options.num_train_timesteps - 1 - clippedCount(options, tables);
}

function spacedTimesteps(
  name: string,
  kind: Kind,
  options: DiffusersOptions,
  tables: DiffusersTables,
  steps: number,
): Float64Array {
  const last = noisiestTimestep(options, tables);
  const count = steps + 1;
  const spacing = name === "DPMSolverSinglestepScheduler" ? "linspace" : options.timestep_spacing;
  if (spacing === "trailing") {
    const timesteps = arange(last + 1, 0, -options.num_train_timesteps / steps).map(
      (t) => roundHalfEven(t) - 1,
    );
    return kind.inverse ? timesteps.reverse() : timesteps;
  }
  const stride = Math.floor((last + 1) / count);
  const rising =
    spacing === "linspace"
      ? linspace(0, last, count).map(roundHalfEven)
      : Float64Array.from({ length: count }, (_, i) => i * stride + options.steps_offset);
  return kind.inverse ? rising.slice(0, -1) : rising.slice(1).reverse();
}

/** Levels that do not come from timesteps; undefined where the config asks for none. */
function respacedLevels(
  name: string,
  kind: Kind,
  options: DiffusersOptions,
  tables: DiffusersTables,
  steps: number,
  asked: DiffusersPlanOptions,
): Float64Array | undefined {
  const { sigmas, logSigmas } = tables;
  const respaced = respace(options, kind.inverse ? sigmas : sigmas.toReversed(), steps);
  const levels =
    respaced ??
    (options.use_lu_lambdas
      ? luSigmas(logSigmas, steps)
      : options.use_flow_sigmas
        ? flowSigmas(options, steps, asked.mu)
        : undefined);
  if (levels && asked.timesteps && !options.use_flow_sigmas)
    throw new NijimiError(
      "option",
      `${name}: timesteps cannot be given together with respaced sigmas.`,
    );
  return levels;
}

/** Uniform in log σ, as `use_lu_lambdas` means it. */
function luSigmas(logSigmas: Float64Array, steps: number): Float64Array {
  return luLambdas(steps, {
    lambdaStart: logSigmas[logSigmas.length - 1],
    lambdaEnd: logSigmas[0],
  }).map(Math.exp);
}

function flowSigmas(
  { num_train_timesteps, flow_shift }: DiffusersOptions,
  steps: number,
  mu: number | undefined,
): Float64Array {
  const shift = mu === undefined ? flow_shift : Math.exp(mu);
  return linspace(1, 1 / num_train_timesteps, steps + 1)
    .map((alpha) => shiftSigma(1 - alpha, shift))
    .reverse()
    .slice(0, -1);
}

function timestepsOf(
  kind: Kind,
  options: DiffusersOptions,
  tables: DiffusersTables,
  levels: Float64Array,
): Float64Array {
  if (
    options.use_flow_sigmas &&
    !options.use_karras_sigmas &&
    !options.use_exponential_sigmas &&
    !options.use_beta_sigmas
  )
    return levels.map((sigma) => sigma * options.num_train_timesteps);
  const timesteps = levels.map((sigma) => timestepOfSigma(tables, sigma));
  const rounded = options.use_karras_sigmas || options.use_lu_lambdas;
  const kept =
    kind.roundsKarras === "unless-cosine" && options.beta_schedule === "squaredcos_cap_v2";
  return rounded && !kept ? timesteps.map(roundHalfEven) : timesteps;
}

function checkCombination(name: string, options: DiffusersOptions): void {
  const refuse = (what: string) => new NijimiError("option", `${name}: ${what}`);
  if (
    name.startsWith("DPMSolver") &&
    usesEps(options) &&
    options.final_sigmas_type === "zero" &&
    name !== "DPMSolverMultistepInverseScheduler"
  )
    throw refuse(
      `algorithm_type "${options.algorithm_type}" needs final_sigmas_type "sigma_min"; got "zero".`,
    );
  if (name === "DPMSolverSinglestepScheduler" && options.algorithm_type === "sde-dpmsolver")
    throw refuse(
      'algorithm_type must be "dpmsolver", "dpmsolver++" or "sde-dpmsolver++"; got "sde-dpmsolver".',
    );
  if (
    name.startsWith("DPMSolver") &&
    !(
      options.solver_order >= 1 &&
      options.solver_order <= 3 &&
      Number.isInteger(options.solver_order)
    )
  )
    throw refuse(`solver_order must be 1, 2 or 3; got ${options.solver_order}.`);
  if (options.prediction_type === "flow_prediction" && !options.use_flow_sigmas)
    throw refuse('prediction_type "flow_prediction" needs use_flow_sigmas.');
}
