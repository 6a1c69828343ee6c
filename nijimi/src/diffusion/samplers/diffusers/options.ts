/**
 * What `scheduler_config.json` may hold: every option of diffusers 0.35's schedulers with the
 * default of each class. An option that another class has is accepted and ignored, as diffusers
 * does when a scheduler is made from another one's config; an unknown one is refused.
 */
import { NijimiError, unknownName } from "../../../errors.ts";

/** Options by diffusers' own names. A class uses those of its row in {@link DIFFUSERS_DEFAULTS}. */
export interface DiffusersOptions {
  readonly num_train_timesteps: number;
  readonly beta_start: number;
  readonly beta_end: number;
  readonly beta_schedule: string;
  readonly trained_betas: readonly number[] | null;
  readonly rescale_betas_zero_snr: boolean;
  readonly prediction_type: string;
  readonly timestep_spacing: "linspace" | "leading" | "trailing";
  readonly timestep_type: string;
  readonly steps_offset: number;
  readonly set_alpha_to_one: boolean;
  readonly clip_sample: boolean;
  readonly clip_sample_range: number;
  readonly thresholding: boolean;
  readonly dynamic_thresholding_ratio: number;
  readonly sample_max_value: number;
  readonly variance_type: string | null;
  readonly use_karras_sigmas: boolean;
  readonly use_exponential_sigmas: boolean;
  readonly use_beta_sigmas: boolean;
  readonly use_lu_lambdas: boolean;
  readonly use_flow_sigmas: boolean;
  readonly flow_shift: number;
  readonly use_dynamic_shifting: boolean;
  readonly time_shift_type: "exponential" | "linear";
  readonly final_sigmas_type: "zero" | "sigma_min";
  readonly lambda_min_clipped: number;
  readonly interpolation_type: string;
  readonly sigma_min: number | null;
  readonly sigma_max: number | null;
  readonly sigma_data: number;
  readonly sigma_schedule: string;
  readonly rho: number;
  readonly s_noise: number;
  readonly clip_denoised: boolean;
  readonly solver_order: number;
  readonly algorithm_type: string;
  readonly solver_type: string;
  readonly lower_order_final: boolean;
  readonly euler_at_final: boolean;
  readonly predict_x0: boolean;
  readonly disable_corrector: readonly number[];
  readonly solver_p: null;
  readonly predictor_order: number;
  readonly corrector_order: number;
  readonly tau_func: null;
  readonly skip_prk_steps: boolean;
  readonly original_inference_steps: number;
  readonly timestep_scaling: number;
  readonly noise_sampler_seed: number | null;
  readonly shift: number;
  readonly base_shift: number;
  readonly max_shift: number;
  readonly base_image_seq_len: number;
  readonly max_image_seq_len: number;
  readonly invert_sigmas: boolean;
  readonly shift_terminal: number | null;
  readonly stochastic_sampling: boolean;
}

type Defaults = Partial<DiffusersOptions>;

const BETAS = {
  num_train_timesteps: 1000,
  beta_start: 0.0001,
  beta_end: 0.02,
  beta_schedule: "linear",
  trained_betas: null,
} as const satisfies Defaults;
/** Stable Diffusion's range. */
const LATENT_BETAS = { ...BETAS, beta_start: 0.00085, beta_end: 0.012 } as const satisfies Defaults;
const THRESHOLDING = {
  thresholding: false,
  dynamic_thresholding_ratio: 0.995,
  sample_max_value: 1,
} as const satisfies Defaults;
const SIGMAS = {
  use_karras_sigmas: false,
  use_exponential_sigmas: false,
  use_beta_sigmas: false,
} as const satisfies Defaults;
const FLOW_SIGMAS = { use_flow_sigmas: false, flow_shift: 1 } as const satisfies Defaults;
const DYNAMIC_SHIFT = {
  use_dynamic_shifting: false,
  time_shift_type: "exponential",
} as const satisfies Defaults;
const LINSPACE = { timestep_spacing: "linspace", steps_offset: 0 } as const satisfies Defaults;
const LEADING = { timestep_spacing: "leading", steps_offset: 0 } as const satisfies Defaults;
const EPSILON = { prediction_type: "epsilon" } as const satisfies Defaults;

const DDPM = {
  ...BETAS,
  ...EPSILON,
  ...THRESHOLDING,
  ...LEADING,
  variance_type: "fixed_small",
  clip_sample: true,
  clip_sample_range: 1,
  rescale_betas_zero_snr: false,
} as const satisfies Defaults;
const DDIM = {
  ...BETAS,
  ...EPSILON,
  ...THRESHOLDING,
  ...LEADING,
  clip_sample: true,
  clip_sample_range: 1,
  set_alpha_to_one: true,
  rescale_betas_zero_snr: false,
} as const satisfies Defaults;
const DPM_SOLVER = {
  ...BETAS,
  ...EPSILON,
  ...THRESHOLDING,
  ...SIGMAS,
  ...FLOW_SIGMAS,
  solver_order: 2,
  algorithm_type: "dpmsolver++",
  solver_type: "midpoint",
  lambda_min_clipped: -Infinity,
  variance_type: null,
} as const satisfies Defaults;
const DISTILLED = {
  ...DDIM,
  ...LATENT_BETAS,
  beta_schedule: "scaled_linear",
  clip_sample: false,
  original_inference_steps: 50,
  timestep_scaling: 10,
} as const satisfies Defaults;
const EDM = {
  sigma_min: 0.002,
  sigma_max: 80,
  sigma_data: 0.5,
  sigma_schedule: "karras",
  num_train_timesteps: 1000,
  ...EPSILON,
  rho: 7,
  final_sigmas_type: "zero",
} as const satisfies Defaults;
const K_SAMPLER = {
  ...LATENT_BETAS,
  ...EPSILON,
  ...SIGMAS,
  ...LINSPACE,
} as const satisfies Defaults;

/** The options of every class that is understood, with their defaults. */
export const DIFFUSERS_DEFAULTS = {
  DDPMScheduler: DDPM,
  DDPMParallelScheduler: DDPM,
  DDIMScheduler: DDIM,
  DDIMParallelScheduler: DDIM,
  DDIMInverseScheduler: {
    ...BETAS,
    ...EPSILON,
    ...LEADING,
    clip_sample: true,
    clip_sample_range: 1,
    set_alpha_to_one: true,
    rescale_betas_zero_snr: false,
  },
  PNDMScheduler: {
    ...BETAS,
    ...EPSILON,
    ...LEADING,
    skip_prk_steps: false,
    set_alpha_to_one: false,
  },
  UnCLIPScheduler: {
    num_train_timesteps: 1000,
    ...EPSILON,
    variance_type: "fixed_small_log",
    clip_sample: true,
    clip_sample_range: 1,
    beta_schedule: "squaredcos_cap_v2",
  },
  LCMScheduler: DISTILLED,
  TCDScheduler: DISTILLED,
  EulerDiscreteScheduler: {
    ...BETAS,
    ...EPSILON,
    ...SIGMAS,
    ...LINSPACE,
    interpolation_type: "linear",
    sigma_min: null,
    sigma_max: null,
    timestep_type: "discrete",
    rescale_betas_zero_snr: false,
    final_sigmas_type: "zero",
  },
  EulerAncestralDiscreteScheduler: {
    ...BETAS,
    ...EPSILON,
    ...LINSPACE,
    rescale_betas_zero_snr: false,
  },
  HeunDiscreteScheduler: { ...K_SAMPLER, clip_sample: false, clip_sample_range: 1 },
  KDPM2DiscreteScheduler: K_SAMPLER,
  KDPM2AncestralDiscreteScheduler: K_SAMPLER,
  LMSDiscreteScheduler: { ...K_SAMPLER, ...BETAS },
  DPMSolverSDEScheduler: { ...K_SAMPLER, noise_sampler_seed: null },
  DPMSolverMultistepScheduler: {
    ...DPM_SOLVER,
    ...DYNAMIC_SHIFT,
    ...LINSPACE,
    lower_order_final: true,
    euler_at_final: false,
    use_lu_lambdas: false,
    final_sigmas_type: "zero",
    rescale_betas_zero_snr: false,
  },
  DPMSolverMultistepInverseScheduler: {
    ...DPM_SOLVER,
    ...LINSPACE,
    lower_order_final: true,
    euler_at_final: false,
  },
  DPMSolverSinglestepScheduler: {
    ...DPM_SOLVER,
    ...DYNAMIC_SHIFT,
    lower_order_final: false,
    final_sigmas_type: "zero",
  },
  UniPCMultistepScheduler: {
    ...BETAS,
    ...EPSILON,
    ...THRESHOLDING,
    ...SIGMAS,
    ...FLOW_SIGMAS,
    ...DYNAMIC_SHIFT,
    ...LINSPACE,
    solver_order: 2,
    predict_x0: true,
    solver_type: "bh2",
    lower_order_final: true,
    disable_corrector: [],
    solver_p: null,
    final_sigmas_type: "zero",
    rescale_betas_zero_snr: false,
  },
  DEISMultistepScheduler: {
    ...BETAS,
    ...EPSILON,
    ...THRESHOLDING,
    ...SIGMAS,
    ...FLOW_SIGMAS,
    ...DYNAMIC_SHIFT,
    ...LINSPACE,
    solver_order: 2,
    algorithm_type: "deis",
    solver_type: "logrho",
    lower_order_final: true,
  },
  SASolverScheduler: {
    ...BETAS,
    ...EPSILON,
    ...THRESHOLDING,
    ...SIGMAS,
    ...FLOW_SIGMAS,
    ...LINSPACE,
    predictor_order: 2,
    corrector_order: 2,
    tau_func: null,
    algorithm_type: "data_prediction",
    lower_order_final: true,
    lambda_min_clipped: -Infinity,
    variance_type: null,
  },
  EDMEulerScheduler: EDM,
  EDMDPMSolverMultistepScheduler: {
    ...EDM,
    ...THRESHOLDING,
    solver_order: 2,
    algorithm_type: "dpmsolver++",
    solver_type: "midpoint",
    lower_order_final: true,
    euler_at_final: false,
  },
  CosineDPMSolverMultistepScheduler: {
    ...EDM,
    sigma_min: 0.3,
    sigma_max: 500,
    sigma_data: 1,
    sigma_schedule: "exponential",
    prediction_type: "v_prediction",
    solver_order: 2,
    solver_type: "midpoint",
    lower_order_final: true,
    euler_at_final: false,
  },
  CMStochasticIterativeScheduler: {
    num_train_timesteps: 40,
    sigma_min: 0.002,
    sigma_max: 80,
    sigma_data: 0.5,
    s_noise: 1,
    rho: 7,
    clip_denoised: true,
  },
  FlowMatchEulerDiscreteScheduler: {
    num_train_timesteps: 1000,
    shift: 1,
    ...SIGMAS,
    ...DYNAMIC_SHIFT,
    base_shift: 0.5,
    max_shift: 1.15,
    base_image_seq_len: 256,
    max_image_seq_len: 4096,
    invert_sigmas: false,
    shift_terminal: null,
    stochastic_sampling: false,
  },
  FlowMatchHeunDiscreteScheduler: { num_train_timesteps: 1000, shift: 1 },
  IPNDMScheduler: { num_train_timesteps: 1000, trained_betas: null },
} as const satisfies Record<string, Defaults>;

/** Name of a class that is understood. */
export type DiffusersSchedulerName = keyof typeof DIFFUSERS_DEFAULTS;

/** Stands in for options that a class does not have. */
const NEUTRAL: DiffusersOptions = {
  ...DDIM,
  ...DPM_SOLVER,
  ...DYNAMIC_SHIFT,
  ...LINSPACE,
  timestep_type: "discrete",
  rescale_betas_zero_snr: false,
  set_alpha_to_one: true,
  clip_sample: false,
  clip_sample_range: 1,
  use_lu_lambdas: false,
  final_sigmas_type: "zero",
  interpolation_type: "linear",
  sigma_min: null,
  sigma_max: null,
  sigma_data: 0.5,
  sigma_schedule: "karras",
  rho: 7,
  s_noise: 1,
  clip_denoised: false,
  lower_order_final: true,
  euler_at_final: false,
  predict_x0: true,
  disable_corrector: [],
  solver_p: null,
  predictor_order: 2,
  corrector_order: 2,
  tau_func: null,
  skip_prk_steps: false,
  original_inference_steps: 50,
  timestep_scaling: 10,
  noise_sampler_seed: null,
  shift: 1,
  base_shift: 0.5,
  max_shift: 1.15,
  base_image_seq_len: 256,
  max_image_seq_len: 4096,
  invert_sigmas: false,
  shift_terminal: null,
  stochastic_sampling: false,
};

/** Options of classes that are not handled here (or are older names), accepted in any config. */
const FOREIGN_OPTIONS = [
  "set_alpha_to_zero",
  "predict_epsilon",
  "snr_shift_scale",
  "eta",
  "sampling_eps",
  "snr",
  "correct_steps",
  "scaler",
  "s",
  "scale_factors",
  "upscale_mode",
  "sampling_steps",
];

const STRINGS: Readonly<Record<string, readonly string[]>> = {
  beta_schedule: ["linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid"],
  prediction_type: ["epsilon", "sample", "v_prediction", "flow_prediction", "original_sample"],
  timestep_spacing: ["linspace", "leading", "trailing"],
  timestep_type: ["discrete", "continuous"],
  variance_type: ["fixed_small", "fixed_small_log", "fixed_large", "learned", "learned_range"],
  time_shift_type: ["exponential", "linear"],
  final_sigmas_type: ["zero", "sigma_min"],
  interpolation_type: ["linear", "log_linear"],
  sigma_schedule: ["karras", "exponential"],
  algorithm_type: [
    "dpmsolver",
    "dpmsolver++",
    "sde-dpmsolver",
    "sde-dpmsolver++",
    "deis",
    "data_prediction",
    "noise_prediction",
  ],
  solver_type: ["midpoint", "heun", "logrho", "bh1", "bh2"],
};

/** Options that may be null beside their type. */
const NULLABLE = [
  "trained_betas",
  "variance_type",
  "sigma_min",
  "sigma_max",
  "shift_terminal",
  "noise_sampler_seed",
  "solver_p",
  "tau_func",
  "disable_corrector",
];

/**
 * The options of a class, completed with its defaults.
 *
 * @throws NijimiError `option` for an unknown option, or a value of the wrong type or not among the
 * accepted ones
 */
export function resolveDiffusersOptions(
  name: DiffusersSchedulerName,
  config: Readonly<Record<string, unknown>>,
): DiffusersOptions {
  const defaults: Defaults = DIFFUSERS_DEFAULTS[name];
  const given: Record<string, unknown> = {};
  for (const [key, raw] of Object.entries(config)) {
    if (key.startsWith("_") || key === "name_or_path") continue;
    if (!(key in NEUTRAL) && !FOREIGN_OPTIONS.includes(key))
      throw unknownName(`option of ${name}`, key, Object.keys(defaults));
    if (key in defaults) given[key] = checkValue(name, key as keyof DiffusersOptions, raw);
  }
  const options = { ...NEUTRAL, ...defaults, ...given } as DiffusersOptions;
  const chosen = Object.keys(SIGMAS).filter((key) => options[key as keyof typeof SIGMAS]);
  if (chosen.length > 1)
    throw new NijimiError("option", `${name}: only one of ${chosen.join(", ")} can be used.`);
  return options;
}

function checkValue(name: string, key: keyof DiffusersOptions, raw: unknown): unknown {
  const value = raw === "-inf" || raw === "-Infinity" ? -Infinity : raw;
  if (value === null && NULLABLE.includes(key)) return key === "disable_corrector" ? [] : null;
  const refuse = (expected: string) =>
    new NijimiError("option", `${name}: ${key} must be ${expected}; got ${JSON.stringify(raw)}.`);
  if (key in STRINGS) {
    if (typeof value === "string" && STRINGS[key].includes(value)) return value;
    throw unknownName(`${key} of ${name}`, String(raw), STRINGS[key]);
  }
  if (key === "trained_betas" || key === "disable_corrector") {
    if (Array.isArray(value) && value.every((entry) => typeof entry === "number")) return value;
    throw refuse("a list of numbers");
  }
  if (key === "solver_p" || key === "tau_func")
    throw refuse("null; functions and nested schedulers cannot be read from a config");
  const expected = typeof NEUTRAL[key] === "boolean" ? "boolean" : "number";
  if (expected === "boolean" && value === null) return false;
  if (typeof value !== expected || Number.isNaN(value)) throw refuse(`a ${expected}`);
  return value;
}
