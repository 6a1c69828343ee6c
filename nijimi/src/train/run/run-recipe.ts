/** Trainings as users start them: a recipe and a folder. */
import type { CommonSettings, Recipe } from "../recipe.ts";
import type { Together } from "../split-step.ts";
import type { RunEvent, RunOptions } from "./events.ts";

/**
 * Runs a recipe to its end, or from its folder's last checkpoint on, and writes everything that must survive a crash.
 * In Node; what is shown of the events is the caller's business.
 *
 * @throws NijimiError `file` when the folder holds a run and `resume` is not set, `numeric` when training diverges
 * @example
 * const recipe = await loadRecipe("emoji-autoencoder");
 * for await (const event of runRecipe(recipe, recipe.settings, { folder: "training/ae" })) console.log(event.type);
 */
export async function* runRecipe<S extends CommonSettings>(
  recipe: Recipe<S>,
  settings: S,
  options: RunOptions,
): AsyncGenerator<RunEvent> {
  const platform = await import("#train");
  yield* platform.runRecipe(recipe, settings, options);
}

/**
 * The processes that `mpirun` started this one with, for `together` of a run; undefined when it runs alone.
 *
 * @throws NijimiError `device` when the launcher's library cannot be used
 */
export async function connectMpi(
  env: Readonly<Record<string, string | undefined>>,
): Promise<(Together & { readonly local: number; finalize(): void }) | undefined> {
  const platform = await import("#train");
  return platform.connectMpi(env);
}

/**
 * The recipe's settings as a run in `folder` was started with them; the recipe's own where there is no such run.
 *
 * @example
 * const settings = applySettings(await resumedSettings(recipe, folder), ["updates=20000"]);
 */
export async function resumedSettings<S extends CommonSettings>(
  recipe: Recipe<S>,
  folder: string,
): Promise<S> {
  const { storedSettings } = await import("#train");
  return { ...recipe.settings, ...((await storedSettings(folder)) as Partial<S> | undefined) };
}
