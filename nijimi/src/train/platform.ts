/** What training needs of the platform; `#train` gives Node's or the browser's. */
import type { CommonSettings, Recipe, Settings } from "./recipe.ts";
import type { Together } from "./split-step.ts";
import type { RunEvent, RunOptions } from "./run/events.ts";

export interface Platform {
  runRecipe<S extends CommonSettings>(
    recipe: Recipe<S>,
    settings: S,
    options: RunOptions,
  ): AsyncGenerator<RunEvent>;
  connectMpi(
    env: Readonly<Record<string, string | undefined>>,
  ): Promise<(Together & { readonly local: number; finalize(): void }) | undefined>;
  storedSettings(folder: string): Promise<Settings | undefined>;
}
