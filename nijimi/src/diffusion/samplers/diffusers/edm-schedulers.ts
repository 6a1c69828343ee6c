/**
 * diffusers' schedulers of EDM-preconditioned networks (Karras et al. 2022, arXiv:2206.00364) and
 * of consistency models (Song et al. 2023, arXiv:2303.01469), in `ve`.
 */
import { clipX0 } from "../../parameterisations/clipping.ts";
import { edmPreconditioning } from "../../parameterisations/preconditioning.ts";
import { exponentialSigmas } from "../../schedules/sigmas-exponential.ts";
import { karrasSigmas } from "../../schedules/sigmas-karras.ts";
import { NijimiError } from "../../../errors.ts";
import { consistency } from "../consistency.ts";
import { dpmSolverMultistep } from "../dpm-solver-multistep.ts";
import { euler } from "../euler.ts";
import type { SamplerInput, SamplerRun } from "../types.ts";
import { multistepOptions } from "./lambda-schedulers.ts";
import { eulerWithLateChurn } from "./late-churn.ts";
import type { DiffusersOptions, DiffusersSchedulerName } from "./options.ts";
import {
  addNoiseByIndex,
  checkCustomTimesteps,
  checkNotMoreThanTrained,
  type DiffusersPlan,
  type DiffusersPlanOptions,
  type DiffusersScheduler,
  noised,
  requestedSteps,
} from "./plan.ts";
import { type ReadingAt, readingDenoiser, timestepLookup, transformOf } from "./reading.ts";

/** The scheduler of one of these classes. */
export function edmScheduler(
  name: DiffusersSchedulerName,
  options: DiffusersOptions,
): DiffusersScheduler {
  const plan = name === "CMStochasticIterativeScheduler" ? consistencyPlan : edmPlan;
  return { name, options, plan: (asked) => plan(name, options, asked) };
}

function edmPlan(
  name: DiffusersSchedulerName,
  options: DiffusersOptions,
  asked: DiffusersPlanOptions,
): DiffusersPlan {
  const steps = requestedSteps(name, asked);
  const range = { sigmaMin: options.sigma_min!, sigmaMax: options.sigma_max! };
  const levels =
    options.sigma_schedule === "karras"
      ? karrasSigmas(steps, { ...range, rho: options.rho })
      : exponentialSigmas(steps, range);
  if (options.final_sigmas_type === "sigma_min")
    levels[steps] = name === "EDMEulerScheduler" ? levels[steps - 1] : options.sigma_min!;
  const sigmas = levels.map(Math.fround);
  const cosine = name === "CosineDPMSolverMultistepScheduler";
  const timesteps = sigmas
    .slice(0, steps)
    .map((sigma) => (cosine ? (Math.atan(sigma) / Math.PI) * 2 : Math.log(sigma) / 4));
  const { at } = edmPreconditioning({ sigmaData: options.sigma_data });
  const timestep = timestepLookup(sigmas, timesteps, (sigma) => at(sigma).cNoise);
  const sign = options.prediction_type === "v_prediction" ? -1 : 1;
  if (!["v_prediction", "epsilon"].includes(options.prediction_type))
    throw new NijimiError(
      "option",
      `${name}: prediction_type must be "epsilon" or "v_prediction"; got "${options.prediction_type}".`,
    );
  const reading: ReadingAt = (sigma, step) => {
    const { cSkip, cOut, cIn } = at(sigma);
    return { cIn, timestep: timestep(sigma, step), x0: { x: cSkip, output: sign * cOut } };
  };
  return {
    timesteps,
    sigmas,
    initNoiseSigma: Math.sqrt(options.sigma_max! ** 2 + 1),
    space: "ve",
    steps,
    run(input) {
      if ((input.sChurn ?? 0) > 0)
        return eulerWithLateChurn({ ...input, sigmas, reading, readAt: "churned" });
      const { network, x, noise, signal, firstStep } = input;
      const denoise = readingDenoiser(network, reading, { transform: transformOf(options) });
      return edmSampler(name, options, { denoise, x, sigmas, noise, signal, firstStep });
    },
    addNoise: (x0, noise, step) => noised(x0, noise, "ve", sigmas[step]),
    addNoiseAt: addNoiseByIndex(timesteps.map(Math.fround), sigmas, "ve"),
  };
}

function edmSampler(
  name: DiffusersSchedulerName,
  options: DiffusersOptions,
  input: SamplerInput,
): SamplerRun {
  if (name === "EDMEulerScheduler") return euler(input);
  const common = multistepOptions(options);
  return dpmSolverMultistep({
    ...input,
    ...common,
    eta: name === "CosineDPMSolverMultistepScheduler" ? 1 : common.eta,
  });
}

/** Smallest number added before a logarithm of σ in consistency models. */
const TINY = 1e-44;

function consistencyPlan(
  name: DiffusersSchedulerName,
  options: DiffusersOptions,
  asked: DiffusersPlanOptions,
): DiffusersPlan {
  const steps = requestedSteps(name, asked, ["timesteps"]);
  const trained = options.num_train_timesteps;
  const stride = Math.floor(trained / steps);
  if (asked.timesteps) checkCustomTimesteps(name, asked.timesteps, trained);
  else checkNotMoreThanTrained(name, steps, trained);
  const indices = asked.timesteps
    ? asked.timesteps.toReversed()
    : Array.from({ length: steps }, (_, i) => i * stride);
  const [sigmaMin, sigmaMax] = [options.sigma_min!, options.sigma_max!];
  const [low, high] = [sigmaMin ** (1 / options.rho), sigmaMax ** (1 / options.rho)];
  const exact = Float64Array.from(
    indices,
    (i) => (high + (i / (trained - 1)) * (low - high)) ** options.rho,
  );
  const timesteps = exact.map((sigma) => 250 * Math.log(sigma + TINY));
  const sigmas = Float64Array.from([...exact, sigmaMin], Math.fround);
  const timestep = timestepLookup(sigmas, timesteps, (sigma) => 250 * Math.log(sigma + TINY));
  const { sigma_data: data } = options;
  // boundary condition: the identity at σ_min (arXiv:2303.01469, appendix C)
  const reading: ReadingAt = (sigma, step) => ({
    cIn: 1 / Math.sqrt(sigma ** 2 + data ** 2),
    timestep: timestep(sigma, step),
    x0: {
      x: data ** 2 / ((sigma - sigmaMin) ** 2 + data ** 2),
      output: ((sigma - sigmaMin) * data) / Math.sqrt(sigma ** 2 + data ** 2),
    },
  });
  const transform = options.clip_denoised ? clipX0(1) : undefined;
  return {
    timesteps,
    sigmas,
    initNoiseSigma: sigmaMax,
    space: "ve",
    steps,
    run: ({ network, x, noise, signal, firstStep }) =>
      consistency({
        denoise: readingDenoiser(network, reading, { transform }),
        x,
        sigmas,
        noise,
        signal,
        firstStep,
        sigmaMin,
        sNoise: options.s_noise,
      }),
    addNoise: (x0, noise, step) => noised(x0, noise, "ve", sigmas[step]),
    addNoiseAt: addNoiseByIndex(timesteps.map(Math.fround), sigmas, "ve"),
  };
}
