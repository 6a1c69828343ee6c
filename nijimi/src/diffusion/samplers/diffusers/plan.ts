/**
 * What a diffusers scheduler becomes: a sampler with its levels, and the reading of the network's
 * output.
 */
import { NijimiError } from "../../../errors.ts";
import type { Tensor } from "../../../tensor/tensor.ts";
import type { Network } from "../../parameterisations/denoiser.ts";
import { combine } from "../arithmetic.ts";
import { levelOf } from "../space.ts";
import type { NoiseSource, SamplerRun, Space } from "../types.ts";
import type { DiffusersOptions, DiffusersSchedulerName } from "./options.ts";

type F32 = Tensor<"float32">;

/** Arguments of diffusers' `set_timesteps`. Exactly one of `steps`, `timesteps` and `sigmas`. */
export interface DiffusersPlanOptions {
  /** `num_inference_steps` */
  readonly steps?: number;
  /** Timesteps to visit, where the class takes them. */
  readonly timesteps?: readonly number[];
  /** Levels to visit, where the class takes them. */
  readonly sigmas?: readonly number[];
  /** Dynamic shift of flow schedules. */
  readonly mu?: number;
  /** Steps of the teacher's schedule (LCM, TCD). */
  readonly originalSteps?: number;
  /** Share of the schedule used (LCM, TCD). @default 1 */
  readonly strength?: number;
}

/** Arguments that diffusers gives to `step`. A scheduler uses those it has. */
export interface DiffusersStepOptions {
  readonly eta?: number;
  readonly useClippedModelOutput?: boolean;
  readonly sChurn?: number;
  readonly sTmin?: number;
  readonly sTmax?: number;
  readonly sNoise?: number;
  readonly order?: 1 | 2 | 3 | 4;
  /**
   * Timestep that a step of unCLIP's scheduler goes to: the one below (what it does when not told),
   * or the next of the schedule (what the unCLIP pipelines tell it). @default "adjacent"
   */
  readonly previousTimestep?: "adjacent" | "next";
}

/** Input of {@link DiffusersPlan.run}. */
export interface DiffusersRunInput extends DiffusersStepOptions {
  /**
   * (scaled state, timestep) → raw output: ε, v …, after guidance; with a variance in further
   * channels where the config says so.
   */
  readonly network: Network;
  /** Noise times `initNoiseSigma`, or a noised image. Not written to. */
  readonly x: F32;
  readonly noise?: NoiseSource;
  readonly signal?: AbortSignal;
  /** Step to begin at (image to image). @default 0 */
  readonly firstStep?: number;
}

/** A schedule that is ready to run. */
export interface DiffusersPlan {
  /** `scheduler.timesteps`: one per evaluation of the network. */
  readonly timesteps: Float64Array;
  /** `scheduler.sigmas`, where the class has them. */
  readonly sigmas?: Float64Array;
  /** `scheduler.init_noise_sigma`: standard deviation of the start. */
  readonly initNoiseSigma: number;
  readonly space: Space;
  /** Steps of the sampler; a step may take more than one evaluation. */
  readonly steps: number;
  run(input: DiffusersRunInput): SamplerRun;
  /** x0 noised to the level at which step `step` begins (`add_noise`). */
  addNoise(x0: F32, noise: F32, step: number): F32;
  /** x0 noised to the level of a timestep; the level of the schedule where levels belong to it. */
  addNoiseAt(x0: F32, noise: F32, timestep: number): F32;
}

/** A scheduler made from a config. */
export interface DiffusersScheduler {
  readonly name: DiffusersSchedulerName;
  readonly options: DiffusersOptions;
  /** ᾱ by timestep, for classes that have it. */
  readonly alphasCumprod?: Float64Array;
  /** β by timestep, for classes that have it. */
  readonly betas?: Float64Array;
  /** ᾱ after the last step (`final_alpha_cumprod`), for classes that have it. */
  readonly finalAlphaCumprod?: number;
  plan(options: DiffusersPlanOptions): DiffusersPlan;
}

/** x0 at a level, x = α·x0 + σ·noise. */
export function noised(x0: F32, noise: F32, space: Space, sigma: number): F32 {
  const { alpha, std } = levelOf(space, sigma);
  return combine([alpha, x0], [std, noise]);
}

/** How far a timestep may lie from one of the schedule, which is held in float32 elsewhere. */
const TIMESTEP_TOLERANCE = 1e-3;

/**
 * `addNoiseAt` of classes whose levels belong to the schedule: the second of equal timesteps, as
 * diffusers looks them up.
 */
export function addNoiseByIndex(
  timesteps: ArrayLike<number>,
  sigmas: ArrayLike<number>,
  space: Space,
) {
  return (x0: F32, noise: F32, timestep: number): F32 => {
    const near = (t: number) => Math.abs(t - timestep) <= TIMESTEP_TOLERANCE;
    const found = Array.from(timesteps).flatMap((t, i) => (near(t) ? [i] : []));
    const index = found.length > 1 ? found[1] : found[0];
    if (index === undefined)
      throw new NijimiError(
        "option",
        `addNoiseAt: timestep ${timestep} is not in the schedule; accepted: ${Array.from(timesteps).join(", ")}.`,
      );
    return noised(x0, noise, space, sigmas[index]);
  };
}

/** The number of steps asked for; refuses what a class does not take. */
export function requestedSteps(
  name: string,
  { steps, timesteps, sigmas }: DiffusersPlanOptions,
  accepted: readonly ("timesteps" | "sigmas")[] = [],
): number {
  const given = Object.entries({ steps, timesteps, sigmas }).filter(
    ([, value]) => value !== undefined,
  );
  const names = ["steps", ...accepted];
  if (given.length !== 1 || !names.includes(given[0][0]))
    throw new NijimiError(
      "option",
      `${name}: pass ${names.length > 1 ? "exactly one of " : ""}${names.join(", ")}; got ${given.map(([key]) => key).join(" and ") || "none"}.`,
    );
  const count = steps ?? (timesteps ? timesteps.length : (sigmas?.length ?? 0) - 1);
  if (!(Number.isInteger(count) && count >= 1))
    throw new NijimiError("option", `${name}: steps must be a whole number ≥ 1; got ${count}.`);
  return count;
}

/** Refuses more steps than the network has timesteps. */
export function checkNotMoreThanTrained(name: string, steps: number, trained: number): void {
  if (steps > trained)
    throw new NijimiError(
      "option",
      `${name}: ${steps} steps are more than the ${trained} timesteps of training.`,
    );
}

/** Refuses timesteps that are not falling whole numbers below T. */
export function checkCustomTimesteps(
  name: string,
  timesteps: readonly number[],
  trained: number,
): void {
  const valid = timesteps.every(
    (t, i) => Number.isFinite(t) && t >= 0 && t < trained && (i === 0 || t < timesteps[i - 1]),
  );
  if (!valid)
    throw new NijimiError(
      "option",
      `${name}: timesteps must fall and lie between 0 and ${trained - 1}; got ${timesteps.join(", ")}.`,
    );
}
