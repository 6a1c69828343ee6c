/**
 * Schedules of noise levels by name, with the names users know them by. Where user interfaces
 * differ, `convention` says whose form is meant: "beta" steps over timesteps in ComfyUI and over σ
 * in A1111, "kl-optimal" and "align-your-steps" end differently.
 */
import { NijimiError, unknownName } from "../../errors.ts";
import { type DiscreteSigmas, normalSigmas } from "./discrete-sigmas.ts";
import { type AlignYourStepsModel, alignYourStepsSigmas } from "./sigmas-align-your-steps.ts";
import { betaSigmas, betaTimestepSigmas } from "./sigmas-beta.ts";
import { exponentialSigmas, polyexponentialSigmas } from "./sigmas-exponential.ts";
import { karrasSigmas, type SigmaConvention, type SigmaRange } from "./sigmas-karras.ts";
import { klOptimalSigmas } from "./sigmas-kl-optimal.ts";
import { linearQuadraticSigmas } from "./sigmas-linear-quadratic.ts";
import {
  ddimUniformSigmas,
  sgmUniformSigmas,
  simpleSigmas,
  turboSigmas,
} from "./sigmas-timestep-grids.ts";
import { vpSigmas } from "./sigmas-vp.ts";

/** What a named schedule may ask for. */
export interface SigmaScheduleOptions {
  /** The network's own noise levels. Needed by the schedules that step over timesteps. */
  readonly table?: DiscreteSigmas;
  /** Smallest level. @default the table's first */
  readonly sigmaMin?: number;
  /** Largest level. @default the table's last */
  readonly sigmaMax?: number;
  /** Whose form of a schedule is meant. @default "comfyui" */
  readonly convention?: SigmaConvention;
  /** Exponent of "karras" (7) and "polyexponential" (1). */
  readonly rho?: number;
  /** Shape of "beta". @default 0.6 */
  readonly alpha?: number;
  /** Shape of "beta". @default 0.6 */
  readonly beta?: number;
  /** Which tables "align-your-steps" reads. @default "stable-diffusion-1" */
  readonly model?: AlignYourStepsModel;
}

interface SigmaSchedule {
  /** Names in A1111, ComfyUI and k-diffusion. */
  readonly aliases: readonly string[];
  readonly make: (steps: number, options: SigmaScheduleOptions) => Float64Array;
}

/**
 * Every schedule of noise levels. Each gives falling levels that end with 0 (A1111's "kl-optimal":
 * with σ_min).
 */
export const SIGMA_SCHEDULES = {
  normal: {
    aliases: ["uniform"],
    make: (steps, options) => normalSigmas(tableOf("normal", options), steps),
  },
  karras: {
    aliases: ["get_sigmas_karras"],
    make: (steps, o) => karrasSigmas(steps, { ...rangeOf("karras", o), rho: o.rho }),
  },
  exponential: {
    aliases: ["get_sigmas_exponential"],
    make: (steps, options) => exponentialSigmas(steps, rangeOf("exponential", options)),
  },
  polyexponential: {
    aliases: ["get_sigmas_polyexponential"],
    make: (steps, o) =>
      polyexponentialSigmas(steps, { ...rangeOf("polyexponential", o), rho: o.rho }),
  },
  vp: { aliases: ["get_sigmas_vp"], make: (steps) => vpSigmas(steps) },
  simple: {
    aliases: [],
    make: (steps, options) => simpleSigmas(tableOf("simple", options), steps),
  },
  "sgm-uniform": {
    aliases: ["SGMUniform"],
    make: (steps, o) => sgmUniformSigmas(tableOf("sgm-uniform", o), steps, o),
  },
  "ddim-uniform": {
    aliases: ["DDIM"],
    make: (steps, o) => ddimUniformSigmas(tableOf("ddim-uniform", o), steps),
  },
  turbo: { aliases: [], make: (steps, options) => turboSigmas(tableOf("turbo", options), steps) },
  beta: {
    aliases: [],
    make: (steps, { table, convention, ...o }) =>
      table && convention !== "a1111"
        ? betaTimestepSigmas(steps, { ...o, table })
        : betaSigmas(steps, { ...o, ...rangeOf("beta", { ...o, table }) }),
  },
  "kl-optimal": {
    aliases: [],
    make: (steps, o) =>
      klOptimalSigmas(steps, { ...rangeOf("kl-optimal", o), convention: o.convention }),
  },
  "align-your-steps": {
    aliases: ["AYS"],
    make: (steps, { model = "stable-diffusion-1", convention }) =>
      alignYourStepsSigmas(steps, { model, convention }),
  },
  "linear-quadratic": {
    aliases: [],
    make: (steps, { table, sigmaMax = table?.sigmas[table.sigmas.length - 1] }) =>
      linearQuadraticSigmas(steps, { sigmaMax }),
  },
} as const satisfies Record<string, SigmaSchedule>;

/** Name of a schedule of noise levels. */
export type SigmaScheduleName = keyof typeof SIGMA_SCHEDULES;

/**
 * The schedule of that name, whatever its case, hyphens, underscores and spaces: "SGM Uniform" is
 * "sgm-uniform".
 *
 * @throws NijimiError `option` for an unknown name
 */
export function resolveSigmaSchedule(name: string): SigmaScheduleName {
  const wanted = plain(name);
  for (const [own, { aliases }] of Object.entries(SIGMA_SCHEDULES))
    if ([own, ...aliases].some((alias) => plain(alias) === wanted)) return own as SigmaScheduleName;
  throw unknownName("sigma schedule", name, Object.keys(SIGMA_SCHEDULES));
}

/**
 * Noise levels of `steps` steps by the schedule's name: falling, ending with 0.
 *
 * @example
 * const table = discreteSigmasOf(diffusionTables(makeBetas({ schedule: "cosine" })).alphasCumprod);
 * const sigmas = makeSigmas("karras", 20, { table });
 */
export function makeSigmas(
  name: string,
  steps: number,
  options: SigmaScheduleOptions = {},
): Float64Array {
  const schedule: SigmaSchedule = SIGMA_SCHEDULES[resolveSigmaSchedule(name)];
  return schedule.make(steps, options);
}

function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[-_\s]/g, "");
}

function tableOf(schedule: string, { table }: SigmaScheduleOptions): DiscreteSigmas {
  if (table) return table;
  throw new NijimiError(
    "option",
    `The "${schedule}" schedule steps over a network's timesteps: give options.table.`,
  );
}

function rangeOf(
  schedule: string,
  { table, sigmaMin, sigmaMax }: SigmaScheduleOptions,
): SigmaRange {
  const low = sigmaMin ?? table?.sigmas[0];
  const high = sigmaMax ?? table?.sigmas[table.sigmas.length - 1];
  if (low !== undefined && high !== undefined) return { sigmaMin: low, sigmaMax: high };
  throw new NijimiError(
    "option",
    `The "${schedule}" schedule needs options.sigmaMin and sigmaMax, or options.table.`,
  );
}
