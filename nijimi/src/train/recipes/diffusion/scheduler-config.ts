/** A process as diffusers' scheduler. */
import type { SavedComponent } from "../../../checkpoints/save-folder.ts";
import { NijimiError } from "../../../errors.ts";
import { DIFFUSERS_PREDICTION_TYPES } from "../../../diffusion/parameterisations/prediction.ts";
import { DIFFUSERS_BETA_SCHEDULES } from "../../../diffusion/schedules/betas.ts";
import type { ProcessSettings } from "./process.ts";

/**
 * The scheduler that samples a process: DDIM for discrete ones.
 *
 * @throws NijimiError `unsupported` for schedules that diffusers has not
 */
export function schedulerComponent(settings: ProcessSettings): SavedComponent {
  const library = "diffusers";
  switch (settings.process) {
    case "edm":
      return {
        library,
        className: "EDMEulerScheduler",
        config: { sigma_min: 0.002, sigma_max: 80, sigma_data: 0.5, prediction_type: "epsilon" },
      };
    case "flow":
      return {
        library,
        className: "FlowMatchEulerDiscreteScheduler",
        config: { num_train_timesteps: 1000, shift: 1 },
      };
    case "discrete":
      return {
        library,
        className: "DDIMScheduler",
        config: {
          num_train_timesteps: settings.timesteps,
          beta_start: settings.betaStart,
          beta_end: settings.betaEnd,
          beta_schedule: theirs(DIFFUSERS_BETA_SCHEDULES, settings.schedule),
          prediction_type: theirs(DIFFUSERS_PREDICTION_TYPES, settings.prediction),
          clip_sample: false,
          set_alpha_to_one: true,
          // Without effect in this spacing; diffusers' pipelines warn of another value.
          steps_offset: 1,
          timestep_spacing: "trailing",
        },
      };
  }
}

/** The name that stands for ours in a table from their names to ours. */
function theirs(table: Readonly<Record<string, string>>, ours: string): string {
  const found = Object.keys(table).find((name) => table[name] === ours);
  if (found === undefined)
    throw new NijimiError(
      "unsupported",
      `diffusers has no name for "${ours}"; a model trained so cannot be written as its folder.`,
    );
  return found;
}
