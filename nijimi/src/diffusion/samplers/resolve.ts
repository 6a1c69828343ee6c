/**
 * Samplers by any of their names: ours, A1111's with or without a schedule ("DPM++ 2M Karras"),
 * ComfyUI's, k-diffusion's or a diffusers class.
 */
import { nearestNames, NijimiError } from "../../errors.ts";
import {
  resolveSigmaSchedule,
  SIGMA_SCHEDULES,
  type SigmaScheduleName,
} from "../schedules/sigma-schedules.ts";
import { type SamplerEntry, type SamplerName, SAMPLERS } from "./table.ts";

const OWN_NAMES = Object.keys(SAMPLERS) as SamplerName[];

/** What a name stands for. */
export interface ResolvedSampler {
  readonly sampler: SamplerName;
  /** The schedule that the name asks for or brings along. */
  readonly schedule?: SigmaScheduleName;
}

/**
 * The sampler (and schedule) of a name. Case, spaces, hyphens and underscores do not matter, "++"
 * and "pp" are the same.
 *
 * @throws NijimiError `option` for an unknown name, with the nearest known ones
 * @example
 * resolveSampler("DPM++ 2M Karras"); // { sampler: "dpmpp-2m", schedule: "karras" }
 * resolveSampler("EulerAncestralDiscreteScheduler"); // { sampler: "euler-ancestral" }
 */
export function resolveSampler(name: string): ResolvedSampler {
  const wanted = plain(name);
  const exact = samplerCalled(wanted);
  if (exact) return withSchedule(exact, undefined);
  for (const alias of scheduleNames()) {
    const suffix = plain(alias);
    const sampler = wanted.endsWith(suffix)
      ? samplerCalled(wanted.slice(0, -suffix.length))
      : undefined;
    if (sampler) return withSchedule(sampler, resolveSigmaSchedule(alias));
  }
  throw unknownSampler(name);
}

/** Lists the nearest names, those of a sampler with a schedule included. */
function unknownSampler(name: string): NijimiError {
  const names = OWN_NAMES.flatMap(samplerNames);
  const schedules = Object.keys(SIGMA_SCHEDULES).map((own) => own[0].toUpperCase() + own.slice(1));
  const near = nearestNames(name, [
    ...names,
    ...names.flatMap((one) => schedules.map((schedule) => `${one} ${schedule}`)),
  ]);
  const hint =
    near.length > 0 ? ` Did you mean ${near.map((one) => JSON.stringify(one)).join(" or ")}?` : "";
  return new NijimiError(
    "option",
    `Unknown sampler ${JSON.stringify(name)}.${hint} Accepted: ${OWN_NAMES.join(", ")} and their names in A1111, ComfyUI, k-diffusion and diffusers.`,
  );
}

/** Every name of a sampler, ours first. */
export function samplerNames(sampler: SamplerName): readonly string[] {
  const { diffusers, a1111 = [], comfyui = [], kDiffusion }: SamplerEntry = SAMPLERS[sampler];
  const foreign = [...a1111, ...comfyui, kDiffusion, diffusers].filter(
    (name) => name !== undefined,
  );
  return [...new Set([sampler, ...foreign])];
}

function samplerCalled(wanted: string): SamplerName | undefined {
  return OWN_NAMES.find((own) => samplerNames(own).some((name) => plain(name) === wanted));
}

function withSchedule(sampler: SamplerName, asked: SigmaScheduleName | undefined): ResolvedSampler {
  const schedule = asked ?? (SAMPLERS[sampler] as SamplerEntry).schedule;
  return schedule ? { sampler, schedule } : { sampler };
}

/** Names of the schedules, longest first, so that "SGM Uniform" is not read as "Uniform". */
function scheduleNames(): string[] {
  const names = Object.entries(SIGMA_SCHEDULES).flatMap(([own, { aliases }]) => [own, ...aliases]);
  return names.toSorted((a, b) => b.length - a.length);
}

function plain(name: string): string {
  return name
    .toLowerCase()
    .replaceAll("+", "p")
    .replace(/^sample_/, "")
    .replaceAll(/[-_\s]/g, "");
}
