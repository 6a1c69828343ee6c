export { ancestralStep, type AncestralStep } from "./ancestral-step.ts";
export { type AncestralOptions, eulerAncestral } from "./euler-ancestral.ts";
export { ddimCfgPlusPlus, eulerCfgPlusPlus } from "./cfg-plus-plus.ts";
export type { ChurnOptions } from "./churn.ts";
export { consistency, type ConsistencyOptions } from "./consistency.ts";
export { ddim, type DdimOptions } from "./ddim.ts";
export { ddimInversion, type DdimInversionOptions } from "./ddim-inversion.ts";
export { DDPM_VARIANCES, ddpm, type DdpmOptions, type DdpmVariance } from "./ddpm.ts";
export { deis, type DeisOptions } from "./deis.ts";
export { dpm2 } from "./dpm2.ts";
export { dpm2Ancestral } from "./dpm2-ancestral.ts";
export { dpmAdaptive, type DpmAdaptiveOptions } from "./dpm-adaptive.ts";
export { dpmFast, type DpmFastOptions } from "./dpm-fast.ts";
export type { SolverPrediction, SolverType } from "./dpm-solver-formulas.ts";
export { dpmSolverMultistep, type DpmSolverMultistepOptions } from "./dpm-solver-multistep.ts";
export { dpmSolverSinglestep, type DpmSolverSinglestepOptions } from "./dpm-solver-singlestep.ts";
export { dpmpp2m } from "./dpmpp-2m.ts";
export { dpmpp2mSde, type Dpmpp2mSdeOptions } from "./dpmpp-2m-sde.ts";
export { dpmpp2sAncestral } from "./dpmpp-2s-ancestral.ts";
export { dpmpp3mSde } from "./dpmpp-3m-sde.ts";
export { dpmppSde, type DpmppSdeOptions } from "./dpmpp-sde.ts";
export { DIFFUSERS_SCHEDULERS, fromDiffusersConfig } from "./diffusers/from-config.ts";
export type { DiffusersOptions, DiffusersSchedulerName } from "./diffusers/options.ts";
export type {
  DiffusersPlan,
  DiffusersPlanOptions,
  DiffusersRunInput,
  DiffusersScheduler,
  DiffusersStepOptions,
} from "./diffusers/plan.ts";
export { euler } from "./euler.ts";
export { flowEuler, type FlowEulerOptions } from "./flow-euler.ts";
export { flowHeun } from "./flow-heun.ts";
export { heun } from "./heun.ts";
export { ipndm, type IpndmOptions } from "./ipndm.ts";
export { lcm, type LcmOptions } from "./lcm.ts";
export { lms, type LmsOptions } from "./lms.ts";
export { pndm, type PndmMiddle, type PndmOptions } from "./pndm.ts";
export { restart, type RestartInterval, type RestartOptions } from "./restart.ts";
export { saSolver, type SaSolverOptions } from "./sa-solver.ts";
export { type Level, levelOf, sigmaAtLambda, SPACES } from "./space.ts";
export { tcd, type TcdOptions } from "./tcd.ts";
export type {
  DenoiseContext,
  Denoiser,
  NoiseSource,
  Prediction,
  SamplerInput,
  SamplerRun,
  SamplerStep,
  Space,
} from "./types.ts";
export { unipc, type UnipcOptions } from "./unipc.ts";
export { annealedLangevin, type AnnealedLangevinOptions } from "./annealed-langevin.ts";
export {
  CORRECTORS,
  PREDICTORS,
  predictorCorrector,
  type PredictorCorrectorInput,
  type Score,
} from "./predictor-corrector.ts";
export { repaint, type RepaintOptions } from "./repaint.ts";
export {
  gumbelArgmax,
  vqDiffusion,
  type VqDiffusionInput,
  type VqDiffusionSchedule,
  vqDiffusionSchedule,
  type VqDiffusionScheduleOptions,
  vqDiffusionStep,
  vqPosterior,
} from "./vq-diffusion.ts";
export { type ResolvedSampler, resolveSampler, samplerNames } from "./resolve.ts";
export { componentWeights, type GaussianMixture, mixtureDenoiser } from "./gaussian-mixture.ts";
export { lastStep } from "./run.ts";
export { type SamplerEntry, type SamplerName, SAMPLERS } from "./table.ts";
