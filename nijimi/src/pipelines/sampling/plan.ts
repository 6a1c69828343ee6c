/**
 * From the sampler a user names to a schedule that is ready to run. What a checkpoint's own scheduler config says
 * stays true of another sampler (spacing, offset, prediction); samplers that diffusers has run as they do there,
 * all others as in k-diffusion.
 */
import type { JsonObject } from "../../checkpoints/json.ts";
import { discretePreconditioning } from "../../diffusion/parameterisations/preconditioning.ts";
import { denoiserOf } from "../../diffusion/parameterisations/denoiser.ts";
import {
  DIFFUSERS_PREDICTION_TYPES,
  type PredictionType,
} from "../../diffusion/parameterisations/prediction.ts";
import {
  type DiffusersPlan,
  type DiffusersPlanOptions,
  noised,
} from "../../diffusion/samplers/diffusers/plan.ts";
import { fromDiffusersConfig } from "../../diffusion/samplers/diffusers/from-config.ts";
import { resolveSampler } from "../../diffusion/samplers/resolve.ts";
import { type SamplerEntry, type SamplerName, SAMPLERS } from "../../diffusion/samplers/table.ts";
import {
  discreteSigmasOf,
  sigmaOfAlphaBar,
  sigmaToTimestep,
} from "../../diffusion/schedules/discrete-sigmas.ts";
import { makeSigmas, type SigmaScheduleName } from "../../diffusion/schedules/sigma-schedules.ts";
import { NijimiError, invariant, isNijimiError, unknownName } from "../../errors.ts";

/** A schedule ready to run; see `DiffusersPlan`. */
export interface SamplingPlan extends Pick<
  DiffusersPlan,
  "steps" | "initNoiseSigma" | "space" | "run" | "addNoise"
> {
  /** For recipes and messages. */
  readonly sampler: string;
  /** Noise that the sampler wants. */
  readonly noise: "none" | "stream" | "brownian";
  /** Largest and smallest level above 0, for Brownian noise. */
  readonly sigmaRange: readonly [smallest: number, largest: number];
  /** How often the network is evaluated from step `first` on. */
  evaluations(first: number): number;
  /** Timestep of the network at which a step begins. */
  timestepAt(step: number): number;
  /** Timestep of every evaluation; absent for samplers whose levels lie between timesteps. */
  readonly timesteps?: ArrayLike<number>;
  /** x0 noised to the level of a timestep; absent for samplers whose levels lie between timesteps. */
  readonly addNoiseAt?: DiffusersPlan["addNoiseAt"];
  /** Timesteps of the network's training. */
  readonly trainedTimesteps: number;
  /** Ratio of noise to signal that a timestep of the network means. */
  sigmaAt(timestep: number): number;
}

/** What is asked of {@link samplingPlan}. */
export interface PlanRequest extends Pick<DiffusersPlanOptions, "timesteps" | "sigmas"> {
  readonly steps: number;
  /** Any name of a sampler, A1111's with a schedule too ("DPM++ 2M Karras"). @default the checkpoint's scheduler */
  readonly sampler?: string;
  /** Any name of a schedule of noise levels. @default the sampler's name's, or the checkpoint's */
  readonly schedule?: string;
  /** A config of diffusers in the place of the checkpoint's. */
  readonly scheduler?: JsonObject;
  /** Share of the schedule used, for schedulers that choose their timesteps by it (LCM, TCD). @default 1 */
  readonly scheduledStrength?: number;
  /** Steps of the schedule that LCM and TCD were distilled from. @default the checkpoint's */
  readonly originalSteps?: number;
}

interface DiffusersForm {
  readonly className: string;
  readonly options?: JsonObject;
}

/** Samplers that are run as the class of diffusers. */
const DIFFUSERS_FORMS: Partial<Record<SamplerName, DiffusersForm>> = {
  euler: { className: "EulerDiscreteScheduler" },
  "euler-ancestral": { className: "EulerAncestralDiscreteScheduler" },
  heun: { className: "HeunDiscreteScheduler" },
  dpm2: { className: "KDPM2DiscreteScheduler" },
  "dpm2-ancestral": { className: "KDPM2AncestralDiscreteScheduler" },
  lms: { className: "LMSDiscreteScheduler" },
  ddim: { className: "DDIMScheduler" },
  ddpm: { className: "DDPMScheduler" },
  pndm: { className: "PNDMScheduler", options: { skip_prk_steps: true } },
  "dpmpp-2m": {
    className: "DPMSolverMultistepScheduler",
    options: { algorithm_type: "dpmsolver++", solver_order: 2 },
  },
  "dpmpp-2m-sde": {
    className: "DPMSolverMultistepScheduler",
    options: { algorithm_type: "sde-dpmsolver++", solver_order: 2 },
  },
  "unipc-bh1": { className: "UniPCMultistepScheduler", options: { solver_type: "bh1" } },
  "unipc-bh2": { className: "UniPCMultistepScheduler", options: { solver_type: "bh2" } },
  deis: { className: "DEISMultistepScheduler" },
  lcm: { className: "LCMScheduler" },
  tcd: { className: "TCDScheduler" },
};

/** What a schedule's name means in a config of diffusers. */
const DIFFUSERS_SCHEDULES: Partial<Record<SigmaScheduleName, JsonObject>> = {
  karras: { use_karras_sigmas: true },
  exponential: { use_exponential_sigmas: true },
  beta: { use_beta_sigmas: true },
  "sgm-uniform": { timestep_spacing: "trailing" },
};

/** Classes without levels between timesteps; a schedule of levels is not for them. */
const WHOLE_TIMESTEPS = [
  "DDIMScheduler",
  "DDPMScheduler",
  "PNDMScheduler",
  "LCMScheduler",
  "TCDScheduler",
];

/**
 * The schedule for a request.
 *
 * @param own the checkpoint's scheduler config
 * @throws NijimiError `option` for unknown names and options that do not go together
 */
export function samplingPlan(own: JsonObject, request: PlanRequest): SamplingPlan {
  if (request.scheduler === undefined) requireScheduler(own);
  const config = request.scheduler ?? own;
  // The name of the config's own class means the config as it is.
  const isOwn = request.sampler === undefined || request.sampler === config["_class_name"];
  const named = isOwn ? undefined : resolveSampler(request.sampler as string);
  const schedule = (request.schedule ?? named?.schedule) as SigmaScheduleName | undefined;
  if (named === undefined) return diffusersPlan(withSchedule(config, schedule), request);
  const form = DIFFUSERS_FORMS[named.sampler];
  const changes = schedule === undefined ? {} : DIFFUSERS_SCHEDULES[schedule];
  const fits = changes !== undefined && form !== undefined;
  if (fits && !(schedule !== undefined && WHOLE_TIMESTEPS.includes(form.className))) {
    const merged = { ...config, ...form.options, ...changes, _class_name: form.className };
    return diffusersPlan(merged, request);
  }
  return nativePlan(named.sampler, schedule ?? "normal", config, request);
}

/** A checkpoint's config that no scheduler takes is the file's fault, not the caller's. */
function requireScheduler(own: JsonObject): void {
  try {
    fromDiffusersConfig(own);
  } catch (error) {
    if (!isNijimiError(error) || error.code !== "option") throw error;
    const message = `The checkpoint's scheduler: ${error.message} Give another as scheduler.`;
    throw new NijimiError("checkpoint", message, { cause: error });
  }
}

function withSchedule(config: JsonObject, schedule: SigmaScheduleName | undefined): JsonObject {
  if (schedule === undefined) return config;
  const changes = DIFFUSERS_SCHEDULES[schedule];
  if (changes === undefined)
    throw new NijimiError(
      "option",
      `The schedule "${schedule}" needs a sampler: give one, such as "Euler".`,
    );
  return { ...config, ...changes };
}

function diffusersPlan(
  config: JsonObject,
  { steps, timesteps, sigmas, scheduledStrength, originalSteps }: PlanRequest,
): SamplingPlan {
  const scheduler = fromDiffusersConfig(config);
  const isDistilled = scheduler.name === "LCMScheduler" || scheduler.name === "TCDScheduler";
  const asked = timesteps ? { timesteps } : sigmas ? { sigmas } : { steps };
  const plan = scheduler.plan({
    ...asked,
    ...(isDistilled && { strength: scheduledStrength, originalSteps }),
  });
  const order = plan.steps > 1 && plan.timesteps.length >= 2 * plan.steps - 1 ? 2 : 1;
  const { alphasCumprod } = scheduler;
  const levels = [...(plan.sigmas ?? [])].filter((sigma) => sigma > 0 && sigma < Infinity);
  return {
    ...plan,
    sampler: scheduler.name,
    noise: scheduler.name === "DPMSolverSDEScheduler" ? "brownian" : "stream",
    sigmaRange: [Math.min(...levels), Math.max(...levels)],
    evaluations: (first) => (first === plan.steps ? 0 : plan.timesteps.length - order * first),
    timestepAt: (step) => plan.timesteps[order * step],
    trainedTimesteps: alphasCumprod?.length ?? 1000,
    sigmaAt: (timestep) =>
      alphasCumprod === undefined
        ? timestep
        : sigmaOfAlphaBar(
            alphasCumprod[Math.min(alphasCumprod.length - 1, Math.max(0, Math.round(timestep)))],
          ),
  };
}

function nativePlan(
  sampler: SamplerName,
  schedule: SigmaScheduleName,
  config: JsonObject,
  { steps, sigmas: given }: PlanRequest,
): SamplingPlan {
  const entry: SamplerEntry = SAMPLERS[sampler];
  if (entry.needs !== undefined || (entry.spaces && !entry.spaces.includes("ve")))
    throw new NijimiError("option", `The sampler "${sampler}" does not run on Stable Diffusion.`);
  const { alphasCumprod, options } = fromDiffusersConfig(config, "DDIMScheduler");
  invariant(alphasCumprod, "DDIMScheduler has ᾱ by timestep");
  const prediction = predictionNamed(options.prediction_type);
  const table = discreteSigmasOf(alphasCumprod, { terminalAlphaBar: 2 ** -24 });
  const sigmas = given ? Float64Array.from(given) : makeSigmas(schedule, steps, { table });
  const preconditioning = discretePreconditioning(table, { prediction });
  const above = [...sigmas].filter((sigma) => sigma > 0);
  return {
    sampler,
    steps: sigmas.length - 1,
    initNoiseSigma: sigmas[0],
    space: "ve",
    noise: entry.noise,
    sigmaRange: [Math.min(...above), Math.max(...above)],
    evaluations: (first) => (sigmas.length - 1 - first) * (entry.evaluations ?? 1),
    timestepAt: (step) => sigmaToTimestep(table, sigmas[step]),
    trainedTimesteps: alphasCumprod.length,
    sigmaAt: (timestep) => table.sigmas[Math.min(table.sigmas.length - 1, Math.round(timestep))],
    run: ({ network, x, noise, signal, firstStep }) =>
      entry.run({
        denoise: denoiserOf(network, preconditioning),
        x,
        sigmas,
        noise,
        signal,
        firstStep,
      }),
    addNoise: (x0, noise, step) => noised(x0, noise, "ve", sigmas[step]),
  };
}

function predictionNamed(name: string): PredictionType {
  const known = DIFFUSERS_PREDICTION_TYPES;
  if (!Object.hasOwn(known, name)) throw unknownName("prediction_type", name, Object.keys(known));
  return known[name];
}
