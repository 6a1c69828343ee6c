/** A diffusers scheduler from its `scheduler_config.json`. */
import { NijimiError, unknownName } from "../../../errors.ts";
import { alphaScheduler } from "./alpha-schedulers.ts";
import { edmScheduler } from "./edm-schedulers.ts";
import { flowScheduler } from "./flow-schedulers.ts";
import { lambdaScheduler } from "./lambda-schedulers.ts";
import {
  DIFFUSERS_DEFAULTS,
  type DiffusersOptions,
  type DiffusersSchedulerName,
  resolveDiffusersOptions,
} from "./options.ts";
import type { DiffusersScheduler } from "./plan.ts";
import { sigmaScheduler } from "./sigma-schedulers.ts";

const FAMILIES = {
  DDPMScheduler: alphaScheduler,
  DDPMParallelScheduler: alphaScheduler,
  DDIMScheduler: alphaScheduler,
  DDIMParallelScheduler: alphaScheduler,
  DDIMInverseScheduler: alphaScheduler,
  PNDMScheduler: alphaScheduler,
  UnCLIPScheduler: alphaScheduler,
  LCMScheduler: alphaScheduler,
  TCDScheduler: alphaScheduler,
  EulerDiscreteScheduler: sigmaScheduler,
  EulerAncestralDiscreteScheduler: sigmaScheduler,
  HeunDiscreteScheduler: sigmaScheduler,
  KDPM2DiscreteScheduler: sigmaScheduler,
  KDPM2AncestralDiscreteScheduler: sigmaScheduler,
  LMSDiscreteScheduler: sigmaScheduler,
  DPMSolverSDEScheduler: sigmaScheduler,
  DPMSolverMultistepScheduler: lambdaScheduler,
  DPMSolverMultistepInverseScheduler: lambdaScheduler,
  DPMSolverSinglestepScheduler: lambdaScheduler,
  UniPCMultistepScheduler: lambdaScheduler,
  DEISMultistepScheduler: lambdaScheduler,
  SASolverScheduler: lambdaScheduler,
  EDMEulerScheduler: edmScheduler,
  EDMDPMSolverMultistepScheduler: edmScheduler,
  CosineDPMSolverMultistepScheduler: edmScheduler,
  CMStochasticIterativeScheduler: edmScheduler,
  FlowMatchEulerDiscreteScheduler: flowScheduler,
  FlowMatchHeunDiscreteScheduler: flowScheduler,
  IPNDMScheduler: flowScheduler,
} as const satisfies Record<
  DiffusersSchedulerName,
  (name: DiffusersSchedulerName, options: DiffusersOptions) => DiffusersScheduler
>;

/** Classes that diffusers has and this library does not run. */
const UNSUPPORTED = [
  "AmusedScheduler",
  "CogVideoXDDIMScheduler",
  "CogVideoXDPMScheduler",
  "ConsistencyDecoderScheduler",
  "DDPMWuerstchenScheduler",
  "FlowMatchLCMScheduler",
  "KarrasVeScheduler",
  "SCMScheduler",
];

/** Names of the classes that are understood. */
export const DIFFUSERS_SCHEDULERS = Object.keys(FAMILIES) as DiffusersSchedulerName[];

/**
 * The scheduler that a config describes: sampler, schedule and reading of the network's output.
 *
 * @param config content of `scheduler_config.json`; its `_class_name` says which class, unless
 * `name` does
 * @param name class to use instead of the config's, whose options it then takes over (diffusers'
 * `from_config`)
 * @throws NijimiError `option` for unknown classes, options and values; `unsupported` for classes
 * that are known but not run
 * @example
 * const scheduler = fromDiffusersConfig(JSON.parse(text));
 * const plan = scheduler.plan({ steps: 30 });
 * for await (const { x } of plan.run({ network, x: start, noise })) latents = x;
 */
export function fromDiffusersConfig(
  config: Readonly<Record<string, unknown>>,
  name?: string,
): DiffusersScheduler {
  const className = String(name ?? config["_class_name"] ?? "");
  if (UNSUPPORTED.includes(className))
    throw new NijimiError(
      "unsupported",
      `Scheduler ${className} is not supported; choose one of ${Object.keys(DIFFUSERS_DEFAULTS).join(", ")}.`,
    );
  if (!Object.hasOwn(FAMILIES, className))
    throw unknownName("diffusers scheduler", className, Object.keys(FAMILIES));
  const known = className as DiffusersSchedulerName;
  return FAMILIES[known](known, resolveDiffusersOptions(known, config));
}
