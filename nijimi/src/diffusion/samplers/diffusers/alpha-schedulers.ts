/**
 * diffusers' schedulers over whole timesteps in `vp`: DDPM, unCLIP, DDIM and its inverse, PNDM,
 * LCM, TCD. Most go T/steps timesteps on regardless of the spacing, so that the level a step
 * reaches need not be the one the next begins at; that is kept.
 */
import { roundHalfEven } from "../../../internal/round-half-even.ts";
import { NijimiError } from "../../../errors.ts";
import { clipX0 } from "../../parameterisations/clipping.ts";
import { DIFFUSERS_VARIANCE_TYPES } from "../../parameterisations/variance.ts";
import { sigmaOfAlphaBar } from "../../schedules/discrete-sigmas.ts";
import { linspace } from "../../schedules/numbers.ts";
import { spacedTimesteps } from "../../schedules/timestep-spacing.ts";
import { ddimInversion } from "../ddim-inversion.ts";
import { ddim } from "../ddim.ts";
import { type DdpmVariance, ddpm } from "../ddpm.ts";
import { lcm } from "../lcm.ts";
import { pndm } from "../pndm.ts";
import { tcd } from "../tcd.ts";
import type { SamplerInput, SamplerRun } from "../types.ts";
import type { DiffusersOptions, DiffusersSchedulerName } from "./options.ts";
import {
  checkCustomTimesteps,
  checkNotMoreThanTrained,
  type DiffusersPlan,
  type DiffusersPlanOptions,
  type DiffusersRunInput,
  type DiffusersScheduler,
  noised,
  requestedSteps,
} from "./plan.ts";
import {
  discreteReading,
  predictionOf,
  readingDenoiser,
  type ReadingOptions,
  timestepLookup,
  transformOf,
} from "./reading.ts";
import { type DiffusersTables, diffusersTables } from "./tables.ts";

/** What a class makes of the timesteps. */
interface Course {
  /** `scheduler.timesteps`. */
  readonly timesteps: ArrayLike<number>;
  /** Timesteps of the sampler's steps, where they are not all evaluations. @default timesteps */
  readonly stepTimesteps?: ArrayLike<number>;
  /** Levels at which the steps begin, where they are not those of their timesteps. */
  readonly levels?: Float64Array;
  /** Level after the last step. */
  readonly end: number;
  readonly reading?: ReadingOptions & { readonly eps?: boolean };
  sampler(input: SamplerInput, run: DiffusersRunInput): SamplerRun;
}

interface Context {
  readonly name: DiffusersSchedulerName;
  readonly options: DiffusersOptions;
  readonly tables: DiffusersTables;
  /** Levels after the last timestep. */
  readonly finalSigma: number;
  /** σ at a timestep; `finalSigma` below 0. */
  sigma(timestep: number): number;
}

const COURSES: Readonly<Record<string, (context: Context, asked: DiffusersPlanOptions) => Course>> =
  {
    DDPMScheduler: ddpmCourse,
    DDPMParallelScheduler: ddpmCourse,
    DDIMScheduler: ddimCourse,
    DDIMParallelScheduler: ddimCourse,
    DDIMInverseScheduler: inverseCourse,
    UnCLIPScheduler: unclipCourse,
    PNDMScheduler: pndmCourse,
    LCMScheduler: lcmCourse,
    TCDScheduler: tcdCourse,
  };

/** The scheduler of one of these classes. */
export function alphaScheduler(
  name: DiffusersSchedulerName,
  options: DiffusersOptions,
): DiffusersScheduler {
  const tables = diffusersTables(options, false);
  const finalAlphaCumprod = options.set_alpha_to_one ? 1 : tables.alphasCumprod[0];
  const finalSigma = sigmaOfAlphaBar(finalAlphaCumprod);
  const sigma = (t: number) => (t >= 0 ? sigmaOfAlphaBar(tables.alphasCumprod[t]) : finalSigma);
  const context: Context = { name, options, tables, finalSigma, sigma };
  return {
    name,
    options,
    alphasCumprod: tables.alphasCumprod,
    betas: tables.betas,
    finalAlphaCumprod,
    plan: (asked) => planOf(context, COURSES[name](context, asked)),
  };
}

function planOf({ options, sigma, name }: Context, course: Course): DiffusersPlan {
  const timesteps = Float64Array.from(course.timesteps);
  const steps = Float64Array.from(course.stepTimesteps ?? timesteps);
  const levels = Float64Array.of(...(course.levels ?? steps.map(sigma)), course.end);
  const lookup = timestepLookup(course.levels ?? timesteps.map(sigma), timesteps, () => {
    throw new NijimiError("internal", `internal: ${name} has no timestep for this level`);
  });
  const { eps = false, ...reading } = course.reading ?? {};
  if (predictionOf(options) === "eps" && levels.slice(0, -1).includes(Infinity))
    throw new NijimiError(
      "option",
      `${name}: a network that predicts noise says nothing at zero SNR; use prediction_type "v_prediction" or "sample", or another spacing.`,
    );
  const at = discreteReading(predictionOf(options), "vp", lookup, { eps });
  return {
    timesteps,
    initNoiseSigma: 1,
    space: "vp",
    steps: steps.length,
    run: (input) => {
      const { network, x, noise, signal, firstStep } = input;
      const denoise = readingDenoiser(network, at, reading);
      return course.sampler(
        { denoise, x, sigmas: levels, space: "vp", noise, signal, firstStep },
        input,
      );
    },
    addNoise: (x0, noise, step) => noised(x0, noise, "vp", sigma(timesteps[step])),
    addNoiseAt: (x0, noise, timestep) => noised(x0, noise, "vp", sigma(timestep)),
  };
}

function spaced(
  { name, options }: Context,
  asked: DiffusersPlanOptions,
  accepted: readonly "timesteps"[] = [],
): Float64Array {
  const steps = requestedSteps(name, asked, accepted);
  if (asked.timesteps) {
    checkCustomTimesteps(name, asked.timesteps, options.num_train_timesteps);
    return Float64Array.from(asked.timesteps, Math.trunc);
  }
  checkNotMoreThanTrained(name, steps, options.num_train_timesteps);
  return spacedTimesteps({
    spacing: options.timestep_spacing,
    trainSteps: options.num_train_timesteps,
    steps,
    stepsOffset: options.steps_offset,
  });
}

/** Timesteps one stride below. */
function strideBelow({ options }: Context, timesteps: Float64Array): Float64Array {
  const stride = Math.floor(options.num_train_timesteps / timesteps.length);
  return timesteps.map((t) => t - stride);
}

function ddpmCourse(context: Context, asked: DiffusersPlanOptions): Course {
  const { options } = context;
  const timesteps = spaced(context, asked, ["timesteps"]);
  const variance = ddpmVariance(options);
  const learned = variance === "learned" || variance === "learned-range" ? variance : undefined;
  return {
    timesteps,
    end: 0,
    reading: { transform: transformOf(options), variance: learned },
    sampler: (input) => ddpm({ ...input, variance, noiselessEnd: timesteps.at(-1) === 0 }),
  };
}

function ddpmVariance({ variance_type }: DiffusersOptions): DdpmVariance {
  const name = DIFFUSERS_VARIANCE_TYPES[variance_type ?? "fixed_small"];
  return name.replace("fixed-", "") as DdpmVariance;
}

function unclipCourse(context: Context, asked: DiffusersPlanOptions): Course {
  const { options, sigma, tables } = context;
  const steps = requestedSteps("UnCLIPScheduler", asked);
  const last = options.num_train_timesteps - 1;
  const timesteps = linspace(0, last, steps).map(roundHalfEven).reverse();
  const variance = ddpmVariance(options);
  const levels = (targets: readonly number[]) =>
    Float64Array.from(targets, (t) => (t >= 0 ? sigma(t) : 0));
  const targets = {
    adjacent: levels([...timesteps].map((t) => t - 1)),
    next: levels([...timesteps.slice(1), -1]),
  };
  return {
    timesteps,
    end: 0,
    reading: {
      transform: options.clip_sample ? clipX0(options.clip_sample_range) : undefined,
      variance: variance === "learned-range" ? variance : undefined,
    },
    sampler(input, { previousTimestep = "adjacent" }) {
      const betas =
        previousTimestep === "adjacent" ? timesteps.map((t) => tables.betas[t]) : undefined;
      return ddpm({ ...input, variance, betas, targets: targets[previousTimestep] });
    },
  };
}

function ddimCourse(context: Context, asked: DiffusersPlanOptions): Course {
  const { options, sigma } = context;
  const timesteps = spaced(context, asked);
  const targets = strideBelow(context, timesteps).map(sigma);
  const transform = transformOf(options);
  return {
    timesteps,
    end: targets[targets.length - 1],
    reading: { transform, eps: true },
    sampler(input, { eta = 0, useClippedModelOutput = false }) {
      const denoise: typeof input.denoise = async (x, at, why) => {
        const { denoised, eps } = await input.denoise(x, at, why);
        return useClippedModelOutput ? { denoised } : { denoised, eps };
      };
      return ddim({ ...input, denoise, eta, targets });
    },
  };
}

function inverseCourse(context: Context, asked: DiffusersPlanOptions): Course {
  const { name, options, sigma } = context;
  if (options.timestep_spacing === "linspace")
    throw new NijimiError(
      "option",
      `${name}: timestep_spacing must be "leading" or "trailing"; got "linspace".`,
    );
  const timesteps = spaced(context, asked).reverse();
  const targets = timesteps.map(sigma);
  return {
    timesteps,
    levels: strideBelow(context, timesteps).map((t) =>
      sigma(Math.min(t, options.num_train_timesteps - 1)),
    ),
    end: targets[targets.length - 1],
    reading: { transform: transformOf(options), eps: true },
    sampler: (input) => ddimInversion({ ...input, targets }),
  };
}

function pndmCourse(context: Context, asked: DiffusersPlanOptions): Course {
  const { options, sigma } = context;
  const steps = spaced(context, asked);
  const below = strideBelow(context, steps);
  const stride = Math.floor(options.num_train_timesteps / steps.length);
  const half = Math.floor(stride / 2);
  const extrapolate = options.prediction_type === "v_prediction" ? "v" : "eps";
  if (!["epsilon", "v_prediction"].includes(options.prediction_type))
    throw new NijimiError(
      "option",
      `PNDMScheduler: prediction_type must be "epsilon" or "v_prediction"; got "${options.prediction_type}".`,
    );
  const targets = below.map(sigma);
  const common = { extrapolate, targets } as const;
  const end = targets[targets.length - 1];
  const reading = { eps: true };
  if (options.skip_prk_steps) {
    const calls = steps.length > 1 ? [steps[0], steps[1], ...steps.slice(1)] : [...steps];
    return {
      timesteps: calls,
      stepTimesteps: steps,
      end,
      reading,
      sampler: (input) =>
        plmsFrom(input.firstStep ?? 0, calls, stride, sigma, { ...input, extrapolate }),
    };
  }
  // three steps of four evaluations, the middles half a stride above the lower end
  const rungeKutta = [0, 1, 2].flatMap((i) => [
    steps[i],
    steps[i + 1] + half,
    steps[i + 1] + half,
    steps[i + 1],
  ]);
  const middles = [0, 1, 2].map((i) => ({
    evaluate: sigma(steps[i + 1] + half),
    reach: sigma(steps[i] - half),
  }));
  return {
    timesteps: [...rungeKutta, ...steps.slice(3)],
    stepTimesteps: steps,
    end,
    reading,
    sampler: (input) => pndm({ ...input, ...common, warmup: "runge-kutta", middles }),
  };
}

/**
 * PLMS over the calls of the schedule from one of them on. The second call of a run always repeats the first step, also
 * where no timestep is there twice (image to image): from then on the state is one step noisier than the timestep
 * says, in diffusers as here.
 */
async function* plmsFrom(
  first: number,
  calls: readonly number[],
  stride: number,
  sigma: (timestep: number) => number,
  input: SamplerInput & { readonly extrapolate: "eps" | "v" },
): SamplerRun {
  const [start, again, ...rest] = calls.slice(first);
  const steps = [start, ...rest];
  const targets = steps.map((t) => sigma(t - stride));
  const run = pndm({
    ...input,
    firstStep: 0,
    sigmas: [...steps.map(sigma), targets[targets.length - 1]],
    targets,
    repeatFrom: again === undefined ? undefined : sigma(again + stride),
    repeatAt: again === undefined ? undefined : sigma(again),
  });
  for await (const event of run)
    yield { ...event, step: first + event.step, steps: first + steps.length };
}

/** Timesteps of distilled networks: every so many of the teacher's. */
function distilledTimesteps({ name, options }: Context, asked: DiffusersPlanOptions): Float64Array {
  const steps = requestedSteps(name, asked, ["timesteps"]);
  const { strength = 1, originalSteps } = asked;
  const trained = options.num_train_timesteps;
  const teacher = originalSteps ?? options.original_inference_steps;
  checkNotMoreThanTrained(name, teacher, trained);
  if (asked.timesteps) {
    checkCustomTimesteps(name, asked.timesteps, trained);
    return Float64Array.from(asked.timesteps).slice(
      Math.max(0, steps - Math.min(Math.trunc(steps * strength), steps)),
    );
  }
  const stride = Math.floor(trained / teacher);
  // TCD with explicit originalSteps draws from every timestep
  const origin =
    name === "TCDScheduler" && originalSteps !== undefined
      ? Array.from({ length: Math.trunc(trained * strength) }, (_, i) => i)
      : Array.from({ length: Math.trunc(teacher * strength) }, (_, i) => (i + 1) * stride - 1);
  if (steps > origin.length || steps > teacher)
    throw new NijimiError(
      "option",
      `${name}: ${steps} steps are more than the ${Math.min(origin.length, teacher)} of the teacher's schedule at strength ${strength}.`,
    );
  origin.reverse();
  return Float64Array.from(
    { length: steps },
    (_, i) => origin[Math.floor((i * origin.length) / steps)],
  );
}

function lcmCourse(context: Context, asked: DiffusersPlanOptions): Course {
  const { options } = context;
  const timesteps = distilledTimesteps(context, asked);
  const transform = transformOf(options);
  const sigmaData = 0.5;
  return {
    timesteps,
    end: 0,
    reading: { transform },
    sampler(input) {
      // boundary condition f(x, t) = cSkip(t)·x + cOut(t)·x0 (arXiv:2310.04378, eq. 9)
      const denoise: typeof input.denoise = async (x, at, why) => {
        const { denoised } = await input.denoise(x, at, why);
        const scaled = timesteps[why.step] * options.timestep_scaling;
        const total = scaled ** 2 + sigmaData ** 2;
        const [skip, out] = [sigmaData ** 2 / total, scaled / Math.sqrt(total)];
        return {
          denoised: {
            ...denoised,
            data: denoised.data.map((value, i) => out * value + skip * x.data[i]),
          },
        };
      };
      return lcm({ ...input, denoise });
    },
  };
}

function tcdCourse(context: Context, asked: DiffusersPlanOptions): Course {
  const { sigma } = context;
  const timesteps = distilledTimesteps(context, asked);
  const next = [...timesteps.slice(1), 0];
  return {
    timesteps,
    end: sigma(0),
    reading: { eps: true },
    sampler: (input, { eta = 0.3 }) =>
      tcd({ ...input, eta, jumpsTo: next.map((t) => sigma(Math.floor((1 - eta) * t))) }),
  };
}
